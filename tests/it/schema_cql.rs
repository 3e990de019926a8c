//! Migrations of keyspaces: applied, told, reverted, refused; on a real server.

use dbferry::config::connection::Connection;
use dbferry::schema::{self, Migration, State, Unwatched};
use dbferry::{Error, ErrorKind, Result};
use scylla::value::CqlValue;

use crate::cassandra::Keyspace;
use crate::harness::block_on;
use crate::schema::apply;

/// A folder of migrations and a keyspace.
struct Target {
    scratch: tempfile::TempDir,
    keyspace: Keyspace,
    connection: Connection,
}

impl Target {
    /// One whose keyspace is there.
    fn fresh() -> Self {
        Self::of(Keyspace::fresh(), false)
    }

    fn of(keyspace: Keyspace, create_database: bool) -> Self {
        Self {
            scratch: tempfile::tempdir().expect("a scratch folder"),
            connection: keyspace.connection("target", create_database),
            keyspace,
        }
    }

    fn write(&self, name: &str, cql: &str) {
        std::fs::write(self.scratch.path().join(name), cql).expect("a migration");
    }

    /// Two migrations with their way back.
    fn write_two(&self) {
        self.write(
            "0001_first.up.cql",
            "-- the first;\nCREATE TABLE first (id int PRIMARY KEY);\nINSERT INTO first (id) VALUES (1);\n",
        );
        self.write("0001_first.down.cql", "DROP TABLE first;\n");
        self.write(
            "0002_and_second.up.cql",
            "CREATE TABLE second (id int PRIMARY KEY, note text);
             BEGIN BATCH
                INSERT INTO second (id, note) VALUES (1, 'a;b');
                INSERT INTO second (id, note) VALUES (2, $$c'd$$);
             APPLY BATCH; // no line follows",
        );
        self.write("0002_and_second.down.cql", "DROP TABLE second;\n");
    }

    fn apply(&self) -> Result<Vec<Migration>> {
        let (connection, folder) = (self.connection.clone(), self.scratch.path().to_owned());
        block_on(async move { apply(&connection, &folder).await })
    }

    fn status(&self) -> Vec<(i64, State)> {
        let (connection, folder) = (self.connection.clone(), self.scratch.path().to_owned());
        let all = block_on(async move { schema::status(&connection, &folder).await }).expect("status");
        for migration in &all {
            assert_eq!(migration.applied, migration.state != State::Pending);
            assert_eq!(migration.applied, migration.applied_at.is_some());
        }
        all.iter().map(|migration| (migration.version, migration.state)).collect()
    }

    fn revert(&self, to: Option<i64>) -> Result<Vec<Migration>> {
        let (connection, folder) = (self.connection.clone(), self.scratch.path().to_owned());
        block_on(async move {
            schema::revert(&connection, &folder, to, &Unwatched)
                .await
                .map_err(|stopped| stopped.error)
        })
    }

    /// The statement that a hint says forgets an unfinished migration, run.
    fn forget_as_told(&self, error: &Error) {
        let told = error.advice().to_owned();
        let statement = told.split('`').find(|part| part.starts_with("DELETE FROM"));
        self.keyspace
            .run([statement.unwrap_or_else(|| panic!("no statement in: {told}"))]);
    }
}

fn versions(migrations: &[Migration]) -> Vec<i64> {
    migrations.iter().map(|migration| migration.version).collect()
}

#[track_caller]
fn says(error: &Error, kind: ErrorKind, text: &str) {
    let told = format!("{error:?}\nhint: {}", error.advice());
    assert_eq!(error.kind(), kind, "{told}");
    assert!(told.contains(text), "no `{text}` in:\n{told}");
}

#[test]
fn migrations_go_up_and_down_and_are_told() {
    let target = Target::fresh();
    target.write_two();
    assert_eq!(target.status(), [(1, State::Pending), (2, State::Pending)]);
    assert_eq!(versions(&target.apply().expect("applied")), [1, 2]);
    assert_eq!(target.keyspace.tables(), ["first", "second"]);
    let notes = "SELECT id, note FROM second";
    let mut rows = target.keyspace.rows(notes);
    rows.sort_by_key(|row| row[0].as_ref().and_then(CqlValue::as_int));
    let note = |number: usize| rows[number][1].as_ref().and_then(CqlValue::as_text).map(String::as_str);
    assert_eq!((rows.len(), note(0), note(1)), (2, Some("a;b"), Some("c'd")));
    assert_eq!(target.status(), [(1, State::Applied), (2, State::Applied)]);
    assert!(target.apply().expect("nothing to do").is_empty());

    let reverted = target.revert(None).expect("reverted");
    assert_eq!(
        (versions(&reverted), reverted[0].description.as_str()),
        (vec![2], "and second")
    );
    assert_eq!(target.keyspace.tables(), ["first"]);
    assert_eq!(target.status(), [(1, State::Applied), (2, State::Pending)]);
    assert_eq!(versions(&target.apply().expect("applied")), [2]);
    assert_eq!(versions(&target.revert(Some(0)).expect("reverted")), [2, 1]);
    assert!(target.keyspace.tables().is_empty());
    assert!(target.revert(None).expect("nothing to do").is_empty());
    assert_eq!(target.keyspace.count("dbferry_migration_lock"), 0, "the lock was kept");
}

#[test]
fn what_is_recorded_says_how_long_it_took() {
    let target = Target::fresh();
    target.write_two();
    target.apply().expect("applied");
    let text = "SELECT description, success, execution_nanoseconds, checksum, applied_at FROM dbferry_migration WHERE version = 1";
    let row = target.keyspace.rows(text).remove(0);
    assert_eq!(row[0], Some(CqlValue::Text("first".to_owned())));
    assert_eq!(row[1], Some(CqlValue::Boolean(true)));
    assert!(matches!(row[2], Some(CqlValue::BigInt(1_000_000..))), "{row:?}");
    assert!(
        matches!(&row[3], Some(CqlValue::Blob(digest)) if digest.len() == 48),
        "{row:?}"
    );
    assert!(row[4].is_some());
}

#[test]
fn a_missing_keyspace_is_created_only_where_that_is_wanted() {
    let target = Target::of(Keyspace::absent(), false);
    target.write_two();
    assert_eq!(target.status(), [(1, State::Pending), (2, State::Pending)]);
    assert!(target.revert(Some(0)).expect("nothing to do").is_empty());
    says(
        &target.apply().expect_err("no keyspace"),
        ErrorKind::Missing,
        "create_database",
    );
    assert!(target.keyspace.tables().is_empty());

    let target = Target::of(Keyspace::absent(), true);
    target.write_two();
    // Looking alone creates nothing.
    assert_eq!(target.status(), [(1, State::Pending), (2, State::Pending)]);
    let keyspaces = format!(
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{}'",
        target.keyspace.name
    );
    assert!(target.keyspace.rows(&keyspaces).is_empty());
    assert_eq!(versions(&target.apply().expect("applied")), [1, 2]);
    let replication = target.keyspace.texts(&keyspaces).remove(0).remove(0);
    assert!(
        replication.contains("NetworkTopologyStrategy") && replication.contains("datacenter1"),
        "{replication}"
    );
}

#[test]
fn a_refused_statement_is_shown_at_its_place() {
    let target = Target::fresh();
    for (cql, at, told) in [
        // What the server's parser says has a place of its own.
        ("CREATE TABEL t (id int PRIMARY KEY);", "1:8", "TABEL"),
        (
            "-- ü\n\n/* ; */ CREATE TABLE t (\n    id int PRIMARY KYE\n);",
            "4:20",
            "mismatched input 'KYE'",
        ),
        // What it says of names has none: the statement's beginning.
        ("\n  CREATE TABLE t (id nosuch PRIMARY KEY);", "2:3", "nosuch"),
        ("CREATE TABLE t (id int);", "1:1", "PRIMARY KEY"),
    ] {
        target.write("1_bad.cql", cql);
        let error = target.apply().expect_err("a bad migration");
        says(&error, ErrorKind::Mapping, &format!("1_bad.cql:{at}: "));
        says(&error, ErrorKind::Mapping, told);
        says(&error, ErrorKind::Mapping, "nothing of it was kept");
        assert_eq!(target.status(), [(1, State::Pending)]);
        assert!(target.keyspace.tables().is_empty());
    }
    target.write("1_bad.cql", "CREATE TABLE t (id int PRIMARY KEY);");
    assert_eq!(versions(&target.apply().expect("mended")), [1]);
}

#[test]
fn what_is_wrong_with_the_text_alone_is_told_before_anything_is_done() {
    let target = Target::fresh();
    for (cql, at, told) in [
        (
            "CREATE TABLE t (id int PRIMARY KEY);\nINSERT INTO t (id) VALUES ('",
            "2:28",
            "not closed",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY);\nBEGIN BATCH INSERT INTO t (id) VALUES (1);",
            "2:1",
            "APPLY BATCH",
        ),
        ("CREATE TABLE t (id int PRIMARY KEY);\nUSE system;", "2:1", "`USE`"),
    ] {
        target.write("1_bad.cql", cql);
        let error = target.apply().expect_err("a bad migration");
        says(&error, ErrorKind::Mapping, &format!("1_bad.cql:{at}: "));
        says(&error, ErrorKind::Mapping, told);
        assert_eq!(target.status(), [(1, State::Pending)]);
        assert!(target.keyspace.tables().is_empty());
    }
}

