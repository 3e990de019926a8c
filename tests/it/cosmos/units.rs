//! Request units: what a run has cost is told to the last digit, what it will cost is measured, and
//! what it may cost in a second is kept to.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{Cosmos, fault, of_kind};
use super::toy::{STREAM, TOYS, Toy, pages, toys};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;
use crate::emulator::log::Entry;
use crate::harness::{Ended, until};

/// Documents of which each costs a quarter of a request unit.
fn priced(count: u32) -> Cosmos {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    cosmos.seed(TOYS, &toys(count, 100).1);
    cosmos.price(Some(0.25));
    cosmos
}

/// Thousandths of request units, of an exact decimal number.
#[track_caller]
fn milli(units: &Value) -> u64 {
    let text = units.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<3}")
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What pages have cost by the account's own log, in thousandths.
fn charged(log: &[Entry]) -> u64 {
    let charges = log.iter().filter(|entry| entry.kind.is_page()).map(|entry| entry.charge);
    // Hundredths, so that nothing is lost.
    charges
        .map(|charge| format!("{:.0}", charge * 1000.0).parse::<u64>().expect("a number"))
        .sum()
}

/// What the container's own description has cost.
fn description(log: &[Entry]) -> u64 {
    let reads = of_kind(log, Kind::Open);
    let charge = reads.last().expect("the container was looked at").charge;
    format!("{:.0}", charge * 1000.0).parse().expect("a number")
}

fn start(toy: &Toy, args: &[&str]) -> Child {
    toy.project
        .start(&[&["run", "mappings/demo", "--output", "json"], args].concat())
}

#[test]
fn a_run_tells_what_the_account_has_charged_once_for_all_streams_of_a_pass() {
    let cosmos = priced(400);
    let toy = Toy::into_postgres(&cosmos);
    toy.query("create table others (like toys including all)");
    let second = STREAM
        .replace("name = \"toys\"", "name = \"others\"")
        .replace("target.toys", "target.others");
    toy.project
        .write("mappings/demo/streams.toml", &format!("{STREAM}\n{second}"));
    toy.configure("portion_rows_max = 30", "");
    cosmos.clear_log();
    let ended = toy.project.run(&["run", "mappings/demo", "--output", "json"]);
    let report = ended.expect(0).json();
    let log = cosmos.log();
    let read: u64 = pages(&log).iter().filter_map(|page| page.documents).sum();
    assert_eq!(read, 400, "both streams share one pass");
    let [spent] = report["spent"].as_array().expect("a list").as_slice() else {
        panic!("{report:#}");
    };
    assert_eq!(spent["connection"], "cosmos");
    assert_eq!(milli(&spent["request_units"]), charged(&log) + description(&log), "{spent}");
    let asked = log.iter().filter(|entry| entry.kind.is_page()).count() as u64;
    assert_eq!(
        spent["requests"].as_u64(),
        Some(asked + 1),
        "the pages, and a look at the container"
    );
    assert_eq!(spent["throttled"], 0);
    // So they do when they are compared with it.
    cosmos.clear_log();
    toy.project.run(&["verify", "mappings/demo"]).expect(0);
    let read: u64 = pages(&cosmos.log()).iter().filter_map(|page| page.documents).sum();
    assert_eq!(read, 400, "a verification reads once for both");
    // What is complete costs a look at the container.
    let text = toy.project.run(&["run", "mappings/demo"]);
    assert!(text.expect(0).stdout.contains("cosmos: "), "{}", text.stdout);
    assert!(text.stdout.contains(" RU in 1 request\n"), "{}", text.stdout);
}

#[test]
fn a_plan_measures_what_a_run_will_cost() {
    let cosmos = priced(400);
    let toy = Toy::into_postgres(&cosmos);
    cosmos.clear_log();
    let plan = toy.project.run(&["plan", "mappings/demo", "--output", "json"]);
    let plan = plan.expect(0).json();
    let log = cosmos.log();
    assert_eq!(pages(&log).len(), 1, "one page is all");
    let cost = &plan["costs"][0];
    assert_eq!(plan["streams"][0]["rows_estimate"], 400);
    assert_eq!(cost["rows_estimate"], 400);
    assert_eq!(cost["rows_measured"].as_u64(), pages(&log)[0].documents);
    assert_eq!(milli(&cost["request_units"]), 100_000, "{cost}");
    assert_eq!(milli(&cost["request_units_per_1000_rows"]), 250_000, "{cost}");
    assert_eq!(cost["streams"], serde_json::json!(["toys"]));
    assert_eq!(milli(&plan["spent"][0]["request_units"]), charged(&log) + description(&log));
    let text = toy.project.run(&["plan", "mappings/demo"]);
    let told = "cost of cosmos.toys, read once for 1 stream: about 100 RU for about 400 documents (measured on ";
    assert!(text.expect(0).stdout.contains(told), "{}", text.stdout);
    // The run itself is not preceded by a sample, and costs what was told.
    cosmos.clear_log();
    toy.run(&[]);
    assert_eq!(
        charged(&cosmos.log()).saturating_sub(of_pages_without_documents(&cosmos.log())),
        100_000
    );
    cosmos.clear_log();
    let plan = toy.project.run(&["plan", "mappings/demo", "--output", "json"]);
    assert_eq!(plan.expect(0).json()["costs"], serde_json::json!([]), "it is complete");
    assert!(pages(&cosmos.log()).is_empty());
}

