//! The commands that are sent to a server: these, and no others.

use std::collections::BTreeSet;
use std::time::Duration;

use super::store::Store;
use super::toy::{Toy, assert_tidy, every_type, items};
use crate::harness::text;

/// Rights that suffice for a user, as docs/operations.md tells them.
pub(super) fn rights(user: &str) -> Vec<String> {
    let text = text("docs/operations.md");
    let (_, block) = text
        .split_once(&format!("ACL SETUSER {user} on >PASSWORD"))
        .expect("the user");
    let (block, _) = block.split_once("```").expect("the end of the block");
    let words = block.split_whitespace().filter(|word| !word.starts_with('~'));
    words.map(str::to_owned).collect()
}

/// Commands that were sent since [`reset`].
pub(super) fn sent(store: &Store) -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    for node in store.masters() {
        let stats: String = node.query(&["INFO", "commandstats"]);
        let names = stats
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
        sent.extend(names.map(|(name, _)| name.to_owned()));
    }
    sent
}

/// Forgets what was sent.
pub(super) fn reset(store: &Store) {
    for node in store.masters() {
        node.query::<()>(&["CONFIG", "RESETSTAT"]);
    }
}

/// What drivers say of themselves when they connect, and what every connection may.
const OF_CONNECTIONS: [&str; 7] = [
    "auth",
    "hello",
    "client|setinfo",
    "client|setname",
    "select",
    "asking",
    "ping",
];

/// Every command of the program, by a user who may do no more than this.
fn moves_everything(store: &Store) {
    let mut toy = Toy::of(&store.url(), &items(900), &every_type("error"));
    let rights = rights("dbferry");
    let words: Vec<&str> = rights.iter().map(String::as_str).collect();
    for node in store.masters() {
        node.query::<()>(&[&["ACL", "SETUSER", "mover", "on", ">secret", "~*"], &words[..]].concat());
    }
    reset(store);
    let url = store.url().replacen("redis://", "redis://mover:secret@", 1);
    toy.project.set("REDIS_URL", &url);
    let run = |code: i32, command: &str, more: &[&str]| {
        toy.project.run(&[&[command, "mappings/demo"], more].concat()).expect(code);
    };
    run(0, "check", &[]);
    run(0, "plan", &[]);
    run(4, "run", &["--dry-run", "--batch-size", "100"]);
    for milliseconds in [900, 1300, 1700] {
        let mut child = toy.project.start_unheard(&["run", "mappings/demo", "--batch-size", "50"]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        drop(child.kill());
        child.wait().expect("an end");
    }
    run(4, "run", &["--batch-size", "100"]);
    run(0, "stats", &[]);
    run(0, "runs", &[]);
    run(4, "run", &["--retry-rejects"]);
    toy.project.write("mappings/demo/streams.toml", &every_type("update"));
    run(4, "run", &["--restart"]);
    toy.project.write("mappings/demo/streams.toml", &every_type("skip"));
    run(4, "run", &["--restart"]);
    run(4, "run", &["--key-prefix", "rehearsal"]);
    run(0, "clean", &["--key-prefix", "rehearsal", "--yes"]);
    let sent = sent(store);
    eprintln!("{sent:?}");
    let known = |name: &String| {
        rights.contains(&format!("+{name}")) || OF_CONNECTIONS.contains(&name.as_str()) || name == "config|resetstat"
    };
    // Nodes of a cluster are asked by the test, too.
    let asked = ["cluster|nodes", "cluster|myid"];
    let others: Vec<&String> = sent
        .iter()
        .filter(|name| !known(name) && !asked.contains(&name.as_str()))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert_tidy(store);
}

#[test]
fn no_other_commands_are_sent_to_a_server_and_they_suffice() {
    moves_everything(&Store::single());
}

#[test]
fn no_other_commands_are_sent_to_a_cluster_and_they_suffice() {
    moves_everything(&Store::cluster(false));
}
