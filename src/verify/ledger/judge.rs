//! What became of a batch: told only where it is sure.
//!
//! A batch whose digest the target's rows give is unchanged, whatever else is so. Where they do not,
//! the source tells whether it still gives the rows that were committed. If it does, whatever differs
//! in the target was changed there. If it does not, it may be that other rows were looked for.

use super::report::BatchOutcome;
use super::sums::Sums;
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::stream::{OnConflict, Triggers};

/// What is known of some batches, nearly always one.
pub(super) struct Case<'a> {
    /// What was committed.
    pub(super) then: Digest,
    /// Counts of the commit.
    pub(super) counts: Counts,
    /// What is there.
    pub(super) sums: Sums,
    /// They end in the source where they ended.
    pub(super) ended: bool,
    /// They are several.
    pub(super) together: bool,
    /// What the stream does with rows that are there.
    pub(super) on_conflict: OnConflict,
    /// Whether triggers of the target fire.
    pub(super) triggers: Triggers,
    /// Rejects of the stream were moved later.
    pub(super) retried: bool,
    /// Rows of the stream were moved later, whatever their keys.
    pub(super) written_later: bool,
    /// Another stream that has changed rows of the table since.
    pub(super) other: Option<&'a str>,
    /// The target's keys are made of the source's alone.
    pub(super) keys_distinct: bool,
    /// A column whose values the target does not keep as they were sent.
    pub(super) respelt: Option<&'a str>,
}

/// What became of them, and why it cannot be told or what else is to be known.
pub(super) type Judgement = (BatchOutcome, Option<String>);

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Judgement {
    let Case { then, sums, .. } = case;
    if sums.target == *then {
        return (BatchOutcome::Unchanged, None);
    }
    if sums.unfindable {
        return untold("the target does not find rows by what their keys hold");
    }
    let as_committed = sums.gives(*then);
    if as_committed && sums.agree() {
        return (BatchOutcome::Unchanged, None);
    }
    if case.triggers == Triggers::On {
        return untold("triggers of the target may have changed its rows as they were written");
    }
    if as_committed && sums.there() < sums.source.rows {
        return (BatchOutcome::Gone, case.beside());
    }
    if case.on_conflict == OnConflict::Skip && case.counts.skipped > 0 {
        let rows = case.counts.skipped;
        return untold(format!(
            "{rows} of its rows were skipped for rows that the target had, and keeps as they are"
        ));
    }
    if let Some(other) = case.other {
        return untold(format!("stream `{other}` has changed rows of the same table since"));
    }
    if as_committed {
        return (BatchOutcome::Changed, case.beside());
    }
    if let Some(why) = case.unsure() {
        return untold(why);
    }
    let outcome = if sums.there() < then.rows {
        BatchOutcome::Gone
    } else {
        BatchOutcome::Changed
    };
    let also = "the source gives other rows by now, too";
    (
        outcome,
        Some(
            case.beside()
                .map_or_else(|| also.to_owned(), |beside| format!("{also}; {beside}")),
        ),
    )
}

fn untold(why: impl Into<String>) -> Judgement {
    (BatchOutcome::NotComparable, Some(why.into()))
}

