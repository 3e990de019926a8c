//! The Cassandra of the tests: keyspaces of their own in it, and a client to look into them.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use dbferry::config::connection::{Connection, ConnectionKind, CqlCompression, ScyllaCluster};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::frame::types::Consistency;
use scylla::value::{CqlValue, Row};

pub(crate) mod node;
mod nodes;

/// How long an answer may take. Two nodes on a machine that has much else to do need minutes for a table.
const ANSWER_MAX: Duration = Duration::from_mins(3);

/// One row of an answer.
pub(crate) type Cells = Vec<Option<CqlValue>>;

/// A statement, and where its answer goes.
type Ask = (String, Sender<Result<Vec<Cells>, String>>);

/// URL of the shared server, without a keyspace.
pub(crate) fn scylla_url() -> String {
    std::env::var("DBFERRY_TEST_SCYLLA_URL")
        .expect("DBFERRY_TEST_SCYLLA_URL is not set: start the servers with `scripts/services.sh up`, or run `scripts/test.sh`")
}

/// A client with a thread of its own, so that it works in any test, and inside of a runtime, too.
pub(crate) struct Cql {
    asks: Sender<Ask>,
}

impl Cql {
    /// Connects to `scylla://USER:PASSWORD@HOST:PORT`; asks with `LOCAL_QUORUM`.
    pub(crate) fn connect(url: &str) -> Self {
        Self::try_connect(url, Consistency::LocalQuorum).unwrap_or_else(|error| panic!("cannot reach {url}: {error}"))
    }

    /// The same, where one replica is enough for an answer.
    pub(crate) fn connect_to_any(url: &str) -> Self {
        Self::try_connect(url, Consistency::One).unwrap_or_else(|error| panic!("cannot reach {url}: {error}"))
    }

    /// The same, where nobody may be there.
    pub(crate) fn try_connect(url: &str, consistency: Consistency) -> Result<Self, String> {
        let profile = ExecutionProfile::builder()
            .consistency(consistency)
            .request_timeout(Some(ANSWER_MAX))
            .build();
        let (user, password, node) = parts(url);
        let (asks, asked) = channel::<Ask>();
        let (connected, outcome) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime");
            let session = runtime.block_on(
                SessionBuilder::new()
                    .known_node(node)
                    .user(user, password)
                    .connection_timeout(Duration::from_secs(20))
                    .default_execution_profile_handle(profile.into_handle())
                    .build(),
            );
            match session {
                Ok(session) => {
                    drop(connected.send(Ok(())));
                    while let Ok((text, answer)) = asked.recv() {
                        drop(answer.send(runtime.block_on(ask(&session, &text))));
                    }
                }
                Err(error) => drop(connected.send(Err(error.to_string()))),
            }
        });
        outcome.recv().expect("the client's thread").map(|()| Self { asks })
    }

    /// Rows that a statement yields; none where it yields no rows.
    pub(crate) fn rows(&self, cql: &str) -> Vec<Cells> {
        self.try_rows(cql).unwrap_or_else(|error| panic!("{cql}: {error}"))
    }

    /// The same, where it may be refused.
    pub(crate) fn try_rows(&self, cql: &str) -> Result<Vec<Cells>, String> {
        let (answer, answered) = channel();
        self.asks.send((cql.to_owned(), answer)).expect("the client's thread");
        answered.recv().expect("an answer of the client's thread")
    }

    /// Runs statements one after the other.
    pub(crate) fn run<'a>(&self, statements: impl IntoIterator<Item = &'a str>) {
        for statement in statements {
            self.rows(statement);
        }
    }

    /// Rows as cqlsh would show them; `null` where there is nothing.
    pub(crate) fn texts(&self, cql: &str) -> Vec<Vec<String>> {
        let text = |cell: Option<CqlValue>| cell.map_or_else(|| "null".to_owned(), |value| value.to_string());
        let rows = self.rows(cql).into_iter();
        rows.map(|row| row.into_iter().map(text).collect()).collect()
    }

    /// First value of the first row.
    pub(crate) fn value(&self, cql: &str) -> Option<CqlValue> {
        self.rows(cql).into_iter().next()?.into_iter().next()?
    }

    /// How many rows a table has.
    pub(crate) fn count(&self, table: &str) -> u64 {
        match self.value(&format!("SELECT count(*) FROM {table}")) {
            Some(CqlValue::BigInt(count)) => u64::try_from(count).expect("a count"),
            other => panic!("{table}: {other:?} is no count"),
        }
    }
}

