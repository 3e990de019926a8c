//! Rehearsals: dry runs that leave no trace, and keys behind a prefix that are removed alone.

use std::collections::{BTreeMap, BTreeSet};

use super::dump::{Dump, assert_same};
use super::store::Store;
use super::toy::{Toy, assert_tidy, every_type, items};
use crate::harness::{Ended, until};

/// Every key with what it holds: of the application, and of the ledger.
fn everything(store: &Store) -> (Dump, BTreeMap<String, String>) {
    let of = |key: String| {
        let kind: String = store.query(&["TYPE", &key]);
        let content = match kind.as_str() {
            "hash" => format!("{:?}", store.query::<BTreeMap<Vec<u8>, Vec<u8>>>(&["HGETALL", &key])),
            "set" => format!("{:?}", store.query::<BTreeSet<Vec<u8>>>(&["SMEMBERS", &key])),
            "string" => format!("{:?}", store.query::<Vec<u8>>(&["GET", &key])),
            other => panic!("{key}: {other}"),
        };
        (key, content)
    };
    let own = store.keys("dbferry:*").into_iter().map(of).collect();
    (store.dump(), own)
}

#[track_caller]
fn assert_unchanged((found, own): (Dump, BTreeMap<String, String>), (before, own_before): &(Dump, BTreeMap<String, String>)) {
    assert_same(&found, before);
    let other = |key: &&String| own.get(*key) != own_before.get(*key);
    let keys: BTreeSet<&String> = own.keys().chain(own_before.keys()).collect();
    let changed: Vec<_> = keys.into_iter().filter(other).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

/// Nothing at all is written, and the figures are those of the run.
pub(super) fn dry(store: &Store) {
    let toy = Toy::of(&store.url(), &items(600), &every_type("update"));
    store.query::<()>(&["HSET", "h:{5}:p", "note", "old"]);
    store.query::<()>(&["SET", "unrelated", "1"]);
    let before = everything(store);
    let rehearsed = toy.figures(4, &["--dry-run", "--batch-size", "100"]);
    assert_unchanged(everything(store), &before);
    let done = toy.figures(4, &["--batch-size", "100"]);
    assert_eq!(rehearsed, done, "a rehearsal tells what the run does");
    let after = everything(store);
    toy.project.run(&["run", "mappings/demo", "--dry-run", "--restart"]).expect(4);
    assert_unchanged(everything(store), &after);
}

/// Keys of a rehearsal are removed, and nothing else is touched.
pub(super) fn prefixed(store: &Store) {
    let toy = Toy::of(&store.url(), &items(500), &every_type("error"));
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    store.query::<()>(&["SET", "rehearsals:not:ours", "1"]);
    store.query::<()>(&["SET", "rehearsal", "1"]);
    let before = everything(store);
    let live = store.dump();
    toy.run(&["--key-prefix", "rehearsal"]).expect(4);
    let mut own = live.clone();
    own.retain(|key, _| !key.starts_with(b"rehearsal"));
    assert_same(&store.dump_behind("rehearsal:"), &own);
    let mut now = everything(store);
    now.0.retain(|key, _| !key.starts_with(b"rehearsal:"));
    assert_unchanged(now, &before);
    let (of_rehearsal, _) = toy.stats(&["--key-prefix", "rehearsal"]);
    assert_eq!(of_rehearsal["documents"]["target_rows"], 500);
    let clean = |prefix: &str| -> Ended {
        toy.project
            .run(&["clean", "mappings/demo", "--key-prefix", prefix, "--yes", "--output", "json"])
    };
    clean("another").expect(3);
    clean("rehearsals").expect(3);
    let removed = clean("rehearsal");
    let keys = removed.expect(0).json()["removed"][0]["keys"].as_u64().expect("a number");
    assert!(keys > own.len() as u64, "{keys}");
    assert_unchanged(everything(store), &before);
    assert_tidy(store);
}

/// While a run is going its keys are not removed, and no other run begins.
pub(super) fn busy(store: &Store) {
    let toy = Toy::of(&store.url(), &items(6_000), &every_type("error"));
    let args = ["run", "mappings/demo", "--key-prefix", "r", "--batch-size", "20"];
    let mut first = toy.project.start_unheard(&args);
    until("the run's lease", || !store.keys("r:dbferry:{demo}:checkpoint:*").is_empty());
    let holder = format!("process {}", first.id());
    toy.project
        .run(&["clean", "mappings/demo", "--key-prefix", "r", "--yes"])
        .expect(3)
        .says(&holder);
    toy.project.run(&args).expect(3).says(&holder);
    toy.project
        .run(&["run", "mappings/demo", "--key-prefix", "r", "--dry-run"])
        .expect(3)
        .says(&holder);
    assert!(
        first.try_wait().expect("the child's state").is_none(),
        "the first run goes on"
    );
    first.kill().expect("SIGKILL");
    first.wait().expect("an end");
    let began = std::time::Instant::now();
    let mut next = toy
        .project
        .start_unheard(&["run", "mappings/demo", "--key-prefix", "r", "--batch-size", "20"]);
    let epoch = || store.query::<String>(&["GET", "r:dbferry:{demo}:epoch"]);
    until("the next lease", || epoch() == "2");
    assert!(
        began.elapsed().as_secs() < 8,
        "nobody waits for one who is dead: {:?}",
        began.elapsed()
    );
    next.kill().expect("SIGKILL");
    next.wait().expect("an end");
    until("the next cleaning", || {
        toy.project
            .run(&["clean", "mappings/demo", "--key-prefix", "r", "--yes"])
            .code
            == Some(0)
    });
    assert_eq!(store.keys("*"), Vec::<String>::new());
}

#[test]
fn a_dry_run_writes_nothing_at_all() {
    dry(&Store::single());
}

#[test]
fn keys_of_a_rehearsal_are_removed_alone() {
    prefixed(&Store::single());
}

#[test]
fn one_run_at_a_time_and_a_dead_one_is_not_waited_for() {
    busy(&Store::single());
}