#[test]
fn a_migration_that_failed_half_way_stops_all_others_until_it_is_forgotten() {
    let target = Target::fresh();
    target.write_two();
    target.write(
        "0003_bad.up.cql",
        "CREATE TABLE third (id int PRIMARY KEY);\nCREATE TABLE first (id int PRIMARY KEY);\n",
    );
    target.write("0004_next.cql", "CREATE TABLE fourth (id int PRIMARY KEY);");
    let failed = target.apply().expect_err("a table that is there");
    says(&failed, ErrorKind::Mapping, "0003_bad.up.cql:2:1: ");
    says(&failed, ErrorKind::Mapping, "first");
    assert_eq!(target.keyspace.tables(), ["first", "second", "third"]);
    assert_eq!(
        target.status(),
        [
            (1, State::Applied),
            (2, State::Applied),
            (3, State::Unfinished),
            (4, State::Pending)
        ]
    );
    let refused = target.apply().expect_err("unfinished");
    says(&refused, ErrorKind::Validation, "migration 3 (bad) was begun");
    says(
        &target.revert(None).expect_err("unfinished"),
        ErrorKind::Validation,
        "DELETE FROM",
    );
    // Both say the same, and it works.
    target.keyspace.run(["DROP TABLE third"]);
    target.forget_as_told(&failed);
    assert_eq!(target.status()[2], (3, State::Pending));
    target.forget_as_told(&refused);
    target.write("0003_bad.up.cql", "CREATE TABLE third (id int PRIMARY KEY);\n");
    assert_eq!(versions(&target.apply().expect("mended")), [3, 4]);
}

