//! What cannot be told is said to be so, with the reason, and is no false alarm.

use dbferry::verify::ledger::report::BatchOutcome::{Changed, Gone, NotComparable};
use dbferry::verify::ledger::report::{LedgerReport, LedgerStatus};

use super::{batches, checked, found, in_hundreds, is_unchanged, moved_into_postgres, moved_into_sqlite};
use crate::harness::{Database, Project};
use crate::items;
use crate::projects::{SAME_NAMES, between, stream};

fn reasons(report: &LedgerReport) -> Vec<&str> {
    let findings = report.streams.iter().flat_map(|stream| &stream.findings);
    findings
        .map(|finding| finding.reason.as_deref().unwrap_or_default())
        .collect()
}

#[test]
fn a_source_that_goes_on_being_written_raises_no_alarm() {
    let project = moved_into_sqlite(1_000);
    project.sqlite(
        "app.db",
        "update items set note = 'new' where id = 'item-00000150';
         delete from items where id in ('item-00000250', 'item-00000300');
         insert into items select id || 'x', amount, price, note, made, flag, doc from items where id = 'item-00000450';
         delete from items where id = 'item-00000550';
         insert into items select id || 'y', amount, price, note, made, flag, doc from items where id = 'item-00000551'",
    );
    is_unchanged(&checked(&project));
    // Rows between those of these batches, so that the target alone proves nothing any more.
    for id in ["item-00000250x", "item-00000350x", "item-00000550x", "item-00000750x"] {
        let row = format!("insert into items select '{id}', amount, price, note, made, flag, doc from items limit 1");
        project.sqlite("out.db", &row);
    }
    let report = checked(&project);
    assert_eq!(batches(&report), [3, 4, 6].map(|batch| (NotComparable, batch)), "{report:#?}");
    assert!(
        reasons(&report)[0].contains("row any more with which it ended"),
        "{report:#?}"
    );
    // The end of one alone: rows are read as they are stored, where nothing else tells that it ended.
    project.sqlite("app.db", "delete from items where id = 'item-00000800'");
    assert_eq!(
        batches(&checked(&project)),
        [3, 4, 6, 8, 9].map(|batch| (NotComparable, batch))
    );
}

#[test]
fn a_target_that_was_touched_is_told_though_the_source_went_on() {
    let project = moved_into_sqlite(1_000);
    project.sqlite(
        "app.db",
        "update items set note = 'new' where id in ('item-00000150', 'item-00000250')",
    );
    project.sqlite(
        "out.db",
        "alter table items drop column doc; alter table items add column doc text",
    );
    assert_eq!(checked(&project).status, LedgerStatus::Unchecked, "the table is another");
    let (project, database) = moved_into_postgres(1_000);
    project.sqlite(
        "app.db",
        "update items set note = 'new' where id in ('item-00000150', 'item-00000250')",
    );
    database.query("delete from items where id = 'item-00000160'; update items set note = 'x' where id = 'item-00000350'");
    let report = checked(&project);
    // A document is not kept as it was sent: without the row that was sent, nothing is sure.
    assert_eq!(batches(&report), [(Changed, 4), (NotComparable, 2)]);
    assert!(reasons(&report)[1].contains("`doc` is not kept byte by byte"), "{report:#?}");
}

#[test]
fn without_respelt_columns_both_sides_may_have_changed() {
    let databases = [Database::create(), Database::create()];
    for database in &databases {
        database.query("create table words (id text primary key, word text)");
    }
    databases[0].query("insert into words select 'w' || to_char(i, 'FM0000'), i::text from generate_series(1, 500) i");
    let limits = "batch_rows_max = 100\nportion_rows_max = 100";
    let project = between(
        &databases[0],
        &databases[1],
        limits,
        &stream("words", "app.words", "target.words", SAME_NAMES),
    );
    project.run(&["run", "mappings/demo"]).expect(0);
    databases[0].query("update words set word = 'new' where id in ('w0050', 'w0150', 'w0250')");
    databases[1].query("update words set word = 'x' where id = 'w0060'; delete from words where id = 'w0160'");
    let report = checked(&project);
    assert_eq!(batches(&report), [(Changed, 1), (Gone, 2)], "{report:#?}");
    assert!(
        reasons(&report)
            .iter()
            .all(|reason| reason.contains("the source gives other rows by now, too"))
    );
}

