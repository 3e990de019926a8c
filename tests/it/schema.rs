//! Migrations of targets: applied, told, reverted, refused; on files and on a real server.

use std::path::{Path, PathBuf};

use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::schema::{self, Allowed, Migration, Order, State, Unwatched};
use dbferry::{Error, ErrorKind, Result};

use crate::harness::{Database, block_on, postgres_url, query, sqlite_rows};

mod changes;
mod hazards;
mod interrupted;
mod sqlx_cli;
mod trials;

/// Applies all that there is, whatever it loses.
pub(crate) async fn apply(connection: &Connection, folder: &Path) -> Result<Vec<Migration>> {
    let order = Order {
        to: None,
        allowed: Allowed::All,
        watch: &Unwatched,
    };
    schema::apply(connection, folder, &order)
        .await
        .map_err(|stopped| stopped.error)
}

/// A folder of migrations and a target that does not exist yet.
struct Target {
    scratch: tempfile::TempDir,
    connection: Connection,
    /// The Postgres database, dropped at the end.
    database: Option<Database>,
}

impl Target {
    fn sqlite() -> Self {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let kind = ConnectionKind::Sqlite {
            path: scratch.path().join("new/target.db"),
            create_database: true,
        };
        Self::of(scratch, kind, None)
    }

    fn postgres() -> Self {
        let database = Database::create();
        let kind = ConnectionKind::Postgres {
            url: database.url.clone().into(),
            create_database: true,
            new_database: dbferry::config::connection::NewDatabase::default(),
        };
        query(&postgres_url(), &format!("drop database {}", database.name));
        Self::of(tempfile::tempdir().expect("a scratch folder"), kind, Some(database))
    }

    fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres()]
    }

    fn of(scratch: tempfile::TempDir, kind: ConnectionKind, database: Option<Database>) -> Self {
        std::fs::create_dir(scratch.path().join("files")).expect("a folder");
        Self {
            scratch,
            connection: Connection {
                name: "target".to_owned(),
                kind,
            },
            database,
        }
    }

    fn folder(&self) -> PathBuf {
        self.scratch.path().join("files")
    }

    fn write(&self, name: &str, sql: &str) {
        std::fs::write(self.folder().join(name), sql).expect("a migration");
    }

    /// Two migrations with their way back.
    fn write_two(&self) {
        self.write("0001_first.up.sql", "create table first (id integer primary key);\n");
        self.write("0001_first.down.sql", "drop table first;\n");
        self.write("0002_and_second.up.sql", "create table second (id integer primary key);\n");
        self.write("0002_and_second.down.sql", "drop table second;\n");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder().join(name)).expect("a migration");
    }

    fn apply(&self) -> Result<Vec<Migration>> {
        let (connection, folder) = (self.connection.clone(), self.folder());
        block_on(async move { apply(&connection, &folder).await })
    }

    fn status(&self) -> Vec<(i64, State)> {
        let (connection, folder) = (self.connection.clone(), self.folder());
        let all = block_on(async move { schema::status(&connection, &folder).await }).expect("status");
        for migration in &all {
            assert_eq!(migration.applied, migration.state != State::Pending);
            assert_eq!(migration.applied, migration.applied_at.is_some());
        }
        all.iter().map(|migration| (migration.version, migration.state)).collect()
    }

    fn revert(&self, to: Option<i64>) -> Result<Vec<Migration>> {
        let (connection, folder) = (self.connection.clone(), self.folder());
        block_on(async move {
            schema::revert(&connection, &folder, to, &Unwatched)
                .await
                .map_err(|stopped| stopped.error)
        })
    }

    /// Tables of the target, dbferry's and sqlx's own left out.
    fn tables(&self) -> Vec<String> {
        match &self.connection.kind {
            ConnectionKind::Sqlite { path, .. } => sqlite_rows(path, "select name from sqlite_schema where type = 'table' and name not like '\\_%' escape '\\'"),
            _ => self
                .database()
                .query("select table_name::text from information_schema.tables where table_schema = 'public' and table_name not like '\\_%' order by 1")
                .into_iter()
                .map(|row| row[0].clone().expect("a name"))
                .collect(),
        }
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("a Postgres target")
    }

    /// Runs SQL on the target.
    fn execute(&self, sql: &str) {
        match &self.connection.kind {
            ConnectionKind::Sqlite { path, .. } => rusqlite::Connection::open(path)
                .and_then(|connection| connection.execute_batch(sql))
                .expect("SQL"),
            _ => drop(self.database().query(sql)),
        }
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
    for target in Target::both() {
        target.write_two();
        assert_eq!(target.status(), [(1, State::Pending), (2, State::Pending)]);
        assert_eq!(versions(&target.apply().expect("applied")), [1, 2]);
        assert_eq!(target.tables().len(), 2);
        assert_eq!(target.status(), [(1, State::Applied), (2, State::Applied)]);
        assert!(target.apply().expect("nothing to do").is_empty());

        let reverted = target.revert(None).expect("reverted");
        assert_eq!(
            (versions(&reverted), reverted[0].description.as_str()),
            (vec![2], "and second")
        );
        assert_eq!(target.tables().len(), 1);
        assert_eq!(target.status(), [(1, State::Applied), (2, State::Pending)]);
        assert_eq!(versions(&target.apply().expect("applied")), [2]);
        assert_eq!(versions(&target.revert(Some(0)).expect("reverted")), [2, 1]);
        assert!(target.tables().is_empty());
        assert!(target.revert(None).expect("nothing to do").is_empty());
    }
}

