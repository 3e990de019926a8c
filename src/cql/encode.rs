//! Arrow values as the bytes of CQL, exact or refused with the reason.

use std::net::IpAddr;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, IntervalMonthDayNanoArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use num_bigint::BigInt;
use scylla::cluster::metadata::{ColumnType as CqlType, NativeType};

use super::{document, vint};
use crate::data::column::{DATE_INFINITY, DATE_MINUS_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY};
use crate::data::reject::Reason;
use crate::{Error, ErrorKind, Result};

/// Milliseconds of the first and the last moment that CQL can write down: the years 1 to 9999.
const MOMENTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;
/// Nanoseconds of a day.
const DAY_NANOSECONDS: i64 = 86_400_000_000_000;
/// Days are counted from here, so that there are some before 1970.
const EPOCH_DAY: u32 = 1 << 31;

/// Why a value has no form in CQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Class of the reason.
    pub(crate) reason: Reason,
    /// In words, without the value.
    pub(crate) detail: String,
}

impl Refused {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// A column of a batch beside the type that it is written as.
pub(crate) enum Cells<'a> {
    Bool(&'a BooleanArray),
    Tiny(&'a Int16Array),
    Small(&'a Int16Array),
    Int(&'a Int32Array),
    Big(&'a Int64Array),
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    Varint(&'a StringArray),
    Decimal(&'a StringArray),
    Text(&'a StringArray),
    Ascii(&'a StringArray),
    Inet(&'a StringArray),
    Blob(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Timeuuid(&'a FixedSizeBinaryArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Duration(&'a IntervalMonthDayNanoArray),
    /// A collection, tuple or type of the user's.
    Composed(&'a CqlType<'a>, &'a ArrayRef),
}

impl<'a> Cells<'a> {
    /// The column `array`, which is to be written as `ty`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the array is not of the type that [`super::kind::column_type`]
    /// says.
    pub(crate) fn of(ty: &'a CqlType<'a>, array: &'a ArrayRef) -> Result<Self> {
        let CqlType::Native(native) = ty else {
            return Ok(Self::Composed(ty, array));
        };
        let cells = match native {
            NativeType::Boolean => array.as_boolean_opt().map(Self::Bool),
            NativeType::TinyInt => array.as_primitive_opt::<Int16Type>().map(Self::Tiny),
            NativeType::SmallInt => array.as_primitive_opt::<Int16Type>().map(Self::Small),
            NativeType::Int => array.as_primitive_opt::<Int32Type>().map(Self::Int),
            NativeType::BigInt => array.as_primitive_opt::<Int64Type>().map(Self::Big),
            NativeType::Float => array.as_primitive_opt::<Float32Type>().map(Self::Float),
            NativeType::Double => array.as_primitive_opt::<Float64Type>().map(Self::Double),
            NativeType::Varint => array.as_string_opt().map(Self::Varint),
            NativeType::Decimal => array.as_string_opt().map(Self::Decimal),
            NativeType::Text => array.as_string_opt().map(Self::Text),
            NativeType::Ascii => array.as_string_opt().map(Self::Ascii),
            NativeType::Inet => array.as_string_opt().map(Self::Inet),
            NativeType::Blob => array.as_binary_opt().map(Self::Blob),
            NativeType::Uuid => array.as_fixed_size_binary_opt().map(Self::Uuid),
            NativeType::Timeuuid => array.as_fixed_size_binary_opt().map(Self::Timeuuid),
            NativeType::Timestamp => array.as_primitive_opt::<TimestampMicrosecondType>().map(Self::Timestamp),
            NativeType::Date => array.as_primitive_opt::<Date32Type>().map(Self::Date),
            NativeType::Time => array.as_primitive_opt::<Time64MicrosecondType>().map(Self::Time),
            NativeType::Duration => array.as_primitive_opt::<IntervalMonthDayNanoType>().map(Self::Duration),
            _ => None,
        };
        cells.ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("{} was planned as another type than it came as", super::kind::name(ty)),
            )
        })
    }

    /// Appends the value of a row, which is not NULL.
    pub(crate) fn put(&self, row: usize, out: &mut Vec<u8>) -> std::result::Result<(), Refused> {
        match self {
            Self::Bool(cells) => out.push(u8::from(cells.value(row))),
            Self::Tiny(cells) => {
                let small =
                    i8::try_from(cells.value(row)).map_err(|_| Refused::new(Reason::OutOfRange, "a tinyint holds -128 to 127"))?;
                out.extend_from_slice(&small.to_be_bytes());
            }
            Self::Small(cells) => out.extend_from_slice(&cells.value(row).to_be_bytes()),
            Self::Int(cells) => out.extend_from_slice(&cells.value(row).to_be_bytes()),
            Self::Big(cells) => out.extend_from_slice(&cells.value(row).to_be_bytes()),
            Self::Float(cells) => out.extend_from_slice(&cells.value(row).to_be_bytes()),
            Self::Double(cells) => out.extend_from_slice(&cells.value(row).to_be_bytes()),
            Self::Varint(cells) => varint(cells.value(row), out)?,
            Self::Decimal(cells) => decimal(cells.value(row), out)?,
            Self::Text(cells) => out.extend_from_slice(cells.value(row).as_bytes()),
            Self::Ascii(cells) => ascii(cells.value(row), out)?,
            Self::Inet(cells) => inet(cells.value(row), out)?,
            Self::Blob(cells) => out.extend_from_slice(cells.value(row)),
            Self::Uuid(cells) => out.extend_from_slice(cells.value(row)),
            Self::Timeuuid(cells) => timeuuid(cells.value(row), out)?,
            Self::Timestamp(cells) => out.extend_from_slice(&milliseconds(cells.value(row))?.to_be_bytes()),
            Self::Date(cells) => out.extend_from_slice(&days(cells.value(row))?.to_be_bytes()),
            Self::Time(cells) => out.extend_from_slice(&nanoseconds(cells.value(row))?.to_be_bytes()),
            Self::Duration(cells) => {
                let value = cells.value(row);
                duration(value.months, value.days, value.nanoseconds, out)?;
            }
            Self::Composed(ty, array) => document::encode(ty, array, row, out)?,
        }
        Ok(())
    }
}

/// An integer of any size in the shortest two's complement.
pub(crate) fn varint(text: &str, out: &mut Vec<u8>) -> std::result::Result<(), Refused> {
    if let Ok(number) = text.parse::<i64>() {
        let bytes = number.to_be_bytes();
        let sign = if number < 0 { 0xff } else { 0 };
        // A byte that only repeats the sign of the next is left out.
        let needless = (0..7)
            .take_while(|at| bytes[*at] == sign && (bytes[at + 1] ^ sign) & 0x80 == 0)
            .count();
        out.extend_from_slice(&bytes[needless..]);
        return Ok(());
    }
    let number = text.parse::<BigInt>().map_err(|_| not_finite("varint"))?;
    out.extend_from_slice(&number.to_signed_bytes_be());
    Ok(())
}

/// An exact decimal: the number of its fraction digits, and all digits as an integer.
pub(crate) fn decimal(text: &str, out: &mut Vec<u8>) -> std::result::Result<(), Refused> {
    let Some((whole, fraction)) = text.split_once('.') else {
        out.extend_from_slice(&0_i32.to_be_bytes());
        return varint(text, out).map_err(|_| not_finite("decimal"));
    };
    let scale = i32::try_from(fraction.len()).map_err(|_| Refused::new(Reason::TooLarge, "it has too many fraction digits"))?;
    out.extend_from_slice(&scale.to_be_bytes());
    varint(&[whole, fraction].concat(), out).map_err(|_| not_finite("decimal"))
}

fn not_finite(ty: &str) -> Refused {
    Refused::new(Reason::OutOfRange, format!("a {ty} holds finite numbers alone"))
}

fn ascii(text: &str, out: &mut Vec<u8>) -> std::result::Result<(), Refused> {
    if !text.is_ascii() {
        return Err(Refused::new(Reason::OutOfRange, "ascii holds no other characters"));
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// An address is kept as bytes: only the spelling that they are read back in is taken.
pub(crate) fn inet(text: &str, out: &mut Vec<u8>) -> std::result::Result<(), Refused> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| Refused::new(Reason::OutOfRange, "it is no address of the Internet"))?;
    if address.to_string() != text {
        return Err(Refused::new(
            Reason::Inexact,
            "the address is not in its shortest lower-case spelling, the one that it would be read back in",
        ));
    }
    match address {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
    Ok(())
}

pub(crate) fn timeuuid(bytes: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), Refused> {
    if bytes.get(6).is_none_or(|byte| byte >> 4 != 1) {
        return Err(Refused::new(Reason::OutOfRange, "a timeuuid holds version 1 alone"));
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// Milliseconds of a moment in microseconds.
pub(crate) fn milliseconds(micros: i64) -> std::result::Result<i64, Refused> {
    if matches!(micros, TIMESTAMP_INFINITY | TIMESTAMP_MINUS_INFINITY) {
        return Err(Refused::new(Reason::OutOfRange, "a timestamp of CQL has no infinity"));
    }
    let milliseconds = micros.div_euclid(1_000);
    if micros.rem_euclid(1_000) != 0 {
        return Err(Refused::new(Reason::Inexact, "a timestamp of CQL has milliseconds"));
    }
    if !MOMENTS.contains(&milliseconds) {
        return Err(Refused::new(
            Reason::OutOfRange,
            "a timestamp of CQL is in the years 1 to 9999, which its text can say",
        ));
    }
    Ok(milliseconds)
}

pub(crate) fn days(days: i32) -> std::result::Result<u32, Refused> {
    if matches!(days, DATE_INFINITY | DATE_MINUS_INFINITY) {
        return Err(Refused::new(Reason::OutOfRange, "a date of CQL has no infinity"));
    }
    Ok(EPOCH_DAY.wrapping_add_signed(days))
}

pub(crate) fn nanoseconds(micros: i64) -> std::result::Result<i64, Refused> {
    let nanoseconds = micros.checked_mul(1_000).filter(|time| (0..DAY_NANOSECONDS).contains(time));
    nanoseconds.ok_or_else(|| Refused::new(Reason::OutOfRange, "a time of CQL is before 24:00"))
}

pub(crate) fn duration(months: i32, days: i32, nanoseconds: i64, out: &mut Vec<u8>) -> std::result::Result<(), Refused> {
    let parts = [i64::from(months), i64::from(days), nanoseconds];
    if parts.iter().any(|part| *part < 0) && parts.iter().any(|part| *part > 0) {
        return Err(Refused::new(
            Reason::OutOfRange,
            "a duration of CQL has months, days and time of one sign",
        ));
    }
    for part in parts {
        vint::put(part, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), Refused>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        write(&mut out).ok().map(|()| out)
    }

    #[test]
    fn integers_are_as_short_as_they_can_be() {
        for (text, expected) in [
            ("0", vec![0_u8]),
            ("127", vec![0x7f]),
            ("128", vec![0, 0x80]),
            ("-128", vec![0x80]),
            ("-129", vec![0xff, 0x7f]),
            ("9223372036854775807", vec![0x7f, 255, 255, 255, 255, 255, 255, 255]),
            ("9223372036854775808", vec![0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("-9223372036854775809", vec![0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            assert_eq!(bytes(|out| varint(text, out)), Some(expected), "{text}");
            let long: BigInt = text.parse().expect("a number");
            assert_eq!(bytes(|out| varint(text, out)), Some(long.to_signed_bytes_be()), "{text}");
        }
        assert_eq!(bytes(|out| varint("NaN", out)), None);
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(bytes(|out| decimal("12.50", out)), Some(vec![0, 0, 0, 2, 0x04, 0xe2]));
        assert_eq!(bytes(|out| decimal("-0.1", out)), Some(vec![0, 0, 0, 1, 0xff]));
        assert_eq!(bytes(|out| decimal("7", out)), Some(vec![0, 0, 0, 0, 7]));
        for text in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(bytes(|out| decimal(text, out)), None, "{text}");
        }
    }

    #[test]
    fn what_cql_cannot_hold_is_refused() {
        let reason = |outcome: std::result::Result<i64, Refused>| outcome.err().map(|refused| refused.reason);
        assert_eq!(milliseconds(253_402_300_799_999_000), Ok(253_402_300_799_999));
        assert_eq!(reason(milliseconds(253_402_300_800_000_000)), Some(Reason::OutOfRange));
        assert_eq!(reason(milliseconds(TIMESTAMP_INFINITY)), Some(Reason::OutOfRange));
        assert_eq!(reason(milliseconds(-1)), Some(Reason::Inexact));
        assert_eq!(milliseconds(-1_000), Ok(-1));
        assert_eq!(nanoseconds(86_399_999_999), Ok(86_399_999_999_000));
        assert_eq!(reason(nanoseconds(86_400_000_000)), Some(Reason::OutOfRange));
        assert_eq!(days(-1), Ok(0x7fff_ffff));
        assert!(days(DATE_INFINITY).is_err() && days(DATE_MINUS_INFINITY).is_err());
        assert_eq!(bytes(|out| duration(1, -1, 0, out)), None);
        assert_eq!(bytes(|out| duration(1, 2, 3, out)), Some(vec![2, 4, 6]));
        assert_eq!(bytes(|out| inet("::1", out)).map(|bytes| bytes.len()), Some(16));
        assert_eq!(bytes(|out| inet("127.0.0.1", out)), Some(vec![127, 0, 0, 1]));
        for text in ["::0001", "2001:DB8::1", "localhost", "127.0.0.1/8"] {
            assert_eq!(bytes(|out| inet(text, out)), None, "{text}");
        }
    }
}