#[test]
fn rejects_are_no_part_of_a_batch_until_they_are_moved() {
    let (project, database) = items::into_postgres(1_000);
    in_hundreds(&project);
    database.query("alter table items add constraint few check (amount <> 9007199254740993 + 7919 * 3)");
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace(
            "same_name_columns = true",
            "same_name_columns = true\nwhere = \"id <> 'item-00000100'\"\nrules = { low = \"id < 'item-00000950'\" }",
        ),
    );
    project.run(&["run", "mappings/demo", "--max-rejects", "1000"]).expect(4);
    is_unchanged(&checked(&project));
    database.query("update items set note = 'x' where id = 'item-00000905'; delete from items where id = 'item-00000004'");
    assert_eq!(batches(&checked(&project)), [(Gone, 1), (Changed, 10)]);
    database.query("update items set note = null where id = 'item-00000905'; alter table items drop constraint few");
    project.run(&["run", "mappings/demo", "--retry-rejects", "--max-rejects", "1000"]);
    let report = checked(&project);
    let named = batches(&report);
    // The first batch lost a row and got one: the last is the one that moved it.
    assert_eq!(named[0], (NotComparable, 1), "{report:#?}");
    assert!(reasons(&report)[0].contains("rejected then have been moved since"));
    assert!(
        named
            .iter()
            .all(|(outcome, batch)| *outcome == NotComparable && (*batch == 1 || *batch > 10))
    );
}

#[test]
fn rejects_that_were_moved_are_proven_with_all_the_others() {
    let project = items::into_sqlite(10);
    project.sqlite("app.db", "update items set doc = '{broken' where id = 'item-00000003'");
    project.run(&["run", "mappings/demo", "--max-rejects", "5"]).expect(4);
    is_unchanged(&checked(&project));
    project.sqlite("app.db", "update items set doc = '{}' where id = 'item-00000003'");
    project.run(&["run", "mappings/demo", "--retry-rejects"]).expect(0);
    let report = checked(&project);
    is_unchanged(&report);
    assert_eq!((report.streams[0].batches, report.streams[0].rows), (2, 10));
    project.sqlite("out.db", "update items set amount = 1 where id = 'item-00000003'");
    assert_eq!(batches(&checked(&project)), [(NotComparable, 1), (NotComparable, 2)]);
}

#[test]
fn rows_of_a_subject_that_were_moved_again_are_no_alarm() {
    let (project, database) = items::into_postgres(1_000);
    in_hundreds(&project);
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace(
            "same_name_columns = true",
            "same_name_columns = true\non_conflict = \"update\"\nsubject = { item = \"id = $key\" }",
        ),
    );
    project.run(&["run", "mappings/demo"]).expect(0);
    project.sqlite("app.db", "update items set note = 'new' where id = 'item-00000250'");
    project
        .run(&["run", "mappings/demo", "--for", "item=item-00000250"])
        .expect(0);
    let report = checked(&project);
    assert_eq!(
        found(&report),
        [(NotComparable, "items", -1, 1), (NotComparable, "items", 0, 3)],
        "{report:#?}"
    );
    assert_eq!(report.status, LedgerStatus::Unchanged);
    database.query("update items set note = 'x' where id in ('item-00000350', 'item-00000251')");
    let report = checked(&project);
    assert_eq!(found(&report)[0], (Changed, "items", 0, 4));
    assert!(reasons(&report)[2].contains("later batches wrote into it"), "{report:#?}");
}

#[test]
fn a_stream_that_began_anew_is_told_by_what_it_wrote_last() {
    let (project, database) = moved_into_postgres(1_000);
    database.query("delete from items");
    project.sqlite("app.db", "update items set note = 'new'");
    assert_eq!(checked(&project).streams[0].unchanged, 0);
    let config = project.text("config/development.toml");
    project.write(
        "config/development.toml",
        &config.replace("batch_rows_max = 100", "batch_rows_max = 300"),
    );
    project
        .run(&["run", "mappings/demo", "--restart", "--batch-size", "300"])
        .expect(0);
    let report = checked(&project);
    is_unchanged(&report);
    assert_eq!(report.streams[0].batches, 4);
    database.query("update items set note = 'x' where id = 'item-00000999'");
    assert_eq!(batches(&checked(&project)), [(Changed, 4)]);
}

const SHOUT: &str =
    "create function shout() returns trigger language plpgsql as 'begin new.note := upper(new.note); return new; end';
    create trigger shout before insert on items for each row when (new.id = 'item-00000151') execute function shout()";

