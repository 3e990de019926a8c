//! The order of streams, and the foreign keys that no order can keep.

use dbferry::data::finding::Finding;
use dbferry::data::table::{ForeignKey, TableName};
use dbferry::mapping::order::{self, Order};
use tempfile::TempDir;

use super::shapes::players;
use super::{load_streams, shown_findings, stream};

fn ordered(streams: &str, foreign_keys: &[(usize, &str, &str)]) -> (TempDir, Result<Order, Finding>) {
    ordered_in_passes(streams, foreign_keys, &[])
}

fn ordered_in_passes(
    streams: &str,
    foreign_keys: &[(usize, &str, &str)],
    passes: &[Option<usize>],
) -> (TempDir, Result<Order, Finding>) {
    let (folder, project) = load_streams(streams);
    let project = project.expect("good form");
    let mut targets: Vec<_> = project.streams.iter().map(|_| Some(players())).collect();
    for (stream, target) in project.streams.iter().zip(&mut targets) {
        target.as_mut().expect("a table").name = stream.to.value.table.clone();
    }
    for (index, column, table) in foreign_keys {
        targets[*index].as_mut().expect("a table").foreign_keys.push(ForeignKey {
            name: format!("{}_fkey", column.trim_end_matches('!')),
            columns: vec![column.trim_end_matches('!').to_owned()],
            table: TableName {
                schema: Some("public".to_owned()),
                name: (*table).to_owned(),
            },
            references: vec!["id".to_owned()],
            removable: !column.ends_with('!'),
        });
    }
    (folder, order::order(&project.streams, &targets, passes))
}

/// An order: its sequence, and of each stream what it waits for and which keys are suspended.
fn shown_order(order: Order) -> (Vec<usize>, Vec<Vec<usize>>, Vec<Vec<String>>) {
    let names = |keys: Vec<ForeignKey>| keys.into_iter().map(|key| key.name).collect();
    (order.sequence, order.needs, order.suspended.into_iter().map(names).collect())
}

fn into(table: &str, more: &str) -> String {
    let text = stream(table, &format!("{more}\n[stream.columns]\nid = \"id\"\nref = \"id\"\n"));
    text.replace("game.players", &format!("game.{table}"))
}

#[test]
fn order_follows_foreign_keys_and_after_and_else_the_files() {
    let streams =
        into("stats", "") + &into("sessions", "") + &into("games", "") + &into("players", "") + &into("log", "after = [\"stats\"]");
    let keys = [
        (0, "ref", "players"),
        (1, "ref", "games"),
        (1, "ref", "sessions"),
        (2, "ref", "players"),
    ];
    let sequence = |keys: &[_]| ordered(&streams, keys).1.map(|order| order.sequence);
    assert_eq!(sequence(&[]), Ok(vec![0, 1, 2, 3, 4]));
    assert_eq!(sequence(&keys), Ok(vec![3, 0, 2, 1, 4]));
    assert_eq!(sequence(&[(0, "left_out", "players")]), Ok(vec![0, 1, 2, 3, 4]));
}

#[test]
fn order_suspends_what_no_order_can_keep() {
    // Posts come first in the file, but are no part of the circle: it is not their key that is cut.
    let streams = into("posts", "") + &into("users", "") + &into("devices", "") + &into("likes", "");
    let keys = [
        (0, "ref", "users"),
        (0, "ref", "posts"),
        (1, "ref", "devices"),
        (2, "ref", "users"),
        (3, "left_out", "likes"),
    ];
    let order = shown_order(ordered(&streams, &keys).1.expect("an order"));
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        order,
        (
            vec![3, 1, 0, 2],
            vec![vec![1], vec![], vec![1], vec![]],
            vec![named(&["ref_fkey"]), named(&["ref_fkey"]), vec![], vec![]]
        )
    );
    // `after` is kept, and so the other one's key is cut.
    let streams = into("users", "after = [\"devices\"]") + &into("devices", "");
    let order = shown_order(ordered(&streams, &[(1, "ref", "users")]).1.expect("an order"));
    assert_eq!(order, (vec![1, 0], vec![vec![1], vec![]], vec![vec![], named(&["ref_fkey"])]));
    // What the role may not take away stays, too.
    let streams = into("users", "") + &into("devices", "");
    let order = shown_order(
        ordered(&streams, &[(0, "ref!", "devices"), (1, "ref", "users")])
            .1
            .expect("an order"),
    );
    assert_eq!(order, (vec![1, 0], vec![vec![1], vec![]], vec![vec![], named(&["ref_fkey"])]));
    let order = shown_order(ordered(&streams, &[(0, "ref!", "users")]).1.expect("an order"));
    assert_eq!(order.2, vec![named(&[]), named(&[])], "the order of the rows has to do");
}

