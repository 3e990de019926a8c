//! Runs that are killed at random moments and resumed: exactly the source at the end, and nothing
//! is read again that had been committed.

use std::time::Duration;

use super::harness::{Cosmos, fault};
use super::toy::{TOYS, Toy, pages, toys};
use crate::emulator::fault::{Fault, What};
use crate::harness::{Moments, until};

const COUNT: u32 = 600;
const KILLS: u32 = 12;

#[test]
fn killed_at_random_moments_and_resumed_the_target_has_the_documents_of_the_source() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let (documents, text) = toys(COUNT, 90);
    cosmos.seed(TOYS, &text);
    let mut moments = Moments::seeded();
    for toy in [Toy::into_postgres(&cosmos), Toy::into_sqlite(&cosmos)] {
        // Slow pages, some of which go wrong: a kill comes at any stage of them.
        cosmos.faults(&[
            Fault {
                skip: 7,
                ..fault(What::Cut, 4)
            },
            fault(What::Delay(15), 1_000_000),
        ]);
        let (mut killed, mut interrupted) = (0, 0);
        for _ in 0..KILLS * 4 {
            if killed == KILLS {
                break;
            }
            let mut child = toy.project.start_unheard(&["run", "mappings/demo", "--batch-size", "10"]);
            // Counted in pages, however fast this machine is, and from there on in milliseconds.
            let pages = cosmos.hits()[1] + moments.below(9);
            let mut ended = false;
            until("so many pages, or an end", || {
                ended = child.try_wait().expect("the child's state").is_some();
                ended || cosmos.hits()[1] >= pages
            });
            std::thread::sleep(Duration::from_millis(moments.below(40)));
            if !ended && child.try_wait().expect("the child's state").is_none() {
                child.kill().expect("SIGKILL");
                killed += 1;
            }
            child.wait().expect("an end");
            let there = toy.documents().len();
            interrupted += u32::from(there > 0 && there < COUNT as usize);
            if there == COUNT as usize {
                break;
            }
        }
        eprintln!("killed {killed} times, {interrupted} times in between");
        assert!(interrupted > 2, "runs were killed in between");
        cosmos.faults(&[]);
        toy.project.run(&["run", "mappings/demo"]).expect(0);
        toy.expect(&documents);
    }
}

#[test]
fn a_resumed_run_reads_on_after_the_last_committed_page_of_every_range() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let (documents, text) = toys(COUNT, 90);
    cosmos.seed(TOYS, &text);
    for toy in [Toy::into_postgres(&cosmos), Toy::into_sqlite(&cosmos)] {
        cosmos.faults(&[fault(What::Delay(60), 1_000_000)]);
        let mut child = toy.project.start_unheard(&["run", "mappings/demo", "--batch-size", "10"]);
        let begun = format!(
            "select cast(coalesce(min(sequence), 0) as text), cast(count(*) as text) from {}",
            toy.ledger("checkpoint")
        );
        let tables = toy.ledger("checkpoint");
        until("a page of every range", || {
            toy.has(&tables) && {
                let found = &toy.query(&begun)[0];
                found[0].parse::<u32>().expect("a number") > 1 && ["1", "4"].contains(&found[1].as_str())
            }
        });
        child.kill().expect("SIGKILL");
        child.wait().expect("an end");
        cosmos.faults(&[]);
        toy.settle();
        let moved = toy.documents().len() as u64;
        assert!(moved > 0 && moved < u64::from(COUNT), "{moved}");
        cosmos.clear_log();
        let left = u64::from(COUNT) - moved;
        assert_eq!(toy.run(&[]), [left, left, 0, 0, 0]);
        toy.expect(&documents);
        let log = cosmos.log();
        assert!(pages(&log).iter().filter(|page| page.status == Some(200)).count() > 0);
        let read: u64 = pages(&log).iter().filter_map(|page| page.documents).sum();
        assert_eq!(read, left, "what was committed is not read again");
    }
}
