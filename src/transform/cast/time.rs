//! Casts to dates, times of day, timestamps and intervals.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};

use super::Problem;
use super::civil::{self, DAY, Excess, Infinite};
use super::interval;
use super::kernel::{self, Outcome};

/// Microseconds from 1970-01-01 to 2000-01-01: Postgres rounds away from the latter.
const EPOCH_2000: i64 = 946_684_800_000_000;

/// Timestamps or times of day as numbers of their own unit.
pub(super) fn units(input: &ArrayRef) -> Option<(Int64Array, TimeUnit)> {
    let (DataType::Timestamp(unit, _) | DataType::Time64(unit)) = input.data_type() else {
        return None;
    };
    let units = arrow::compute::cast(input, &DataType::Int64).ok()?;
    Some((units.as_primitive::<Int64Type>().clone(), *unit))
}

/// A timestamp in microseconds with `digits` fraction digits.
pub(super) fn micros(value: i64, unit: TimeUnit, digits: u8, lossy: bool) -> Result<i64, Problem> {
    if unit == TimeUnit::Microsecond && civil::infinite_timestamp(value).is_some() {
        return Ok(value);
    }
    let (value, excess) = whole_micros(value, unit)?;
    fit(value, excess, digits, lossy, EPOCH_2000).and_then(civil::within_micros)
}

/// Microseconds, and what is beyond them.
pub(super) fn whole_micros(value: i64, unit: TimeUnit) -> Result<(i64, Excess), Problem> {
    Ok(match unit {
        TimeUnit::Second => (value.checked_mul(1_000_000).ok_or(Problem::OutOfRange)?, Excess::None),
        TimeUnit::Millisecond => (value.checked_mul(1_000).ok_or(Problem::OutOfRange)?, Excess::None),
        TimeUnit::Microsecond => (value, Excess::None),
        TimeUnit::Nanosecond => {
            let excess = match value.rem_euclid(1_000) {
                0 => Excess::None,
                1..=499 => Excess::Down,
                _ => Excess::Up,
            };
            (value.div_euclid(1_000), excess)
        }
    })
}

/// Brings microseconds to the fraction digits that the target keeps; half away from `origin`.
fn fit(value: i64, excess: Excess, digits: u8, lossy: bool, origin: i64) -> Result<i64, Problem> {
    let value = match (excess, lossy) {
        (Excess::None, _) | (Excess::Down, true) => value,
        (_, false) => return Err(Problem::Inexact),
        (Excess::Up, true) => value.checked_add(1).ok_or(Problem::OutOfRange)?,
    };
    let unit = 10_i64.pow(u32::from(6 - digits.min(6)));
    if value.rem_euclid(unit) == 0 {
        return Ok(value);
    }
    if !lossy {
        return Err(Problem::Inexact);
    }
    let away = value.checked_sub(origin).ok_or(Problem::OutOfRange)?;
    let half = if away < 0 { -unit / 2 } else { unit / 2 };
    let rounded = away.checked_add(half).ok_or(Problem::OutOfRange)? / unit * unit;
    rounded.checked_add(origin).ok_or(Problem::OutOfRange)
}

/// Casts to a timestamp.
pub(super) fn to_timestamp(input: &ArrayRef, digits: u8, zoned: bool, lossy: bool) -> Outcome {
    let ty = &DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()));
    match input.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = input.as_primitive::<TimestampMicrosecondType>();
            if digits >= 6 {
                // Another zone name is another reading of the same microseconds.
                return kernel::keep(&values.clone().with_data_type(ty.clone()), |value| {
                    civil::infinite_timestamp(value).map_or_else(|| civil::within_micros(value), |_| Ok(value))
                });
            }
            kernel::primitive::<_, TimestampMicrosecondType>(values, ty, |value| {
                micros(value, TimeUnit::Microsecond, digits, lossy)
            })
        }
        DataType::Timestamp(..) => {
            let (values, unit) = units(input)?;
            kernel::primitive::<_, TimestampMicrosecondType>(&values, ty, |value| micros(value, unit, digits, lossy))
        }
        DataType::Date32 => kernel::primitive::<_, TimestampMicrosecondType>(input.as_primitive::<Date32Type>(), ty, |days| {
            if let Some(end) = civil::infinite_date(days) {
                return Ok(end.timestamp());
            }
            let micros = i64::from(days).checked_mul(DAY).ok_or(Problem::OutOfRange)?;
            civil::within_micros(micros)
        }),
        DataType::Utf8 => kernel::parse::<TimestampMicrosecondType>(input.as_string::<i32>(), ty, |text| {
            if let Some(end) = Infinite::read(text) {
                return Ok(end.timestamp());
            }
            let (value, excess) = civil::read_timestamp(text)?;
            fit(value, excess, digits, lossy, EPOCH_2000)
        }),
        _ => None,
    }
}

