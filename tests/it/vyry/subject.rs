//! One user before all others.

use super::tables::{TABLES, TRAP_USER, Table};
use super::{Vyry, all};
use crate::harness::value;

#[test]
fn one_user_moves_with_all_that_belongs_to_them_and_the_others_follow_later() {
    let vyry = Vyry::seeded(40);
    vyry.run(&["schema", "apply"]).expect(0);
    let plan = vyry.run(&["plan"]);
    plan.expect(0);
    assert!(!plan.stdout.contains("from beginning to end"), "{}", plan.stdout);
    // The second one has two devices, the third has left.
    let linked = "select user_id from devices where device_id > 1000 group by user_id having count(*) = 2 order by user_id limit 1";
    let linked = value(&vyry.url("source"), linked);
    let users = [TRAP_USER, &linked, "00000000-0000-4000-8000-000000000002"];
    for user in users {
        vyry.run(&["run", "--for", &format!("user={user}")]).expect(0);
        vyry.run(&["verify", "--for", &format!("user={user}")]).expect(0);
    }
    let belongs = |table: &Table| {
        let of = users.map(|user| format!("({})", table.of_user.replace("$user", user)));
        of.join(" or ")
    };
    for table in &TABLES {
        let rows = vyry.rows("source", table, &belongs(table)).len();
        assert!(rows > 0, "nothing of {}", table.name);
    }
    vyry.check_rows(belongs);
    vyry.run(&["run", "--for", "user=not-a-uuid"]).expect(2);
    vyry.run(&["run"]).expect(0);
    vyry.check_rows(all);
}
