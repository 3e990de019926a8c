//! `dbferry backfill`: columns of rows are filled in where they are, while others work on the table.
//! What has to come of it is asked of the server by SQL that dbferry has no part in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use sqlx::{Connection as _, Executor as _};

use crate::harness::{Database, Project, block_on, url_connection};

mod bad_input;
mod fills;
mod interrupted;
mod locks;
mod mindia;
mod replication;
mod throttled;

/// A table of an application: `doubled` is to become twice the number in `legacy`. It is proven by the
/// table itself that nothing else is ever written into it: a check of each row version.
const TABLE: &str = "
    create table entries (
        id bigint primary key,
        legacy text,
        hits integer not null default 0,
        doubled bigint,
        touched timestamptz,
        constraint computed_from_this_row check (doubled is null or legacy is null or doubled = legacy::bigint * 2)
    );
    create function touch() returns trigger language plpgsql as $$
        begin new.touched = clock_timestamp(); return new; end $$;
    create trigger touch before update on entries for each row execute function touch();";

const MAPPING: &str = r#"
[[backfill]]
name = "doubled"
table = "app.entries"
where = "legacy is not null"
pending = "doubled is null"

[backfill.columns]
doubled = "legacy::bigint * 2"
"#;

/// A project of one connection with backfills.
fn project(url: &str, mapping: &str, limits: &str) -> Project {
    let mut project = Project::new();
    project.write(
        "config/development.toml",
        &format!("{}[limits]\n{limits}", url_connection("app", "APP_URL")),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"app\"]\n",
    );
    project.write("mappings/demo/backfills.toml", mapping);
    project.set("APP_URL", url);
    project
}

/// A database with so many rows to be filled in.
fn filled(database: &Database, rows: u32) {
    database.query(TABLE);
    database.query(&format!(
        "insert into entries (id, legacy) select i, (i * 7)::text from generate_series(1, {rows}) i"
    ));
    database.query("analyze entries");
}

/// Rows as the expression does not leave them.
const WRONG: &str = "select count(*) from entries where doubled is distinct from legacy::bigint * 2";

/// A session of an application that does something over and over, until it is told to stop.
struct Application {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Application {
    /// `statement` makes the next statement from the number of those before.
    fn works(url: &str, statement: impl Fn(u64) -> String + Send + 'static) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (url, stopped, counted) = (url.to_owned(), Arc::clone(&stop), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            block_on(async move {
                let mut connection = sqlx::PgConnection::connect(&url).await.expect("a connection");
                while !stopped.load(Ordering::SeqCst) {
                    let sql = statement(counted.load(Ordering::SeqCst));
                    let done = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.as_str()))).await;
                    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        });
        Self { stop, done, thread }
    }

    /// How many statements it carried out.
    fn ends(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the application had no error");
        self.done.load(Ordering::SeqCst)
    }
}

/// A transaction of somebody else's that stays open until it is dropped.
struct Holder {
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Holder {
    /// Opens a transaction and carries these statements out in it.
    fn of(url: &str, sql: &str) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let (began, has_begun) = std::sync::mpsc::channel();
        let (url, sql) = (url.to_owned(), format!("begin; {sql}"));
        let thread = std::thread::spawn(move || {
            block_on(async move {
                let mut connection = sqlx::PgConnection::connect(&url).await.expect("a connection");
                let held = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.as_str()))).await;
                held.unwrap_or_else(|error| panic!("{sql}: {error}"));
                began.send(()).expect("the test waits");
                // Ends with the test, too.
                stopped.recv().unwrap_or_default();
                connection.execute("rollback").await.expect("an end");
            });
        });
        has_begun.recv().expect("the statements are carried out");
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.stop.send(()).unwrap_or_default();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