#[test]
fn looking_creates_nothing() {
    let target = Target::sqlite();
    target.write_two();
    assert_eq!(target.status().len(), 2);
    assert!(target.revert(Some(0)).expect("nothing to do").is_empty());
    assert!(!target.scratch.path().join("new").exists());

    let target = Target::postgres();
    target.write_two();
    assert_eq!(target.status().len(), 2);
    assert!(target.revert(Some(0)).expect("nothing to do").is_empty());
    let found = query(
        &postgres_url(),
        &format!("select 1::text from pg_database where datname = '{}'", target.database().name),
    );
    assert!(found.is_empty(), "the database was created");
}

#[test]
fn a_failing_migration_is_named_with_its_line_and_leaves_nothing_behind() {
    for target in Target::both() {
        target.write_two();
        target.write(
            "0003_bad.up.sql",
            "create table third (id integer primary key);\n\n  alter table third\n    rename column nosuch to other;\n",
        );
        let error = target.apply().expect_err("a bad migration");
        says(&error, ErrorKind::Mapping, "0003_bad.up.sql");
        says(&error, ErrorKind::Mapping, "nosuch");
        assert_eq!(target.tables().len(), 2, "the third table is still there");
        assert_eq!(
            target.status(),
            [(1, State::Applied), (2, State::Applied), (3, State::Pending)]
        );
        target.write("0003_bad.up.sql", "create table third (id integer primary key);\nselct 1;\n");
        let error = target.apply().expect_err("a bad migration");
        says(&error, ErrorKind::Mapping, "0003_bad.up.sql:2:1: ");
        says(&error, ErrorKind::Mapping, "nothing of it was kept");
        target.write("0003_bad.up.sql", "create table third (id integer primary key);\n");
        assert_eq!(versions(&target.apply().expect("mended")), [3]);
    }
}

#[test]
fn values_of_rows_are_in_no_message() {
    for target in Target::both() {
        target.write(
            "1_rows.sql",
            "create table t (id integer primary key, note text unique);\ninsert into t values (1, 'canary'), (2, 'canary');\n",
        );
        let error = target.apply().expect_err("rows that collide");
        says(&error, ErrorKind::Mapping, "1_rows.sql");
        assert!(!format!("{error:?}{}", error.advice()).contains("canary"), "{error:?}");
    }
    let target = Target::postgres();
    target.write(
        "1_rows.sql",
        "select 'canary'::integer;\ndo $$ begin raise exception 'canary'; end $$;",
    );
    let error = target.apply().expect_err("no number");
    assert!(!format!("{error:?}{}", error.advice()).contains("canary"), "{error:?}");
}

#[test]
fn a_changed_or_lost_migration_is_refused_by_name() {
    for target in Target::both() {
        target.write_two();
        target.apply().expect("applied");
        target.write(
            "0001_first.up.sql",
            "create table first (id integer primary key, more text);\n",
        );
        target.write("0003_third.up.sql", "create table third (id integer primary key);\n");
        let error = target.apply().expect_err("a changed migration");
        says(
            &error,
            ErrorKind::Validation,
            "migration 1 (first) was changed after it was applied",
        );
        assert_eq!(
            target.status(),
            [(1, State::Changed), (2, State::Applied), (3, State::Pending)]
        );
        assert_eq!(target.tables().len(), 2, "something was applied all the same");
        // A changed one can be undone, and applied anew.
        assert_eq!(versions(&target.revert(Some(0)).expect("reverted")), [2, 1]);
        assert_eq!(versions(&target.apply().expect("applied")), [1, 2, 3]);

        target.remove("0002_and_second.up.sql");
        target.remove("0002_and_second.down.sql");
        says(
            &target.apply().expect_err("a lost migration"),
            ErrorKind::Validation,
            "migration 2 (and second) is applied, but its file is gone",
        );
        assert_eq!(
            target.status(),
            [(1, State::Applied), (2, State::FileMissing), (3, State::Applied)]
        );
    }
}

#[test]
fn what_cannot_be_undone_is_refused_before_anything_is() {
    for target in Target::both() {
        target.write_two();
        target.remove("0001_first.down.sql");
        target.apply().expect("applied");
        let error = target.revert(Some(0)).expect_err("no way back");
        says(&error, ErrorKind::Validation, "migration 1 (first) cannot be reverted");
        assert_eq!(target.tables().len(), 2, "something was reverted all the same");
        assert_eq!(versions(&target.revert(Some(1)).expect("reverted")), [2]);
    }
}

