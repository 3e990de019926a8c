//! Limits of a target's type that values of a source's type may exceed.

use super::{DifferenceKind, Limit};
use crate::data::column::{ColumnType, FractionDigits};
use crate::data::concern::Concern;
use crate::data::finding::listed;

/// Digits that no number of a database has: only its fraction is looked at.
const PRECISION_ANY: u16 = 1000;

/// Where values of `from` may not fit `to`. `lossy`: fraction digits may go.
pub(super) fn limits(column: &str, from: &ColumnType, to: &ColumnType, lossy: bool) -> Vec<Limit> {
    use ColumnType as T;
    match (from, to) {
        (T::List(from), T::List(to)) => {
            let mut limits = limits(column, from, to, lossy);
            // No source looks into its lists.
            for limit in &mut limits {
                limit.concern = None;
            }
            limits
        }
        (T::Text { .. } | T::Enum { .. }, T::Text { .. }) => texts(column, from, to),
        (T::Text { .. } | T::Enum { .. }, T::Enum { labels, .. }) => other_labels(column, from, labels).into_iter().collect(),
        (T::Time { digits: from }, T::Time { digits: to })
        | (T::Timestamp { digits: from, .. }, T::Timestamp { digits: to, .. })
            if from > to =>
        {
            vec![coarser_time(column, *from, *to, lossy)]
        }
        (T::Timestamp { .. }, T::Date) => vec![Limit {
            kind: DifferenceKind::CoarserTime,
            what: None,
            effect: lost("the time of day", "rows with a time of day are rejects", lossy),
            allowed: lossy,
            concern: None,
        }],
        _ => match (Range::of(from), Range::of(to)) {
            (Some(from), Some(to)) => numbers(column, from, to, lossy),
            _ => Vec::new(),
        },
    }
}

fn lost(what: &str, otherwise: &str, lossy: bool) -> String {
    if lossy {
        format!("loses {what}, allowed")
    } else {
        otherwise.to_owned()
    }
}

/// Length and padding.
fn texts(column: &str, from: &ColumnType, to: &ColumnType) -> Vec<Limit> {
    let mut limits = Vec::new();
    let ColumnType::Text { max_chars, padded } = to else {
        return limits;
    };
    let longest = match from {
        ColumnType::Text { max_chars, .. } => max_chars.map(u64::from),
        ColumnType::Enum { labels, .. } => labels
            .iter()
            .map(|label| u64::try_from(label.chars().count()).unwrap_or(u64::MAX))
            .max()
            .or(Some(0)),
        _ => None,
    };
    if let Some(max_chars) = max_chars.filter(|max| longest.is_none_or(|longest| longest > u64::from(*max))) {
        limits.push(Limit {
            kind: DifferenceKind::Shorter,
            what: None,
            effect: "longer texts are rejects".to_owned(),
            allowed: false,
            concern: Some(Concern::Longer {
                column: column.to_owned(),
                max_chars,
            }),
        });
    }
    let was_padded = matches!(from, ColumnType::Text { padded: true, .. });
    if was_padded != *padded {
        limits.push(Limit {
            kind: DifferenceKind::Padded,
            what: None,
            effect: if *padded {
                "blanks are added at the end".to_owned()
            } else {
                "the blanks that pad it become part of the text".to_owned()
            },
            allowed: false,
            concern: None,
        });
    }
    limits
}

fn other_labels(column: &str, from: &ColumnType, labels: &[String]) -> Option<Limit> {
    let (what, effect) = match from {
        ColumnType::Enum { labels: own, .. } => {
            let missing: Vec<&String> = own.iter().filter(|label| !labels.contains(label)).collect();
            if missing.is_empty() {
                return None;
            }
            (
                Some(format!("the target's enum has no label {}", listed(&missing))),
                "rows with such a label are rejects",
            )
        }
        _ => (None, "texts that are none of its labels are rejects"),
    };
    Some(Limit {
        kind: DifferenceKind::OtherLabels,
        what,
        effect: effect.to_owned(),
        allowed: false,
        concern: Some(Concern::OtherLabel {
            column: column.to_owned(),
            labels: labels.to_vec(),
        }),
    })
}