/// Changes that were pinned, and ends of ranges.
fn of_pages_without_documents(log: &[Entry]) -> u64 {
    let empty = log.iter().filter(|entry| entry.documents.unwrap_or_default() == 0);
    charged(&empty.cloned().collect::<Vec<_>>())
}

#[test]
fn a_container_without_documents_has_no_estimate() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let toy = Toy::into_postgres(&cosmos);
    let plan = toy.project.run(&["plan", "mappings/demo", "--output", "json"]);
    let plan = plan.expect(0).json();
    assert_eq!(plan["streams"][0]["rows_estimate"], Value::Null);
    assert_eq!(plan["costs"][0]["request_units"], Value::Null);
    let text = toy.project.run(&["plan", "mappings/demo"]);
    assert!(
        text.expect(0).stdout.contains("there is no document to measure it on"),
        "{}",
        text.stdout
    );
}

#[test]
fn request_units_per_second_are_kept_to() {
    let cosmos = priced(400);
    let toy = Toy::into_postgres(&cosmos);
    toy.configure("portion_rows_max = 20", "max_request_units_per_second = 50");
    cosmos.clear_log();
    let began = Instant::now();
    assert_eq!(toy.run(&[])[..2], [400, 400]);
    let took = began.elapsed();
    // Nobody waits for the last page's charge, and the first of each reader is not known before.
    let charged = charged(&cosmos.log()) - 4 * 5000;
    assert!(took >= Duration::from_millis(charged / 50), "{charged} in {took:?}");
}

#[test]
fn waits_that_the_service_asks_for_are_counted() {
    let cosmos = priced(400);
    let toy = Toy::into_postgres(&cosmos);
    toy.configure("portion_rows_max = 20", "");
    cosmos.throughput(Some(100.0));
    cosmos.clear_log();
    let report = Ended::of_child(start(&toy, &[])).expect(0).json();
    let log = cosmos.log();
    let refused = log.iter().filter(|entry| entry.status == Some(429)).count() as u64;
    assert!(refused > 0, "{log:?}");
    assert_eq!(report["spent"][0]["throttled"].as_u64(), Some(refused));
    let asked = log.iter().filter(|entry| entry.kind.is_page()).count() as u64;
    assert_eq!(report["spent"][0]["requests"].as_u64(), Some(asked + 1));
    assert_eq!(report["streams"][0]["inserted"], 400);
}

#[test]
fn no_more_pages_are_asked_for_at_once_than_allowed() {
    let cosmos = priced(400);
    let toy = Toy::into_postgres(&cosmos);
    toy.configure("", "pages_in_flight_max = 2");
    cosmos.faults(&[Fault {
        on: vec![Kind::Query],
        ..fault(What::Hold, 100)
    }]);
    let run = start(&toy, &[]);
    until("two pages are held", || cosmos.hits() == [2]);
    // Two more readers would have come by now.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(cosmos.hits(), [2]);
    cosmos.faults(&[]);
    assert_eq!(Ended::of_child(run).expect(0).json()["streams"][0]["inserted"], 400);
}

#[test]
fn ranges_take_turns_however_many_there_are() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:8"]);
    cosmos.seed(TOYS, &toys(400, 100).1);
    let toy = Toy::into_postgres(&cosmos);
    toy.configure("portion_rows_max = 10", "pages_in_flight_max = 2");
    cosmos.faults(&[Fault {
        on: vec![Kind::Query],
        continued: Some(true),
        ..fault(What::Hold, 100)
    }]);
    let run = start(&toy, &[]);
    until("two ranges are held at their second pages", || cosmos.hits() == [2]);
    // Others would have asked for their first pages by now, if more than two pages could be asked for.
    std::thread::sleep(Duration::from_millis(500));
    let log = cosmos.log();
    let mut begun: Vec<_> = pages(&log).iter().map(|page| page.partition.clone()).collect();
    begun.sort();
    begun.dedup();
    assert!(begun.len() <= 2, "{begun:?}");
    cosmos.faults(&[]);
    assert_eq!(Ended::of_child(run).expect(0).json()["streams"][0]["inserted"], 400);
}

#[test]
fn whoever_waits_for_the_budget_can_be_stopped() {
    let cosmos = priced(400);
    let toy = Toy::into_postgres(&cosmos);
    // Two minutes for all of it.
    toy.configure(
        "portion_rows_max = 10\nbatch_rows_max = 10",
        "max_request_units_per_second = 1",
    );
    let run = start(&toy, &[]);
    until("a page", || pages(&cosmos.log()).iter().any(|page| page.documents > Some(0)));
    let began = Instant::now();
    let id = rustix::process::Pid::from_raw(i32::try_from(run.id()).expect("an id")).expect("an id");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("a signal");
    let report = Ended::of_child(run).expect(130).json();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(report["status"], "interrupted");
}
