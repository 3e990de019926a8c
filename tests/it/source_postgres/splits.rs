//! Splits of a table: together they are the table.

use crate::harness::Database;
use crate::reading::{batches, rows, table};

use super::{open, request};

#[tokio::test]
async fn splits_hold_every_row_once() {
    let database = Database::create();
    database.query(
        "create table t (id bigint primary key, u uuid unique not null, t text unique not null, a int not null, b int not null, unique (a, b));
         insert into t select g * 3, md5(g::text)::uuid, md5('t' || g), g % 7, g from generate_series(1, 30000) g;
         create table parted (id int primary key) partition by range (id);
         create table p1 partition of parted for values from (0) to (1000);
         create table p2 partition of parted for values from (1000) to (9000);
         insert into parted select g from generate_series(0, 8999) g;
         create view v as select * from t; create table small (id int primary key); insert into small values (1), (2);
         create table same (id int); insert into same select 1 from generate_series(1, 1000);",
    );
    let source = open(&database).await;
    for (origin, key, total) in [
        ("t", vec!["id"], 30000),
        ("t", vec!["u"], 30000),
        ("t", vec!["t"], 30000),
        ("t", vec!["a", "b"], 30000),
        ("parted", vec!["id"], 9000),
    ] {
        let names: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        let begins = source.splits(&table(origin), &names, 4).await.expect("splits");
        assert_eq!(begins.len(), 4, "{origin} {key:?}");
        let mut whole = request(&*source, table(origin), &key, &key).await;
        whole.rows_max = 8192;
        let all = rows(&batches(&*source, whole.clone()).await);
        assert_eq!(all.len(), total);
        let mut parts = Vec::new();
        for (i, begin) in begins.into_iter().enumerate() {
            let mut part = whole.clone();
            part.after = Some(begin);
            let part = rows(&batches(&*source, part).await);
            assert!(part.len() > total / 10, "{origin} {key:?}: part {i} has {}", part.len());
            parts.extend(part);
        }
        assert_eq!(parts, all, "{origin} {key:?}");
    }
    for (origin, key) in [("v", "id"), ("small", "id"), ("t", "id")] {
        let parts = if origin == "t" { 1 } else { 4 };
        let bounds = source.splits(&table(origin), &[key.to_owned()], parts).await.expect("none");
        assert!(bounds.is_empty(), "{origin}: {bounds:?}");
    }
    assert!(
        source
            .splits(&table("same"), &["id".to_owned()], 4)
            .await
            .expect("none")
            .len()
            < 3
    );
}