#[test]
fn a_way_back_that_fails_is_unfinished_only_where_it_did_something() {
    let target = Target::fresh();
    target.write_two();
    target.apply().expect("applied");
    target.write("0002_and_second.down.cql", "DROP TABLE nosuch;\nDROP TABLE second;");
    let error = target.revert(None).expect_err("no such table");
    says(&error, ErrorKind::Mapping, "0002_and_second.down.cql:1:1: ");
    assert_eq!(target.status(), [(1, State::Applied), (2, State::Applied)]);
    target.write("0002_and_second.down.cql", "DROP TABLE second;\nDROP TABLE nosuch;");
    let error = target.revert(None).expect_err("no such table");
    says(&error, ErrorKind::Mapping, "0002_and_second.down.cql:2:1: ");
    assert_eq!(target.status(), [(1, State::Applied), (2, State::Unfinished)]);
    target.forget_as_told(&error);
    assert_eq!(target.status(), [(1, State::Applied), (2, State::Pending)]);
}

#[test]
fn values_of_rows_are_in_no_message() {
    let target = Target::fresh();
    for cql in [
        "INSERT INTO t (id) VALUES ('canary');",
        "INSERT INTO t (id) VALUES (4711, 'canary');",
        "INSERT INTO t (id, note) VALUES (1, 4711);",
        "INSERT INTO t 'canary';",
        "UPDATE t SET note = 'x' WHERE id = 'canary';",
    ] {
        target.write(
            "1_rows.cql",
            &format!("CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY, note text);\n{cql}\n"),
        );
        let error = target.apply().expect_err("no such value");
        says(&error, ErrorKind::Mapping, "1_rows.cql:2:");
        let told = format!("{error:?}{}", error.advice());
        assert!(!told.contains("canary") && !told.contains("4711"), "{told}");
        target.forget_as_told(&error);
    }
}

