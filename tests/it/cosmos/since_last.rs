//! What changes after a copy, or while it goes on, is found by `--since-last`, once.

use serde_json::{Value, json};

use super::harness::{Cosmos, fault, of_kind};
use super::toy::{Documents, TOYS, Toy, pages, seed_of, toys};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;

/// Changes some documents and adds others; returns what there is then, and the text of the changes.
fn changed(mut documents: Documents, note: &str) -> (Documents, String) {
    let mut text = String::new();
    let mut put = |key: (String, String), document: Value| {
        text.push_str(&document.to_string());
        text.push('\n');
        documents.insert(key, document);
    };
    for number in (0..40).step_by(2) {
        let (owner, id) = (format!("owner-{}", number % 15), format!("toy-{number}"));
        let key = (json!([owner]).to_string(), id.clone());
        put(
            key,
            json!({ "id": id, "owner": owner, "note": note, "big": 18_446_744_073_709_551_615_u64 }),
        );
    }
    for number in 0..13 {
        let (owner, id) = (format!("owner-{number}"), format!("{note}-{number}"));
        let key = (json!([owner]).to_string(), id.clone());
        put(key, json!({ "id": id, "owner": owner }));
    }
    (documents, text)
}

#[test]
fn what_has_changed_since_the_copy_is_written_over_it_until_nothing_changes() {
    for into in [Toy::into_postgres, Toy::into_sqlite] {
        let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
        let (documents, text) = toys(300, 15);
        cosmos.seed(TOYS, &text);
        let toy = into(&cosmos);
        assert_eq!(toy.run(&[]), [300, 300, 0, 0, 0]);
        cosmos.clear_log();
        assert_eq!(toy.run(&["--since-last"]), [0; 5], "nothing has changed");
        assert!(pages(&cosmos.log()).is_empty(), "documents are not asked for");
        assert_eq!(of_kind(&cosmos.log(), Kind::Feed).len(), 4, "each partition is asked once");
        let (documents, text) = changed(documents, "first");
        cosmos.seed(TOYS, &text);
        assert_eq!(toy.run(&["--since-last", "--dry-run"]), [33, 13, 20, 0, 0], "a rehearsal");
        assert_eq!(toy.run(&["--since-last", "--batch-size", "5"]), [33, 13, 20, 0, 0]);
        assert_eq!(toy.documents(), documents);
        let (documents, text) = changed(documents, "second");
        cosmos.seed(TOYS, &text);
        assert_eq!(toy.run(&["--since-last"]), [33, 13, 20, 0, 0]);
        assert_eq!(toy.documents(), documents);
        assert_eq!(toy.run(&["--since-last"]), [0; 5]);
        // The copy's own figures stay what they were.
        assert_eq!(toy.run(&[]), [0; 5], "complete before");
        let copied = format!(
            "select cast(sum(rows_read) as text) from {} where split >= 0",
            toy.ledger("checkpoint")
        );
        assert_eq!(toy.query(&copied), [["300"]]);
    }
}

#[test]
fn what_changes_while_the_copy_goes_on_is_followed_from_before_its_first_page() {
    for into in [Toy::into_postgres, Toy::into_sqlite] {
        let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
        let (documents, text) = toys(300, 15);
        cosmos.seed(TOYS, &text);
        let toy = into(&cosmos);
        let hold = Fault {
            on: vec![Kind::Query],
            ..fault(What::Hold, 1)
        };
        cosmos.faults(&[hold]);
        let documents = std::thread::scope(|scope| {
            let run = scope.spawn(|| toy.run(&[]));
            cosmos.wait_for_fault();
            let (documents, text) = changed(documents, "meanwhile");
            cosmos.seed(TOYS, &text);
            cosmos.faults(&[]);
            let [read, inserted, ..] = run.join().expect("the run ends");
            assert!((300..=313).contains(&read) && inserted == read, "{read} {inserted}");
            documents
        });
        let [read, ..] = toy.run(&["--since-last"]);
        assert_eq!(read, 33, "whether the copy has seen the changes or not");
        assert_eq!(toy.documents(), documents);
        assert_eq!(toy.run(&["--since-last"]), [0; 5]);
    }
}

