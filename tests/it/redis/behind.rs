//! Batches that are begun behind the last one, while the server carries that out: whatever comes in
//! between, rows and ledger are as if each had been waited for.

use std::process::Child;
use std::time::Duration;

use super::dump::{Dump, assert_same};
use super::server::Server;
use super::store::Store;
use super::toy::{Toy, assert_ledger, assert_tidy, items, records, stream};
use crate::harness::{Ended, until};

const ROWS: u32 = 50_000;
const ARGS: [&str; 4] = ["run", "mappings/demo", "--batch-size", "50"];
const JSON: [&str; 6] = [ARGS[0], ARGS[1], ARGS[2], ARGS[3], "--output", "json"];
const CHECKPOINT: &str = "dbferry:{demo}:checkpoint:0:profiles";

/// Hashes of which some expire, into a server that holds nothing.
fn toy(store: &Store) -> Toy {
    let hashes = stream(
        "profiles",
        "items",
        "key = \"h:{id}\"\ntype = \"hash\"\nexpires_at = \"until\"\non_conflict = \"update\"",
        &["id", "note", "points", "raw", "until"],
    );
    Toy::of(&store.url(), &items(ROWS), &hashes)
}

/// What a run leaves of which each batch is one of a row limit's, and so waited for.
fn expected() -> Dump {
    let store = Store::single();
    let toy = toy(&store);
    toy.limit("max_rows_per_second = 1000000");
    toy.project.run(&ARGS).expect(0);
    store.dump()
}

/// Number of the batch that the checkpoint shows.
fn sequence(store: &Store) -> u64 {
    let checkpoint = records(store, CHECKPOINT);
    checkpoint
        .get("sequence")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or_default()
}

/// A run that has committed some batches, of its many.
fn begun(store: &Store, toy: &Toy) -> Child {
    let before = sequence(store);
    let mut child = toy.project.start(&JSON);
    until("the first batches", || sequence(store) > before + 3);
    assert!(child.try_wait().expect("its state").is_none(), "it goes on");
    child
}

fn server(store: &Store) -> &Server {
    store.masters()[0]
}

fn assert_whole(store: &Store, expected: &Dump) {
    assert_same(&store.dump(), expected);
    assert_tidy(store);
    assert_ledger(store, 1);
}

/// What a run tells that was ended on its way is what the checkpoint shows.
fn assert_told(store: &Store, ended: &Ended) {
    let report = ended.json();
    let checkpoint = records(store, CHECKPOINT);
    let (told, kept) = (&report["streams"][0], &checkpoint["now"]["counts"]);
    for figure in ["read", "inserted", "updated", "skipped", "expired", "rejected"] {
        assert_eq!(told[figure], kept[figure], "{figure}: {report:#}");
    }
    assert_ne!(kept["read"], u64::from(ROWS), "it was ended on its way");
}

/// Of all that is watched while batches follow one another: the checkpoint never tells of more than one
/// batch that is not proven, and every batch is told once.
#[test]
fn never_more_than_one_batch_is_not_proven() {
    let expected = expected();
    let store = Store::single();
    let toy = toy(&store);
    let mut child = toy.project.start(&ARGS);
    let (mut seen, mut unproven) = (0, 0);
    while child.try_wait().expect("its state").is_none() {
        let checkpoint = records(&store, CHECKPOINT);
        let number = |field: &str| checkpoint.get(field).and_then(serde_json::Value::as_u64).unwrap_or_default();
        let (shown, proven) = (number("sequence"), number("proven"));
        assert!(shown <= proven + 1, "{checkpoint:?}");
        seen += u32::from(shown > 0);
        unproven += u32::from(shown > proven);
    }
    assert!(seen > 10 && unproven > 0, "{seen} {unproven}");
    Ended::of_child(child).expect(0).says("50,000");
    assert_whole(&store, &expected);
}

