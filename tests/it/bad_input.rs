//! Bad input: each ends with one clear message with a hint, the right exit code, and nothing
//! half-written.

use std::process::Command;

use crate::harness::{Database, Project};
use crate::items;

#[test]
fn a_file_that_is_no_database() {
    let (project, database) = items::into_postgres(1);
    for end in ["app.db-wal", "app.db-shm"] {
        drop(std::fs::remove_file(project.path(end)));
    }
    project.write("app.db", &"this is not a database ".repeat(100));
    project.run(&["run", "mappings/demo"]).expect(1).says("not a database");
    assert_eq!(database.value("select count(*) from items"), "0");
}

#[test]
fn a_file_that_is_not_there() {
    let (project, _database) = items::into_postgres(1);
    std::fs::remove_file(project.path("app.db")).expect("the file was there");
    project.run(&["run", "mappings/demo"]).expect(3).says("app.db");
    assert!(!project.path("app.db").exists(), "a source is never created");
}

#[test]
fn a_file_without_permission() {
    let (project, _database) = items::into_postgres(1);
    let mut command = project.command(&["run", "mappings/demo"]);
    if Command::new("id").arg("-u").output().expect("id").stdout == b"0\n" {
        // Root may read everything: run as nobody, who may enter the folder but not read the file.
        assert!(
            Command::new("chmod")
                .args(["-R", "go+rX"])
                .arg(project.path("."))
                .status()
                .expect("chmod")
                .success()
        );
        assert!(
            Command::new("chmod")
                .arg("600")
                .arg(project.path("app.db"))
                .status()
                .expect("chmod")
                .success()
        );
        let binary = project.path("dbferry");
        std::fs::copy(env!("CARGO_BIN_EXE_dbferry"), &binary).expect("a copy that nobody may run");
        let environment: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.to_owned())))
            .collect();
        command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(binary)
            .args(["run", "mappings/demo"]);
        command.current_dir(project.path(".")).env_clear().envs(environment);
    } else {
        assert!(
            Command::new("chmod")
                .arg("000")
                .arg(project.path("app.db"))
                .status()
                .expect("chmod")
                .success()
        );
    }
    crate::harness::Ended::of(command.output().expect("the program starts"))
        .expect(3)
        .says("permission");
}

#[test]
fn a_database_locked_by_another_process() {
    let (project, database) = items::into_postgres(5);
    project.sqlite("app.db", "pragma journal_mode = delete");
    let writer = rusqlite::Connection::open(project.path("app.db")).expect("the file");
    writer.execute_batch("begin exclusive").expect("the lock");
    project.run(&["run", "mappings/demo"]).expect(3).says("locked");
    writer.execute_batch("rollback").expect("the end");
    project.run(&["run", "mappings/demo"]).expect(0);
    assert_eq!(database.value("select count(*) from items"), "5");
}

#[test]
fn a_missing_target_table_and_database() {
    let (project, database) = items::into_postgres(5);
    database.query("alter table items rename to item");
    project
        .run(&["run", "mappings/demo"])
        .expect(3)
        .says("no table `items`")
        .says("did you mean `target.item`?");
    let mut other = items::into(&format!("{}_none", database.url));
    items::fill(&other, 5);
    other.run(&["run", "mappings/demo"]).expect(3).says("create_database");
    let config = std::fs::read_to_string(other.path("config/development.toml")).expect("the file");
    other.write(
        "config/development.toml",
        &config.replace("url =", "create_database = true\nurl ="),
    );
    other.write(
        "mappings/demo/migrations/target/20240101000000_items.sql",
        items::POSTGRES_DDL,
    );
    other.set("LANG", "C");
    other.run(&["run", "mappings/demo"]).expect(3).says("dbferry schema apply");
    other.run(&["run", "mappings/demo", "--apply-schema"]).expect(0);
    assert_eq!(
        crate::harness::value(&format!("{}_none", database.url), "select count(*) from items"),
        "5"
    );
    crate::harness::query(
        &crate::harness::postgres_url(),
        &format!("drop database {}_none with (force)", database.name),
    );
}