/// Merges are not tried: the emulator numbers all documents anew in a merge, so that a place among
/// its changes from before means another one afterwards.
#[test]
fn changes_are_followed_over_splits() {
    for into in [Toy::into_postgres, Toy::into_sqlite] {
        let cosmos = Cosmos::start(&["shop/Toys:/owner:2"]);
        let (documents, text) = toys(300, 15);
        cosmos.seed(TOYS, &text);
        let toy = into(&cosmos);
        assert_eq!(toy.run(&[]), [300, 300, 0, 0, 0]);
        let (documents, text) = changed(documents, "before");
        cosmos.seed(TOYS, &text);
        let first = cosmos.partitions(TOYS)[0];
        let children = cosmos.split(TOYS, first, 0);
        let (documents, text) = changed(documents, "between");
        cosmos.seed(TOYS, &text);
        let [read, inserted, ..] = toy.run(&["--since-last"]);
        assert_eq!((read, inserted), (46, 26), "each as it is now");
        assert_eq!(toy.documents(), documents);
        let (documents, text) = changed(documents, "after");
        cosmos.seed(TOYS, &text);
        cosmos.split(TOYS, children[1], 0);
        assert_eq!(toy.run(&["--since-last"])[..2], [33, 13]);
        assert_eq!(toy.documents(), documents);
        assert_eq!(toy.run(&["--since-last"]), [0; 5]);
    }
}

#[test]
fn a_row_that_was_refused_is_decided_anew_when_it_changes() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let nul = json!({ "id": "odd", "owner": "o", "text": "a\u{0}" });
    let well = json!({ "id": "odd", "owner": "o", "text": "a" });
    let (_, text) = seed_of([nul, json!({ "id": "even", "owner": "o" })].into_iter(), &["owner"]);
    cosmos.seed(TOYS, &text);
    let toy = Toy::into_postgres(&cosmos);
    let run = |more: &[&str], code| {
        let args = [&["run", "mappings/demo", "--max-rejects", "5", "--output", "json"], more].concat();
        let report = toy.project.run(&args).expect(code).json();
        ["read", "inserted", "rejected", "rejects_open"].map(|name| report["streams"][0][name].as_u64().expect("a figure"))
    };
    assert_eq!(run(&[], 4), [2, 1, 1, 1]);
    assert_eq!(run(&["--since-last"], 4), [0, 0, 0, 1], "nothing has changed");
    cosmos.seed(TOYS, &json!({ "id": "odd", "owner": "o", "text": "b\u{0}" }).to_string());
    assert_eq!(run(&["--since-last"], 4), [1, 0, 1, 1], "another NUL");
    cosmos.seed(TOYS, &well.to_string());
    assert_eq!(run(&["--since-last"], 0), [1, 1, 0, 0]);
    assert_eq!(toy.documents().len(), 2);
}

const FAMILIES: &str = r#"
[[stream]]
name = "children"
from = "cosmos.toys"
to = "target.children"
key = ["id"]
document = { path = "/type", is = ["child"] }
fields = { parent = { path = "/parent", type = "text", required = true } }
columns = { id = "id", parent = "parent" }

[[stream]]
name = "parents"
from = "cosmos.toys"
to = "target.parents"
key = ["id"]
document = { path = "/type", is = ["parent"] }
columns = { id = "id" }
"#;

