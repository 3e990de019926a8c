//! The seven databases are equal to the source after the move, and a change in one is found there.

use super::Bento;
use crate::harness::{query, unequal};
use crate::verify::ledger::told;

#[test]
fn seven_databases_are_equal_after_the_move_and_a_changed_post_is_named() {
    let bento = Bento::seeded(40);
    bento.run(&["schema", "apply"]).expect(0);
    bento.run(&["run"]).expect(4);
    let report = bento.run(&["verify", "--output", "json"]).expect(0).json();
    assert!(unequal(&report).is_empty(), "{report:#}");
    let check = ["verify", "--ledger", "--output", "json"];
    let checked = bento.run(&check).expect(0).json();
    assert_eq!(told(&checked), (0, Vec::new()), "{checked:#}");
    query(
        &bento.url("post_db"),
        "update posts set content = content || ' ' where id = (select min(id) from posts)",
    );
    let report = bento.run(&["verify", "--output", "json"]).expect(5).json();
    let found = unequal(&report);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0]["name"].as_str(), found[0]["different"].as_u64()),
        (Some("posts"), Some(1))
    );
    let checked = bento.run(&check).expect(5).json();
    assert_eq!(told(&checked).0, 1, "{checked:#}");
}
