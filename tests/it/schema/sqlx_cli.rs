//! Side by side with sqlx's own command line: each understands what the other has done.

use std::process::{Command as Process, Stdio};

use sqlx::Connection as _;
use sqlx::migrate::Migrate as _;

use super::changes::Command;
use crate::harness::{Database, Ended, block_on, sqlite_rows};

/// sqlx's command line at work on a database and the migrations of a project.
fn sqlx(command: &Command, connection: &str, url: &str, arguments: &[&str]) -> Ended {
    let install = "it is installed by `DBFERRY_SQLX=1 scripts/services.sh up`, or: cargo install --locked sqlx-cli --version 0.9.0 \
                   --no-default-features --features postgres,sqlite --root FOLDER, then DBFERRY_TEST_SQLX=FOLDER/bin/sqlx";
    let program = std::env::var("DBFERRY_TEST_SQLX").unwrap_or_else(|_| panic!("DBFERRY_TEST_SQLX is not set: {install}"));
    let output = Process::new(&program)
        .arg("migrate")
        .args(arguments)
        .arg("--source")
        .arg(command.project.path(&format!("mappings/demo/migrations/{connection}")))
        .args(["--database-url", url])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: {install}"));
    Ended::of(output)
}

fn write_three(command: &Command, connection: &str) {
    for (version, name) in [(1_i64, "first"), (20_250_101_000_000, "and_second")] {
        command.write(
            connection,
            &format!("{version}_{name}.up.sql"),
            &format!("create table {name} (id integer);\n"),
        );
        command.write(
            connection,
            &format!("{version}_{name}.down.sql"),
            &format!("drop table {name};\n"),
        );
    }
    command.write(
        connection,
        "20250102000000_index.up.sql",
        "-- no-transaction\ncreate index i on first (id);\n",
    );
    command.write(
        connection,
        "20250102000000_index.down.sql",
        "-- no-transaction\ndrop index i;\n",
    );
}

/// Whatever one has applied, the other knows as applied, reverts, and applies again.
fn both_ways(command: &Command, connection: &str, url: &str) {
    write_three(command, connection);
    let all =
        |state: &str| [1, 20_250_101_000_000_i64, 20_250_102_000_000].map(|version| format!("{connection} {version} {state}"));
    sqlx(command, connection, url, &["run"]).expect(0);
    assert_eq!(command.status(), all("applied"));
    let nothing = command.run("apply", &[]);
    assert!(nothing.expect(0).stdout.contains("everything is applied already"));
    command.run("revert", &["--to", "0", "--yes"]).expect(0);
    let info = sqlx(command, connection, url, &["info"]);
    assert_eq!(info.expect(0).stdout.matches("/pending").count(), 3, "{}", info.stdout);

    command.run("apply", &[]).expect(0);
    let info = sqlx(command, connection, url, &["info"]);
    assert_eq!(info.expect(0).stdout.matches("/installed").count(), 3, "{}", info.stdout);
    assert!(!info.stdout.contains("different checksum"), "{}", info.stdout);
    sqlx(command, connection, url, &["run"]).expect(0);
    sqlx(command, connection, url, &["revert", "--target-version", "1"]).expect(0);
    assert_eq!(command.status()[0], format!("{connection} 1 applied"));
    assert_eq!(command.status()[1], all("pending")[1]);
    command.run("apply", &["--to", "20250101000000"]).expect(0);
    sqlx(command, connection, url, &["run"]).expect(0);
    assert_eq!(command.status(), all("applied"));

    // A file that was changed is known to both by its checksum.
    command.write(connection, "1_first.up.sql", "create table first (id integer, note text);\n");
    assert_eq!(command.status()[0], format!("{connection} 1 changed"));
    let info = sqlx(command, connection, url, &["info"]);
    assert!(info.expect(0).stdout.contains("different checksum"), "{}", info.stdout);
}

#[test]
fn postgres_migrated_by_one_is_understood_by_the_other() {
    let database = Database::create();
    both_ways(&Command::on(&database), "target", &database.url);
}

#[test]
fn sqlite_migrated_by_one_is_understood_by_the_other() {
    let command = Command::with(&["one"]);
    let file = command.project.path("one.db");
    drop(rusqlite::Connection::open(&file).expect("a file"));
    both_ways(&command, "one", &format!("sqlite://{}", file.display()));
    let times = sqlite_rows(&file, "select execution_time > 0, success from _sqlx_migrations");
    assert_eq!(times.len(), 3);
    assert!(times.iter().all(|row| row == "Integer(1)|Integer(1)|"), "{times:?}");
}

/// One that was killed between two states is unfinished to both.
#[test]
fn what_is_unfinished_is_so_to_both() {
    let database = Database::create();
    let command = Command::on(&database);
    write_three(&command, "target");
    command.run("apply", &[]).expect(0);
    database.query("update _sqlx_migrations set success = false where version = 20250102000000");
    assert_eq!(command.status()[2], "target 20250102000000 unfinished");
    let run = sqlx(&command, "target", &database.url, &["run"]);
    // It says so on its standard output.
    let said = format!("{}{}", run.stdout, run.stderr);
    run.expect(1);
    assert!(said.contains("migration 20250102000000 is partially applied"), "{said}");
}

/// The lock is sqlx's own: whoever comes second waits, and says for whom.
#[test]
fn whoever_holds_the_lock_of_sqlx_is_waited_for() {
    let database = Database::create();
    let command = Command::on(&database);
    command.write("target", "1_a.sql", "create table a (id integer);\n");
    let url = database.url.clone();
    let (held, begun) = std::sync::mpsc::channel::<()>();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        block_on(async move {
            let mut connection = sqlx::PgConnection::connect(&format!("{url}?application_name=holder"))
                .await
                .expect("a connection");
            connection.lock().await.expect("the lock");
            held.send(()).expect("somebody waits");
            tokio::task::spawn_blocking(move || released.recv())
                .await
                .expect("a thread")
                .expect("somebody waits");
            connection.unlock().await.expect("given back");
        });
    });
    begun.recv().expect("the lock");
    let child = command.project.start(&["schema", "apply", "mappings/demo"]);
    crate::harness::until("it asks for the lock", || {
        let asked =
            "select count(*)::text from pg_stat_activity where datname = current_database() and application_name = 'dbferry'";
        database.value(asked) == "1"
    });
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(database.value("select count(*)::text from pg_class where relname = 'a'"), "0");
    release.send(()).expect("it waits");
    Ended::of_child(child)
        .expect(0)
        .says("target: waiting for `holder` (server process");
    holder.join().expect("a thread");
    assert_eq!(command.status(), ["target 1 applied"]);
}
