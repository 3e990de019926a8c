//! What the tests share: real servers, fresh databases, and the program run as its user would.
//!
//! A test whose server is missing fails with the command that starts it; it never skips.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, Row as _};

/// URL of the test server's maintenance database.
pub(crate) fn postgres_url() -> String {
    std::env::var("DBFERRY_TEST_POSTGRES_URL")
        .expect("DBFERRY_TEST_POSTGRES_URL is not set: start the servers with `scripts/services.sh up`, or run `scripts/test.sh`")
}

/// Runs SQL text over one connection and returns the rows of its last result as text.
pub(crate) fn query(url: &str, sql: &str) -> Vec<Vec<Option<String>>> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    block_on(async move {
        let mut connection = sqlx::PgConnection::connect(&url)
            .await
            .unwrap_or_else(|error| panic!("cannot reach {url}: {error}"));
        let rows = connection
            .fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.as_str())))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter()
            .map(|row| {
                (0..row.len())
                    .map(|i| row.try_get_unchecked::<Option<String>, _>(i).expect("text format"))
                    .collect()
            })
            .collect()
    })
}

/// First value of the first row.
pub(crate) fn value(url: &str, sql: &str) -> String {
    query(url, sql)
        .first()
        .and_then(|row| row.first().cloned().flatten())
        .unwrap_or_default()
}

/// Runs a future on a runtime of its own, on a thread of its own (so that it also works inside
/// another runtime).
pub(crate) fn block_on<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(future)
    })
    .join()
    .expect("the query thread")
}

/// Longest wait for what a test waits for.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Waits until something is reached.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < WAIT_MAX, "{what}: takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The same, while tasks of this thread go on.
pub(crate) async fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < WAIT_MAX, "{what}: takes too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Moments at random; a failing sequence of them can be repeated from its seed.
pub(crate) struct Moments(u64);

impl Moments {
    pub(crate) fn seeded() -> Self {
        let seed = std::env::var("DBFERRY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        eprintln!("DBFERRY_TEST_SEED={seed}");
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// When runs are killed: at random moments that come earlier once a run was over before its own.
/// How long the first run took says little: it may have met a busy server.
pub(crate) struct KillTimes {
    moments: Moments,
    longest: u64,
    last: u64,
}

impl KillTimes {
    /// Kills within the first so-and-so many milliseconds of a run.
    pub(crate) fn within(longest: u64) -> Self {
        Self {
            moments: Moments::seeded(),
            longest,
            last: longest,
        }
    }

    /// Sleeps until it is time to kill the run that was just started.
    pub(crate) fn wait(&mut self) {
        self.last = self.moments.below(self.longest);
        std::thread::sleep(Duration::from_millis(self.last));
    }

    /// The run had not begun yet when it was killed: the machine has become slower.
    pub(crate) fn too_early(&mut self) {
        self.longest += self.longest / 2;
    }

    /// The run was over before it could be killed.
    pub(crate) fn too_late(&mut self) {
        self.longest = self.longest.min(self.last * 2 / 3 + 60);
    }
}

/// A path of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Text of a file of this repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below a folder with that extension, in the order of their paths.
pub(crate) fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Writes a file, and the folders that it is in.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    std::fs::write(path, text).expect("a file in the scratch folder");
}

/// A connection of a configuration: a file in the project's folder.
pub(crate) fn file_connection(name: &str, kind: &str, path: &str) -> String {
    format!("[connection.{name}]\nkind = \"{kind}\"\npath = {{ value = \"{path}\" }}\n\n")
}

/// A connection of a configuration: a Postgres database whose URL is in a variable.
pub(crate) fn url_connection(name: &str, variable: &str) -> String {
    format!("[connection.{name}]\nkind = \"postgres\"\nurl = {{ env = \"{variable}\" }}\n\n")
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).expect("a copy");
        }
    }
}

/// A database of its own on the test server, dropped at the end.
pub(crate) struct Database {
    server: String,
    /// Its name.
    pub(crate) name: String,
    /// Its URL.
    pub(crate) url: String,
}

impl Database {
    /// Creates one on the shared test server.
    pub(crate) fn create() -> Self {
        Self::create_on(&postgres_url())
    }

    /// Creates one on a server given by the URL of its maintenance database.
    pub(crate) fn create_on(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("t_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        query(server, &format!("drop database if exists {name} with (force)"));
        query(server, &format!("create database {name}"));
        let (start, _) = server.rsplit_once('/').expect("a URL with a database");
        Self {
            server: server.to_owned(),
            url: format!("{start}/{name}"),
            name,
        }
    }

    /// Rows as text.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        query(&self.url, sql)
    }

    /// One value as text.
    pub(crate) fn value(&self, sql: &str) -> String {
        value(&self.url, sql)
    }

    /// Waits until nobody else is connected: what a session has read and written is told when it ends.
    pub(crate) fn until_alone(&self) {
        let sessions = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        until("nobody else is connected", || self.value(sessions) == "0");
    }

    /// How many rows were ever inserted, updated and deleted in its tables.
    pub(crate) fn rows_written(&self) -> u64 {
        self.until_alone();
        let written = self.value("select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables");
        written.parse().expect("a count")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that stopped its server has nothing to drop.
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || query(&server, &format!("drop database if exists {name} with (force)")));
        drop(dropped.join());
    }
}

/// A project in a folder of its own: configuration, mapping, SQLite source.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Project {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        std::fs::create_dir_all(folder.path().join("config")).expect("config");
        std::fs::create_dir_all(folder.path().join("mappings/demo")).expect("mappings");
        Self {
            folder,
            environment: Vec::new(),
        }
    }

    /// Path within it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    /// Text of a file.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Sets a variable for every command.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Variables of every command.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The program with arguments, in this folder, without the tester's own variables.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dbferry"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null());
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("XDG_STATE_HOME", self.path(".state"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it; [`Ended::of_child`] hears what it says.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Starts it to be killed: nobody hears what it says.
    pub(crate) fn start_unheard(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program starts")
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().expect("the program starts"))
    }

    /// Runs SQL on an SQLite file in the folder.
    pub(crate) fn sqlite(&self, file: &str, sql: &str) {
        let connection = rusqlite::Connection::open(self.path(file)).expect("an SQLite file");
        connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ended {
    /// From the finished process.
    pub(crate) fn of_child(child: Child) -> Self {
        Self::of(child.wait_with_output().expect("an end"))
    }

    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("output in UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("messages in UTF-8"),
        }
    }

    /// Checks the exit code and shows everything where it differs.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that a message holds a text.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        // Messages are wrapped to the width of the terminal.
        let flat = |text: &str| {
            text.split_whitespace()
                .filter(|word| !matches!(*word, "│" | "┃"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(flat(&self.stderr).contains(&flat(text)), "no `{text}` in:\n{}", self.stderr);
        self
    }

    /// The JSON document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }
}

/// All rows of an SQLite query, rendered with their storage classes.
pub(crate) fn sqlite_rows(file: &Path, sql: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(file).expect("an SQLite file");
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let rows = statement
        .query_map([], |row| {
            let mut text = String::new();
            for column in 0..columns {
                write!(text, "{:?}|", row.get_ref(column)?).expect("writing to a string");
            }
            Ok(text)
        })
        .expect("a query");
    rows.map(|row| row.expect("a row")).collect()
}

/// Streams of a verification's document that are anything but equal.
pub(crate) fn unequal(report: &serde_json::Value) -> Vec<&serde_json::Value> {
    let streams = report["streams"].as_array().expect("streams");
    streams.iter().filter(|stream| stream["status"] != "equal").collect()
}