#[test]
fn a_changed_or_lost_migration_is_refused_by_name() {
    let target = Target::fresh();
    target.write_two();
    target.apply().expect("applied");
    target.write("0001_first.up.cql", "CREATE TABLE first (id int PRIMARY KEY, more text);\n");
    target.write("0003_third.up.cql", "CREATE TABLE third (id int PRIMARY KEY);\n");
    says(
        &target.apply().expect_err("a changed migration"),
        ErrorKind::Validation,
        "migration 1 (first) was changed after it was applied",
    );
    assert_eq!(
        target.status(),
        [(1, State::Changed), (2, State::Applied), (3, State::Pending)]
    );
    assert_eq!(target.keyspace.tables().len(), 2, "something was applied all the same");
    // A changed one can be undone, and applied anew.
    assert_eq!(versions(&target.revert(Some(0)).expect("reverted")), [2, 1]);
    assert_eq!(versions(&target.apply().expect("applied")), [1, 2, 3]);

    let error = target.revert(None).expect_err("no way back");
    says(&error, ErrorKind::Validation, "migration 3 (third) cannot be reverted");
    says(&error, ErrorKind::Validation, ".down.cql");
    std::fs::remove_file(target.scratch.path().join("0003_third.up.cql")).expect("a migration");
    says(
        &target.apply().expect_err("a lost migration"),
        ErrorKind::Validation,
        "migration 3 (third) is applied, but its file is gone",
    );
}

#[test]
fn files_of_the_other_language_are_refused() {
    let target = Target::fresh();
    target.write_two();
    target.write("0003_third.sql", "create table third (id integer primary key);");
    says(&target.apply().expect_err("SQL"), ErrorKind::Config, "0003_third.sql is SQL");
    assert!(target.keyspace.tables().is_empty());
}

#[test]
fn several_processes_that_migrate_one_keyspace_apply_everything_once() {
    let target = Target::fresh();
    for version in 1..=4 {
        target.write(
            &format!("{version}_t.cql"),
            &format!("CREATE TABLE t{version} (id int PRIMARY KEY);\nINSERT INTO t{version} (id) VALUES (1);"),
        );
    }
    let applied = std::thread::scope(|scope| {
        let others: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| target.apply().expect("applied").len()))
            .collect();
        others.into_iter().map(|other| other.join().expect("a thread")).sum::<usize>()
    });
    assert_eq!(applied, 4);
    assert_eq!(target.keyspace.tables(), ["t1", "t2", "t3", "t4"]);
}

/// Who was killed gave nothing back.
#[test]
fn the_lock_of_somebody_who_is_gone_is_waited_for() {
    let target = Target::fresh();
    target.write_two();
    target.keyspace.run([
        "CREATE TABLE dbferry_migration_lock (id int PRIMARY KEY, holder text, claim uuid)",
        "INSERT INTO dbferry_migration_lock (id, holder, claim) VALUES (0, 'process 1 on elsewhere', uuid()) IF NOT EXISTS USING TTL 4",
    ]);
    let began = std::time::Instant::now();
    assert_eq!(versions(&target.apply().expect("applied")), [1, 2]);
    assert!(began.elapsed().as_secs() >= 3, "the lock was taken from its holder");
}

/// A keyspace of its own, that goes; one that a killed call has left goes, too.
#[test]
fn migrations_are_tried_in_a_keyspace_of_their_own() {
    let target = Target::fresh();
    target.write_two();
    let tried = |target: &Target| {
        let (connection, folder) = (target.connection.clone(), target.scratch.path().to_owned());
        block_on(async move { schema::rehearse(&connection, &folder, &Unwatched).await }).expect("tried")
    };
    // Its name says that it is old; nobody holds its lock.
    let left = format!("dbferry_test_00000001_{:016x}", std::process::id());
    let create = format!("CREATE KEYSPACE \"{left}\" WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}");
    target.keyspace.run([create.as_str()]);
    let rehearsal = tried(&target);
    assert!(rehearsal.is_clean(), "{rehearsal:?}");
    assert_eq!((rehearsal.applied, rehearsal.reverted, rehearsal.kept), (2, 2, None));
    assert!(rehearsal.removed.contains(&left), "{:?}", rehearsal.removed);
    assert!(target.keyspace.tables().is_empty(), "the target was touched");
    target.write("0002_and_second.down.cql", "ALTER TABLE second DROP note;\n");
    target.write("0001_first.down.cql", "DROP TABLE first;\n");
    target.write(
        "0002_and_second.up.cql",
        "CREATE TABLE IF NOT EXISTS second (id int PRIMARY KEY, note text);\n",
    );
    let rehearsal = tried(&target);
    let names = |list: &[schema::Difference]| {
        list.iter()
            .map(|one| format!("{} {}", one.object.kind, one.object.name))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&rehearsal.left_behind), ["column second.id", "table second"]);
    assert_eq!(names(&rehearsal.changed), ["column second.note"]);
}
