//! SQLite: composite keys, tables without row ids, triggers, rejects, circles of foreign keys.

use std::time::Instant;

use super::{Shop, assert_adds_up, elapsed, figure, killed};
use crate::harness::KillTimes;

fn streams(policy: &str) -> String {
    let stream = |name: &str, key: &str, rest: &str, columns: &[&str]| {
        let columns: Vec<String> = columns.iter().map(|column| format!("{column} = \"{column}\"\n")).collect();
        format!(
            "[[stream]]\nname = \"{name}\"\nfrom = \"app.{name}\"\nto = \"shop.{name}\"\nkey = {key}\non_conflict = \"{policy}\"\n{rest}\n[stream.columns]\n{}\n",
            columns.concat()
        )
    };
    let id = "[\"id\"]";
    [
        stream(
            "users",
            id,
            "triggers = \"on\"\nsubject = { user = \"id = $key\" }",
            &["id", "name"],
        ),
        stream(
            "orders",
            id,
            "subject = { user = \"user_id = $key\" }",
            &["id", "user_id", "note"],
        ),
        stream(
            "lines",
            "[\"order_id\", \"item\"]",
            "subject = { user = \"order_id in (select id from orders where user_id = $key)\" }",
            &["order_id", "item", "amount"],
        ),
        stream("tree", id, "", &["id", "up", "name"]),
    ]
    .concat()
}

const ROWS: u32 = 1_500;

fn source() -> String {
    format!(
        "create table users (id integer primary key, name text);
         create table orders (id integer primary key, user_id integer, note text);
         create table lines (order_id integer, item text, amount integer, primary key (order_id, item)) without rowid;
         create table tree (id integer primary key, up integer, name text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS})
         insert into users select i, 'user ' || i from n;
         insert into orders select id, case when id % 301 = 7 then null else id end, 'order ' || id from users;
         insert into lines select id, 'a' || id, id from orders union all select id, 'b', -id from orders where id % 3 = 0;
         insert into tree select id, nullif(id / 2, 0), 'node ' || (id % 1400) from users;"
    )
}

/// Rows that are there, of storage classes that nobody declared, and a trigger that stamps what is written.
const TARGET: &str = "
create table users (id integer primary key, name text not null, stamp text default 'none', seen) strict;
";

fn target() -> String {
    TARGET.replace("seen) strict", "seen)")
        + "create table orders (id integer primary key, user_id integer not null references users (id) on delete cascade, note text, sum real as (id * 1.5));
           create table lines (order_id integer not null references orders (id) on delete cascade, item text not null, amount integer, extra,
               primary key (order_id, item)) without rowid;
           create table tree (id integer primary key, up integer references tree (id) on delete cascade, name text unique);
           create table audit (user integer, what text);
           create trigger users_in after insert on users begin update users set stamp = 'in ' || new.id where id = new.id; end;
           create trigger users_up after update of name on users begin update users set stamp = 'up ' || new.id where id = new.id; end;
           insert into users (id, name, stamp, seen) values (3, 'old', 'mine', 1.5), (4, 'older', null, x'0001'), (99999, 'mine', 'x', 'y');
           update users set stamp = 'mine' where id = 3;
           insert into orders (id, user_id, note) values (3, 99999, 'mine'), (88888, 99999, null);
           insert into lines values (3, 'a3', 7, 1.25), (3, 'c', 8, x'ff'), (88888, 'z', null, 'text');
           insert into tree values (5, null, 'five'), (6, 5, 'six');"
}

#[test]
fn every_row_is_as_before_the_run_and_the_run_can_be_made_again() {
    for policy in ["update", "skip", "error"] {
        let shop = Shop::new(&streams(policy), &source(), &target());
        let before = shop.state();
        let (run, _) = shop.run(4, &[]);
        let after = shop.state();
        assert_ne!(after, before);
        let planned = shop.rollback(&run, &["--dry-run"]).expect(0).json();
        assert_eq!(shop.state(), after);
        let done = shop.rollback(&run, &["--yes", "--batch-size", "130"]).expect(0).json();
        assert_adds_up(&done);
        for (planned, done) in
            (planned["streams"].as_array().expect("streams").iter()).zip(done["streams"].as_array().expect("streams"))
        {
            for name in ["removed", "restored"] {
                assert_eq!(figure(planned, name), figure(done, name), "{policy} {planned:#} {done:#}");
            }
        }
        assert_eq!(shop.state(), before, "{policy}");
        assert!(shop.ledger().iter().all(Vec::is_empty), "{:?}", shop.ledger());
        let (again, _) = shop.run(4, &[]);
        assert_eq!(shop.state(), after);
        shop.rollback(&again, &["--yes"]).expect(0);
        assert_eq!(shop.state(), before);
    }
}

