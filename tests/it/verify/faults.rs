//! Faults that are planted into a moved target: each is found and named, and nothing else.

use super::{moved_into_postgres, moved_into_sqlite, only, shorts, verified};

const PLANTED: &[(&str, &[&str])] = &[
    (
        "update items set note = note || ' ' where id = 'item-00000001'",
        &["different item-00000001 note: note 1 / note 1 "],
    ),
    (
        "update items set amount = amount + 1 where id = 'item-00000002'",
        &["different item-00000002 amount: 9007199254756831 / 9007199254756832"],
    ),
    (
        "update items set note = '' where id = 'item-00000005'",
        &["different item-00000005 note: NULL / "],
    ),
    (
        "update items set note = null where id = 'item-00000007'",
        &["different item-00000007 note:  / NULL"],
    ),
    ("delete from items where id = 'item-00000009'", &["missing item-00000009"]),
    (
        "update items set id = 'item-x' where id = 'item-00000010'",
        &["missing item-00000010", "extra item-x"],
    ),
    (
        "update items set flag = case when id = 'item-00000012' then FALSE_OF_12 else FALSE_OF_13 end
         where id in ('item-00000012', 'item-00000013')",
        &[
            "different item-00000012 flag: false / true",
            "different item-00000013 flag: true / false",
        ],
    ),
];

#[test]
fn each_fault_in_postgres_is_named_and_mending_it_makes_all_equal() {
    let (project, database) = moved_into_postgres(400);
    let copy = "create table kept as table items";
    database.query(copy);
    let more: &[(&str, &[&str])] = &[
        (
            "update items set made = made + interval '1 microsecond' where id = 'item-00000003'",
            &["different item-00000003 made: 2023-11-14 22:13:23+00 / 2023-11-14 22:13:23.000001+00"],
        ),
        (
            "update items set price = price + 0.01 where id = 'item-00000004'",
            &["different item-00000004 price: 1.00 / 1.01"],
        ),
        (
            "update items set doc = '{\"m\": 6}' where id = 'item-00000006'",
            &["different item-00000006 doc: {\"n\": 6} / {\"m\": 6}"],
        ),
        ("update items set doc = '{\"n\": 6.00}' where id = 'item-00000006'", &[]),
    ];
    for (sql, expected) in PLANTED.iter().chain(more) {
        let sql = sql.replace("FALSE_OF_12", "true").replace("FALSE_OF_13", "false");
        database.query(&sql);
        assert_eq!(shorts(only(&verified(&project))), *expected, "{sql}");
        database.query("truncate items; insert into items select * from kept");
    }
}

#[test]
fn each_fault_in_sqlite_is_named() {
    let project = moved_into_sqlite(400);
    std::fs::copy(project.path("out.db"), project.path("kept.db")).expect("a copy");
    let more: &[(&str, &[&str])] = &[
        (
            "update items set made = '2023-11-14 22:13:23.000001Z' where id = 'item-00000003'",
            &["different item-00000003 made: 2023-11-14 22:13:23+00 / 2023-11-14 22:13:23.000001+00"],
        ),
        (
            "update items set price = '1.01' where id = 'item-00000004'",
            &["different item-00000004 price: 1.00 / 1.01"],
        ),
        // Not a number at all: it cannot be read as what it should be.
        (
            "update items set price = 'cheap' where id = 'item-00000004'",
            &["different item-00000004 price: 1.00 / (cannot be read: text that is no number)"],
        ),
    ];
    for (sql, expected) in PLANTED.iter().chain(more) {
        let sql = sql.replace("FALSE_OF_12", "1").replace("FALSE_OF_13", "0");
        project.sqlite("out.db", &sql);
        let found = shorts(only(&verified(&project)));
        let cut = |texts: &[String]| {
            texts
                .iter()
                .map(|text| text.split("(cannot").next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(cut(&found), cut(&expected), "{sql}");
        std::fs::copy(project.path("kept.db"), project.path("out.db")).expect("a copy");
    }
}