#[test]
fn what_the_target_keeps_or_changes_by_itself_is_not_comparable() {
    let old = "insert into items values ('item-00000150', 1, 1, 'old', now(), true, null)";
    for (setting, prepare) in [("on_conflict = \"skip\"", old), ("triggers = \"on\"", SHOUT)] {
        let (project, database) = items::into_postgres(500);
        in_hundreds(&project);
        database.query(prepare);
        project.write(
            "mappings/demo/streams.toml",
            &items::MAPPING.replace("same_name_columns = true", &format!("same_name_columns = true\n{setting}")),
        );
        project.run(&["run", "mappings/demo"]).expect(0);
        let report = checked(&project);
        assert_eq!(batches(&report), [(NotComparable, 2)], "{report:#?}");
        assert_eq!(report.streams[0].unchanged, 4);
    }
}

#[test]
fn two_streams_that_write_the_same_rows_are_told_apart() {
    let (project, database) = items::into_postgres(300);
    in_hundreds(&project);
    database.query("alter table items alter amount drop not null, alter price drop not null, alter made drop not null, alter flag drop not null");
    let one = |name: &str, rest: &str| {
        let rest = format!("on_conflict = \"update\"\n{rest}\n[stream.columns]\nid = \"id\"\n");
        stream(name, "app.items", "target.items", &rest)
    };
    let text = one("notes", "") + "note = \"note\"\n" + &one("sums", "after = [\"notes\"]") + "amount = \"amount\"\n";
    project.write("mappings/demo/streams.toml", &text);
    project.run(&["run", "mappings/demo"]).expect(0);
    is_unchanged(&checked(&project));
    database.query("update items set amount = 0 where id = 'item-00000150'");
    assert_eq!(found(&checked(&project)), [(Changed, "sums", 0, 2)]);
    // The same column by its name, of rows that are others by now.
    project.sqlite("app.db", "update items set note = 'new' where id = 'item-00000150'");
    let text = one("notes", "") + "note = \"note\"\n" + &one("all", "after = [\"notes\"]\nsame_name_columns = true");
    project.write("mappings/demo/streams.toml", &text);
    project.run(&["run", "mappings/demo"]).expect(0);
    let report = checked(&project);
    assert_eq!(found(&report), [(NotComparable, "notes", 0, 2)], "{report:#?}");
    assert!(reasons(&report)[0].contains("stream `all` has changed rows"), "{report:#?}");
}

#[test]
fn streams_without_a_source_key_are_one_batch() {
    let project = Project::new();
    project.write(
        "config/development.toml",
        &items::into_sqlite(1).text("config/development.toml"),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write(
        "mappings/demo/streams.toml",
        "[[stream]]\nname = \"items\"\nto = \"target.items\"\nkey = [\"id\"]\nsame_name_columns = true\n\
         [stream.query]\nconnection = \"app\"\nsql = \"select * from items\"\n[stream.columns]\nid = \"id\"\n",
    );
    project.sqlite("out.db", items::SQLITE_DDL);
    items::fill(&project, 200);
    project.run(&["run", "mappings/demo"]).expect(0);
    is_unchanged(&checked(&project));
    project.sqlite(
        "out.db",
        "insert into items select 'other', amount, price, note, made, flag, doc from items limit 1",
    );
    is_unchanged(&checked(&project));
    project.sqlite("out.db", "update items set amount = 1 where id = 'item-00000150'");
    assert_eq!(batches(&checked(&project)), [(Changed, 1)]);
}

#[test]
fn another_mapping_is_no_longer_that_of_the_batches() {
    let project = moved_into_sqlite(300);
    let mapping = items::MAPPING.replace("id = \"id\"", "id = \"id\"\nnote = \"upper(note)\"");
    project.write("mappings/demo/streams.toml", &mapping);
    let report = checked(&project);
    assert_eq!(report.status, LedgerStatus::Unchecked);
    assert!(
        reasons(&report).iter().all(|reason| reason.contains("mapping")),
        "{report:#?}"
    );
    assert_eq!(report.streams[0].not_comparable, 3);
}

#[test]
fn batches_that_the_ledger_has_lost_leave_the_next_one_without_a_beginning() {
    let project = moved_into_sqlite(500);
    project.sqlite("out.db", "delete from dbferry_batch where sequence = 2");
    is_unchanged(&checked(&project));
    project.sqlite("out.db", "update items set amount = 1 where id = 'item-00000450'");
    let report = checked(&project);
    assert_eq!(batches(&report), [(Changed, 5), (NotComparable, 3)], "{report:#?}");
    assert!(report.streams[0].notes[0].contains("1 of its batches"));
}
