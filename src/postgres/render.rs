//! A row as JSON for the reject store, with the columns that travel in Postgres' binary form
//! shown as Postgres would write them.
//!
//! What is not read here (a composite, say) is shown as its type and its bytes in hexadecimal,
//! so that nothing is lost.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Field, IntervalMonthDayNanoType, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value, json};

use super::decode::Fields;
use super::numeric::Sent;
use crate::data::column::ColumnType;
use crate::data::render;

const DAY: i64 = 86_400_000_000;
/// Days and microseconds from 1970-01-01 to 2000-01-01, where Postgres counts from.
const EPOCH_DAYS: i64 = 10_957;

/// One row as a JSON object, see [`render::row_json`].
#[must_use]
pub fn row_json(batch: &RecordBatch, row: usize) -> String {
    let mut object = Map::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        object.insert(field.name().clone(), value_json(field, column.as_ref(), row));
    }
    Value::Object(object).to_string()
}

pub(crate) fn value_json(field: &Field, column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match (ColumnType::of_field(field), column.data_type()) {
        (Some(ColumnType::Opaque { name }), DataType::Binary) => {
            let bytes = column.as_binary::<i32>().value(row);
            passed(&name, bytes).unwrap_or_else(|| json!({ "type": name, "hex": render::bytes(bytes) }))
        }
        (Some(ColumnType::Timestamp { zoned, .. }), _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            match super::instant::timestamp_sent(micros) {
                Some(sent) => timestamp(sent, zoned).into(),
                None => render::value_json(field, column, row),
            }
        }
        (Some(ColumnType::Date), _) => match super::instant::date_sent(column.as_primitive::<Date32Type>().value(row)) {
            Some(sent) => date(sent).into(),
            None => render::value_json(field, column, row),
        },
        (Some(ColumnType::Interval), _) => {
            let value = column.as_primitive::<IntervalMonthDayNanoType>().value(row);
            interval(value.nanoseconds / 1_000, value.days, value.months).into()
        }
        _ => render::value_json(field, column, row),
    }
}

/// A value in binary form; `None` for those that are not read here.
fn passed(form: &str, bytes: &[u8]) -> Option<Value> {
    let form = form.split('#').next().unwrap_or(form);
    if let Some(element) = form.strip_suffix("[]") {
        return list(element, bytes);
    }
    let long = || bytes.try_into().map(i64::from_be_bytes).ok();
    let text = || std::str::from_utf8(bytes).ok();
    Some(match form {
        "numeric" => {
            let mut out = String::new();
            Sent::read(bytes)?.write(&mut out).ok()?;
            out.into()
        }
        "date" => date(bytes.try_into().map(i32::from_be_bytes).ok()?).into(),
        "timestamp without time zone" => timestamp(long()?, false).into(),
        "timestamp with time zone" => timestamp(long()?, true).into(),
        "time without time zone" => time(long()?).into(),
        "interval" => {
            let (time, rest) = bytes.split_first_chunk::<8>()?;
            let (days, months) = rest.split_first_chunk::<4>()?;
            let months = months.try_into().map(i32::from_be_bytes).ok()?;
            interval(i64::from_be_bytes(*time), i32::from_be_bytes(*days), months).into()
        }
        "smallint" => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        "integer" => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        "bigint" => long()?.into(),
        "boolean" => Value::Bool(bytes != [0]),
        "uuid" => uuid::Uuid::from_slice(bytes).ok()?.hyphenated().to_string().into(),
        "text" | "character varying" | "character" | "enum" | "name" | "json" | "xml" => render::text(text()?),
        _ => return None,
    })
}

/// An array of one dimension that begins at 1.
fn list(element: &str, bytes: &[u8]) -> Option<Value> {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().map(i32::from_be_bytes).ok();
    if word(0)? == 0 {
        return Some(Value::Array(Vec::new()));
    }
    if word(0)? != 1 || word(16)? != 1 {
        return None;
    }
    let count = usize::try_from(word(12)?).ok()?;
    let mut items = Fields::new(bytes.get(20..)?, count);
    (0..count)
        .map(|_| items.next().ok()?.map_or(Some(Value::Null), |item| passed(element, item)))
        .collect::<Option<Vec<_>>>()
        .map(Value::Array)
}

/// Whatever is written into a `String` is taken.
macro_rules! push {
    ($out:expr, $($format:tt)*) => {
        if write!($out, $($format)*).is_err() {
            unreachable!("writing to a string");
        }
    };
}

fn date(sent: i32) -> String {
    match sent {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        days => {
            let mut out = String::new();
            let era = put_date(i64::from(days) + EPOCH_DAYS, &mut out);
            out.push_str(era);
            out
        }
    }
}

