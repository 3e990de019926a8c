//! Values as the JSON that CQL itself writes for them: what documents travel as.
//!
//! Numbers with all their digits, floats in the shortest form that reads back as the same; texts,
//! times, addresses, UUIDs and bytes as text. Keys of a map are text, too. What is not there in a
//! user-defined type is left out.

use std::fmt::Write as _;

use scylla::cluster::metadata::{CollectionType, ColumnType as CqlType, NativeType};

use super::element::{Elements, part};
use super::value::{self, Problem, fixed};
use crate::data::text::{civil, quoted};

/// Writing to a `String` cannot fail: there is no error to hand on.
macro_rules! push {
    ($out:expr, $($format:tt)*) => {
        write!($out, $($format)*).unwrap_or_default()
    };
}

/// Appends a value.
///
/// # Errors
/// [`Problem`] where the value has no exact form; what was appended before is no document then.
pub(crate) fn write(ty: &CqlType<'_>, bytes: &[u8], out: &mut String) -> Result<(), Problem> {
    match ty {
        CqlType::Native(native) if is_text(native) => {
            let mut text = String::new();
            spell(native, bytes, &mut text)?;
            quoted(out, &text);
            Ok(())
        }
        CqlType::Native(native @ (NativeType::Float | NativeType::Double)) => {
            let mut text = String::new();
            spell(native, bytes, &mut text)?;
            if text.ends_with(|last: char| last.is_ascii_digit()) {
                out.push_str(&text);
            } else {
                quoted(out, &text);
            }
            Ok(())
        }
        CqlType::Native(native) => spell(native, bytes, out),
        CqlType::Collection {
            typ: CollectionType::Map(key, of),
            ..
        } => map(ty, (key, of), bytes, out),
        CqlType::Collection {
            typ: CollectionType::List(element) | CollectionType::Set(element),
            ..
        }
        | CqlType::Vector { typ: element, .. } => array(out, Elements::of(ty, bytes)?.map(|item| Ok((&**element, item?)))),
        CqlType::Tuple(types) => {
            let mut rest = bytes;
            array(out, types.iter().map(|ty| Ok((ty, part(&mut rest)?))))?;
            nothing_left(rest)
        }
        CqlType::UserDefinedType { definition, .. } => {
            let mut rest = bytes;
            out.push('{');
            let mut comma = "";
            for (name, ty) in &definition.field_types {
                if let Some(field) = part(&mut rest)? {
                    out.push_str(comma);
                    quoted(out, name);
                    out.push(':');
                    write(ty, field, out)?;
                    comma = ",";
                }
            }
            out.push('}');
            nothing_left(rest)
        }
        _ => Err(Problem::Malformed),
    }
}

fn array<'t, 'b, 'm: 't>(
    out: &mut String,
    items: impl Iterator<Item = Result<(&'t CqlType<'m>, Option<&'b [u8]>), Problem>>,
) -> Result<(), Problem> {
    out.push('[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(',');
        }
        match item? {
            (ty, Some(bytes)) => write(ty, bytes, out)?,
            (_, None) => out.push_str("null"),
        }
    }
    out.push(']');
    Ok(())
}

fn map(ty: &CqlType<'_>, (key, of): (&CqlType<'_>, &CqlType<'_>), bytes: &[u8], out: &mut String) -> Result<(), Problem> {
    let mut elements = Elements::of(ty, bytes)?;
    let mut opening = '{';
    while let Some(name) = elements.next() {
        let name = name?.ok_or(Problem::Malformed)?;
        let value = elements.next().ok_or(Problem::Malformed)??;
        out.push(opening);
        opening = ',';
        let mut text = String::new();
        match key {
            CqlType::Native(native) => spell(native, name, &mut text)?,
            key => write(key, name, &mut text)?,
        }
        quoted(out, &text);
        out.push(':');
        match value {
            Some(bytes) => write(of, bytes, out)?,
            None => out.push_str("null"),
        }
    }
    out.push_str(if opening == '{' { "{}" } else { "}" });
    Ok(())
}

/// A user-defined type may have got fields since it was looked at.
const fn nothing_left(rest: &[u8]) -> Result<(), Problem> {
    if rest.is_empty() { Ok(()) } else { Err(Problem::Malformed) }
}

