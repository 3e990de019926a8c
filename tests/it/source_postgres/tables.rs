//! Tables, partitions and views: which are found, and how each is read.

use dbferry::data::position::Position;
use dbferry::data::stream::Origin;
use dbferry::data::table::TableName;

use crate::harness::Database;
use crate::reading::{batches, rows, table, table_names};

use super::{goes_on_anywhere, open, request};

#[tokio::test]
async fn tables_of_all_sorts_are_found_and_read() {
    let database = Database::create();
    database.query(
        r#"create schema "My ""Schema";
        create table "My ""Schema"."Mixed ""Case" ("Id" int primary key, "a ""quoted"" column" text, "select" text,
            twice int generated always as ("Id" * 2) stored);
        insert into "My ""Schema"."Mixed ""Case" values (1, 'a', 's'), (2, 'b', null);
        create table parted (id int, at date, primary key (id, at)) partition by range (at);
        create table p2023 partition of parted for values from ('2023-01-01') to ('2024-01-01');
        create table p2024 partition of parted for values from ('2024-01-01') to ('2025-01-01');
        insert into parted values (2, '2023-05-05'), (1, '2024-05-05'), (1, '2023-05-05');
        create view odd as select id, at from parted where id % 2 = 1;
        create materialized view kept as select id from parted;
        create table keyless (v int); insert into keyless values (7), (7);
        create table nothing ();
        insert into nothing default values;
        create unlogged table volatile (id int);
        create schema dbferry; create table dbferry.run (id int);"#,
    );
    let source = open(&database).await;
    assert_eq!(
        table_names(&*source).await,
        [
            "My \"Schema.Mixed \"Case",
            "kept",
            "keyless",
            "nothing",
            "odd",
            "parted",
            "volatile"
        ]
    );
    assert!(source.table(&TableName::new("Parted")).await.expect("a catalog").is_none());
    let mixed = Origin::Table(TableName {
        schema: Some("My \"Schema".to_owned()),
        name: "Mixed \"Case".to_owned(),
    });
    let columns = ["select", "Id", "a \"quoted\" column", "twice"];
    let mixed = request(&*source, mixed, &columns, &["Id"]).await;
    assert_eq!(goes_on_anywhere(&*source, mixed).await, ["s|1|a|2", "NULL|2|b|4"]);
    let parted = request(&*source, table("parted"), &["id", "at"], &["id", "at"]).await;
    assert_eq!(
        goes_on_anywhere(&*source, parted).await,
        ["1|2023-05-05", "1|2024-05-05", "2|2023-05-05"]
    );
    let odd = request(&*source, table("odd"), &["id", "at"], &["at", "id"]).await;
    assert_eq!(goes_on_anywhere(&*source, odd).await, ["1|2023-05-05", "1|2024-05-05"]);
    for (table_name, column, found) in [("keyless", "v", vec!["7", "7"]), ("kept", "id", vec!["2", "1", "1"])] {
        let atomic = request(&*source, table(table_name), &[column], &[]).await;
        let read = batches(&*source, atomic).await;
        let mut values = rows(&read);
        values.sort();
        let mut found = found;
        found.sort_unstable();
        assert_eq!(values, found);
        assert_eq!(read.last().expect("rows").position, Position::End);
    }
    let nothing = request(&*source, table("nothing"), &[], &[]).await;
    assert_eq!(batches(&*source, nothing).await[0].read(), 1);
    let mut ended = request(&*source, table("keyless"), &["v"], &[]).await;
    ended.after = Some(Position::End);
    assert!(batches(&*source, ended).await.is_empty());
}
