//! Counting the rows that a difference between source and target concerns.
//!
//! Any storage class may stand in any column, so values are looked at one by one, by the same
//! rules that decode them. A value that cannot be read at all is not what is counted here.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::catalog::Shape;
use super::failure::reading;
use super::meaning::{Empty, Meanings};
use super::number::{FloatText, Number};
use super::problem::Problem;
use super::statement::{from, known, quoted};
use super::{instant, read, value};
use crate::Result;
use crate::data::column::FractionDigits;
use crate::data::concern::Concern;
use crate::data::stream::Origin;

/// Counts the rows of an origin that a concern is about.
pub(super) fn count(connection: &Connection, meanings: &Meanings, origin: &Origin, concern: &Concern) -> Result<u64> {
    let shape = read::shape(connection, meanings, origin)?;
    let each = |column: &str, test: &dyn Fn(ValueRef<'_>) -> bool| each(connection, &shape, origin, column, test);
    match concern {
        Concern::Null { column } => each(column, &|value| value == ValueRef::Null),
        Concern::Longer { column, max_chars } => {
            let max = usize::try_from(*max_chars).unwrap_or(usize::MAX);
            each(column, &|value| with_text(value, |text| text.chars().nth(max).is_some()))
        }
        Concern::OtherLabel { column, labels } => each(column, &|value| {
            with_text(value, |text| !labels.iter().any(|label| label == text))
        }),
        Concern::FinerTime { column, digits } => each(column, &|value| is_finer(value, *digits)),
        Concern::WiderNumber {
            column,
            precision,
            scale,
        } => each(column, &|value| is_wider(value, *precision, *scale)),
        Concern::OutOfRange { column, min, max } => each(column, &|value| match value::integer(value) {
            Ok(value) => value < *min || value > *max,
            Err(problem) => problem == Problem::Range,
        }),
        Concern::Repeated { columns } => repeated(connection, &shape, origin, columns),
    }
}

/// Rows whose value passes a test; `''` is NULL where it stands for it.
fn each(connection: &Connection, shape: &Shape, origin: &Origin, column: &str, test: &dyn Fn(ValueRef<'_>) -> bool) -> Result<u64> {
    known(shape, column)?;
    let sql = format!("select s.{} from {}", quoted(column), from(origin));
    let none_for_empty = shape.empty(column) == Empty::Null;
    let mut statement = connection.prepare(&sql).map_err(reading)?;
    let mut rows = statement.query([]).map_err(reading)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(reading)? {
        let value = match row.get_ref(0).map_err(reading)? {
            ValueRef::Text([]) if none_for_empty => ValueRef::Null,
            value => value,
        };
        count += u64::from(test(value));
    }
    Ok(count)
}

/// Tests a value as the text that it is read as.
fn with_text(value: ValueRef<'_>, test: impl Fn(&str) -> bool) -> bool {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).is_ok_and(test),
        ValueRef::Integer(value) => test(&value.to_string()),
        ValueRef::Real(value) if value.is_finite() => test(FloatText::plain(value).as_str()),
        _ => false,
    }
}

/// Whether a time or timestamp has more fraction digits.
fn is_finer(value: ValueRef<'_>, digits: FractionDigits) -> bool {
    let Ok(text) = value::iso(value) else { return false };
    let micros = match instant::timestamp(text) {
        Err(Problem::NotTimestamp) => instant::time(text),
        micros => micros,
    };
    let unit = 10_i64.pow(u32::from(6_u8.saturating_sub(digits)));
    match micros {
        Ok(micros) => micros.rem_euclid(unit) != 0,
        Err(problem) => problem == Problem::Digits,
    }
}

/// Whether a number has more digits before the point, or after it.
fn is_wider(value: ValueRef<'_>, precision: u16, scale: i16) -> bool {
    let fits = |text: &str| {
        let number = Number::parse(text)?;
        Some(number.write_plain(Some((precision, scale)), &mut String::new()).is_ok())
    };
    match value {
        ValueRef::Integer(value) => fits(&value.to_string()) == Some(false),
        // Infinity is no number, and does not fit.
        ValueRef::Real(value) => fits(FloatText::scientific(value).as_str()) != Some(true),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).is_ok_and(|text| fits(text) == Some(false)),
        _ => false,
    }
}

/// Rows that share values with an earlier one; rows with a NULL among them do not.
fn repeated(connection: &Connection, shape: &Shape, origin: &Origin, columns: &[String]) -> Result<u64> {
    let mut conditions = Vec::new();
    for column in columns {
        known(shape, column)?;
        conditions.push(format!("s.{} is not null", quoted(column)));
        if shape.empty(column) == Empty::Null {
            conditions.push(format!("s.{} <> ''", quoted(column)));
        }
    }
    let parts: Vec<String> = columns
        .iter()
        .map(|column| format!("s.{} collate binary", quoted(column)))
        .collect();
    let sql = format!(
        "select coalesce(sum(n - 1), 0) from (select count(*) as n from {} where {} group by {})",
        from(origin),
        conditions.join(" and "),
        parts.join(", ")
    );
    let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).map_err(reading)?;
    Ok(rows.unsigned_abs())
}
