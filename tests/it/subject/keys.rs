//! Keys may hold anything, and none of it is logged.

use super::{Shop, figures};

#[test]
fn keys_may_hold_anything_and_other_streams_are_named() {
    for shop in Shop::both("update") {
        for (key, tags) in [("o'brien \"100%_\\", 0), ("Зоя 🦊", 0), ("$key", 1), ("42", 1), ("ann", 1)] {
            let report = shop.report(0, &["--for", &format!("user={key}")]);
            assert_eq!(figures(&report, "users"), [1, 1, 0, 0, 0], "{key}");
            assert_eq!(figures(&report, "orders"), [3, 3, 0, 0, 0], "{key}");
            assert_eq!(figures(&report, "tags")[0], tags, "{key}");
            assert_eq!(report["for"]["key"], key);
            assert_eq!(
                report["warnings"][0],
                "stream `topics` does not say how its rows belong to a user: left out"
            );
        }
        assert_eq!(shop.value("select count(*) from users"), "5");
        assert_eq!(shop.value("select count(*) from topics"), "0");
        for key in ["an_", "ann' or '1'='1", "ANN", "%"] {
            let ended = shop.run(&["--for", &format!("user={key}")]);
            ended.expect(1).says(&format!("no row belongs to user {key}"));
        }
        assert_eq!(shop.value("select count(*) from users"), "5");
        let report = shop.report(1, &["--for", "user=nobody"]);
        assert_eq!(
            (&report["error"]["kind"], &report["for"]["key"]),
            (&"absent".into(), &"nobody".into())
        );
        shop.run(&["--for", "users=ann"])
            .expect(2)
            .says("no subject `users`")
            .says("`user`");
        shop.run(&["--for", "user=ann", "--only", "topics"])
            .expect(2)
            .says("none of the streams asked for");
        shop.run(&["--for", "user="]).expect(2);
        let runs = shop.value("select count(*) from dbferry.run");
        assert_eq!(runs, "5", "what cannot begin leaves no trace");
    }
}

#[test]
fn what_is_logged_says_nothing_of_whose_rows_they_are() {
    for shop in Shop::both("skip") {
        let ended = shop.run(&["--for", "user=Зоя 🦊", "-vvv"]);
        ended.expect(0);
        let log = ended.stderr.replace("Зоя", "CANARY");
        assert!(!log.contains("CANARY") && !log.contains("u{417}"), "{log}");
        assert!(ended.stdout.contains("user Зоя 🦊: done"), "{}", ended.stdout);
    }
}
