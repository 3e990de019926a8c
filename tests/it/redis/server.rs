//! A Redis server of a test's own: a process on a free port, with a folder of its own.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Client, Connection, FromRedisValue, RedisResult, cmd};
use tempfile::TempDir;

use super::dump::{Dump, dump_of};
use crate::harness::{until, write};

/// As whom the tests look at a server: options may lock out everybody else.
const TESTER: &str = "tester";

/// How long a server may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Ports that no connection is given by the system, so that a server finds its port free when it
/// comes back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A server; killed when it is dropped.
pub(crate) struct Server {
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
    folder: TempDir,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Starts one with these options besides those that every server of the tests has; later ones
    /// win. It keeps nothing on disk unless `appendonly` says so.
    pub(crate) fn start(options: &[(&str, &str)]) -> Self {
        let server = Self::spawn(options);
        server.until_it_answers();
        server
    }

    /// The same, without waiting until it answers.
    pub(super) fn spawn(options: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let port = free_port();
        let mut lines = format!(
            "port {port}\nbind 127.0.0.1\ndir \"{}\"\nlogfile server.log\nsave \"\"\nappendonly no\nappendfsync no\n\
             user {TESTER} on nopass ~* &* +@all\n",
            folder.path().display()
        );
        for (name, value) in options {
            let value = if value.is_empty() { "\"\"" } else { value };
            lines.extend([name, " ", value, "\n"]);
        }
        write(&folder.path().join("redis.conf"), &lines);
        let server = Self {
            port,
            folder,
            child: Mutex::default(),
        };
        server.spawn_again();
        server
    }

    /// URL of its database 0 for the default user.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// URL for somebody.
    pub(crate) fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}/0", self.port)
    }

    /// Path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            match child.kill() {
                Err(error) if error.kind() != ErrorKind::InvalidInput => panic!("the server cannot be killed: {error}"),
                _ => {}
            }
            child.wait().expect("the end of the server");
        }
    }

    /// Starts it again on its port, with what its folder has.
    pub(crate) fn restart(&self) {
        self.kill();
        self.spawn_again();
        self.until_it_answers();
    }

    /// Whether its process is there.
    pub(crate) fn is_running(&self) -> bool {
        self.child()
            .as_mut()
            .is_some_and(|child| child.try_wait().expect("the state of the server").is_none())
    }

    /// What it answers to a command.
    pub(crate) fn query<T: FromRedisValue>(&self, words: &[impl AsRef<[u8]>]) -> T {
        self.try_query(words)
            .unwrap_or_else(|error| panic!("{}: {error}", spoken(words)))
    }

    /// The same, where it may refuse.
    pub(crate) fn try_query<T: FromRedisValue>(&self, words: &[impl AsRef<[u8]>]) -> RedisResult<T> {
        ask(&mut self.connect()?, words)
    }

    /// All keys but dbferry's own.
    pub(crate) fn dump(&self) -> Dump {
        self.dump_behind("")
    }

    /// All keys that begin with a prefix, without it, and without dbferry's own behind it.
    pub(crate) fn dump_behind(&self, prefix: &str) -> Dump {
        let mut connection = self.connect().expect("a connection to the server");
        dump_of(&mut connection, prefix).unwrap_or_else(|error| panic!("what the server holds: {error}"))
    }

    pub(super) fn connect(&self) -> RedisResult<Connection> {
        let connection = Client::open(self.url_as(TESTER, "any"))?.get_connection_with_timeout(ANSWER_MAX)?;
        connection.set_read_timeout(Some(ANSWER_MAX))?;
        connection.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(connection)
    }

    pub(super) fn until_it_answers(&self) {
        until("a Redis server", || {
            assert!(self.is_running(), "the server does not start: {}", self.log());
            self.try_query::<String>(&["PING"]).is_ok_and(|answer| answer == "PONG")
        });
    }

    fn spawn_again(&self) {
        let mut command = Command::new("redis-server");
        command.arg(self.path("redis.conf")).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server: {error}; `scripts/services.sh up` installs it"));
        *self.child() = Some(child);
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes beside each other begin at different places.
    let begin = u64::from(std::process::id()) * 61;
    for _ in PORTS {
        let next = begin + u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(next % u64::from(PORTS.end - PORTS.start)).expect("less than a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

fn ask<T: FromRedisValue>(connection: &mut Connection, words: &[impl AsRef<[u8]>]) -> RedisResult<T> {
    let (name, arguments) = words.split_first().expect("a command");
    let mut command = cmd(&String::from_utf8_lossy(name.as_ref()));
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    command.query(connection)
}

fn spoken(words: &[impl AsRef<[u8]>]) -> String {
    let words: Vec<String> = words.iter().map(|word| word.as_ref().escape_ascii().to_string()).collect();
    words.join(" ")
}

#[test]
fn a_server_starts_keeps_what_it_is_told_and_ends() {
    let server = Server::start(&[("appendonly", "yes")]);
    server.query::<()>(&["SET", "plain", "a"]);
    assert_eq!(server.query::<String>(&["GET", "plain"]), "a");
    server.kill();
    assert!(!server.is_running());
    assert!(server.try_query::<String>(&["PING"]).is_err());
    server.restart();
    assert_eq!(server.query::<String>(&["GET", "plain"]), "a");
    let port = server.port;
    drop(server);
    TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
}

#[test]
fn options_hold_and_lock_out_everybody_but_the_tests() {
    let server = Server::start(&[
        ("requirepass", "hunter2"),
        ("maxmemory", "64mb"),
        ("maxmemory-policy", "noeviction"),
    ]);
    let options: Vec<String> = server.query(&["CONFIG", "GET", "maxmemory"]);
    assert_eq!(options, ["maxmemory", "67108864"]);
    let ping = |url: String| -> RedisResult<String> { cmd("PING").query(&mut Client::open(url)?.get_connection()?) };
    assert!(ping(server.url()).is_err());
    assert_eq!(ping(server.url_as("", "hunter2")).expect("the right password"), "PONG");
}