/// Casts to a date: a timestamp has to be a midnight, unless its time may be lost.
pub(super) fn to_date(input: &ArrayRef, lossy: bool) -> Outcome {
    let ty = &DataType::Date32;
    let day = |micros: i64, excess: Excess| {
        if !lossy && (excess != Excess::None || micros.rem_euclid(DAY) != 0) {
            return Err(Problem::Inexact);
        }
        let days = civil::within_days(micros.div_euclid(DAY))?;
        i32::try_from(days).map_err(|_| Problem::OutOfRange)
    };
    match input.data_type() {
        DataType::Date32 => kernel::keep(input.as_primitive::<Date32Type>(), |days| {
            civil::infinite_date(days).map_or_else(|| civil::within_days(days.into()).map(|_| days), |_| Ok(days))
        }),
        DataType::Timestamp(..) => {
            let (values, unit) = units(input)?;
            kernel::primitive::<_, Date32Type>(&values, ty, |value| {
                if let (TimeUnit::Microsecond, Some(end)) = (unit, civil::infinite_timestamp(value)) {
                    return Ok(end.date());
                }
                let (micros, excess) = whole_micros(value, unit)?;
                day(micros, excess)
            })
        }
        DataType::Utf8 => kernel::parse::<Date32Type>(input.as_string::<i32>(), ty, |text| {
            if let Some(end) = Infinite::read(text) {
                return Ok(end.date());
            }
            civil::read_date(text).or_else(|_| {
                let (micros, excess) = civil::read_timestamp(text)?;
                day(micros, excess)
            })
        }),
        _ => None,
    }
}

/// Casts to a time of day.
pub(super) fn to_time(input: &ArrayRef, digits: u8, lossy: bool) -> Outcome {
    let ty = &DataType::Time64(TimeUnit::Microsecond);
    let fit_day = |(value, excess): (i64, Excess)| {
        let value = fit(value, excess, digits, lossy, 0)?;
        if (0..DAY).contains(&value) {
            Ok(value)
        } else {
            Err(Problem::OutOfRange)
        }
    };
    match input.data_type() {
        DataType::Time64(_) => {
            let (values, unit) = units(input)?;
            kernel::primitive::<_, Time64MicrosecondType>(&values, ty, |value| fit_day(whole_micros(value, unit)?))
        }
        DataType::Utf8 => {
            kernel::parse::<Time64MicrosecondType>(input.as_string::<i32>(), ty, |text| fit_day(civil::read_time(text)?))
        }
        _ => None,
    }
}

/// Casts to an interval: targets keep microseconds.
pub(super) fn to_interval(input: &ArrayRef) -> Outcome {
    let ty = &DataType::Interval(IntervalUnit::MonthDayNano);
    let whole = |value: IntervalMonthDayNano| {
        if value.nanoseconds % 1_000 == 0 {
            Ok(value)
        } else {
            Err(Problem::Inexact)
        }
    };
    match input.data_type() {
        DataType::Interval(_) => {
            kernel::primitive::<_, IntervalMonthDayNanoType>(input.as_primitive::<IntervalMonthDayNanoType>(), ty, whole)
        }
        DataType::Utf8 => kernel::parse::<IntervalMonthDayNanoType>(input.as_string::<i32>(), ty, |text| {
            let (months, days, nanoseconds) = interval::read_interval(text).ok_or(Problem::Unreadable)?;
            whole(IntervalMonthDayNano::new(months, days, nanoseconds))
        }),
        _ => None,
    }
}
