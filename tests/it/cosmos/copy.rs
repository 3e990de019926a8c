//! The documents of a container arrive exactly, whatever their keys, over as many ranges as the
//! container has.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::harness::{At, Cosmos};
use super::toy::{Documents, TOYS, Toy, pages, seed_of, toys};
use crate::emulator::kind::Kind;

/// A document's text, digit by digit.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Moves the documents into both kinds of targets.
#[track_caller]
fn arrive(cosmos: &Cosmos, documents: &Documents) {
    for toy in [Toy::into_postgres(cosmos), Toy::into_sqlite(cosmos)] {
        let count = documents.len() as u64;
        assert_eq!(toy.run(&[]), [count, count, 0, 0, 0]);
        toy.expect(documents);
        cosmos.clear_log();
        assert_eq!(toy.run(&[]), [0; 5], "complete before");
        assert!(pages(&cosmos.log()).is_empty(), "and nothing is read for that");
        toy.expect(documents);
    }
}

#[test]
fn a_container_arrives_range_by_range_where_there_are_sessions_and_as_a_whole_where_there_is_one() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:5"]);
    let (documents, text) = toys(900, 150);
    cosmos.seed(TOYS, &text);
    let asked = |log: &[crate::emulator::log::Entry]| {
        let mut partitions: Vec<_> = pages(log).iter().filter_map(|page| page.partition.clone()).collect();
        partitions.sort();
        partitions.dedup();
        partitions.len()
    };
    for (toy, splits) in [(Toy::into_postgres(&cosmos), "5"), (Toy::into_sqlite(&cosmos), "1")] {
        cosmos.clear_log();
        assert_eq!(toy.run(&[]), [900, 900, 0, 0, 0]);
        toy.expect(&documents);
        let cut = format!("select count(*) from {}", toy.ledger("checkpoint"));
        assert_eq!(toy.query(&cut), [[splits]]);
        let log = cosmos.log();
        assert_eq!(asked(&log), 5, "every partition is asked");
        assert!(pages(&log).iter().all(|page| page.status == Some(200)));
        let read: u64 = pages(&log).iter().filter_map(|page| page.documents).sum();
        assert_eq!(read, 900, "and no document is paid for twice");
        let plans = log
            .iter()
            .filter(|entry| matches!(entry.kind, Kind::Plan | Kind::Read | Kind::Write));
        assert_eq!(plans.count(), 0);
    }
}

#[test]
fn what_is_empty_is_complete() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    arrive(&cosmos, &Documents::new());
    // All of one owner: three of four ranges have nothing.
    let (documents, text) = toys(30, 1);
    cosmos.seed(TOYS, &text);
    arrive(&cosmos, &documents);
}

#[test]
fn keys_of_every_kind_arrive_as_the_service_has_them() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let owners = [
        json!("text"),
        json!(""),
        json!("7"),
        json!(7),
        json!(-1.5),
        json!(0),
        json!(true),
        json!(false),
        json!("true"),
        Value::Null,
        json!("null"),
        json!("it's \"quoted\" \\ and \u{1}"),
        json!("Зоя 🦊 ﷽"),
    ];
    let documents = owners.iter().enumerate().flat_map(|(number, owner)| {
        [
            json!({ "id": format!("a{number}"), "owner": owner }),
            json!({ "id": "the same", "owner": owner }),
        ]
    });
    let missing = [json!({ "id": "the same" }), json!({ "id": "none", "other": 1 })];
    let (documents, text) = seed_of(documents.chain(missing), &["owner"]);
    assert!(documents.contains_key(&("[{}]".to_owned(), "none".to_owned())));
    assert_eq!(cosmos.seed(TOYS, &text), 28);
    arrive(&cosmos, &documents);
}

