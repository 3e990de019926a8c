//! The command as its user types it: what is applied, printed, made and told.

use serde_json::Value;

use crate::harness::{Database, Ended, Project, file_connection, postgres_url, sqlite_rows, url_connection};

/// A project without streams whose targets are SQLite files.
pub(super) struct Command {
    pub(super) project: Project,
}

impl Command {
    pub(super) fn with(connections: &[&str]) -> Self {
        let project = Project::new();
        let config: Vec<String> = connections
            .iter()
            .map(|name| {
                let connection = file_connection(name, "sqlite", &format!("{name}.db"));
                format!(
                    "{}create_database = true\n\n",
                    connection.trim_end_matches('\n').to_owned() + "\n"
                )
            })
            .collect();
        project.write("config/development.toml", &config.concat());
        let command = Self { project };
        command.write_project(connections);
        command
    }

    /// With one Postgres target, that is there.
    pub(super) fn on(database: &Database) -> Self {
        let mut project = Project::new();
        project.set("TARGET_URL", &database.url);
        project.write("config/development.toml", &url_connection("target", "TARGET_URL"));
        let command = Self { project };
        command.write_project(&["target"]);
        command
    }

    fn write_project(&self, sinks: &[&str]) {
        let sinks: Vec<String> = sinks.iter().map(|name| format!("\"{name}\"")).collect();
        let text = format!("name = \"demo\"\nsources = []\nsinks = [{}]\n", sinks.join(", "));
        self.project.write("mappings/demo/project.toml", &text);
    }

    pub(super) fn write(&self, connection: &str, file: &str, text: &str) {
        self.project
            .write(&format!("mappings/demo/migrations/{connection}/{file}"), text);
    }

    pub(super) fn run(&self, command: &str, more: &[&str]) -> Ended {
        self.project.run(&[&["schema", command, "mappings/demo"], more].concat())
    }

    /// Connection, version and state of every migration of a document.
    pub(super) fn states(document: &Value) -> Vec<String> {
        let all = document["migrations"].as_array().expect("migrations");
        all.iter()
            .map(|one| {
                format!(
                    "{} {} {}",
                    one["connection"].as_str().expect("a name"),
                    one["version"],
                    one["state"].as_str().expect("a state")
                )
            })
            .collect()
    }

    pub(super) fn status(&self) -> Vec<String> {
        Self::states(&self.run("status", &["--output", "json"]).expect(0).json())
    }
}

#[test]
fn a_failure_says_what_was_applied_and_what_was_not_begun() {
    let command = Command::with(&["one", "two", "three"]);
    for connection in ["one", "two", "three"] {
        command.write(connection, "1_a.up.sql", "create table a (id integer);\n");
        command.write(connection, "1_a.down.sql", "drop table a;\n");
        command.write(connection, "3_c.sql", "create table c (id integer);\n");
    }
    command.write(
        "two",
        "2_b.sql",
        "create table b (id integer);\ncreate table a (id integer);\n",
    );
    let failed = command.run("apply", &["--output", "json"]);
    failed.expect(2).says("2_b.sql:2:");
    let document = failed.json();
    assert_eq!(document["status"], "failed");
    assert!(
        document["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("migration 2 (b)"))
    );
    assert_eq!(
        Command::states(&document),
        [
            "one 1 applied",
            "one 3 applied",
            "two 1 applied",
            "two 2 failed",
            "two 3 pending",
            "three 1 pending",
            "three 3 pending"
        ]
    );
    assert_eq!(
        command.status(),
        [
            "one 1 applied",
            "one 3 applied",
            "two 1 applied",
            "two 2 pending",
            "two 3 pending",
            "three 1 pending",
            "three 3 pending"
        ]
    );
    let text = command.run("apply", &[]);
    assert!(text.expect(2).stdout.contains("failed"), "{}", text.stdout);
    // A fault that files alone show is told before anything is applied anywhere.
    command.write("two", "2_b.sql", "create table b (id integer);\n");
    command.write("three", "x.sql", "");
    command.run("apply", &[]).expect(2).says("not named as a migration");
    assert_eq!(command.status_of("two"), ["two 1 applied", "two 2 pending", "two 3 pending"]);
}

impl Command {
    fn status_of(&self, connection: &str) -> Vec<String> {
        let ended = self.run("status", &["--only", connection, "--output", "json"]);
        Self::states(&ended.expect(0).json())
    }
}

#[test]
fn a_dry_run_prints_the_sql_and_writes_nothing() {
    let command = Command::with(&["one", "two"]);
    command.write("one", "1_a.up.sql", "create table a (id integer);\n");
    command.write("one", "1_a.down.sql", "drop table a;\n");
    command.write("one", "2_b.sql", "-- no-transaction\nvacuum;\ndrop table if exists a;");
    command.write("two", "1_a.sql", "create table a (id integer);\n");
    let shown = command.run("apply", &["--dry-run"]);
    shown.expect(0).says("drops table a");
    assert_eq!(
        shown.stdout,
        "-- apply one 1 a: mappings/demo/migrations/one/1_a.up.sql\ncreate table a (id integer);\n\n\
         -- apply one 2 b, without a transaction: mappings/demo/migrations/one/2_b.sql\n-- no-transaction\nvacuum;\ndrop table if exists a;\n\n\
         -- apply two 1 a: mappings/demo/migrations/two/1_a.sql\ncreate table a (id integer);\n\n"
    );
    assert!(!command.project.path("one.db").exists() && !command.project.path("two.db").exists());
    let document = command
        .run("apply", &["--dry-run", "--output", "json", "--only", "one"])
        .expect(0)
        .json();
    assert_eq!(document["status"], "planned");
    assert_eq!(
        document["migrations"][1]["sql"],
        "-- no-transaction\nvacuum;\ndrop table if exists a;"
    );
    assert_eq!(document["destructive"][0]["line"], 3);
    assert_eq!(document["destructive"][0]["what"], "drops table a");

    command.run("apply", &["--to", "1"]).expect(0);
    let before = sqlite_rows(&command.project.path("one.db"), "select * from _sqlx_migrations");
    let shown = command.run("revert", &["--only", "one", "--dry-run"]);
    assert_eq!(
        shown.expect(0).stdout,
        "-- revert one 1 a: mappings/demo/migrations/one/1_a.down.sql\ndrop table a;\n\n"
    );
    assert_eq!(
        sqlite_rows(&command.project.path("one.db"), "select * from _sqlx_migrations"),
        before
    );
}

/// Not even the table of records, or the database.
#[test]
fn a_dry_run_leaves_a_server_as_it_was() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write("target", "1_a.sql", "create table a (id integer);\n");
    command.run("apply", &["--dry-run"]).expect(0);
    let tables = "select count(*)::text from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(database.value(tables), "0");
    let name = format!("{}_missing", database.name);
    let mut command = command;
    command.project.set("TARGET_URL", &format!("{}_missing", database.url));
    command.run("apply", &["--dry-run"]).expect(0);
    let there = format!("select count(*)::text from pg_database where datname = '{name}'");
    assert_eq!(crate::harness::value(&postgres_url(), &there), "0");
}