/// The reply to a row of a batch that was left behind is another one than it was to be.
#[test]
fn a_key_that_somebody_else_makes_meanwhile_is_written_over() {
    let expected = expected();
    let store = Store::single();
    let toy = toy(&store);
    let child = begun(&store, &toy);
    // A row that comes much later, without an expiry of its own.
    let last = format!("h:{}", ROWS - 9);
    server(&store).query::<()>(&["HSET", &last, "note", "another's", "points", "0"]);
    let ended = Ended::of_child(child);
    ended.expect(0).says("changed by somebody else").says("waits for `cache`");
    assert_whole(&store, &expected);
}

/// A command of a batch that was left behind fails while the batch is carried out.
#[test]
fn a_key_of_another_type_that_comes_meanwhile_is_a_reject() {
    let store = Store::single();
    let toy = toy(&store);
    let child = begun(&store, &toy);
    let last = format!("h:{}", ROWS - 9);
    server(&store).query::<()>(&["SET", &last, "a text"]);
    Ended::of_child(child).expect(4).says("refused");
    let now = &records(&store, CHECKPOINT)["now"];
    assert_eq!(now["counts"]["rejected"], 1, "{now}");
    assert_eq!(store.query::<String>(&["GET", &last]), "a text");
    // Away with it: the row is moved.
    store.query::<()>(&["DEL", &last]);
    toy.project.run(&["run", "mappings/demo", "--retry-rejects"]).expect(0);
    assert_same(&store.dump(), &expected());
}

/// Another run takes the lease: not one more batch happens, and what has happened is told.
#[test]
fn a_run_whose_lease_was_taken_does_no_more_and_what_it_did_counts() {
    let expected = expected();
    let store = Store::single();
    let toy = toy(&store);
    let child = begun(&store, &toy);
    let mut another = server(&store).connect().expect("a connection");
    let client: i64 = redis::cmd("CLIENT").arg("ID").query(&mut another).expect("its number");
    let holder = serde_json::json!({
        "run": "00000000-0000-4000-8000-000000000001",
        "place": "elsewhere",
        "since": "2026-01-01T00:00:00Z",
        "client": client,
    });
    let taken = redis::pipe()
        .atomic()
        .cmd("SET")
        .arg("dbferry:{demo}:lease")
        .arg(holder.to_string())
        .ignore()
        .cmd("INCR")
        .arg("dbferry:{demo}:epoch")
        .ignore()
        .query::<()>(&mut another);
    taken.expect("the lease");
    let then = sequence(&store);
    let ended = Ended::of_child(child);
    ended.expect(1).says("another run");
    assert_eq!(sequence(&store), then, "no batch after that");
    assert_told(&store, &ended);
    store.query::<()>(&["DEL", "dbferry:{demo}:lease"]);
    toy.project.run(&ARGS).expect(0);
    assert_whole(&store, &expected);
}

#[test]
fn connections_that_are_lost_meanwhile_lose_and_double_nothing() {
    let expected = expected();
    let store = Store::single();
    let toy = toy(&store);
    let mut child = begun(&store, &toy);
    let mut lost = 0;
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(60));
        lost += server(&store).query::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        if child.try_wait().expect("its state").is_some() {
            break;
        }
    }
    assert!(lost > 1, "{lost} connections");
    Ended::of_child(child).expect(0);
    assert_whole(&store, &expected);
}

/// Stopped in order, a run tells what the target has, to the row.
#[test]
fn a_run_that_is_stopped_tells_what_is_there() {
    let expected = expected();
    let store = Store::single();
    let toy = toy(&store);
    let child = begun(&store, &toy);
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
    let ended = Ended::of_child(child);
    ended.expect(130);
    assert_told(&store, &ended);
    let checkpoint = records(&store, CHECKPOINT);
    assert_eq!(checkpoint["proven"], checkpoint["sequence"], "it was seen to be right");
    toy.project.run(&ARGS).expect(0);
    assert_whole(&store, &expected);
}