#[test]
fn what_waits_for_another_row_follows_it() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let person = |kind: &str, id: &str, parent: &str| json!({ "id": id, "owner": id, "type": kind, "parent": parent });
    let people = [
        person("parent", "ann", ""),
        person("child", "ben", "ann"),
        person("child", "eve", "late"),
    ];
    cosmos.seed(TOYS, &seed_of(people.into_iter(), &["owner"]).1);
    let toy = Toy::into_postgres(&cosmos);
    toy.query("create table parents (id text primary key)");
    toy.query("create table children (id text primary key, parent text not null references parents (id))");
    toy.project.write("mappings/demo/streams.toml", FAMILIES);
    let run = |more: &[&str], code| {
        let args = [&["run", "mappings/demo", "--max-rejects", "5", "--output", "json"], more].concat();
        let report = toy.project.run(&args).expect(code).json();
        let open = report["streams"].as_array().expect("streams").iter();
        open.map(|stream| stream["rejects_open"].as_u64().expect("a figure"))
            .sum::<u64>()
    };
    let children = || toy.query("select string_agg(id, ' ' order by id) from children");
    assert_eq!(run(&[], 4), 1);
    assert_eq!(children(), [["ben"]]);
    // The child has not changed: that its parent has come is enough.
    cosmos.seed(TOYS, &person("parent", "late", "").to_string());
    assert_eq!(run(&["--since-last"], 0), 0);
    assert_eq!(children(), [["ben eve"]]);
    // Both at once, in whatever order they are told.
    let both = [person("child", "kim", "zoe"), person("parent", "zoe", "")];
    cosmos.seed(TOYS, &seed_of(both.into_iter(), &["owner"]).1);
    assert_eq!(run(&["--since-last"], 0), 0);
    assert_eq!(children(), [["ben eve kim"]]);
    assert_eq!(run(&["--since-last"], 0), 0);
}

#[test]
fn following_that_is_interrupted_goes_on_where_it_was() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:2"]);
    let (documents, text) = toys(60, 15);
    cosmos.seed(TOYS, &text);
    let toy = Toy::into_postgres(&cosmos);
    toy.configure("retry_seconds_max = 1", "");
    assert_eq!(toy.run(&[]), [60, 60, 0, 0, 0]);
    let (more, text) = toys(500, 15);
    cosmos.seed(TOYS, &text);
    drop(documents);
    // One page of each partition comes, and then none.
    let failing = Fault {
        on: vec![Kind::Feed],
        skip: 2,
        ..fault(What::Reset, 1000)
    };
    cosmos.faults(&[failing]);
    let ended = toy.project.run(&["run", "mappings/demo", "--since-last"]);
    ended.expect(3);
    cosmos.faults(&[]);
    cosmos.clear_log();
    let [read, ..] = toy.run(&["--since-last"]);
    assert!((1..500).contains(&read), "{read}: what was committed does not come again");
    assert!(of_kind(&cosmos.log(), Kind::Feed).iter().all(|page| page.continued));
    assert_eq!(toy.documents(), more);
    assert_eq!(toy.run(&["--since-last"]), [0; 5]);
}

#[test]
fn there_is_nothing_to_follow_before_a_copy_and_from_other_sources() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:2"]);
    let (_, text) = toys(10, 3);
    cosmos.seed(TOYS, &text);
    let toy = Toy::into_sqlite(&cosmos);
    toy.project
        .run(&["run", "mappings/demo", "--since-last"])
        .expect(1)
        .says("stream `toys` has not been copied to its end")
        .says("run without `--since-last` first");
    toy.project
        .run(&["run", "mappings/demo", "--since-last", "--restart"])
        .expect(2)
        .says("cannot be used with");
    let game = crate::harness::Project::new();
    game.sqlite("in.db", "create table t (id integer primary key); insert into t values (1)");
    game.sqlite("out.db", "create table t (id integer primary key)");
    game.write(
        "config/development.toml",
        "[connection.in]\nkind = \"sqlite\"\npath = { value = \"in.db\" }\n\n[connection.out]\nkind = \"sqlite\"\npath = { value = \"out.db\" }\n",
    );
    game.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"in\"]\nsinks = [\"out\"]\n",
    );
    game.write(
        "mappings/demo/streams.toml",
        "[[stream]]\nname = \"t\"\nfrom = \"in.t\"\nto = \"out.t\"\nkey = [\"id\"]\nsame_name_columns = true\n",
    );
    game.run(&["run", "mappings/demo"]).expect(0);
    game.run(&["run", "mappings/demo", "--since-last"])
        .expect(2)
        .says("no stream reads a source that keeps a record of what has changed");
}
