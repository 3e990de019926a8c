//! Buckets of time, by which a key divides what would grow without bound: `day_bucket`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, PrimitiveArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type, TimestampMicrosecondType};

use super::super::cast::civil::{DAY, infinite_date, infinite_timestamp};
use super::arguments::{Answer, Argument, MISTYPED};

pub(super) const ENDLESS: &str = "infinity is in no bucket of days";
pub(super) const NO_DAYS: &str = "the number of days is written out, 1 or more";

/// `day_bucket(moment, days)`: rounded down on either side of 1970, so that all buckets are of one
/// length.
pub(super) fn day_bucket(arguments: &[Argument], _rows: usize) -> Answer {
    let [moments, days] = arguments else {
        return Err(MISTYPED);
    };
    let days = days.integers()?;
    if days.len() != 1 || days.is_null(0) || days.value(0) < 1 {
        return Err(NO_DAYS);
    }
    let days = days.value(0);
    let bucket = |day: i64| i32::try_from(day.div_euclid(days)).map_err(|_| ENDLESS);
    let moments = &moments.values;
    let buckets: Int32Array = if *moments.data_type() == DataType::Date32 {
        let dates: &PrimitiveArray<Date32Type> = moments.as_primitive();
        dates.try_unary::<_, Int32Type, _>(|day| match infinite_date(day) {
            None => bucket(day.into()),
            Some(_) => Err(ENDLESS),
        })?
    } else {
        let moments = moments.as_primitive_opt::<TimestampMicrosecondType>().ok_or(MISTYPED)?;
        moments.try_unary::<_, Int32Type, _>(|micros| match infinite_timestamp(micros) {
            None => bucket(micros.div_euclid(DAY)),
            Some(_) => Err(ENDLESS),
        })?
    };
    Ok(Arc::new(buckets))
}
