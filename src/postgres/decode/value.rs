//! Single values out of their binary form, and what may be wrong with them.

use arrow::datatypes::IntervalMonthDayNano;

use super::Unfit;
use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::postgres::instant;
use crate::postgres::numeric::{Sent, Unscaled};

/// What is wrong with a value; in words only where it is told.
pub(super) enum Problem {
    /// Not the binary form of the type.
    Malformed,
    /// Not UTF-8.
    Encoding,
    /// Beyond the ends of the Arrow type.
    OutOfRange(&'static str),
    /// More digits after the point than declared.
    Inexact,
    /// An array that is no list.
    Shape { dimensions: i32 },
    /// Of an item.
    Item(Unfit),
}

impl Problem {
    #[cold]
    pub(super) fn unfit(self, ty: &ColumnType) -> Unfit {
        match self {
            Self::Malformed => Unfit::new(Reason::Unreadable, format!("the value is not in the binary form of {ty}")),
            Self::Encoding => Unfit::new(Reason::Unreadable, "the text is not valid UTF-8"),
            Self::OutOfRange(what) => Unfit::new(Reason::OutOfRange, what),
            Self::Inexact => Unfit::new(Reason::Inexact, format!("the value has more digits than {ty} keeps")),
            Self::Shape { dimensions: 1 } => Unfit::new(
                Reason::Inexact,
                "the array does not begin at index 1, and only passes as it is into a column of the same type",
            ),
            Self::Shape { dimensions } => Unfit::new(
                Reason::Inexact,
                format!("the array has {dimensions} dimensions, and only passes as it is into a column of the same type"),
            ),
            Self::Item(unfit) => unfit,
        }
    }
}

pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| Problem::Malformed)
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::Encoding)
}

pub(super) fn decimal(bytes: &[u8], precision: u8, scale: i8) -> Result<i128, Problem> {
    let sent = Sent::read(bytes).ok_or(Problem::Malformed)?;
    sent.unscaled(precision, scale).map_err(|why| match why {
        Unscaled::Special => Problem::OutOfRange("NaN or infinity, which a number of fixed digits cannot hold"),
        Unscaled::Inexact => Problem::Inexact,
        Unscaled::OutOfRange => Problem::OutOfRange("the number has more digits than its type"),
    })
}

pub(super) fn date(sent: i32) -> Result<i32, Problem> {
    instant::date_of(sent).ok_or(Problem::OutOfRange("the date is beyond what can be read as one"))
}

pub(super) fn timestamp(sent: i64) -> Result<i64, Problem> {
    instant::timestamp_of(sent).ok_or(Problem::OutOfRange(
        "the timestamp is beyond the year 294246, and only passes as it is into a column of the same type",
    ))
}

pub(super) fn interval(bytes: &[u8]) -> Result<IntervalMonthDayNano, Problem> {
    let bytes = fixed::<16>(bytes)?;
    let (time, rest) = bytes.split_at(8);
    let (days, months) = rest.split_at(4);
    let nanoseconds = i64::from_be_bytes(fixed(time)?)
        .checked_mul(1_000)
        .ok_or(Problem::OutOfRange("the interval has more hours than can be read as one"))?;
    Ok(IntervalMonthDayNano::new(
        i32::from_be_bytes(fixed(months)?),
        i32::from_be_bytes(fixed(days)?),
        nanoseconds,
    ))
}
