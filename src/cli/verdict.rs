//! What a verification came to, in words: the same ones on the terminal and on the page.

use std::collections::HashSet;

use super::figures;
use crate::verify::report::{Difference, DifferenceKind, StreamVerdict, Verdict, VerifyReport};

/// One word for it.
pub(super) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::Different => "different",
        Verdict::Unsettled => "unsettled",
        Verdict::Unchecked => "unchecked",
    }
}

/// How a row differs, in a word.
pub(super) const fn kind(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Missing => "missing",
        DifferenceKind::Extra => "extra",
        DifferenceKind::Different => "different",
        DifferenceKind::Unsettled => "unsettled",
    }
}

/// What is counted of a stream, or of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) source_rows: u64,
    pub(super) filtered: u64,
    pub(super) expired: u64,
    pub(super) rejected: u64,
    pub(super) covered: u64,
    pub(super) target_rows: u64,
    pub(super) missing: u64,
    pub(super) extra: u64,
    pub(super) different: u64,
    pub(super) unsettled: u64,
}

impl Counted {
    pub(super) const fn of(stream: &StreamVerdict) -> Self {
        Self {
            source_rows: stream.source_rows,
            filtered: stream.filtered,
            expired: stream.expired,
            rejected: stream.rejected,
            covered: stream.covered_rows,
            target_rows: stream.target_rows,
            missing: stream.missing,
            extra: stream.extra,
            different: stream.different,
            unsettled: stream.unsettled,
        }
    }

    /// Sums over all streams; the rows of a target that several of them write once.
    pub(super) fn all(report: &VerifyReport) -> Self {
        let mut targets = HashSet::new();
        let once = |stream: &StreamVerdict| Self {
            target_rows: if targets.insert(stream.target.clone()) {
                stream.target_rows
            } else {
                0
            },
            ..Self::of(stream)
        };
        let each = report.streams.iter().map(once);
        each.fold(Self::default(), |sum, one| sum.plus(&one))
    }

    const fn plus(self, other: &Self) -> Self {
        Self {
            source_rows: self.source_rows.saturating_add(other.source_rows),
            filtered: self.filtered.saturating_add(other.filtered),
            expired: self.expired.saturating_add(other.expired),
            rejected: self.rejected.saturating_add(other.rejected),
            covered: self.covered.saturating_add(other.covered),
            target_rows: self.target_rows.saturating_add(other.target_rows),
            missing: self.missing.saturating_add(other.missing),
            extra: self.extra.saturating_add(other.extra),
            different: self.different.saturating_add(other.different),
            unsettled: self.unsettled.saturating_add(other.unsettled),
        }
    }

    /// Rows that are in the target as they should be.
    pub(super) const fn same(&self) -> u64 {
        let not = self.missing.saturating_add(self.different).saturating_add(self.unsettled);
        self.covered.saturating_sub(not)
    }

    /// `1 row missing, 2 extra and 5 different`; nothing where nothing differs.
    pub(super) fn found(&self) -> Option<String> {
        let kinds = [
            (self.missing, "missing"),
            (self.extra, "extra"),
            (self.different, "different"),
            (self.unsettled, "unsettled"),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (rows, what) in kinds.into_iter().filter(|(rows, _)| *rows > 0) {
            // The noun stands with the first figure alone.
            let rows = if parts.is_empty() {
                figures::counted(rows, "row")
            } else {
                figures::count(rows)
            };
            parts.push(format!("{rows} {what}"));
        }
        let last = parts.pop()?;
        Some(if parts.is_empty() {
            last
        } else {
            format!("{} and {last}", parts.join(", "))
        })
    }
}

/// What came of it, in one sentence without its full stop.
pub(super) fn sentence(report: &VerifyReport) -> String {
    let counted = Counted::all(report);
    let streams = figures::counted(u64::try_from(report.streams.len()).unwrap_or(u64::MAX), "stream");
    let rejected = match counted.rejected {
        0 => String::new(),
        1 => "; 1 source row is a reject, and not in the target".to_owned(),
        rows => format!("; {} source rows are rejects, and not in the target", figures::count(rows)),
    };
    let found = counted.found();
    match report.status {
        _ if report.streams.is_empty() => "there was nothing to compare".to_owned(),
        Verdict::Equal => {
            let (none, others) = if report.streams.iter().all(|stream| stream.extra_checked) {
                (", and none is", ", and no others")
            } else {
                // Nothing is said of what was not looked for (Invariant 16).
                let untold = "; rows that the target alone has were not looked for";
                (untold, untold)
            };
            match counted.covered {
                0 => format!("no row of {streams} has to be in the target{none}{rejected}"),
                1 => format!("1 row of {streams} is in the target as it should be{others}{rejected}"),
                rows => {
                    let rows = figures::count(rows);
                    format!("{rows} rows of {streams} are in the target as they should be{others}{rejected}")
                }
            }
        }
        Verdict::Different => {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            format!("{found}, in {} of {streams}{rejected}", concerned(report))
        }
        Verdict::Unsettled => {
            let rows = figures::counted(counted.unsettled, "row");
            format!("nothing else differs, but {rows} changed each time they were looked at{rejected}")
        }
        Verdict::Unchecked => {
            let found = found.unwrap_or_else(|| "nothing differs".to_owned());
            format!("not everything was compared; in what was, {found}{rejected}")
        }
    }
}

/// How many streams have something that differs.
fn concerned(report: &VerifyReport) -> String {
    let differing = report.streams.iter().filter(|stream| Counted::of(stream).found().is_some());
    figures::count(u64::try_from(differing.count()).unwrap_or(u64::MAX))
}

/// The start of the hash that names a row whose key does not: it is masked, cut, or there is none.
pub(super) fn name_by_hash(difference: &Difference) -> Option<&str> {
    let told = |shown: &crate::verify::report::Shown| !shown.value.masked && shown.value.cut_from.is_none();
    let named = !difference.key.is_empty() && difference.key.iter().all(told);
    (!named).then_some(difference.id.as_str())
}

/// The texts of two values that differ, cut into what is the same before, what differs, and what is
/// the same behind, by bytes.
pub(super) fn where_they_differ<'a>(one: &'a str, other: &'a str) -> [(&'a str, &'a str, &'a str); 2] {
    let ahead = one
        .char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map_or_else(|| one.len().min(other.len()), |((at, _), _)| at);
    let (rest, rest_other) = (&one[ahead..], &other[ahead..]);
    let behind: usize = rest
        .chars()
        .rev()
        .zip(rest_other.chars().rev())
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len_utf8())
        .sum();
    [(one, rest), (other, rest_other)].map(|(whole, rest)| {
        let end = ahead + rest.len() - behind;
        (&whole[..ahead], &whole[ahead..end], &whole[end..])
    })
}

#[cfg(test)]
pub(in crate::cli) mod tests;
