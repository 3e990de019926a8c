//! Postgres servers of a test's own, with the binaries that the test servers run.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Database, until};

/// A server of the test's own, to be stopped and started.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    port: u16,
}

impl Server {
    /// A new one, which runs.
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services.sh");
        let output = Command::new(script).arg("pg-bin").output().expect("scripts/services.sh");
        let binaries = PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim());
        let server = Self::empty(binaries);
        let data = server.data();
        server.as_server_user("initdb", &["-D", &data, "-U", "dbferry", "-A", "trust", "-N"]);
        server.up();
        server
    }

    /// A folder and a port for one.
    fn empty(binaries: PathBuf) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let folder = tempfile::tempdir().expect("a scratch folder");
        let server = Self { folder, binaries, port };
        server.as_server_user("chown", &[]);
        server
    }

    /// A server that follows this one.
    pub(crate) fn standby(&self) -> Self {
        let standby = Self::empty(self.binaries.clone());
        let from = format!("host=127.0.0.1 port={} user=dbferry application_name=follower", self.port);
        standby.as_server_user(
            "pg_basebackup",
            &["-D", &standby.data(), "-R", "-X", "stream", "-c", "fast", "-d", &from],
        );
        standby.up();
        standby
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// The server refuses to run as root: as root its tools run as the package's own user.
    fn as_server_user(&self, tool: &str, args: &[&str]) {
        let root = Command::new("id").arg("-u").output().expect("id").stdout == b"0\n";
        if tool == "chown" {
            if root {
                let status = Command::new("chown")
                    .arg("-R")
                    .arg("postgres")
                    .arg(self.folder.path())
                    .status();
                assert!(status.expect("chown").success());
            }
            return;
        }
        let path = self.binaries.join(tool);
        let mut command = if root {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
                .arg(path);
            command
        } else {
            Command::new(path)
        };
        let status = command
            .args(args)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect(tool).success(), "{tool} failed");
    }

    /// Starts it.
    pub(crate) fn up(&self) {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''", self.port);
        let log = self.folder.path().join("log").display().to_string();
        self.as_server_user("pg_ctl", &["-D", &self.data(), "-o", &options, "-l", &log, "-w", "start"]);
    }

    /// Stops it.
    pub(crate) fn down(&self, mode: &str) {
        self.as_server_user("pg_ctl", &["-D", &self.data(), "-m", mode, "-w", "stop"]);
    }

    /// URL of its maintenance database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://dbferry@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down("immediate");
    }
}

/// Waits until a standby has all that was written so far.
pub(crate) fn until_followed(primary: &Database) {
    let followed = "select count(*) from pg_stat_replication where state = 'streaming' and replay_lsn = pg_current_wal_lsn()";
    until("the standby follows", || primary.value(followed) == "1");
}

/// Waits until a figure that grows does so no more, and returns it. How long nothing has to come is longer than
/// any pause of a run that goes on.
pub(crate) fn until_it_stays(figure: impl Fn() -> u64) -> u64 {
    let mut before = 0;
    until("it has paused", || {
        std::thread::sleep(Duration::from_millis(1_500));
        let now = figure();
        std::mem::replace(&mut before, now) == now
    });
    before
}
