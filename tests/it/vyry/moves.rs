//! Moves that nobody disturbs: everything, once and again.

use serde_json::Value;

use super::tables::TABLES;
use super::{Vyry, all};
use crate::harness::{query, unequal, value};
use crate::verify::ledger::told;

/// The next numbers that devices and messages get.
fn numbers(vyry: &Vyry) -> (i64, i64) {
    let next = |sequence: &str| {
        value(&vyry.url("target"), &format!("select nextval('{sequence}')"))
            .parse()
            .expect("a number")
    };
    (next("devices_device_id_seq"), next("messages_message_id_seq"))
}

#[test]
fn a_role_that_may_only_read_moves_every_row_and_numbers_go_on_past_the_highest() {
    let vyry = Vyry::seeded(40);
    vyry.run(&["schema", "apply"]).expect(0);
    vyry.run(&["check"]).expect(0);
    vyry.run(&["plan", "--strict", "--count"]).expect(0);
    vyry.run(&["run", "--dry-run"]).expect(0);
    for table in &TABLES {
        let left: [String; 0] = [];
        assert_eq!(vyry.rows("target", table, "true"), left, "{} after the rehearsal", table.name);
    }

    let report = vyry.run(&["run", "--output", "json"]).expect(0).json();
    vyry.check_rows(all);
    let streams = report["streams"].as_array().expect("streams");
    for table in &TABLES {
        let figures = streams
            .iter()
            .find(|figures| figures["name"] == table.name)
            .expect("its figures");
        let rows = vyry.rows("source", table, "true").len();
        for figure in ["read", "inserted"] {
            assert_eq!(figures[figure], Value::from(rows), "{figure} of {}", table.name);
        }
    }
    let highest = |end: &str, sql: &str| value(&vyry.url(end), sql).parse::<i64>().expect("a number");
    let (device, message) = numbers(&vyry);
    assert_eq!(device, 1 + highest("source", "select max(device_id) from devices"));
    assert_eq!(message, 1 + highest("source", "select max(message_id) from messages"));

    let verified = vyry.run(&["verify", "--output", "json"]).expect(0).json();
    assert!(unequal(&verified).is_empty(), "{verified:#}");
    let checked = vyry.run(&["verify", "--ledger", "--output", "json"]).expect(0).json();
    assert_eq!(told(&checked), (0, Vec::new()), "{checked:#}");

    let again = vyry.run(&["run", "--restart", "--output", "json"]).expect(0).json();
    for figures in again["streams"].as_array().expect("streams") {
        assert_eq!(
            (&figures["inserted"], &figures["updated"]),
            (&Value::from(0), &Value::from(0)),
            "{figures}"
        );
    }
    let (next_device, next_message) = numbers(&vyry);
    assert_eq!((next_device, next_message), (device + 1, message + 1), "numbers went back");
}

#[test]
fn a_number_of_a_message_that_is_gone_is_not_given_again() {
    let vyry = Vyry::seeded(1);
    query(
        &vyry.url("source"),
        "insert into message_deliveries (message_id, device_id) values (77000, 1)",
    );
    vyry.run(&["run", "--apply-schema", "--only", "message_numbers"]).expect(0);
    assert_eq!(numbers(&vyry).1, 77_001);
    query(&vyry.url("source"), "truncate messages, message_deliveries");
    vyry.run(&["verify", "--only", "message_numbers"]).expect(5);
}

#[test]
fn a_change_in_one_cell_of_bytes_is_found() {
    let vyry = Vyry::seeded(2);
    vyry.run(&["run", "--apply-schema"]).expect(0);
    query(
        &vyry.url("target"),
        "update devices set identity_key_public = set_byte(identity_key_public, 255, 0) where device_id = 8",
    );
    let report = vyry.run(&["verify", "--output", "json"]).expect(5).json();
    let found = unequal(&report);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0]["name"].as_str(), found[0]["different"].as_u64()),
        (Some("devices"), Some(1))
    );
}

#[test]
fn the_runbook_works_from_the_first_command_to_the_last() {
    let vyry = Vyry::with_cql(30);
    crate::runbook::follow("vyry", &vyry.project);
}