async fn ask(session: &Session, text: &str) -> Result<Vec<Cells>, String> {
    let answer = session.query_unpaged(text, &[]).await.map_err(|error| error.to_string())?;
    if !answer.is_rows() {
        return Ok(Vec::new());
    }
    let rows = answer.into_rows_result().map_err(|error| error.to_string())?;
    rows.rows::<Row>()
        .map_err(|error| error.to_string())?
        .map(|row| row.map(|row| row.columns).map_err(|error| error.to_string()))
        .collect()
}

/// User, password and address of a URL.
fn parts(url: &str) -> (String, String, String) {
    let rest = url.strip_prefix("scylla://").expect("a URL of scylla");
    let (user, rest) = rest.split_once('@').expect("a user");
    let (user, password) = user.split_once(':').expect("a password");
    let node = rest.split('/').next().unwrap_or(rest);
    (user.to_owned(), password.to_owned(), node.to_owned())
}

/// A keyspace of a test's own, dropped at the end.
pub(crate) struct Keyspace {
    /// Its name.
    pub(crate) name: String,
    server: String,
    cql: Cql,
}

impl Keyspace {
    /// Makes one on the shared server.
    pub(crate) fn fresh() -> Self {
        Self::fresh_on(&scylla_url(), 1)
    }

    /// Makes one on a server, with so many replicas.
    pub(crate) fn fresh_on(server: &str, replicas: u32) -> Self {
        let keyspace = Self::absent_on(server);
        let name = &keyspace.name;
        keyspace.run([
            format!("CREATE KEYSPACE {name} WITH replication = {{'class': 'NetworkTopologyStrategy', 'datacenter1': {replicas}}}")
                .as_str(),
            &format!("USE {name}"),
        ]);
        keyspace
    }

    /// A name on the shared server that no keyspace has yet; what is made under it is dropped, too.
    pub(crate) fn absent() -> Self {
        Self::absent_on(&scylla_url())
    }

    fn absent_on(server: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let keyspace = Self {
            name: format!("t_{}_{number}", std::process::id()),
            server: server.to_owned(),
            cql: Cql::connect(server),
        };
        // Left behind by an earlier process with the same number, perhaps.
        keyspace.run([format!("DROP KEYSPACE IF EXISTS {}", keyspace.name).as_str()]);
        keyspace
    }

    /// URL of the keyspace.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// As a connection, as it would be read from a file without further keys.
    pub(crate) fn connection(&self, name: &str, create_database: bool) -> Connection {
        let (user, password, node) = parts(&self.server);
        Connection {
            name: name.to_owned(),
            kind: ConnectionKind::Scylla(Box::new(ScyllaCluster {
                nodes: vec![node],
                credentials: Some((user, password.into())),
                keyspace: self.name.clone(),
                tls: false,
                ca_file: None,
                datacenter: None,
                compression: CqlCompression::None,
                create_database,
                replication: [("datacenter1".to_owned(), 1)].into(),
                requests_in_flight_max: 64,
                read_back_every_batches: 0,
            })),
        }
    }

    /// Names of its tables but dbferry's own.
    pub(crate) fn tables(&self) -> Vec<String> {
        let text = format!(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{}'",
            self.name
        );
        let names = self.rows(&text).into_iter().filter_map(|row| match row.into_iter().next() {
            Some(Some(CqlValue::Text(name))) => Some(name),
            _ => None,
        });
        names.filter(|name| !name.starts_with("dbferry_")).collect()
    }
}

impl Deref for Keyspace {
    type Target = Cql;

    fn deref(&self) -> &Cql {
        &self.cql
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        // A test that ended its node has nothing to drop.
        drop(self.try_rows(&format!("DROP KEYSPACE IF EXISTS {}", self.name)));
    }
}
