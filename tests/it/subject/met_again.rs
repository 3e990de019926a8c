//! Rows that are met again: by the same user, by another one, and by runs of everything.

use super::{Shop, figures, mapping};

#[test]
fn rows_that_exist_are_treated_as_declared_and_never_overwritten_by_surprise() {
    for (policy, found, total) in [("update", [3, 0, 1, 2, 0], "1"), ("skip", [3, 0, 0, 3, 0], "99")] {
        for shop in Shop::both(policy) {
            shop.run(&["--for", "user=ann"]).expect(0);
            shop.change("update orders set total = 99 where id = 101");
            let report = shop.report(0, &["--for", "user=ann"]);
            assert_eq!(figures(&report, "orders"), found, "{policy}");
            assert_eq!(shop.value("select total from orders where id = 101"), total, "{policy}");
        }
    }
    for shop in Shop::both("error") {
        shop.run(&["--for", "user=ann"])
            .expect(0)
            .says("takes rows that exist for an error");
        let before = shop.everything();
        let again = shop.report(0, &["--for", "user=ann"]);
        assert_eq!(figures(&again, "orders"), [3, 0, 0, 3, 0]);
        assert_eq!(shop.everything(), before);
        shop.change("update orders set total = 99 where id = 101");
        for _ in 0..2 {
            let report = shop.report(4, &["--for", "user=ann", "--max-rejects", "5"]);
            assert_eq!(figures(&report, "orders"), [3, 0, 0, 2, 1]);
            assert_eq!(
                shop.open_rejects().len(),
                1,
                "the same row is one open reject, however often it is met"
            );
        }
        assert_eq!(shop.open_rejects()[0][2].as_deref(), Some("duplicate"));
        assert_eq!(
            shop.value("select total from orders where id = 101"),
            "99",
            "nothing is overwritten"
        );
        // Mended: the reject is resolved by the same command.
        shop.change("delete from orders where id = 101");
        let report = shop.report(0, &["--for", "user=ann"]);
        assert_eq!(figures(&report, "orders"), [3, 1, 0, 2, 0]);
        assert!(shop.open_rejects().is_empty());
        assert_eq!(shop.everything(), before);
    }
}

#[test]
fn rejects_of_one_user_are_seen_by_stats_retried_and_not_doubled_by_a_run_of_all() {
    for shop in Shop::both("update") {
        shop.project.sqlite("app.db", "update orders set total = null where id = 102");
        shop.run(&["--for", "user=ann"]).expect(4).says("--for user=ann");
        shop.run(&["--for", "user=bob"]).expect(0);
        let stats = shop
            .project
            .run(&["stats", "mappings/demo", "--output", "json"])
            .expect(0)
            .json();
        assert_eq!(stats["streams"][0]["rejects_open"], 1);
        assert_eq!(stats["streams"].as_array().map(Vec::len), Some(4), "subjects are no streams");
        shop.project.sqlite("app.db", "update orders set total = 7 where id = 102");
        shop.run(&["--retry-rejects"]).expect(0);
        assert_eq!(shop.value("select total from orders where id = 102"), "7");
        assert!(shop.open_rejects().is_empty());

        shop.project.sqlite("app.db", "update orders set total = null where id = 103");
        shop.change("delete from orders where id = 103");
        shop.run(&["--for", "user=ann"]).expect(4);
        shop.run(&["--max-rejects", "5"]).expect(4);
        assert_eq!(shop.open_rejects().len(), 1, "the run of all meets the row again");
        assert_eq!(shop.value("select count(*) from orders"), "17");
    }
}

#[test]
fn two_users_rows_with_one_target_key_collide_as_in_a_run_of_all() {
    for shop in Shop::both("update") {
        let same = mapping("update").replacen("id = \"id\"", "id = \"id % 100\"", 1);
        shop.project.write("mappings/demo/streams.toml", &same);
        shop.run(&["--for", "user=ann"]).expect(0);
        let report = shop.report(4, &["--for", "user=bob", "--max-rejects", "9"]);
        assert_eq!(figures(&report, "orders"), [3, 0, 0, 0, 3]);
        assert_eq!(shop.value("select count(*) from orders where user_id = 'ann'"), "3");
        assert!(
            shop.open_rejects()
                .iter()
                .all(|row| row[2].as_deref() == Some("key_collision"))
        );
        // Whoever came first keeps the key, until a run of all begins anew.
        shop.run(&["--for", "user=ann"]).expect(0);
    }
}

#[test]
fn rows_that_refer_to_each_other_and_to_those_of_others() {
    for shop in Shop::both("update") {
        shop.project.sqlite(
            "app.db",
            "create table notes (id integer primary key, user_id text, parent integer);
             insert into notes values (1, 'ann', 2), (2, 'ann', null), (3, 'ann', 4), (4, 'bob', 1)",
        );
        shop.change(
            "create table notes (id integer primary key, user_id varchar(50) not null references users (id),
                 parent integer references notes (id))",
        );
        let notes = mapping("update").replacen("orders", "notes", 3);
        shop.project.write("mappings/demo/streams.toml", &notes);
        let report = shop.report(4, &["--for", "user=ann", "--max-rejects", "9"]);
        assert_eq!(
            figures(&report, "notes"),
            [3, 2, 0, 0, 1],
            "a note of ann's that comes after the one it refers to"
        );
        shop.run(&["--for", "user=bob"]).expect(0);
        let report = shop.report(0, &["--for", "user=ann"]);
        assert_eq!(figures(&report, "notes"), [3, 1, 0, 2, 0]);
        assert!(shop.open_rejects().is_empty());
        let keys = "select cast(id as text), cast(parent as text) from notes order by id";
        let before = shop.query(keys);
        assert_eq!(before.len(), 4);
        // A run of all takes the key away and puts it back, whatever was moved before.
        shop.run(&[]).expect(0);
        assert_eq!(shop.query(keys), before);
    }
}

#[test]
fn a_user_moved_while_a_run_of_all_is_interrupted_is_met_by_it_later() {
    for postgres in [true, false] {
        for policy in ["update", "skip", "error"] {
            let shop = Shop::new(postgres, policy);
            // A run of all stops at the broken row of `ann`, with rows committed before.
            shop.project.sqlite("app.db", "update orders set total = null where id = 103");
            let stopped = shop.run(&["--batch-size", "1"]);
            stopped.expect(4);
            assert_eq!(shop.value("select count(*) from orders"), "2");
            shop.project.sqlite("app.db", "update orders set total = 3 where id = 103");
            shop.run(&["--for", "user=bob"]).expect(0);
            let ended = shop.run(&["--max-rejects", "100", "--batch-size", "2"]);
            ended.expect(4);
            shop.run(&["--retry-rejects", "--max-rejects", "100"]);
            // Rows that exist are an error of that policy, but stay as they are all the same.
            assert_eq!(shop.value("select count(*) from orders"), "18", "{policy}");
            assert_eq!(shop.value("select count(*) from users"), "6", "{policy}");
            let bobs = if policy == "error" { 3 } else { 0 };
            let rejected = shop
                .open_rejects()
                .iter()
                .filter(|row| row[0].as_deref() == Some("orders"))
                .count();
            assert_eq!(rejected, bobs, "{policy}: {:?}", shop.open_rejects());
        }
    }
}
