//! A Redis cluster of a test's own: three masters, with a replica each where asked for.

use std::process::Command;

use ::redis::cluster::ClusterClient;
use ::redis::{FromRedisValue, cmd};

use super::dump::Dump;
use super::server::{Server, free_port};
use crate::harness::until;

/// Slots that keys are spread over.
const SLOTS: u16 = 16_384;

/// Keys that move from one node to another in one command.
const KEYS_MOVED_MAX: &str = "100";

/// A cluster; its nodes are killed when it is dropped.
pub(crate) struct Cluster {
    /// Masters at first are the first three; their replicas follow.
    pub(crate) nodes: Vec<Server>,
}

/// What one node knows of another.
#[derive(Debug)]
struct Known {
    port: u16,
    master: bool,
    /// First and last slot of each range that it serves.
    slots: Vec<(u16, u16)>,
    /// Healthy and connected, as far as the node that was asked can tell.
    well: bool,
}

impl Cluster {
    /// Starts the nodes and has them form a cluster, whole when this returns.
    pub(crate) fn start(replicas: bool) -> Self {
        let nodes = (0..if replicas { 6 } else { 3 }).map(|_| {
            let bus = free_port().to_string();
            Server::spawn(&[
                ("cluster-enabled", "yes"),
                ("cluster-port", &bus),
                ("cluster-config-file", "nodes.conf"),
                ("cluster-node-timeout", "2000"),
                ("cluster-require-full-coverage", "yes"),
                ("repl-diskless-sync-delay", "0"),
                ("appendonly", "yes"),
                ("maxmemory", "256mb"),
            ])
        });
        let cluster = Self { nodes: nodes.collect() };
        for node in &cluster.nodes {
            node.until_it_answers();
        }
        let output = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)))
            .args(["--cluster-replicas", if replicas { "1" } else { "0" }, "--cluster-yes"])
            .output()
            .expect("redis-cli");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        cluster.until_whole();
        cluster
    }

    /// URL of the first three nodes, from which the others are found.
    pub(crate) fn url(&self) -> String {
        let hosts = self.nodes[..3].iter().map(|node| format!("127.0.0.1:{}", node.port));
        format!("redis://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// What the master of its key, the second word, answers to a command.
    pub(crate) fn query<T: FromRedisValue>(&self, words: &[impl AsRef<[u8]>]) -> T {
        let key = words.get(1).expect("a command with a key").as_ref();
        self.nodes[self.master_of(key)].query(words)
    }

    /// All keys of all masters but dbferry's own.
    pub(crate) fn dump(&self) -> Dump {
        self.dump_behind("")
    }

    /// All keys of all masters that begin with a prefix, as [`Server::dump_behind`] does.
    pub(crate) fn dump_behind(&self, prefix: &str) -> Dump {
        let masters = self.masters();
        masters
            .into_iter()
            .flat_map(|master| self.nodes[master].dump_behind(prefix))
            .collect()
    }

    /// Slot of a key.
    pub(crate) fn slot_of(&self, key: impl AsRef<[u8]>) -> u16 {
        self.running().query(&[&b"CLUSTER"[..], b"KEYSLOT", key.as_ref()])
    }

    /// Which node serves a key.
    pub(crate) fn master_of(&self, key: impl AsRef<[u8]>) -> usize {
        self.master_of_slot(self.slot_of(key))
    }

    /// Which nodes serve slots.
    pub(crate) fn masters(&self) -> Vec<usize> {
        let known = known(self.running());
        let masters = known.iter().filter(|node| node.master && !node.slots.is_empty());
        masters.map(|node| self.index_of(node)).collect()
    }

    /// Kills the node that serves a key, and says which one it was.
    pub(crate) fn kill_master_of(&self, key: impl AsRef<[u8]>) -> usize {
        let master = self.master_of(key);
        self.nodes[master].kill();
        master
    }

    /// Starts a killed node again; who was replaced meanwhile comes back as a replica.
    pub(crate) fn restart_node(&self, node: usize) {
        self.nodes[node].restart();
    }

    /// Waits until every running node sees all slots served by running nodes, and running replicas
    /// have what their masters have.
    pub(crate) fn until_whole(&self) {
        until("a whole cluster", || {
            self.nodes
                .iter()
                .filter(|node| node.is_running())
                .all(|node| self.is_whole(node))
        });
    }

    /// Moves a slot with all its keys to another master. Those who ask the old one hear MOVED.
    pub(crate) fn move_slot(&self, slot: u16, to: usize) {
        self.begin_move(slot, to);
        self.move_keys(slot, to);
        self.end_move(slot, to);
    }

    /// Begins to move a slot: who asks its master for keys that are not there hears ASK.
    pub(crate) fn begin_move(&self, slot: u16, to: usize) {
        let from = self.master_of_slot(slot);
        let [source, target] = [from, to].map(|node| self.nodes[node].query::<String>(&["CLUSTER", "MYID"]));
        self.set_slot(to, slot, &["IMPORTING", &source]);
        self.set_slot(from, slot, &["MIGRATING", &target]);
    }

    /// Moves the keys of a slot that is being moved.
    pub(crate) fn move_keys(&self, slot: u16, to: usize) {
        let from = &self.nodes[self.master_of_slot(slot)];
        loop {
            let keys: Vec<Vec<u8>> = from.query(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), KEYS_MOVED_MAX]);
            if keys.is_empty() {
                return;
            }
            let port = self.nodes[to].port.to_string();
            let mut words: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0", b"5000", b"KEYS"];
            words.extend(keys.iter().map(Vec::as_slice));
            from.query::<String>(&words);
        }
    }

    /// Ends the move of a slot.
    pub(crate) fn end_move(&self, slot: u16, to: usize) {
        let owner = self.nodes[to].query::<String>(&["CLUSTER", "MYID"]);
        // The new owner first, so that no moment is without one.
        self.set_slot(to, slot, &["NODE", &owner]);
        for master in self.masters() {
            self.set_slot(master, slot, &["NODE", &owner]);
        }
    }

    fn set_slot(&self, node: usize, slot: u16, state: &[&str]) {
        let slot = slot.to_string();
        let mut words = vec!["CLUSTER", "SETSLOT", &slot];
        words.extend(state);
        self.nodes[node].query::<()>(&words);
    }

    fn master_of_slot(&self, slot: u16) -> usize {
        let known = known(self.running());
        let serves = |node: &&Known| node.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
        self.index_of(known.iter().find(serves).expect("a master of the slot"))
    }

    fn index_of(&self, known: &Known) -> usize {
        let index = self.nodes.iter().position(|node| node.port == known.port);
        index.expect("a node of this cluster")
    }

    /// A node that can be asked.
    fn running(&self) -> &Server {
        self.nodes.iter().find(|node| node.is_running()).expect("a node that runs")
    }

    fn is_whole(&self, node: &Server) -> bool {
        let Ok(info) = node.try_query::<String>(&["CLUSTER", "INFO"]) else {
            return false;
        };
        let known = known(node);
        let running = |known: &&Known| self.nodes.iter().any(|node| node.port == known.port && node.is_running());
        let served: u16 = known
            .iter()
            .filter(running)
            .flat_map(|node| &node.slots)
            .map(|(first, last)| last - first + 1)
            .sum();
        let replication = node.query::<String>(&["INFO", "replication"]);
        info.contains("cluster_state:ok")
            && known.len() == self.nodes.len()
            && known
                .iter()
                .filter(running)
                .all(|node| node.well && (!node.master || !node.slots.is_empty()))
            && served == SLOTS
            && (replication.contains("role:master") || replication.contains("master_link_status:up"))
    }
}

