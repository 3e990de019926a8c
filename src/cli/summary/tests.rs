use super::*;
use crate::ErrorKind;
use crate::cli::intent::{Action, Intent};
use crate::data::spent::Units;
use crate::pipeline::report::{KindCount, ReasonCount};

/// A run of two streams, one of which was complete before.
pub(in crate::cli) fn report() -> RunReport {
    let stream = |name: &str, read, inserted, status| StreamReport {
        status,
        read,
        inserted,
        rejected: read - inserted,
        batches: u64::from(read > 0),
        seconds: if read > 0 { 1.25 } else { 0.0 },
        source_rows: Some(read),
        target_rows: Some(inserted),
        rejects_open: read - inserted,
        ..StreamReport::pending_at(name, &format!("app.{name}"), &format!("game.{name}"))
    };
    let mut players = stream("players", 12_345, 12_343, StreamStatus::Complete);
    players.reasons.push(ReasonCount {
        reason: "too_long".to_owned(),
        column: Some("username".to_owned()),
        detail: "longer than varchar(50)".to_owned(),
        rows: 2,
    });
    players.rejects_open = 5;
    RunReport {
        run: "00000000-0000-4000-8000-000000000001".to_owned(),
        project: "game".to_owned(),
        environment: "embedded".to_owned(),
        dry_run: false,
        status: RunStatus::Rejects,
        seconds: 1.5,
        streams: vec![players, stream("games", 0, 0, StreamStatus::AlreadyComplete)],
        spent: Vec::new(),
        not_covered: Vec::new(),
        warnings: Vec::new(),
        error: None,
        hint: None,
        error_kind: None,
    }
}

fn intent(line: &str) -> RunIntent {
    match Intent::parse(line.split_whitespace().map(Into::into)).map(|intent| intent.action) {
        Ok(Action::Run(run)) => run,
        _ => panic!("not a run: {line}"),
    }
}

