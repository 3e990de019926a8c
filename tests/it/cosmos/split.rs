//! Physical partitions that are split or merged while their documents are read, or between two
//! runs: nothing is lost, nothing comes twice.

use std::process::Child;

use super::harness::{Cosmos, fault};
use super::toy::{Documents, TOYS, Toy, toys};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;
use crate::harness::Ended;

fn account() -> (Cosmos, Documents) {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:3"]);
    let (documents, text) = toys(400, 90);
    cosmos.seed(TOYS, &text);
    (cosmos, documents)
}

fn start(toy: &Toy) -> Child {
    toy.project.start(&["run", "mappings/demo", "--batch-size", "10"])
}

/// The pages after some are held until the faults are set anew.
fn held(skip: u64) -> Fault {
    Fault {
        on: vec![Kind::Query],
        skip,
        ..fault(What::Hold, 1_000_000)
    }
}

/// What happens to the partitions; `locked_ms`: how long they answer nothing meanwhile.
type Change = fn(&Cosmos, u64);

fn split_all(cosmos: &Cosmos, locked_ms: u64) {
    for partition in cosmos.partitions(TOYS) {
        assert_eq!(cosmos.split(TOYS, partition, locked_ms).len(), 2);
    }
}

fn split_again(cosmos: &Cosmos, locked_ms: u64) {
    for _ in 0..2 {
        split_all(cosmos, locked_ms);
    }
}

fn merge_two(cosmos: &Cosmos, locked_ms: u64) {
    let partitions = cosmos.partitions(TOYS);
    cosmos.merge(TOYS, (partitions[0], partitions[1]), locked_ms);
}

fn split_and_merge_over_the_seam(cosmos: &Cosmos, locked_ms: u64) {
    split_all(cosmos, locked_ms);
    let partitions = cosmos.partitions(TOYS);
    // The second half of what was the first, and the first half of what was the second.
    cosmos.merge(TOYS, (partitions[1], partitions[2]), locked_ms);
}

const CHANGES: [(&str, Change); 4] = [
    ("every partition is split", split_all),
    ("every partition is split twice", split_again),
    ("two partitions become one", merge_two),
    ("the seam moves", split_and_merge_over_the_seam),
];

#[test]
fn partitions_that_change_between_two_pages_are_read_to_their_end() {
    for (name, change) in CHANGES {
        for into in [Toy::into_sqlite, Toy::into_postgres] {
            let (cosmos, documents) = account();
            let toy = into(&cosmos);
            cosmos.faults(&[held(6)]);
            let child = start(&toy);
            cosmos.wait_for_fault();
            change(&cosmos, 0);
            cosmos.faults(&[]);
            Ended::of_child(child).expect(0);
            toy.expect(&documents);
            assert!(!toy.documents().is_empty(), "{name}");
        }
    }
}

#[test]
fn partitions_that_answer_nothing_while_they_change_are_waited_for() {
    for (name, change) in [CHANGES[0], CHANGES[2]] {
        let (cosmos, documents) = account();
        let toy = Toy::into_postgres(&cosmos);
        // Slow enough that the change begins between two pages.
        cosmos.faults(&[fault(What::Delay(40), 1_000_000)]);
        let child = start(&toy);
        crate::harness::until("some pages", || cosmos.hits()[0] > 5);
        change(&cosmos, 900);
        cosmos.faults(&[]);
        Ended::of_child(child).expect(0);
        toy.expect(&documents);
        let refused = cosmos.log().iter().filter(|entry| entry.status == Some(410)).count();
        assert!(refused > 0, "{name}: nobody asked meanwhile");
    }
}

#[test]
fn partitions_that_change_between_two_runs_are_gone_on_with() {
    for (name, change) in CHANGES {
        for into in [Toy::into_sqlite, Toy::into_postgres] {
            let (cosmos, documents) = account();
            let toy = into(&cosmos);
            cosmos.faults(&[held(12)]);
            let mut child = start(&toy);
            cosmos.wait_for_fault();
            child.kill().expect("SIGKILL");
            child.wait().expect("an end");
            toy.settle();
            cosmos.faults(&[]);
            let moved = toy.documents().len() as u64;
            change(&cosmos, 0);
            assert_eq!(
                toy.run(&["--batch-size", "10"]),
                [400 - moved, 400 - moved, 0, 0, 0],
                "{name}"
            );
            toy.expect(&documents);
        }
    }
}
