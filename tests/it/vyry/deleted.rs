//! Users that are deleted are left behind where the mapping says so.

use super::Vyry;
use super::tables::{TABLES, Table};
use crate::harness::value;

#[test]
fn users_that_are_deleted_stay_behind_with_what_belongs_to_them_alone() {
    let vyry = Vyry::seeded(120);
    vyry.take_without_deleted();
    vyry.run(&["schema", "apply"]).expect(0);
    vyry.run(&["plan", "--strict"]).expect(0);
    // No foreign key of the target refuses a row: none is left without what it refers to.
    vyry.run(&["run"]).expect(0);
    vyry.check_rows(|table: &Table| format!("({}) is not true", table.of_deleted));
    for table in &TABLES {
        let all = vyry.rows("source", table, "true").len();
        let moved = vyry.rows("target", table, "true").len();
        assert_eq!(moved < all, table.of_deleted != "false", "{}: {moved} of {all}", table.name);
    }
    vyry.run(&["verify"]).expect(0);
    let count = value(&vyry.url("target"), "select count(*) from users where is_deleted");
    assert_eq!(count, "0");
    let left = "user=00000000-0000-4000-8000-000000000002";
    vyry.run(&["run", "--for", left]).expect(0);
    assert_eq!(value(&vyry.url("target"), "select count(*) from users where is_deleted"), "0");
}