fn timestamp(sent: i64, zoned: bool) -> String {
    match sent {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        micros => {
            let mut out = String::new();
            let era = put_date(micros.div_euclid(DAY) + EPOCH_DAYS, &mut out);
            out.push(' ');
            out.push_str(&time(micros.rem_euclid(DAY)));
            out.push_str(if zoned { "+00" } else { "" });
            out.push_str(era);
            out
        }
    }
}

/// Writes a date of so many days since 1970 (Howard Hinnant's algorithm), and returns its era.
fn put_date(days: i64, out: &mut String) -> &'static str {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let of_year_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_year_era + of_year_era / 4 - of_year_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = of_year_era + era * 400 + i64::from(month <= 2);
    let (year, era) = if year < 1 { (1 - year, " BC") } else { (year, "") };
    push!(out, "{year:04}-{month:02}-{:02}", of_year - (153 * shifted + 2) / 5 + 1);
    era
}

fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let mut out = String::new();
    push!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    put_fraction(micros.unsigned_abs() % 1_000_000, &mut out);
    out
}

fn put_fraction(micros: u64, out: &mut String) {
    if micros != 0 {
        push!(out, ".{micros:06}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// As Postgres' own style writes it: `1 year -2 mons +3 days -04:05:06.5`.
fn interval(micros: i64, days: i32, months: i32) -> String {
    let mut out = String::new();
    let mut negative = false;
    for (number, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if number != 0 {
            let blank = if out.is_empty() { "" } else { " " };
            let plus = if negative && number > 0 { "+" } else { "" };
            let plural = if number == 1 { "" } else { "s" };
            push!(out, "{blank}{plus}{number} {unit}{plural}");
            negative = number < 0;
        }
    }
    if micros != 0 || out.is_empty() {
        let blank = if out.is_empty() { "" } else { " " };
        let sign = match (micros < 0, negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let whole = micros.unsigned_abs();
        let seconds = whole / 1_000_000;
        push!(
            out,
            "{blank}{sign}{:02}:{:02}:{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        );
        put_fraction(whole % 1_000_000, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, TimestampMicrosecondArray};
    use arrow::datatypes::Schema;

    use super::*;

    fn shown(form: &str, hex: &str) -> Value {
        let bytes = hex::decode(hex).expect("hex");
        let ty = ColumnType::Opaque { name: form.to_owned() };
        let array: ArrayRef = Arc::new(BinaryArray::from(vec![bytes.as_slice()]));
        value_json(&ty.field("c", true), array.as_ref(), 0)
    }

    #[test]
    fn values_in_binary_form_are_shown_as_the_server_writes_them() {
        assert_eq!(shown("numeric", "0003000100000003000109291a7c"), "12345.678");
        assert_eq!(shown("date", "7fffffff"), "infinity");
        assert_eq!(shown("date", "ffda97a7"), "4714-11-24 BC");
        assert_eq!(
            shown("timestamp with time zone", "0000000000000000"),
            "2000-01-01 00:00:00+00"
        );
        assert_eq!(shown("timestamp without time zone", "8000000000000000"), "-infinity");
        assert_eq!(
            shown("timestamp without time zone", "7fffff5bb3b29fff"),
            "294276-12-31 23:59:59.999999"
        );
        assert_eq!(shown("time without time zone", "000000141dd76000"), "24:00:00");
        assert_eq!(
            shown("interval", "ffffffffff76abc00000000200000002"),
            "2 mons 2 days -00:00:09"
        );
        assert_eq!(
            shown("interval", "0000000000000000fffffffefffffff3"),
            "-1 years -1 mons -2 days"
        );
        assert_eq!(shown("interval", "00000000000000010000000000000000"), "00:00:00.000001");
        assert_eq!(
            shown(
                "bigint[]",
                "000000010000000100000014000000020000000100000008000000000000002affffffff"
            ),
            json!([42, null])
        );
        assert_eq!(shown("text[]", "000000000000000000000019"), json!([]));
        assert_eq!(
            shown("inet", "0220000401020304"),
            json!({ "type": "inet", "hex": "0220000401020304" })
        );
        assert_eq!(shown("numeric", "00"), json!({ "type": "numeric", "hex": "00" }));
        assert_eq!(shown("(a integer)[]", "00"), json!({ "type": "(a integer)[]", "hex": "00" }));
    }

    #[test]
    fn infinity_among_arrow_values_has_a_text_too() {
        let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX, 0]).with_timezone("UTC"));
        let schema = Schema::new(vec![ColumnType::INSTANT.field("at", true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).expect("one column");
        assert_eq!(row_json(&batch, 0), r#"{"at":"infinity"}"#);
        assert_eq!(row_json(&batch, 1), r#"{"at":"1970-01-01 00:00:00+00"}"#);
    }
}