fn coarser_time(column: &str, from: FractionDigits, to: FractionDigits, lossy: bool) -> Limit {
    let what = match (from, to) {
        (1..=3, 0) => "milliseconds",
        (4..=6, 3) => "microseconds",
        (_, 0) => "fractions of a second",
        _ => "fraction digits",
    };
    Limit {
        kind: DifferenceKind::CoarserTime,
        what: None,
        effect: lost(what, &format!("rows that would lose {what} are rejects"), lossy),
        allowed: lossy,
        concern: Some(Concern::FinerTime {
            column: column.to_owned(),
            digits: to,
        }),
    }
}

/// Which numbers a type holds exactly.
#[derive(Debug, Clone, Copy)]
enum Range {
    /// Whole numbers in a range, of at most as many digits.
    Whole { min: i64, max: i64, digits: i32 },
    /// Decimals with digits before and after the point.
    Decimal { precision: u16, scale: i16 },
    /// Decimals without limits.
    Any,
    /// Binary fractions that hold so many decimal digits.
    Float { digits: i32 },
}

impl Range {
    fn of(ty: &ColumnType) -> Option<Self> {
        let whole = |min, max, digits| Self::Whole { min, max, digits };
        Some(match ty {
            ColumnType::Int16 => whole(i16::MIN.into(), i16::MAX.into(), 5),
            ColumnType::Int32 => whole(i32::MIN.into(), i32::MAX.into(), 10),
            ColumnType::Int64 => whole(i64::MIN, i64::MAX, 19),
            ColumnType::Float32 => Self::Float { digits: 6 },
            ColumnType::Float64 => Self::Float { digits: 15 },
            ColumnType::Decimal { precision, scale } => Self::Decimal {
                precision: u16::from(*precision),
                scale: i16::from(*scale),
            },
            ColumnType::Numeric {
                limits: Some((precision, scale)),
            } => Self::Decimal {
                precision: *precision,
                scale: *scale,
            },
            ColumnType::Numeric { limits: None } => Self::Any,
            _ => return None,
        })
    }

    /// Digits before and after the point; `None` where there may be any number of them.
    const fn digits(self) -> Option<(i32, i32)> {
        match self {
            Self::Whole { digits, .. } => Some((digits, 0)),
            Self::Decimal { precision, scale } => Some((precision as i32 - scale as i32, scale as i32)),
            Self::Any | Self::Float { .. } => None,
        }
    }
}

fn numbers(column: &str, from: Range, to: Range, lossy: bool) -> Vec<Limit> {
    let column = column.to_owned();
    match to {
        Range::Any => Vec::new(),
        Range::Float { digits } => floats(from, digits, lossy),
        Range::Whole { min, max, digits } => {
            let mut limits = Vec::new();
            let larger = match from {
                Range::Whole { max: own, .. } => own > max,
                // As many digits as the largest may be larger than it.
                from => from.digits().is_none_or(|(before, _)| before >= digits),
            };
            if larger {
                let concern = Concern::OutOfRange {
                    column: column.clone(),
                    min,
                    max,
                };
                limits.push(number(
                    DifferenceKind::NarrowerNumber,
                    "larger numbers are rejects".to_owned(),
                    concern,
                ));
            }
            if from.digits().is_none_or(|(_, after)| after > 0) {
                limits.push(coarser(column, PRECISION_ANY, 0, lossy));
            }
            limits
        }
        Range::Decimal { precision, scale } => {
            let (before, after) = (i32::from(precision) - i32::from(scale), i32::from(scale));
            let larger = from.digits().is_none_or(|(own, _)| own > before);
            let finer = from.digits().is_none_or(|(_, own)| own > after);
            let effect = match (larger, finer) {
                (false, false) => return Vec::new(),
                (false, true) => return vec![coarser(column, precision, scale, lossy)],
                (true, true) if lossy => "larger numbers are rejects; loses fraction digits, allowed",
                (true, true) => "larger numbers, and those with more fraction digits, are rejects",
                (true, false) => "larger numbers are rejects",
            };
            let concern = Concern::WiderNumber {
                column,
                precision,
                scale,
            };
            vec![number(DifferenceKind::NarrowerNumber, effect.to_owned(), concern)]
        }
    }
}

fn number(kind: DifferenceKind, effect: String, concern: Concern) -> Limit {
    Limit {
        kind,
        what: None,
        effect,
        allowed: false,
        concern: Some(concern),
    }
}

fn coarser(column: String, precision: u16, scale: i16, lossy: bool) -> Limit {
    let effect = lost("fraction digits", "numbers with more fraction digits are rejects", lossy);
    Limit {
        allowed: lossy,
        ..number(
            DifferenceKind::CoarserNumber,
            effect,
            Concern::WiderNumber {
                column,
                precision,
                scale,
            },
        )
    }
}

