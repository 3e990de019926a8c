//! What a toy writes into: a server or a cluster, asked alike.

use ::redis::FromRedisValue;

use super::cluster::Cluster;
use super::dump::Dump;
use super::server::Server;

/// A server or a cluster.
pub(crate) enum Store {
    /// One server.
    Single(Server),
    /// Several.
    Cluster(Cluster),
}

impl Store {
    /// A server that keeps nothing on disk.
    pub(crate) fn single() -> Self {
        Self::Single(Server::start(&[]))
    }

    /// A cluster.
    pub(crate) fn cluster(replicas: bool) -> Self {
        Self::Cluster(Cluster::start(replicas))
    }

    /// Its URL for the program.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Single(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    /// What it answers to a command whose second word is a key.
    pub(crate) fn query<T: FromRedisValue>(&self, words: &[impl AsRef<[u8]>]) -> T {
        match self {
            Self::Single(server) => server.query(words),
            Self::Cluster(cluster) => cluster.query(words),
        }
    }

    /// All keys but dbferry's own.
    pub(crate) fn dump(&self) -> Dump {
        self.dump_behind("")
    }

    /// Those that begin with a prefix.
    pub(crate) fn dump_behind(&self, prefix: &str) -> Dump {
        match self {
            Self::Single(server) => server.dump_behind(prefix),
            Self::Cluster(cluster) => cluster.dump_behind(prefix),
        }
    }

    /// The nodes that keys are on.
    pub(crate) fn masters(&self) -> Vec<&Server> {
        match self {
            Self::Single(server) => vec![server],
            Self::Cluster(cluster) => cluster.masters().into_iter().map(|node| &cluster.nodes[node]).collect(),
        }
    }

    /// Names of all keys of a glob pattern, in order, dbferry's own too.
    pub(crate) fn keys(&self, glob: &str) -> Vec<String> {
        let of = |node: &&Server| {
            let keys: Vec<Vec<u8>> = node.query(&["KEYS", glob]);
            keys.into_iter()
                .map(|key| String::from_utf8_lossy(&key).into_owned())
                .collect::<Vec<_>>()
        };
        let mut keys: Vec<String> = self.masters().iter().flat_map(of).collect();
        keys.sort();
        keys
    }

    /// Makes it empty.
    pub(crate) fn clear(&self) {
        for node in self.masters() {
            node.query::<()>(&["FLUSHALL"]);
        }
    }
}