#[test]
fn a_key_may_be_deep_in_the_document() {
    let cosmos = Cosmos::start(&["shop/Toys:/of/owner:4"]);
    let documents = (0..40).map(|number| match number % 4 {
        0 => json!({ "id": number.to_string(), "of": { "owner": number % 7 } }),
        1 => json!({ "id": number.to_string(), "of": { "owner": null, "of": 1 } }),
        2 => json!({ "id": number.to_string(), "of": {} }),
        _ => json!({ "id": number.to_string(), "owner": "elsewhere" }),
    });
    let (documents, text) = seed_of(documents, &["of", "owner"]);
    cosmos.seed(TOYS, &text);
    arrive(&cosmos, &documents);
}

#[test]
fn hierarchical_keys_are_lists_of_their_parts() {
    for (paths, names) in [("/tenant,/user", 2), ("/tenant,/user,/session", 3)] {
        let cosmos = Cosmos::start(&[&format!("shop/Toys:{paths}:4")]);
        let mut documents = Documents::new();
        let mut text = String::new();
        for number in 0..120_u32 {
            let parts = [json!(format!("t{}", number % 5)), json!(number % 11), json!(number % 2 == 0)];
            let id = format!("toy-{number}");
            let document = json!({ "id": id, "tenant": parts[0], "user": parts[1], "session": parts[2] });
            writeln!(text, "{document}").expect("writing to a string");
            documents.insert((Value::from(parts[..names].to_vec()).to_string(), id), document);
        }
        cosmos.seed(TOYS, &text);
        arrive(&cosmos, &documents);
    }
}

#[test]
fn ids_and_numbers_arrive_sign_by_sign() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let ids = [
        "plain",
        "Plain",
        "with blank",
        "Зоя 🦊",
        "e\u{301}",
        "é",
        "it's",
        "\"quoted\"",
        "back\u{2216}slash ∕ ⁄ ／",
        "100%_",
        "a,b;c=d&e",
        "$key",
        "[1]",
        "{}",
    ];
    let values = [
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "0.1234567890123456789012345",
        "1234567890.123456789012345",
        "123456789012345678901234567890",
        r#"{"deep":[[[{"a":0.50000000000000000000001}]]],"empty":{},"none":[]}"#,
        r#""tab\tend\nquote\" slash\/ \u2028 \ud83e\udd8a""#,
        "null",
    ];
    let documents = (0..).zip(ids).map(|(number, id): (u32, _)| {
        let values: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(place, value)| format!("\"v{place}\": {value}"))
            .collect();
        parsed(&format!(
            "{{\"id\": {}, \"owner\": \"o{}\", {}}}",
            json!(id),
            number % 6,
            values.join(", ")
        ))
    });
    let (documents, text) = seed_of(documents, &["owner"]);
    cosmos.seed(TOYS, &text);
    arrive(&cosmos, &documents);
}

#[test]
fn pages_are_as_large_as_batches_may_be() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:1"]);
    let (documents, text) = toys(700, 20);
    cosmos.seed(TOYS, &text);
    // The first page is small: how large documents are is known only then.
    for (limits, batch, sizes) in [
        ("", "7", vec!["7"]),
        ("", "250", vec!["100", "250"]),
        ("", "5000", vec!["100", "5000"]),
        ("portion_rows_max = 30", "5000", vec!["30"]),
    ] {
        let toy = Toy::into_postgres(&cosmos);
        toy.configure(limits, "");
        cosmos.clear_log();
        assert_eq!(toy.run(&["--batch-size", batch]), [700, 700, 0, 0, 0]);
        toy.expect(&documents);
        let log = cosmos.log();
        let mut asked: Vec<_> = pages(&log).iter().filter_map(|page| page.page.as_deref()).collect();
        asked.dedup();
        assert_eq!(asked, sizes, "batches of {batch}, {limits}");
        let largest = toy.query("select cast(max(rows_read) as text) from dbferry.batch");
        let largest: u64 = largest[0][0].parse().expect("a number");
        assert!(
            largest <= batch.parse::<u64>().expect("a number") + 250,
            "a batch of {largest}"
        );
    }
}