#[test]
fn a_full_disk_under_a_postgres_table() {
    let (project, database) = items::into_postgres(60_000);
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(folder.path())
        .status()
        .expect("mount");
    assert!(mount.success(), "this test mounts a small tmpfs and needs the right to do so");
    let unmount = Unmount(folder.path().to_owned());
    assert!(
        Command::new("chown")
            .arg("postgres")
            .arg(folder.path())
            .status()
            .expect("chown")
            .success()
    );
    assert!(
        Command::new("chmod")
            .arg("a+x")
            .arg(folder.path())
            .status()
            .expect("chmod")
            .success()
    );
    let space = format!("small_{}", database.name);
    database.query(&format!("create tablespace {space} location '{}'", folder.path().display()));
    database.query(&format!("alter table items set tablespace {space}"));
    project
        .run(&["run", "mappings/demo", "--batch-size", "2000"])
        .expect(3)
        .says("no space")
        .says("free some space");
    let rows: u32 = database.value("select count(*) from items").parse().expect("a count");
    assert!(
        rows > 0 && rows.is_multiple_of(2000),
        "{rows} rows, which is not a number of whole batches"
    );
    assert_eq!(
        database.value("select rows_inserted from dbferry.checkpoint"),
        rows.to_string()
    );
    database.query("alter table items set tablespace pg_default");
    database.query(&format!("drop tablespace {space}"));
    project.run(&["run", "mappings/demo"]).expect(0);
    assert_eq!(database.value("select count(*) from items"), "60000");
    drop(unmount);
}

/// Unmounts at the end, also after a failure.
struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_rating_of_1200_is_refused_by_numeric_5_2_with_row_and_column() {
    let database = Database::create();
    database.query("create table ratings (id text primary key, skill_rating numeric(5,2))");
    let project = items::into(&database.url);
    project.sqlite("app.db", "create table ratings (id text primary key not null, skill_rating integer); insert into ratings values ('a', 999), ('b', 1200)");
    project.write(
        "mappings/demo/streams.toml",
        "[[stream]]\nname = \"ratings\"\nfrom = \"app.ratings\"\nto = \"target.ratings\"\nkey = [\"id\"]\nsame_name_columns = true\n[stream.columns]\nid = \"id\"\n",
    );
    project.run(&["run", "mappings/demo"]).expect(4).says("numeric(5,2)");
    let reject = database.query("select source_key, column_name, reason, source_row from dbferry.reject");
    assert_eq!(reject.len(), 1);
    assert_eq!(
        reject[0][..3],
        [
            Some("[{\"text\":\"b\"}]".to_owned()),
            Some("skill_rating".to_owned()),
            Some("out_of_range".to_owned())
        ]
    );
    assert!(reject[0][3].as_deref().is_some_and(|row| row.contains("1200")));
    assert_eq!(database.value("select count(*) from ratings"), "1");
}

#[test]
fn cells_and_secrets_are_in_no_output() {
    let database = Database::create();
    database.query("create table t (id text primary key, n integer, u text unique)");
    let mut project = Project::new();
    project.set("TARGET_URL", &database.url);
    project.write(
        "config/development.toml",
        "[connection.app]\nkind = \"sqlite\"\npath = { value = \"app.db\" }\n[connection.target]\nkind = \"postgres\"\nurl = { env = \"TARGET_URL\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write(
        "mappings/demo/streams.toml",
        "[[stream]]\nname = \"t\"\nfrom = \"app.t\"\nto = \"target.t\"\nkey = [\"id\"]\nsame_name_columns = true\n[stream.columns]\nid = \"id\"\nn = \"CAST(n AS BIGINT) / 1\"\n",
    );
    project.sqlite(
        "app.db",
        "create table t (id text primary key not null, n text, u text);
         insert into t values ('canary-key-1', 'canary-number', 'canary-u'), ('canary-key-2', '5', 'canary-u2'), ('canary-key-3', '5', 'canary-u2'),
             ('canary-key-4', '99999999999', 'canary-x')",
    );
    for arguments in [
        vec!["run", "mappings/demo", "--max-rejects", "10", "--log", "trace"],
        vec![
            "run",
            "mappings/demo",
            "--max-rejects",
            "10",
            "--restart",
            "--output",
            "json",
            "--log",
            "trace",
        ],
        vec!["stats", "mappings/demo"],
        vec!["plan", "mappings/demo", "--output", "json"],
    ] {
        let ended = project.run(&arguments);
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains("canary"), "{arguments:?} shows a cell:\n{text}");
            assert!(!text.contains("dbferry:dbferry@"), "{arguments:?} shows the URL:\n{text}");
        }
    }
    assert!(
        database
            .value("select source_row from dbferry.reject limit 1")
            .contains("canary"),
        "the reject store keeps the row"
    );
}
