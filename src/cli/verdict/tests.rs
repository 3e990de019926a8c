use super::*;
use crate::verify::report::{ColumnDifference, ConnectionRead, FORMAT, Shown, Value};

pub(in crate::cli) fn value(text: &str) -> Value {
    Value {
        text: Some(text.to_owned()),
        masked: false,
        cut_from: None,
    }
}

pub(in crate::cli) fn masked() -> Value {
    Value {
        text: None,
        masked: true,
        cut_from: None,
    }
}

pub(in crate::cli) fn difference(kind: DifferenceKind, key: &str, columns: Vec<ColumnDifference>) -> Difference {
    Difference {
        kind,
        key: vec![Shown {
            column: "id".to_owned(),
            value: value(key),
        }],
        id: "3f".repeat(16),
        columns,
    }
}

pub(in crate::cli) fn column(name: &str, source: Value, target: Value) -> ColumnDifference {
    ColumnDifference {
        column: name.to_owned(),
        source,
        target,
    }
}

/// A stream of a hundred rows that are all where they belong.
pub(in crate::cli) fn stream(name: &str) -> StreamVerdict {
    StreamVerdict {
        name: name.to_owned(),
        source: format!("pocketbase.{name}"),
        target: format!("game.{name}"),
        status: Verdict::Equal,
        fingerprint: "ab".repeat(16),
        source_rows: 12_345,
        filtered: 0,
        expired: 0,
        rejected: 0,
        covered_rows: 12_345,
        target_rows: 12_345,
        missing: 0,
        extra: 0,
        extra_checked: true,
        extra_before: None,
        different: 0,
        unsettled: 0,
        sampled: None,
        source_read_at: "2026-11-22T00:00:01Z".to_owned(),
        target_read_at: "2026-11-22T00:00:02Z".to_owned(),
        seconds: 0.25,
        rows_per_second: 98_760,
        differences: Vec::new(),
        not_listed: 0,
        notes: Vec::new(),
    }
}

/// A report of these streams.
pub(in crate::cli) fn report(status: Verdict, streams: Vec<StreamVerdict>) -> VerifyReport {
    VerifyReport {
        format: FORMAT,
        id: "00000000-0000-4000-8000-000000000002".to_owned(),
        project: "game".to_owned(),
        environment: "embedded".to_owned(),
        version: "0.1.0".to_owned(),
        status,
        started_at: "2026-11-22T00:00:00Z".to_owned(),
        ended_at: "2026-11-22T00:00:02Z".to_owned(),
        seconds: 1.5,
        restrictions: Vec::new(),
        connections: vec![ConnectionRead {
            name: "game".to_owned(),
            kind: "postgres".to_owned(),
            version: Some("15.14".to_owned()),
            moment: None,
            key_prefix: None,
        }],
        streams,
        warnings: Vec::new(),
    }
}

/// A report with a stream that agrees and one in which everything is wrong.
pub(in crate::cli) fn different() -> VerifyReport {
    let mut players = stream("players");
    players.status = Verdict::Different;
    players.rejected = 8;
    players.covered_rows = 12_337;
    players.target_rows = 12_340;
    players.missing = 1;
    players.extra = 4;
    players.extra_before = Some(1);
    players.different = 3;
    players.not_listed = 3;
    players.notes = vec!["the target was written while it was read".to_owned()];
    let long = "the quick brown fox jumps over the lazy ".to_owned();
    players.differences = vec![
        difference(DifferenceKind::Missing, "0d6c", Vec::new()),
        difference(
            DifferenceKind::Different,
            "1a2b",
            vec![
                column("email", masked(), masked()),
                column("score", value("1200"), value("1201")),
                column("name", value("Ada"), value("Ada ")),
            ],
        ),
        difference(
            DifferenceKind::Different,
            "c3d4\u{1b}[2J",
            vec![
                column("bio", value(&(long.clone() + "dog")), value(&(long + "cat"))),
                column(
                    "region",
                    Value {
                        text: None,
                        masked: false,
                        cut_from: None,
                    },
                    value(""),
                ),
            ],
        ),
        difference(DifferenceKind::Extra, "f00d", Vec::new()),
    ];
    players.differences[3].key[0].value = masked();
    let mut report = report(Verdict::Different, vec![stream("games"), players]);
    report.warnings = vec!["`redis` was not asked for its version".to_owned()];
    report
}

#[test]
fn every_verdict_is_a_sentence() {
    let mut unsettled = stream("players");
    unsettled.unsettled = 2;
    let mut rejecting = stream("players");
    rejecting.rejected = 1;
    let mut chosen = stream("players");
    chosen.extra_checked = false;
    let mut none = stream("none");
    none.covered_rows = 0;
    let sentences = [
        sentence(&report(Verdict::Equal, vec![stream("games"), rejecting])),
        sentence(&report(Verdict::Equal, vec![none])),
        sentence(&report(Verdict::Unchecked, Vec::new())),
        sentence(&report(Verdict::Equal, vec![chosen])),
        sentence(&different()),
        sentence(&report(Verdict::Unsettled, vec![stream("games"), unsettled])),
        sentence(&report(Verdict::Unchecked, vec![stream("games")])),
    ];
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    24,690 rows of 2 streams are in the target as they should be, and no others; 1 source row is a reject, and not in the target
    no row of 1 stream has to be in the target, and none is
    there was nothing to compare
    12,345 rows of 1 stream are in the target as they should be; rows that the target alone has were not looked for
    1 row missing, 4 extra and 3 different, in 1 of 2 streams; 8 source rows are rejects, and not in the target
    nothing else differs, but 2 rows changed each time they were looked at
    not everything was compared; in what was, nothing differs
    "#);
}

#[test]
fn where_two_texts_differ() {
    assert_eq!(
        where_they_differ("größe 1 m", "größe 10 m"),
        [("größe 1", "", " m"), ("größe 1", "0", " m")]
    );
    assert_eq!(where_they_differ("aa", "aaa"), [("aa", "", ""), ("aa", "a", "")]);
    assert_eq!(where_they_differ("", "x"), [("", "", ""), ("", "x", "")]);
    assert_eq!(where_they_differ("ä", "ö"), [("", "ä", ""), ("", "ö", "")]);
}
