//! Values that are passed on in the binary form of their database, byte by byte: which columns
//! go that way, and where they may arrive.
//!
//! It is for what nothing has to look into: types that nobody interprets have no other way, and
//! for others (numbers, times, arrays) it is exact whatever they hold (NaN, infinity, the last
//! years, more than one dimension) and costs nothing. Types whose Arrow form is as exact and as
//! cheap are read as what they are.

use crate::data::column::ColumnType;
use crate::data::table::Column;

/// Whether values of a type are better passed on than read.
pub(super) fn pays(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Decimal { .. }
            | ColumnType::Numeric { .. }
            | ColumnType::Date
            | ColumnType::Time { .. }
            | ColumnType::Timestamp { .. }
            | ColumnType::Interval
            | ColumnType::List(_)
            | ColumnType::Opaque { .. }
    )
}

/// Whether every value of `from` is one of `to` in the same bytes.
pub(super) fn passes(from: &Column, to: &Column) -> bool {
    match (&from.wire, &to.wire) {
        (Some(form), Some(wanted)) => is_within_form(form, wanted) && is_within(&from.ty, &to.ty),
        _ => false,
    }
}

/// The form without the limits that are part of it, and those. Within a composite they are those
/// of its fields.
fn limits(form: &str) -> (&str, Option<&str>) {
    match form.rsplit_once('#') {
        Some((form, limits)) if limits.bytes().all(|byte| byte.is_ascii_digit()) => (form, Some(limits)),
        _ => (form, None),
    }
}

fn is_within_form(form: &str, wanted: &str) -> bool {
    if form == wanted {
        return true;
    }
    if let (Some(form), Some(wanted)) = (form.strip_suffix("[]"), wanted.strip_suffix("[]")) {
        return is_within_form(form, wanted);
    }
    let ((form, limit), (wanted, limit_wanted)) = (limits(form), limits(wanted));
    if form != wanted {
        return false;
    }
    match (limit, limit_wanted) {
        (_, None) => true,
        (Some(limit), Some(wanted)) if matches!(form, "bit varying" | "time with time zone") => {
            matches!((limit.parse::<u32>(), wanted.parse::<u32>()), (Ok(limit), Ok(wanted)) if limit <= wanted)
        }
        _ => false,
    }
}

/// Whether the limits of `to` are not narrower. That the types are the same is known.
fn is_within(from: &ColumnType, to: &ColumnType) -> bool {
    use ColumnType as T;
    match (from, to) {
        (T::Decimal { .. } | T::Numeric { .. }, T::Decimal { .. } | T::Numeric { .. }) => match (digits(from), digits(to)) {
            (_, None) => true,
            (Some((whole, fraction)), Some((whole_kept, fraction_kept))) => whole <= whole_kept && fraction <= fraction_kept,
            (None, Some(_)) => false,
        },
        (T::Time { digits }, T::Time { digits: kept }) | (T::Timestamp { digits, .. }, T::Timestamp { digits: kept, .. }) => {
            digits <= kept
        }
        (
            T::Text {
                max_chars,
                padded: false,
            },
            T::Text {
                max_chars: kept,
                padded: false,
            },
        ) => match (max_chars, kept) {
            (_, None) => true,
            (Some(max_chars), Some(kept)) => max_chars <= kept,
            (None, Some(_)) => false,
        },
        // Padded to another length it is another text.
        (T::Text { .. }, T::Text { .. }) => from == to,
        (T::List(from), T::List(to)) => is_within(from, to),
        _ => true,
    }
}

/// Digits before and after the point.
fn digits(ty: &ColumnType) -> Option<(i32, i32)> {
    match ty {
        ColumnType::Decimal { precision, scale } => Some((i32::from(*precision) - i32::from(*scale), i32::from(*scale))),
        ColumnType::Numeric { limits } => limits.map(|(precision, scale)| (i32::from(precision) - i32::from(scale), scale.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: &str, wire: &str) -> Column {
        let ty = ColumnType::parse(ty).unwrap_or_else(|| ColumnType::Opaque { name: ty.to_owned() });
        Column {
            wire: (!wire.is_empty()).then(|| wire.to_owned()),
            ..Column::new("c", ty)
        }
    }

    #[test]
    fn a_form_passes_into_the_same_with_limits_that_are_not_narrower() {
        for (from, to, wire, there, back) in [
            ("numeric(7,2)", "numeric(7,2)", "numeric", true, true),
            ("numeric(7,2)", "numeric(8,3)", "numeric", true, false),
            ("numeric(7,2)", "numeric(8,1)", "numeric", false, false),
            ("numeric(50,10)", "numeric", "numeric", true, false),
            ("numeric(38,0)", "numeric(40,0)", "numeric", true, false),
            ("timestamp(0)", "timestamp(3)", "timestamp without time zone", true, false),
            ("time(3)", "time", "time without time zone", true, false),
            ("varchar(5)[]", "varchar(6)[]", "character varying[]", true, false),
            ("char(5)[]", "char(6)[]", "character[]", false, false),
            ("date", "date", "date", true, true),
        ] {
            let (from, to) = (column(from, wire), column(to, wire));
            assert_eq!(
                (passes(&from, &to), passes(&to, &from)),
                (there, back),
                "{} {}",
                from.ty,
                to.ty
            );
        }
        for (from, to, there, back) in [
            ("inet", "inet", true, true),
            ("inet", "cidr", false, false),
            ("bit#5", "bit#6", false, false),
            ("bit#5", "bit", true, false),
            ("bit varying#5", "bit varying#6", true, false),
            ("interval#123", "interval", true, false),
            ("(a bit#5)", "(a bit#6)", false, false),
            ("bit varying#5[]", "bit varying#6[]", true, false),
            ("(a bit#5)[]", "(a bit#5)[]", true, true),
            ("inet", "", false, false),
        ] {
            let (from, to) = (column("x", from), column("x", to));
            assert_eq!(
                (passes(&from, &to), passes(&to, &from)),
                (there, back),
                "{:?} {:?}",
                from.wire,
                to.wire
            );
        }
    }
}
