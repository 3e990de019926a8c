//! Nodes of a test's own: processes on loopback addresses of their own, with folders of their own,
//! that may be stopped and killed.
//!
//! What such a node has confirmed is on its disk, so that a kill loses nothing of it. (Cassandra's
//! default confirms what is in its memory alone.)

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use scylla::frame::types::Consistency;
use tempfile::TempDir;

use super::Cql;
use crate::harness::{repository, until, write};

/// Port for clients. All nodes of a cluster have the same.
const PORT: u16 = 9042;
/// Port for other nodes.
const STORAGE_PORT: u16 = 7000;
/// Nodes of tests live for seconds: the better compiler would only take their time.
const JAVA_OPTIONS: &str = "-XX:TieredStopAtLevel=1";
const HEAP: &str = "256M";

/// What a node is like.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Node that it joins.
    pub(crate) beside: Option<&'a Node>,
    /// Lets in nobody without a password; `cassandra` with the password `cassandra` is there.
    pub(crate) passwords: bool,
    /// Speaks TLS alone. The certificate is its address's, by the authority in `ca_file()`.
    pub(crate) tls: bool,
    /// Lines of cassandra.yaml that stand in for those that nodes of the tests have.
    pub(crate) settings: &'a str,
}

/// A node; killed when it is dropped.
pub(crate) struct Node {
    address: Ipv4Addr,
    seed: Option<String>,
    folder: TempDir,
    child: Mutex<Option<Child>>,
}

impl Node {
    /// Starts one that is alone and lets everybody in.
    pub(crate) fn start() -> Self {
        Self::start_as(&Setup::default())
    }

    /// Starts one, and waits until it answers; if it joins another, until each knows the other.
    pub(crate) fn start_as(setup: &Setup<'_>) -> Self {
        let node = Self {
            address: free_address(),
            seed: setup.beside.map(|seed| format!("{}:{STORAGE_PORT}", seed.address)),
            folder: tempfile::tempdir().expect("a scratch folder"),
            child: Mutex::default(),
        };
        let mut settings = format!("commitlog_sync: batch\n{}", setup.settings);
        if setup.beside.is_some() {
            // Keyspaces are made when all nodes are there: there is nothing to fetch from others.
            settings += "\nauto_bootstrap: false\n";
        }
        if setup.passwords {
            settings += "\nauthenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n";
        }
        if setup.tls {
            node.make_certificates();
            settings += "\nclient_encryption_options:\n  enabled: true\n  optional: false\n  ssl_context_factory:\n    \
                         class_name: org.apache.cassandra.security.PEMBasedSslContextFactory\n  keystore: ";
            settings += node.path("keystore.pem").to_str().expect("a path of text");
        }
        write(&node.path("settings.yaml"), &settings);
        node.spawn();
        node.until_it_listens();
        if let Some(seed) = setup.beside {
            node.until_it_knows(seed);
            seed.until_it_knows(&node);
        }
        node
    }

    /// URL without a keyspace. Who asks for no password takes any.
    pub(crate) fn url(&self) -> String {
        format!("scylla://cassandra:cassandra@{}:{PORT}", self.address)
    }

    /// Its address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The authority of a node that speaks TLS, as a PEM file.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            drop(child.kill());
            child.wait().expect("the end of the node");
        }
    }

    /// Starts it again with what its folder has, and waits until it answers.
    pub(crate) fn restart(&self) {
        self.kill();
        self.spawn();
        self.until_it_listens();
    }

    /// Holds it: its connections stay, and nothing on them is answered.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn cont(&self) {
        self.signal("-CONT");
    }

    /// What it wrote since it was last started.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("node.log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: &str) {
        let pid = self.child().as_ref().expect("a running node").id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill").success(), "the node takes no {signal}");
    }

    fn spawn(&self) {
        let jars = std::env::var("DBFERRY_TEST_CASSANDRA")
            .expect("DBFERRY_TEST_CASSANDRA is not set: start the servers with `scripts/services.sh up`, or run `scripts/test.sh`");
        let log = std::fs::File::create(self.path("node.log")).expect("a log");
        let mut command = Command::new(repository("scripts/services/cassandra-node.sh"));
        command
            .arg(jars)
            .arg(self.folder.path())
            .arg(self.address.to_string())
            .args([PORT.to_string(), STORAGE_PORT.to_string()])
            .args(&self.seed)
            .env("JDK_JAVA_OPTIONS", JAVA_OPTIONS)
            .env("DBFERRY_CASSANDRA_HEAP", HEAP)
            // What is sent to the tests from a terminal is not meant for it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        *self.child() = Some(command.spawn().expect("scripts/services/cassandra-node.sh"));
    }

    fn until_it_listens(&self) {
        until("a Cassandra node", || {
            let ended = self.child().as_mut().expect("started").try_wait().expect("its state");
            assert!(ended.is_none(), "the node does not start: {}", self.log());
            TcpStream::connect((self.address, PORT)).is_ok()
        });
    }

    /// Waits until this node takes another for one of its own that is up.
    fn until_it_knows(&self, other: &Self) {
        let other = other.address;
        let text = format!("SELECT tokens FROM system.peers_v2 WHERE peer = '{other}' AND peer_port = {STORAGE_PORT}");
        until("nodes that know each other", || {
            let log = self.log();
            let joined = log.rfind(&format!("Updating topology for /{other}:{STORAGE_PORT}"));
            let up = log.rfind(&format!("InetAddress /{other}:{STORAGE_PORT} is now UP"));
            joined.is_some()
                && up > joined
                && Cql::try_connect(&self.url(), Consistency::One)
                    .and_then(|client| client.try_rows(&text))
                    .is_ok_and(|rows| rows.first().is_some_and(|row| row[0].is_some()))
        });
    }

    /// An authority, and a certificate by it for the node's address together with its key.
    fn make_certificates(&self) {
        let script = format!(
            "set -e
             openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=authority of a test'
             openssl req -newkey rsa:2048 -nodes -keyout node.key -out node.csr -subj '/CN=node of a test'
             printf 'subjectAltName=IP:{}\\n' >names
             openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out node.pem
             cat node.key node.pem ca.pem >keystore.pem",
            self.address
        );
        let made = Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .output();
        let made = made.expect("sh");
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address of this machine on which nobody listens. Processes of tests do not meet: each begins
/// at its own number.
fn free_address() -> Ipv4Addr {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = std::process::id().to_be_bytes();
        // 127.0 is left to others.
        let address = Ipv4Addr::new(127, high.max(1), low, u8::try_from(number % 250).expect("fits") + 2);
        let free = |port| TcpListener::bind((address, port)).is_ok();
        if free(PORT) && free(STORAGE_PORT) {
            return address;
        }
        assert!(number < 5000, "no address of 127.0.0.0/8 is free");
    }
}
