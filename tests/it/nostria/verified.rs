//! The tables are equal to the container after the move, traps and all, and a change is found.

use super::Nostria;
use crate::harness::unequal;
use crate::verify::ledger::told;

#[test]
fn tables_are_equal_to_the_container_and_a_changed_document_is_named() {
    let nostria = Nostria::seeded(&["documents.jsonl", "traps.jsonl"]);
    nostria.run(&["run", "--apply-schema"]).expect(4);
    let report = nostria.run(&["verify", "--output", "json"]).expect(0).json();
    assert!(unequal(&report).is_empty(), "{report:#}");
    let streams = report["streams"].as_array().expect("streams");
    assert!(streams.iter().any(|stream| stream["rejected"].as_u64() > Some(0)));
    let checked = nostria.run(&["verify", "--ledger", "--output", "json"]);
    let (changed, reasons) = told(&checked.json());
    assert_eq!(changed, 0);
    assert!(
        reasons.iter().all(|reason| reason.contains("pages in an order of its own")),
        "{reasons:#?}"
    );
    nostria
        .database
        .query("update accounts set tier = tier || ' ' where id = (select min(id) from accounts where tier is not null)");
    let report = nostria.run(&["verify", "--output", "json"]).expect(5).json();
    let found = unequal(&report);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["different"].as_u64(), Some(1));
}
