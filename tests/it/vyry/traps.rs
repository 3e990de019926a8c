//! Rows with something odd about them end as the page about the sample says.

use super::page::traps;
use super::tables::TABLES;
use super::{Vyry, all};
use crate::harness::{query, value};

#[test]
fn every_trap_among_the_tables_of_postgres_arrives_as_it_is() {
    let vyry = Vyry::seeded(1);
    vyry.run(&["run", "--apply-schema"]).expect(0);
    let mut met = 0;
    for trap in traps() {
        let Some(table) = TABLES.iter().find(|table| table.name == trap.table) else {
            continue;
        };
        let quoted = trap.key.replace('\'', "''");
        let there = format!("select count(*) from {} where {} = '{quoted}'", table.name, table.key);
        assert_eq!(
            value(&vyry.url("source"), &there),
            "1",
            "{} is no trap of the sample",
            trap.key
        );
        assert!(trap.becomes.starts_with("moved"), "{}: {}", trap.key, trap.becomes);
        assert_eq!(value(&vyry.url("target"), &there), "1", "{}", trap.key);
        met += 1;
    }
    assert_eq!(met, 49);
    vyry.check_rows(all);
    let bytes =
        "select count(distinct get_byte(identity_key_public, at)) from devices, generate_series(0, 255) as at where device_id = 8";
    assert_eq!(value(&vyry.url("target"), bytes), "256");
}

#[test]
fn devices_that_have_linked_each_other_pass_a_foreign_key_and_the_one_linked_by_nobody_is_named() {
    let vyry = Vyry::seeded(5);
    vyry.run(&["schema", "apply"]).expect(0);
    query(
        &vyry.url("target"),
        "alter table devices add foreign key (linked_by_device_id) references devices",
    );
    vyry.run(&["run"]).expect(4);
    let rejects = query(
        &vyry.url("target"),
        "select source_key::json -> 0 ->> 'int', column_name, reason from dbferry.reject where resolved_at is null order by 1",
    );
    let expected = ["10", "6"].map(|device| {
        [device, "linked_by_device_id", "foreign_key"]
            .map(|cell| Some(cell.to_owned()))
            .to_vec()
    });
    assert_eq!(rejects, expected);
    let circle = "select string_agg(device_id || '-' || linked_by_device_id, ' ' order by device_id) from devices where linked_by_device_id < 10";
    assert_eq!(value(&vyry.url("target"), circle), "1-2 2-1 3-3 4-7");
}