/// Whether JSON has no form of its own for the values of a type.
const fn is_text(native: &NativeType) -> bool {
    !matches!(
        native,
        NativeType::Boolean
            | NativeType::TinyInt
            | NativeType::SmallInt
            | NativeType::Int
            | NativeType::BigInt
            | NativeType::Varint
            | NativeType::Decimal
            | NativeType::Float
            | NativeType::Double
    )
}

/// Appends the text of a scalar.
///
/// # Errors
/// As [`write`].
pub(crate) fn spell(native: &NativeType, bytes: &[u8], out: &mut String) -> Result<(), Problem> {
    match native {
        NativeType::Text | NativeType::Ascii => out.push_str(value::text(bytes)?),
        NativeType::Boolean => push!(out, "{}", fixed::<1>(bytes)? != [0]),
        NativeType::TinyInt => push!(out, "{}", i8::from_be_bytes(fixed(bytes)?)),
        NativeType::SmallInt => push!(out, "{}", i16::from_be_bytes(fixed(bytes)?)),
        NativeType::Int => push!(out, "{}", i32::from_be_bytes(fixed(bytes)?)),
        NativeType::BigInt => push!(out, "{}", i64::from_be_bytes(fixed(bytes)?)),
        NativeType::Varint => value::varint(bytes, out)?,
        NativeType::Decimal => value::decimal(bytes, out)?,
        NativeType::Float => {
            let number = f32::from_be_bytes(fixed(bytes)?);
            match special(f64::from(number)) {
                Some(text) => out.push_str(text),
                None => push!(out, "{number:?}"),
            }
        }
        NativeType::Double => {
            let number = f64::from_be_bytes(fixed(bytes)?);
            match special(number) {
                Some(text) => out.push_str(text),
                None => push!(out, "{number:?}"),
            }
        }
        NativeType::Blob => push!(out, "0x{}", hex::encode(bytes)),
        NativeType::Uuid | NativeType::Timeuuid => push!(out, "{}", uuid::Uuid::from_bytes(fixed(bytes)?).hyphenated()),
        NativeType::Inet => push!(out, "{}", value::inet(bytes)?),
        NativeType::Date => day(value::days(bytes)?, out),
        NativeType::Time => {
            let nanoseconds = value::nanoseconds(bytes)?;
            clock(nanoseconds / 1_000_000_000, out);
            push!(out, ".{:09}", nanoseconds % 1_000_000_000);
        }
        NativeType::Timestamp => {
            let milliseconds = i64::from_be_bytes(fixed(bytes)?);
            day(milliseconds.div_euclid(86_400_000), out);
            out.push(' ');
            clock(milliseconds.rem_euclid(86_400_000) / 1_000, out);
            push!(out, ".{:03}Z", milliseconds.rem_euclid(1_000));
        }
        NativeType::Duration => duration(value::duration(bytes)?, out)?,
        _ => return Err(Problem::Malformed),
    }
    Ok(())
}

fn special(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// A date; years beyond four digits have a sign.
fn day(days: i64, out: &mut String) {
    let (year, month, day) = civil(days);
    match year {
        0..=9999 => push!(out, "{year:04}"),
        _ => push!(out, "{year:+05}"),
    }
    push!(out, "-{month:02}-{day:02}");
}

fn clock(seconds: i64, out: &mut String) {
    push!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
}

/// Nanoseconds of the units of a duration, the largest first.
pub(crate) const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A duration such as `-1y2mo3d4h5m6s7ms8us9ns`; its parts have one sign.
fn duration(value: arrow::datatypes::IntervalMonthDayNano, out: &mut String) -> Result<(), Problem> {
    let (months, days, mut nanoseconds) = (
        value.months.unsigned_abs(),
        value.days.unsigned_abs(),
        value.nanoseconds.unsigned_abs(),
    );
    let negative = value.months < 0 || value.days < 0 || value.nanoseconds < 0;
    if negative && (value.months > 0 || value.days > 0 || value.nanoseconds > 0) {
        return Err(Problem::Malformed);
    }
    if negative {
        out.push('-');
    }
    let start = out.len();
    for (number, unit) in [(months / 12, "y"), (months % 12, "mo"), (days, "d")] {
        if number > 0 {
            push!(out, "{number}{unit}");
        }
    }
    for (unit, length) in UNITS {
        if nanoseconds >= length {
            push!(out, "{}{unit}", nanoseconds / length);
            nanoseconds %= length;
        }
    }
    if out.len() == start {
        out.push_str("0s");
    }
    Ok(())
}