#[test]
fn order_lets_streams_share_a_pass() {
    let streams = into("jobs", "") + &into("accounts", "") + &into("logs", "") + &into("payments", "");
    let shown = |keys: &[_], passes: &[_]| shown_order(ordered_in_passes(&streams, keys, passes).1.expect("an order"));
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let keys = [(0, "ref", "accounts"), (2, "ref", "accounts"), (3, "ref", "logs")];
    let waiting = vec![vec![1], vec![], vec![1], vec![2]];
    let none = vec![named(&[]); 4];
    assert_eq!(shown(&keys, &[]), (vec![1, 0, 2, 3], waiting.clone(), none.clone()));
    // Without a pass, and in different ones, nothing changes.
    assert_eq!(shown(&keys, &[None; 4]), (vec![1, 0, 2, 3], waiting.clone(), none.clone()));
    let apart = [Some(0), Some(1), Some(2), Some(3)];
    assert_eq!(shown(&keys, &apart), (vec![1, 0, 2, 3], waiting, none.clone()));
    // In one pass none waits for another. The sequence stays.
    let cut = named(&["ref_fkey"]);
    let suspended = vec![cut.clone(), named(&[]), cut.clone(), cut.clone()];
    assert_eq!(shown(&keys, &[Some(7); 4]), (vec![1, 0, 2, 3], vec![vec![]; 4], suspended));
    // Payments are read elsewhere, and wait for the logs as ever.
    let order = shown(&keys, &[Some(0), Some(0), Some(0), None]);
    let needs = vec![vec![], vec![], vec![], vec![2]];
    assert_eq!(
        order,
        (
            vec![1, 0, 2, 3],
            needs,
            vec![cut.clone(), named(&[]), cut.clone(), named(&[])]
        )
    );
    // What the role may not take away is waited for, and then nothing else on the way need go.
    let keys = [(0, "ref", "accounts"), (0, "id!", "logs"), (2, "ref!", "accounts")];
    let needs = vec![vec![1, 2], vec![], vec![1], vec![]];
    assert_eq!(shown(&keys, &[Some(0); 4]), (vec![1, 2, 0, 3], needs, none));
    // A circle within a pass: both keys go.
    let keys = [(0, "ref", "accounts"), (1, "ref", "jobs")];
    let suspended = vec![cut.clone(), cut, named(&[]), named(&[])];
    assert_eq!(shown(&keys, &[Some(0); 4]).1, vec![Vec::<usize>::new(); 4]);
    assert_eq!(shown(&keys, &[Some(0); 4]).2, suspended);
}

#[test]
fn order_keeps_after_within_a_pass() {
    let streams = into("jobs", "after = [\"accounts\"]") + &into("accounts", "");
    let order = ordered_in_passes(&streams, &[(0, "ref", "accounts")], &[Some(0); 2])
        .1
        .expect("an order");
    let (sequence, needs, suspended) = shown_order(order);
    assert_eq!((sequence, suspended), (vec![1, 0], vec![Vec::<String>::new(); 2]));
    assert!(needs[0].contains(&1));
}

#[test]
fn order_names_the_cycle() {
    let streams = into("players", "") + &into("games", "") + &into("sessions", "after = [\"games\"]");
    let (folder, result) = ordered(&streams, &[(1, "ref!", "sessions")]);
    insta::assert_snapshot!(shown_findings(&folder, vec![result.expect_err("a cycle")]));
}

#[test]
fn order_is_none_where_after_goes_in_circles() {
    let streams = into("players", "after = [\"sessions\"]") + &into("games", "") + &into("sessions", "after = [\"players\"]");
    let (folder, result) = ordered(&streams, &[(1, "ref", "players"), (0, "ref", "games")]);
    insta::assert_snapshot!(shown_findings(&folder, vec![result.expect_err("a cycle")]));
}
