//! One user by key: all documents of the partition, in the order of foreign keys.

use super::*;

/// The user with most documents, and how many of each type.
fn busiest() -> (String, BTreeMap<String, usize>) {
    let mut users: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for document in documents("documents.jsonl") {
        let word = |name: &str| document[name].as_str().expect("a text").to_owned();
        *users.entry(word("pubkey")).or_default().entry(word("type")).or_default() += 1;
    }
    let has_all = |kinds: &BTreeMap<String, usize>| kinds.contains_key("account") && kinds.contains_key("backup-job");
    let mut users: Vec<_> = users.into_iter().filter(|(_, kinds)| has_all(kinds)).collect();
    users.sort_by_key(|(_, kinds)| kinds.values().sum::<usize>());
    users.pop().expect("a user")
}

#[test]
fn all_of_a_user_is_moved_and_no_key_is_taken_away() {
    let nostria = Nostria::seeded(&["documents.jsonl", "traps.jsonl"]);
    nostria.run(&["schema", "apply"]).expect(0);
    let (user, kinds) = busiest();
    let subject = format!("user={user}");
    let rehearsed = nostria
        .run(&["run", "--for", &subject, "--dry-run", "--output", "json"])
        .expect(0)
        .json();
    assert!(nostria.ids("accounts").is_empty());
    let report = nostria.run(&["run", "--for", &subject, "--output", "json"]).expect(0).json();
    for kind in &KINDS {
        let wanted = kinds.get(kind.name).copied().unwrap_or_default();
        assert_eq!(nostria.ids(kind.table).len(), wanted, "{}", kind.table);
        let of = |report: &Value| {
            let streams = report["streams"].as_array().expect("streams").iter();
            let mut found = streams.filter(|stream| stream["name"] == kind.table);
            found.next().map(|stream| stream["inserted"].as_u64())
        };
        assert_eq!(of(&report), Some(Some(wanted as u64)), "{}", kind.table);
        assert_eq!(of(&rehearsed), of(&report), "{}", kind.table);
    }
    let again = nostria.run(&["run", "--for", &subject]);
    again.expect(0);
    assert!(again.stdout.contains("nothing had to change"), "{}", again.stdout);
    let away = "select count(*) from pg_tables where schemaname = 'dbferry' and tablename = 'foreign_key'";
    if nostria.database.value(away) == "1" {
        assert_eq!(nostria.database.value("select count(*) from dbferry.foreign_key"), "0");
    }
}

#[test]
fn a_user_that_does_not_exist_is_said_so() {
    let nostria = Nostria::seeded(&["documents.jsonl"]);
    nostria.run(&["schema", "apply"]).expect(0);
    nostria
        .run(&["run", "--for", "user=nobody"])
        .expect(1)
        .says("no row belongs to user nobody");
}

#[test]
fn a_user_can_be_moved_before_everything() {
    let nostria = Nostria::seeded(&["documents.jsonl"]);
    nostria.run(&["schema", "apply"]).expect(0);
    let (user, _) = busiest();
    nostria.run(&["run", "--for", &format!("user={user}")]).expect(0);
    nostria.run(&["run"]).expect(0);
    let all: usize = KINDS.iter().map(|kind| nostria.ids(kind.table).len()).sum();
    assert_eq!(all, documents("documents.jsonl").len());
}