#[test]
fn a_run_as_a_table() {
    let mut report = report();
    let real = text(&report, false) + &rejects(&report);
    report.dry_run = true;
    let rehearsed = outcome(&report, "");
    report.dry_run = false;
    report.status = RunStatus::Interrupted;
    insta::assert_snapshot!(format!("{real}\n\n{rehearsed}\n{}", outcome(&report, "")), @r#"
    stream     read  inserted  updated  skipped  filtered  rejected  batches    time  status
    ──────────────────────────────────────────────────────────────────────────────────────────────────
    players  12,345    12,343        0        0         0         2        1  1.25 s  complete
    games         0         0        0        0         0         0        0  0.00 s  complete before
    total    12,345    12,343        0        0         0         2        1  1.50 s

    complete, with rejects
    rejects:
      players: 2 × too_long (username): longer than varchar(50)
      players: 3 rows rejected before, still open

    complete, with rejects; this was a dry run: all of it was rolled back, nothing was written
    interrupted; what the table shows is committed
    "#);
}

#[test]
fn one_user_as_a_table() {
    let mut report = report();
    let user = SubjectKey {
        name: "user".to_owned(),
        key: "Zoë\u{1b}[31m 7".to_owned(),
    };
    let moved = subject_text(&report, &user, false);
    report.status = RunStatus::Done;
    report.streams[0].inserted = 0;
    report.streams[0].filtered = 12_343;
    let unchanged = subject_text(&report, &user, false);
    report.dry_run = true;
    let rehearsed = subject_text(&report, &user, false);
    let last = rehearsed.lines().last().unwrap_or_default();
    insta::assert_snapshot!(format!("{moved}\n{unchanged}\n{last}"), @r"
    stream     read  inserted  updated  skipped  rejected  from → to
    ──────────────────────────────────────────────────────────────────────────────────
    players  12,345    12,343        0        0         2  app.players → game.players
    games         0         0        0        0         0  app.games → game.games
    total    12,345    12,343        0        0         2

    user Zoë\u{1b}[31m 7: complete, with rejects

    stream     read  inserted  updated  skipped  filtered  rejected  from → to
    ────────────────────────────────────────────────────────────────────────────────────────────
    players  12,345         0        0        0    12,343         2  app.players → game.players
    games         0         0        0        0         0         0  app.games → game.games
    total    12,345         0        0        0    12,343         2

    user Zoë\u{1b}[31m 7: done, nothing had to change

    user Zoë\u{1b}[31m 7: done, nothing would change; this was a dry run: all of it was rolled back, nothing was written
    ");
}

#[test]
fn a_run_as_a_document() {
    let mut report = report();
    report.streams.truncate(1);
    report.status = RunStatus::Failed;
    report.error = Some("`game`: no space is left".to_owned());
    report.hint = Some("free some space".to_owned());
    report.error_kind = Some(ErrorKind::Full);
    insta::assert_json_snapshot!(RunDocument::of(&report, &intent("dbferry run mappings/game --env embedded")), @r#"
    {
      "run": "00000000-0000-4000-8000-000000000001",
      "project": "game",
      "environment": "embedded",
      "dry_run": false,
      "for": null,
      "status": "failed",
      "seconds": 1.5,
      "streams": [
        {
          "name": "players",
          "source": "app.players",
          "target": "game.players",
          "status": "complete",
          "read": 12345,
          "filtered": 0,
          "expired": 0,
          "inserted": 12343,
          "updated": 0,
          "skipped": 0,
          "rejected": 2,
          "batches": 1,
          "bytes": 0,
          "seconds": 1.25,
          "waited_seconds": 0.0,
          "paused_seconds": 0.0,
          "source_rows": 12345,
          "target_rows": 12343,
          "rejects_open": 5,
          "waits_for": null,
          "reasons": [
            {
              "reason": "too_long",
              "column": "username",
              "detail": "longer than varchar(50)",
              "rows": 2
            }
          ]
        }
      ],
      "spent": [],
      "not_covered": [],
      "verification": null,
      "warnings": [],
      "error": {
        "kind": "full",
        "message": "`game`: no space is left",
        "hint": "free some space",
        "exit_code": 3,
        "findings": []
      }
    }
    "#);
}

#[test]
fn what_held_a_run_back_is_told() {
    let mut report = report();
    assert_eq!(held_back(&report), "");
    report.streams[0].waited_seconds = 12.34;
    assert_eq!(held_back(&report), "held back: 12.3 s by its rate, all streams together\n");
    report.streams[1].paused_seconds = 1.5;
    report.streams[0].paused_seconds = 0.5;
    report.streams[0].waited_seconds = 0.0;
    assert_eq!(held_back(&report), "held back: 2.00 s in pauses, all streams together\n");
}

#[test]
fn a_run_that_could_not_begin_as_a_document() {
    let intent = intent("dbferry run mappings/game --env embedded --dry-run --for user=42");
    let error = Error::new(ErrorKind::Unreachable, "`game` cannot be reached");
    insta::assert_json_snapshot!(RunDocument::not_begun(&error, Some("game"), &intent), @r#"
    {
      "run": null,
      "project": "game",
      "environment": "embedded",
      "dry_run": true,
      "for": {
        "subject": "user",
        "key": "42"
      },
      "status": "failed",
      "seconds": 0.0,
      "streams": [],
      "spent": [],
      "not_covered": [],
      "verification": null,
      "warnings": [],
      "error": {
        "kind": "unreachable",
        "message": "`game` cannot be reached",
        "hint": "check address and port, and that the server runs",
        "exit_code": 3,
        "findings": []
      }
    }
    "#);
}

#[test]
fn a_run_says_what_its_sources_have_cost() {
    let mut report = report();
    let spent = |connection: &str, milli, throttled| SpentReport {
        connection: connection.to_owned(),
        request_units: Units(milli),
        requests: 12,
        throttled,
    };
    report.spent = vec![spent("cosmos", 1_234_560, 3), spent("quiet", 2_000, 0)];
    let text = text(&report, false);
    assert!(
        text.ends_with(
            "\n\ncosmos: 1,234.56 RU in 12 requests, throttled 3 times\nquiet: 2 RU in 12 requests\ncomplete, with rejects\n"
        ),
        "{text}"
    );
    let json = serde_json::to_value(RunDocument::of(&report, &intent("dbferry run p"))).expect("JSON");
    assert_eq!(json["spent"][0]["request_units"].to_string(), "1234.56");
}

#[test]
fn documents_that_no_stream_takes_are_listed() {
    let mut report = report();
    assert_eq!(not_covered(&report), "");
    let kind = |kind: Option<&str>, documents| KindCount {
        kind: kind.map(str::to_owned),
        documents,
    };
    report.not_covered.push(NotCovered {
        source: "cosmos.documents".to_owned(),
        path: "/type".to_owned(),
        kinds: vec![kind(Some("relay\u{1b}stats"), 1), kind(None, 1_234)],
        others: 2,
    });
    insta::assert_snapshot!(not_covered(&report), @r"
    not covered, documents of cosmos.documents that no stream takes by /type:
      relay\u{1b}stats: 1 document
      (none): 1,234 documents
      others: 2 documents
    ");
    insta::assert_json_snapshot!(RunDocument::of(&report, &intent("dbferry run p")).not_covered, @r#"
    [
      {
        "source": "cosmos.documents",
        "path": "/type",
        "kinds": [
          {
            "kind": "relay\u001bstats",
            "documents": 1
          },
          {
            "kind": null,
            "documents": 1234
          }
        ],
        "others": 2
      }
    ]
    "#);
}
