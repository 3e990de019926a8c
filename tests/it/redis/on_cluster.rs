//! A cluster: the same values, while slots move, masters die and come back.

use std::process::Child;
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::dump::{Dump, assert_same};
use super::killed::rejects;
use super::store::Store;
use super::toy::{Toy, assert_ledger, assert_tidy, every_type, items};
use super::{policies, rehearsed, values};
use crate::harness::{Ended, until};

const ROWS: u32 = 4_000;
const ARGS: [&str; 4] = ["run", "mappings/demo", "--batch-size", "100"];

#[test]
fn values_and_policies_are_those_of_a_server() {
    let store = Store::cluster(false);
    for what in [
        values::columns_of_every_type,
        |store: &Store| values::keys_of_every_type(store, 800),
        policies::error,
        policies::skip,
        policies::update,
        policies::collisions,
        policies::mended,
        policies::subject,
        policies::subject_beside_an_unproven_batch,
        rehearsed::dry,
        rehearsed::prefixed,
        rehearsed::busy,
    ] {
        what(&store);
        store.clear();
    }
}

/// What a run on a server of its own leaves.
fn undisturbed() -> (Dump, Vec<String>) {
    let store = Store::single();
    let toy = Toy::of(&store.url(), &items(ROWS), &every_type("error"));
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    (store.dump(), rejects(&store))
}

/// A run, once it has written something.
fn begun(store: &Store, toy: &Toy) -> Child {
    let child = toy.project.start(&ARGS);
    until("the first batches", || store.keys("dbferry:{demo}:checkpoint:*").len() > 3);
    child
}

fn check(store: &Store, (expected, refused): &(Dump, Vec<String>)) {
    assert_same(&store.dump(), expected);
    assert_eq!(&rejects(store), refused);
    assert_tidy(store);
    assert_ledger(store, 11);
}

fn cluster_of(store: &Store) -> &Cluster {
    match store {
        Store::Cluster(cluster) => cluster,
        Store::Single(_) => panic!("a cluster"),
    }
}

#[test]
fn slots_that_move_meanwhile_take_nothing_along() {
    let expected = undisturbed();
    let store = Store::cluster(false);
    let cluster = cluster_of(&store);
    let toy = Toy::of(&store.url(), &items(ROWS), &every_type("error"));
    let mut run = begun(&store, &toy);
    let mut moved = 0;
    // The ledger's own slot, those of lists that grow, and others.
    for key in [
        "dbferry:{demo}:epoch",
        "queue",
        "j:17",
        "z:g0",
        "dbferry:{demo}:epoch",
        "queue",
    ] {
        let slot = cluster.slot_of(key);
        let from = cluster.master_of(key);
        let to = cluster
            .masters()
            .into_iter()
            .find(|master| *master != from)
            .expect("another master");
        cluster.begin_move(slot, to);
        std::thread::sleep(Duration::from_millis(200));
        cluster.move_keys(slot, to);
        std::thread::sleep(Duration::from_millis(100));
        // What was written into the old place meanwhile.
        cluster.move_keys(slot, to);
        cluster.end_move(slot, to);
        moved += u32::from(run.try_wait().expect("the child's state").is_none());
    }
    eprintln!("{moved} slots were moved while the run went on");
    assert!(moved > 1, "slots were moved while the run went on");
    Ended::of_child(run).expect(4);
    cluster.until_whole();
    check(&store, &expected);
}

#[test]
fn a_master_that_dies_is_replaced_and_nothing_is_missing() {
    let expected = undisturbed();
    let store = Store::cluster(true);
    let cluster = cluster_of(&store);
    let toy = Toy::of(&store.url(), &items(ROWS), &every_type("error"));
    for key in ["dbferry:{demo}:epoch", "queue"] {
        let mut run = begun(&store, &toy);
        let killed = cluster.kill_master_of(key);
        let alive = run.try_wait().expect("the child's state").is_none();
        assert!(alive, "it was killed while the run went on");
        let ended = Ended::of_child(run);
        ended.expect(4);
        cluster.until_whole();
        check(&store, &expected);
        cluster.restart_node(killed);
        cluster.until_whole();
        store.clear();
    }
}

#[test]
fn a_cluster_that_is_down_is_named_and_the_run_goes_on_when_it_is_back() {
    let expected = undisturbed();
    let store = Store::cluster(false);
    let cluster = cluster_of(&store);
    let toy = Toy::of(&store.url(), &items(ROWS), &every_type("error"));
    toy.limit("retry_seconds_max = 4");
    let mut run = begun(&store, &toy);
    let killed = cluster.kill_master_of("queue");
    assert!(run.try_wait().expect("the child's state").is_none());
    let began = Instant::now();
    let ended = Ended::of_child(run);
    ended.expect(3).says("connection `cache`");
    eprintln!("after {:?}: {}", began.elapsed(), ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
    cluster.restart_node(killed);
    cluster.until_whole();
    toy.project.run(&ARGS).expect(4);
    check(&store, &expected);
}

#[test]
fn a_replica_leads_to_the_cluster() {
    let store = Store::cluster(true);
    let cluster = cluster_of(&store);
    let replica = (0..6).find(|node| !cluster.masters().contains(node)).expect("a replica");
    let toy = Toy::of(&cluster.nodes[replica].url(), &items(300), &every_type("error"));
    toy.project.run(&ARGS).expect(4);
    assert_tidy(&store);
    assert_ledger(&store, 11);
}