/// Into binary fractions: what has no exact form there is a reject, or rounded.
fn floats(from: Range, digits: i32, lossy: bool) -> Vec<Limit> {
    let fits = match from {
        Range::Float { digits: own } => own <= digits,
        from => from
            .digits()
            .is_some_and(|(before, after)| before.max(0) + after.max(0) <= digits),
    };
    if fits {
        return Vec::new();
    }
    vec![Limit {
        kind: DifferenceKind::CoarserNumber,
        what: None,
        effect: lost("digits", "numbers that it does not hold exactly are rejects", lossy),
        allowed: lossy,
        concern: None,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds of limits between two types as a mapping writes them.
    fn between(from: &str, to: &str, lossy: bool) -> Vec<(DifferenceKind, String)> {
        let ty = |text: &str| ColumnType::parse(text).unwrap_or_else(|| panic!("{text} is no type"));
        let found = limits("c", &ty(from), &ty(to), lossy);
        found.into_iter().map(|limit| (limit.kind, limit.effect)).collect()
    }

    fn kinds(from: &str, to: &str) -> Vec<DifferenceKind> {
        between(from, to, false).into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn what_holds_as_much_has_no_limit() {
        for (from, to) in [
            ("varchar(20)", "varchar(20)"),
            ("varchar(20)", "text"),
            ("char(3)", "char(4)"),
            ("smallint", "bigint"),
            ("integer", "numeric(10,0)"),
            ("integer", "double precision"),
            ("numeric(7,2)", "numeric(9,4)"),
            ("numeric(7,2)", "numeric"),
            ("numeric(4,0)", "smallint"),
            ("real", "double precision"),
            ("timestamp(3)", "timestamptz(3)"),
            ("time(0)", "time"),
            ("date", "timestamp(0)"),
            ("uuid", "text"),
            ("varchar(3)[]", "text[]"),
        ] {
            assert_eq!(kinds(from, to), [], "{from} to {to}");
        }
    }

    #[test]
    fn what_holds_less_is_told_by_kind() {
        use DifferenceKind as K;
        for (from, to, expected) in [
            ("varchar(20)", "varchar(10)", vec![K::Shorter]),
            ("text", "char(3)", vec![K::Shorter, K::Padded]),
            ("char(3)", "text", vec![K::Padded]),
            ("bigint", "integer", vec![K::NarrowerNumber]),
            ("integer", "numeric(9,0)", vec![K::NarrowerNumber]),
            ("numeric(7,2)", "numeric(7,1)", vec![K::CoarserNumber]),
            ("numeric(7,2)", "numeric(7,3)", vec![K::NarrowerNumber]),
            ("numeric(5,0)", "smallint", vec![K::NarrowerNumber]),
            ("numeric", "bigint", vec![K::NarrowerNumber, K::CoarserNumber]),
            ("double precision", "numeric(7,2)", vec![K::NarrowerNumber]),
            ("bigint", "double precision", vec![K::CoarserNumber]),
            ("double precision", "real", vec![K::CoarserNumber]),
            ("timestamp", "timestamp(3)", vec![K::CoarserTime]),
            ("timestamp(3)", "date", vec![K::CoarserTime]),
            ("time(3)", "time(0)", vec![K::CoarserTime]),
            ("varchar(20)[]", "varchar(10)[]", vec![K::Shorter]),
        ] {
            assert_eq!(kinds(from, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn an_allowed_loss_is_no_reject() {
        let effect = |from, to, lossy| between(from, to, lossy).remove(0).1;
        assert_eq!(effect("timestamp(3)", "timestamp(0)", true), "loses milliseconds, allowed");
        assert_eq!(
            effect("timestamp(3)", "timestamp(0)", false),
            "rows that would lose milliseconds are rejects"
        );
        assert_eq!(effect("numeric(7,2)", "numeric(7,1)", true), "loses fraction digits, allowed");
    }

    #[test]
    fn labels_that_are_missing_are_named() {
        let of = |labels: &[&str]| ColumnType::Enum {
            name: "status".to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        assert_eq!(limits("c", &of(&["b", "a"]), &of(&["a", "b", "c"]), false), []);
        let found = limits("c", &of(&["a", "b", "c"]), &of(&["b"]), false);
        assert_eq!(found[0].what.as_deref(), Some("the target's enum has no label `a` and `c`"));
    }
}