impl Case<'_> {
    /// Why nothing can be told, where the source does not give the rows any more that were committed.
    fn unsure(&self) -> Option<String> {
        let (counts, sums) = (&self.counts, &self.sums);
        if counts.rejected > 0 && self.retried {
            return Some("rows of it that were rejected then have been moved since".to_owned());
        }
        if self.written_later {
            return Some("later batches wrote into it: rejects, rows of a subject, or changes".to_owned());
        }
        if sums.rejects.rows > counts.rejected {
            return Some("rows of it have become rejects since".to_owned());
        }
        if !self.ended {
            return Some("the source does not have the row any more with which it ended".to_owned());
        }
        if !self.keys_distinct {
            return Some("the source gives other rows by now, and the target's keys are made of values that change".to_owned());
        }
        if let Some(column) = self.respelt {
            return Some(format!(
                "the source gives other rows by now, and column `{column}` is not kept byte by byte as it was sent"
            ));
        }
        // One that is not there may be one that nobody looked for.
        let all = sums.read == counts.read && sums.source.rows == self.then.rows;
        let there = sums.there();
        let sure = there == self.then.rows || (there < self.then.rows && all);
        (!sure).then(|| {
            let (then, now) = (self.then.rows, sums.source.rows);
            format!("the source gives other rows by now: {now} in its range, where it gave {then}")
        })
    }

    fn beside(&self) -> Option<String> {
        self.together
            .then(|| "it or a batch next to it: the source does not tell any more where one ended".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn digest(rows: u64, sum: u128) -> Digest {
        Digest { rows, sum }
    }

    fn case(source: Digest, target: Digest) -> Case<'static> {
        Case {
            then: digest(3, 30),
            counts: Counts {
                read: 3,
                inserted: 3,
                ..Counts::default()
            },
            sums: Sums {
                read: 3,
                source,
                target,
                source_meaning: source.sum,
                target_meaning: target.sum,
                ..Sums::default()
            },
            ended: true,
            together: false,
            on_conflict: OnConflict::Error,
            triggers: Triggers::Off,
            retried: false,
            written_later: false,
            other: None,
            keys_distinct: true,
            respelt: None,
        }
    }

    fn outcome(case: &Case<'_>) -> BatchOutcome {
        judge(case).0
    }

    #[test]
    fn what_the_target_gives_again_is_unchanged_whatever_the_source_gives() {
        for source in [digest(3, 30), digest(3, 31), digest(0, 0), digest(9, 30)] {
            let mut case = case(source, digest(3, 30));
            (case.ended, case.written_later, case.other) = (false, true, Some("s"));
            assert_eq!(judge(&case), (BatchOutcome::Unchanged, None));
        }
    }

    #[test]
    fn where_the_source_gives_what_was_committed_the_target_is_judged_by_what_it_means() {
        let mut case = case(digest(3, 30), digest(3, 77));
        assert_eq!(judge(&case), (BatchOutcome::Changed, None));
        case.written_later = true;
        assert_eq!(
            outcome(&case),
            BatchOutcome::Changed,
            "what was written later is what is read"
        );
        case.sums.target_meaning = case.sums.source_meaning;
        assert_eq!(outcome(&case), BatchOutcome::Unchanged, "another spelling");
        case.sums.broken = 1;
        assert_eq!(outcome(&case), BatchOutcome::Changed, "one more that cannot be read");
        case.sums.target = digest(1, 5);
        assert_eq!(outcome(&case), BatchOutcome::Gone);
        case.triggers = Triggers::On;
        assert_eq!(outcome(&case), BatchOutcome::NotComparable);
    }

    #[test]
    fn rows_that_became_rejects_later_are_gone_for_a_reason() {
        let mut case = case(digest(2, 20), digest(2, 20));
        case.sums.rejects = digest(1, 10);
        assert_eq!(outcome(&case), BatchOutcome::Unchanged);
        case.sums.target = digest(1, 10);
        assert_eq!(outcome(&case), BatchOutcome::Gone);
    }

    #[test]
    fn where_the_source_gives_something_else_only_what_is_sure_is_told() {
        let changed = || case(digest(3, 31), digest(3, 77));
        assert_eq!(outcome(&changed()), BatchOutcome::Changed);
        assert!(judge(&changed()).1.is_some_and(|why| why.contains("too")));
        assert_eq!(outcome(&case(digest(3, 31), digest(2, 77))), BatchOutcome::Gone);
        let mut doubts = [(); 8].map(|()| changed());
        doubts[0].written_later = true;
        doubts[1].ended = false;
        (doubts[2].sums.read, doubts[2].sums.target.rows) = (2, 2);
        doubts[3].respelt = Some("doc");
        (doubts[4].retried, doubts[4].counts.rejected) = (true, 1);
        doubts[5].sums.rejects = digest(1, 1);
        doubts[6].keys_distinct = false;
        (doubts[7].sums.source.rows, doubts[7].sums.target.rows) = (2, 2);
        for case in &doubts {
            let (outcome, why) = judge(case);
            assert_eq!(outcome, BatchOutcome::NotComparable);
            assert!(why.is_some());
        }
    }

    #[test]
    fn rows_that_were_skipped_are_not_what_was_sent() {
        let mut case = case(digest(3, 30), digest(3, 77));
        (case.on_conflict, case.counts.skipped) = (OnConflict::Skip, 1);
        assert_eq!(outcome(&case), BatchOutcome::NotComparable);
        case.sums.target.rows = 2;
        assert_eq!(outcome(&case), BatchOutcome::Gone, "a row was there, its own or another");
    }
}