#[test]
fn only_what_is_asked_for_is_applied() {
    let command = Command::with(&["one", "two"]);
    for connection in ["one", "two"] {
        for version in [1, 2, 3] {
            command.write(
                connection,
                &format!("{version}_a.up.sql"),
                &format!("create table a{version} (id integer);\n"),
            );
            command.write(
                connection,
                &format!("{version}_a.down.sql"),
                &format!("drop table a{version};\n"),
            );
        }
    }
    command.run("apply", &["--only", "two", "--to", "2"]).expect(0);
    command.run("apply", &["--connection", "two", "--to", "1"]).expect(0);
    assert_eq!(
        command.status(),
        [
            "one 1 pending",
            "one 2 pending",
            "one 3 pending",
            "two 1 applied",
            "two 2 applied",
            "two 3 pending"
        ]
    );
    command
        .run("apply", &["--to", "7"])
        .expect(2)
        .says("no migration has version 7");
    command
        .run("apply", &["--only", "one,nosuch"])
        .expect(2)
        .says("no migrations for connection `nosuch`");
    command.run("apply", &["--only", "one,two"]).expect(0);
    command.run("revert", &["--to", "1"]).expect(2).says("--yes");
    command.run("revert", &["--to", "1", "--yes", "--only", "one"]).expect(0);
    assert_eq!(command.status_of("one"), ["one 1 applied", "one 2 pending", "one 3 pending"]);
    // What sqlx calls missing and changed has a name in status.
    command.write("two", "1_a.up.sql", "create table a1 (id text);\n");
    for way in ["up", "down"] {
        let file = command.project.path(&format!("mappings/demo/migrations/two/2_a.{way}.sql"));
        std::fs::remove_file(file).expect("a file");
    }
    assert_eq!(
        command.status_of("two"),
        ["two 1 changed", "two 2 file_missing", "two 3 applied"]
    );
}

#[test]
fn a_new_migration_is_a_pair_named_after_the_moment() {
    let command = Command::with(&["one", "two"]);
    command
        .run("new", &["add_note"])
        .expect(2)
        .says("--connection with one of `one` and `two`");
    command
        .run("new", &["add/note", "--connection", "one"])
        .expect(2)
        .says("no name for a migration");
    command
        .run("new", &["add_note", "--connection", "nosuch"])
        .expect(2)
        .says("no target `nosuch`");
    let made = command.run("new", &["add a-note", "--connection", "one", "--output", "json"]);
    let document = made.expect(0).json();
    let version = document["version"].as_i64().expect("a version");
    assert!((20_200_101_000_000..99_991_231_235_959).contains(&version), "{version}");
    let up = format!("mappings/demo/migrations/one/{version}_add_a_note.up.sql");
    assert_eq!(document["files"][0], up.as_str());
    assert!(command.project.path(&up).exists());
    assert!(command.project.path(&up.replace(".up.", ".down.")).exists());
    assert_eq!(command.status_of("one"), [format!("one {version} pending")]);
    // It applies as it is.
    command.run("apply", &["--only", "one"]).expect(0);
    // A later one, or one of this second, is never overtaken or written over.
    command.write("one", "99990101000000_later.sql", "");
    command
        .run("new", &["another", "--connection", "one"])
        .expect(2)
        .says("99990101000000");
}