#[test]
fn a_migration_that_was_not_finished_stops_all_others() {
    for target in Target::both() {
        target.write_two();
        target.apply().expect("applied");
        target.execute("update _sqlx_migrations set success = false where version = 2");
        target.write("0003_third.sql", "create table third (id integer primary key);\n");
        says(
            &target.apply().expect_err("a dirty target"),
            ErrorKind::Validation,
            "migration 2 (and second) was begun",
        );
        says(
            &target.revert(None).expect_err("a dirty target"),
            ErrorKind::Validation,
            "delete from _sqlx_migrations where version = 2",
        );
        assert_eq!(target.status()[1], (2, State::Unfinished));
    }
}

#[test]
fn a_file_may_run_without_a_transaction() {
    let target = Target::postgres();
    target.write_two();
    target.write(
        "3_index.sql",
        "-- no-transaction\ncreate index concurrently first_id on first (id);\n",
    );
    assert_eq!(versions(&target.apply().expect("applied")), [1, 2, 3]);

    let target = Target::sqlite();
    target.write("1_pragma.sql", "-- no-transaction\npragma foreign_keys = off;\nvacuum;\n");
    assert_eq!(versions(&target.apply().expect("applied")), [1]);
}

#[test]
fn sqlx_reads_what_was_applied() {
    let target = Target::postgres();
    target.write_two();
    target.apply().expect("applied");
    let (url, folder) = (target.database().url.clone(), target.folder());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        use sqlx::Connection as _;
        let mut connection = sqlx::PgConnection::connect(&url).await.expect("a connection");
        let migrator = sqlx::migrate::Migrator::new(Path::new(&folder)).await.expect("migrations");
        migrator.run(&mut connection).await.expect("nothing left to do");
        migrator.undo(&mut connection, 0).await.expect("undone");
    });
    assert_eq!(target.status(), [(1, State::Pending), (2, State::Pending)]);
}

/// A role that is called `dbferry` has the ledger's schema as its own, first in the search path.
#[test]
fn the_ledger_s_schema_hides_no_migration() {
    let target = Target::postgres();
    target.write_two();
    target.apply().expect("applied");
    target.execute("create schema dbferry; create table dbferry.first (id integer)");
    assert_eq!(target.status(), [(1, State::Applied), (2, State::Applied)]);
    assert_eq!(versions(&target.revert(Some(0)).expect("reverted")), [2, 1]);
    assert!(target.tables().is_empty());
}

#[test]
fn two_processes_that_migrate_one_file_apply_everything_once() {
    let target = Target::sqlite();
    for version in 1..=20 {
        target.write(
            &format!("{version}_t.sql"),
            &format!("create table t{version} (id integer);\n"),
        );
    }
    std::thread::scope(|scope| {
        let other = scope.spawn(|| target.apply());
        let outcomes = [target.apply(), other.join().expect("a thread")];
        let applied: usize = outcomes.into_iter().map(|outcome| outcome.expect("applied").len()).sum();
        assert_eq!(applied, 20);
    });
    assert!(target.apply().expect("nothing to do").is_empty());
    assert_eq!(target.tables().len(), 20);
}

#[test]
fn a_missing_database_is_created_only_where_that_is_wanted() {
    let Target {
        scratch, mut connection, ..
    } = Target::sqlite();
    if let ConnectionKind::Sqlite { create_database, .. } = &mut connection.kind {
        *create_database = false;
    }
    let folder = scratch.path().join("files");
    let error = block_on(async move { apply(&connection, &folder).await }).expect_err("no database");
    says(&error, ErrorKind::Missing, "create_database");
}

#[test]
fn two_processes_that_migrate_one_database_apply_everything_once() {
    let target = Target::postgres();
    target.write("1_log.sql", "create table log (version integer primary key);\n");
    for version in 2..=12 {
        target.write(&format!("{version}_t.sql"), &format!("insert into log values ({version});\n"));
    }
    let applied = std::thread::scope(|scope| {
        let others: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| target.apply().expect("applied").len()))
            .collect();
        others.into_iter().map(|other| other.join().expect("a thread")).sum::<usize>()
    });
    assert_eq!(applied, 12);
    assert_eq!(target.database().value("select count(*)::text from log"), "11");
}

/// One whose process was killed is known, and sqlx takes its record for unfinished, too.
#[test]
fn a_file_without_a_transaction_that_fails_can_be_mended() {
    for target in Target::both() {
        target.write_two();
        target.write("3_bad.up.sql", "-- no-transaction\nalter table nosuch rename to other;\n");
        says(
            &target.apply().expect_err("no such table"),
            ErrorKind::Mapping,
            "3_bad.up.sql",
        );
        assert_eq!(target.status()[2], (3, State::Pending));
        target.write("3_bad.up.sql", "-- no-transaction\nalter table first rename to other;\n");
        target.write("3_bad.down.sql", "-- no-transaction\nalter table other rename to first;\n");
        assert_eq!(versions(&target.apply().expect("mended")), [3]);
        assert_eq!(versions(&target.revert(None).expect("reverted")), [3]);
        assert_eq!(target.status()[2], (3, State::Pending));
    }
}