/// What a node knows of all nodes.
fn known(node: &Server) -> Vec<Known> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = words[1].split('@').next().unwrap_or_default();
        let range = |word: &str| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        let bad = ["fail", "handshake", "noaddr"];
        Known {
            port: address
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok())
                .unwrap_or_default(),
            master: words[2].contains("master"),
            // A slot that is being moved stands in brackets.
            slots: words[8..].iter().filter_map(|word| range(word)).collect(),
            well: !bad.iter().any(|bad| words[2].contains(bad)) && words[7] == "connected",
        }
    };
    node.query::<String>(&["CLUSTER", "NODES"]).lines().map(line).collect()
}

#[test]
fn a_cluster_forms_spreads_keys_and_moves_slots() {
    let cluster = Cluster::start(false);
    assert_eq!(cluster.masters().len(), 3);
    for number in 0..300 {
        cluster.query::<()>(&["SET", &format!("k{number}"), "v"]);
    }
    let before = cluster.dump();
    assert_eq!(before.len(), 300);
    let (key, slot) = ("k7", cluster.slot_of("k7"));
    let from = cluster.master_of(key);
    let other = || cluster.masters().into_iter().find(|master| *master != from);
    let to = other().expect("another master");
    let said = || {
        let answer = cluster.nodes[from].try_query::<String>(&["GET", key]);
        answer.expect_err("a key that is elsewhere").to_string().to_ascii_uppercase()
    };
    let urls = cluster.url().replace(',', ",redis://");
    let client = ClusterClient::new(urls.split(',')).expect("good URLs");
    let mut follows = client.get_connection().expect("a cluster");
    let mut follow = || cmd("GET").arg(key).query::<String>(&mut follows);

    cluster.begin_move(slot, to);
    cluster.move_keys(slot, to);
    assert!(said().contains("ASK"), "{}", said());
    assert_eq!(follow().expect("by ASK"), "v");
    cluster.end_move(slot, to);
    cluster.until_whole();
    assert_eq!(cluster.master_of(key), to);
    assert!(said().contains("MOVED"), "{}", said());
    assert_eq!(follow().expect("by MOVED"), "v");
    cluster.move_slot(slot, from);
    cluster.until_whole();
    assert_eq!(cluster.nodes[from].query::<String>(&["GET", key]), "v");
    super::dump::assert_same(&cluster.dump(), &before);
}

#[test]
fn a_replica_takes_the_place_of_a_killed_master() {
    let cluster = Cluster::start(true);
    cluster.query::<()>(&["SET", "{user}:1", "v"]);
    let replicas: u32 = cluster.nodes[cluster.master_of("{user}:1")].query(&["WAIT", "1", "5000"]);
    assert_eq!(replicas, 1);
    let before = cluster.dump();
    let killed = cluster.kill_master_of("{user}:1");
    cluster.until_whole();
    let master = cluster.master_of("{user}:1");
    assert!(master != killed && cluster.nodes[master].is_running());
    super::dump::assert_same(&cluster.dump(), &before);
    cluster.restart_node(killed);
    cluster.until_whole();
    assert_eq!(cluster.master_of("{user}:1"), master);
    assert_eq!(cluster.masters().len(), 3);
}