#[test]
fn killed_runs_and_killed_rollbacks_leave_a_file_as_it_was() {
    let shop = Shop::new(&streams("update"), &source(), &target());
    let before = shop.state();
    let began = Instant::now();
    let (run, _) = shop.run(4, &[]);
    let whole = elapsed(began);
    let after = shop.state();
    shop.rollback(&run, &["--yes"]).expect(0);
    let args = ["run", "mappings/demo", "--undo", "--batch-size", "100"];
    let mut times = KillTimes::within(whole + 50);
    let runs = killed(&shop.project, &args, (5, &mut times));
    shop.project.run(&args);
    assert_eq!(shop.state(), after);
    let mut times = KillTimes::within(whole / 2 + 50);
    let mut rollbacks = 0;
    for run in shop.runs_left() {
        let args = ["rollback", &run, "mappings/demo", "--yes", "--batch-size", "50"];
        rollbacks += killed(&shop.project, &args, (2, &mut times));
        let ended = shop.rollback(&run, &["--yes"]);
        // A rollback is a run of its own, of which there is nothing to take back.
        if ended.code == Some(0) {
            assert_adds_up(&ended.json());
        }
    }
    eprintln!("{runs} runs and {rollbacks} rollbacks were killed");
    assert!(runs > 0 && rollbacks > 0);
    assert_eq!(shop.state(), before);
    assert!(shop.ledger().iter().all(Vec::is_empty), "{:?}", shop.ledger());
}

#[test]
fn what_was_changed_since_or_is_referred_to_is_told_first() {
    for winner in ["keep", "overwrite"] {
        let shop = Shop::new(&streams("update"), &source(), &target());
        let before = shop.state();
        let (run, _) = shop.run(4, &[]);
        let after = shop.state();
        shop.project.sqlite(
            "shop.db",
            "update users set name = 'by hand' where id in (3, 10); delete from lines where order_id = 20; delete from lines where order_id = 3 and item = 'a3';
             pragma foreign_keys = on; insert into orders (id, user_id, note) values (77777, 30, 'new')",
        );
        let refused = shop.rollback(&run, &["--yes"]).expect(5).json();
        assert_eq!(refused["status"], "refused");
        let stream = |name: &str| {
            let streams = refused["streams"].as_array().expect("streams");
            streams
                .iter()
                .find(|stream| stream["name"] == name)
                .expect("the stream")
                .clone()
        };
        assert_eq!(stream("users")["changed_since"]["rows"], 2);
        assert_eq!(stream("lines")["changed_since"]["keys"], serde_json::json!(["3, a3"]));
        assert_eq!(stream("lines")["gone"], 1);
        assert_eq!(stream("users")["referred"][0]["rows"], 1, "{refused:#}");
        let whole = shop.state();
        assert_eq!(whole.len(), after.len());
        if winner == "overwrite" {
            shop.rollback(&run, &["--yes", "--changed", winner]).expect(5);
            assert_eq!(shop.state(), whole);
            shop.project.sqlite("shop.db", "delete from orders where id = 77777");
        }
        let done = shop.rollback(&run, &["--yes", "--changed", winner]).expect(0).json();
        assert_adds_up(&done);
        if winner == "overwrite" {
            assert_eq!(shop.state(), before);
        } else {
            assert_eq!(
                shop.rows("select count(*) from users where id in (10, 30) or name = 'by hand'")
                    .len(),
                1
            );
            let users = shop.rows("select id, name from users order by id");
            assert_eq!(users.len(), 5, "{users:?}");
            assert_eq!(shop.rows("select id from orders order by id").len(), 3);
        }
        let broken = shop.rows("pragma foreign_key_check");
        assert!(broken.is_empty(), "{broken:?}");
    }
}

#[test]
fn one_subject_alone_is_taken_back() {
    let shop = Shop::new(&streams("update"), &source(), &target());
    let before = shop.state();
    let (run, _) = shop.run(4, &["--only", "users,orders,lines"]);
    let of = |user: u32| {
        shop.rows(&format!("select id, name, stamp, seen from users where id = {user} union all select id, note, user_id, sum from orders where id = {user}
             union all select order_id, item, amount, extra from lines where order_id = {user}"))
    };
    assert_eq!(of(12).len(), 4);
    shop.rollback(&run, &["--yes", "--for", "user=12"]).expect(0);
    assert!(of(12).is_empty());
    assert_eq!(of(13).len(), 3);
    let done = shop.rollback(&run, &["--yes"]).expect(0).json();
    assert_adds_up(&done);
    assert_eq!(shop.state(), before);
}