#[test]
fn pages_follow_the_size_of_documents() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:1"]);
    let documents = (0..300).map(|number: u32| json!({ "id": number.to_string(), "owner": "o", "text": "x".repeat(2000) }));
    let (documents, text) = seed_of(documents, &["owner"]);
    cosmos.seed(TOYS, &text);
    let toy = Toy::into_sqlite(&cosmos);
    toy.configure("portion_bytes_max = 65536", "");
    cosmos.clear_log();
    assert_eq!(toy.run(&[]), [300, 300, 0, 0, 0]);
    toy.expect(&documents);
    let log = cosmos.log();
    let pages: Vec<u32> = pages(&log)
        .iter()
        .filter_map(|page| page.page.as_deref()?.parse().ok())
        .collect();
    assert_eq!(pages[0], 100);
    assert!(pages[1..].iter().all(|page| (25..33).contains(page)), "{pages:?}");
}

#[test]
fn documents_that_were_refused_are_fetched_one_by_one() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let owners = [json!("a'b \"c\" Зоя"), json!(7.5), json!(true), Value::Null, json!({})];
    let document = |number: usize, owner: &Value, price: &Value| {
        let mut document = json!({ "id": format!("it's \"№ {number}\" 🦊"), "price": price });
        if !owner.is_object() {
            document["owner"] = owner.clone();
        }
        format!("{document}\n")
    };
    let all = |price: Value| -> String {
        let documents = owners
            .iter()
            .enumerate()
            .map(|(number, owner)| document(number, owner, &price));
        documents.collect()
    };
    cosmos.seed(TOYS, &all(json!("dear")));
    cosmos.seed(TOYS, &document(99, &json!("good"), &json!(5)));
    let toy = Toy::into_postgres(&cosmos);
    toy.query("create table prices (id text primary key, price bigint not null)");
    toy.project.write(
        "mappings/demo/streams.toml",
        r#"
[[stream]]
name = "prices"
from = "cosmos.toys"
to = "target.prices"
key = ["id"]

[stream.fields]
price = { path = "/price", type = "bigint", required = true }

[stream.columns]
id = "id"
price = "price"
"#,
    );
    toy.project.run(&["run", "mappings/demo", "--max-rejects", "10"]).expect(4);
    let open = "select cast(count(*) as text) from dbferry.reject where resolved_at is null";
    assert_eq!(
        (toy.query(open), toy.query("select id from prices").len()),
        (vec![vec!["5".to_owned()]], 1)
    );
    // One is gone meanwhile.
    cosmos.seed(TOYS, &all(json!(12)));
    assert!(cosmos.remove(TOYS, "it's%20%22%E2%84%96%202%22%20%F0%9F%A6%8A", &json!([true])));
    cosmos.clear_log();
    toy.project
        .run(&["run", "mappings/demo", "--retry-rejects", "--max-rejects", "10"])
        .says("no longer in the source");
    let log = cosmos.log();
    assert_eq!(log.iter().filter(|entry| entry.kind == Kind::Read).count(), 5);
    assert!(pages(&log).is_empty(), "nothing else is read");
    assert_eq!(toy.query("select id from prices").len(), 5);
    assert_eq!(toy.query(open), [["1"]]);
}

#[test]
fn a_container_that_nobody_named_is_told() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:1", "shop/Others:/owner:1"]);
    cosmos.seed(At("shop", "Others"), "{\"id\": \"a\", \"owner\": \"b\"}\n");
    let toy = Toy::into_sqlite(&cosmos);
    let mapping = toy.project.text("mappings/demo/streams.toml");
    toy.project
        .write("mappings/demo/streams.toml", &mapping.replace("cosmos.toys", "cosmos.others"));
    toy.project.run(&["run", "mappings/demo"]).expect(2).says("not there");
}
