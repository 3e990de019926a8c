//! Messages and deliveries leave Postgres: rows, times to live, rejects, one user, and again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::page::{Trap, traps};
use super::tables::{CqlTable, DELIVERIES, MESSAGES, TRAP_USER};
use super::{Vyry, keyspace};
use crate::harness::{query, unequal, value};

/// Rejects of a stream by the key of their row: reason and column.
fn rejects(vyry: &Vyry, stream: &str) -> BTreeMap<String, String> {
    let stats = vyry.run(&["stats", "--show-keys", "--output", "json"]).expect(0).json();
    let kinds = stats["rejects"].as_array().expect("kinds of rejects");
    let mut found = BTreeMap::new();
    for kind in kinds.iter().filter(|kind| kind["stream"] == stream) {
        let what = format!("{} {}", text(&kind["reason"]), kind["column"].as_str().unwrap_or("no column"));
        let keys = kind["keys"].as_array().expect("keys");
        assert_eq!(Value::from(keys.len()), kind["rows"], "not all keys are shown: {kind:#}");
        for key in keys {
            let before = found.insert(plain_key(text(key)), what.clone());
            assert_eq!(before, None, "{stream} {key} was rejected twice");
        }
    }
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// `1, 2` as `1|2`.
fn plain_key(key: &str) -> String {
    key.trim_matches(['(', ')']).split(", ").collect::<Vec<_>>().join("|")
}

#[test]
fn every_trap_among_messages_ends_as_the_page_says() {
    let vyry = Vyry::with_cql(1);
    // Rows that live until after 2038 are refused by a Cassandra that can go back to version 4.
    query(
        &vyry.url("source"),
        "insert into messages (message_id, conv_id, sender_user_id, sender_device_id, content, iv, expires_at)
         select 30, conv_id, sender_user_id, 1, 'x', '', '2040-01-01' from messages where message_id = 1",
    );
    let report = vyry.run(&["run", "--apply-schema", "--output", "json"]).expect(4).json();
    let mut met = 0;
    for table in [&MESSAGES, &DELIVERIES] {
        let rejects = rejects(&vyry, table.name);
        let mut expected = BTreeMap::new();
        if table.name == "messages" {
            expected.insert("30".to_owned(), "out_of_range no column".to_owned());
        }
        let mut expired = 0;
        let found = CqlTable::by_key(vyry.found(table));
        for Trap { table: of, key, becomes } in traps() {
            if of != table.name {
                continue;
            }
            met += 1;
            let there = format!("select count(*) from {} where {} = '{key}'", table.name, table.key);
            assert_eq!(value(&vyry.url("source"), &there), "1", "{key} is no trap of the sample");
            if let Some(why) = becomes.strip_prefix("rejected: ") {
                expected.insert(key, why.to_owned());
            } else if becomes.starts_with("expired") {
                assert!(!found.contains_key(&key), "{of} {key} has expired");
                expired += 1;
            } else {
                assert!(becomes.starts_with("moved"), "{of} {key}: {becomes}");
                let row = found.get(&key).unwrap_or_else(|| panic!("{of} {key} has not arrived"));
                told(row, &becomes);
            }
        }
        assert_eq!(rejects, expected, "{}", table.name);
        let figures = figures(&report, table.name);
        assert_eq!(figures["rejected"], Value::from(expected.len()), "{figures}");
        let past = format!("select count(*) from {} where {}", table.name, table.expired);
        let past: u64 = value(&vyry.url("source"), &past).parse().expect("a count");
        assert!(past >= expired, "the sample's own");
        assert_eq!(figures["expired"], Value::from(past), "{figures}");
    }
    assert_eq!(met, 50);
    vyry.check_cql(|_| "true".to_owned());
}

/// What the page says of a row's bucket and times, beside having arrived.
fn told(row: &Value, becomes: &str) {
    let Some(becomes) = becomes.strip_prefix("moved: ") else {
        return;
    };
    for part in becomes.split(", ") {
        let column = |name: &str| text(&row[name]).to_owned();
        if let Some(bucket) = part.strip_prefix("bucket ") {
            assert_eq!(row["bucket"].to_string(), bucket);
        } else if let Some((verb, moment)) = part.split_once(" at ") {
            assert_eq!(column(&format!("{verb}_at")), format!("{moment}Z"), "{part}");
        }
    }
}

fn figures<'a>(report: &'a Value, stream: &str) -> &'a Value {
    let streams = report["streams"].as_array().expect("streams");
    let found = streams.iter().find(|figures| figures["name"] == stream);
    found.unwrap_or_else(|| panic!("no {stream} in {report:#}"))
}

#[test]
fn messages_and_deliveries_arrive_with_their_times_to_live_and_a_second_run_changes_nothing() {
    let vyry = Vyry::with_cql(40);
    vyry.run(&["schema", "apply"]).expect(0);
    vyry.run(&["check"]).expect(0);
    let plan = vyry.run(&["plan", "--strict"]);
    plan.expect(0);
    // The number of a message tells its rows apart, whatever stands beside it in the key.
    assert!(!plan.stdout.contains("may share a target key"), "{}", plan.stdout);
    let report = vyry.run(&["run", "--output", "json"]).expect(4).json();
    vyry.check_cql(|_| "true".to_owned());
    vyry.check_rows(super::all);
    for table in [&MESSAGES, &DELIVERIES] {
        let figures = figures(&report, table.name);
        let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("no {name} in {figures}"));
        let all = value(&vyry.url("source"), &format!("select count(*) from {}", table.name));
        assert_eq!(figure("read").to_string(), all, "{}", table.name);
        assert_eq!(figure("inserted"), vyry.found(table).len() as u64, "{}", table.name);
        assert_eq!(
            figure("read"),
            figure("inserted") + figure("rejected") + figure("expired"),
            "{figures}"
        );
    }
    check_times_to_live(&vyry);
    let verified = vyry.run(&["verify", "--output", "json"]).expect(0).json();
    assert!(unequal(&verified).is_empty(), "{verified:#}");

    let rows = [&MESSAGES, &DELIVERIES].map(|table| vyry.found(table));
    let rejected = rejects(&vyry, "messages");
    vyry.run(&["run"]).expect(4);
    vyry.run(&["run", "--restart"]).expect(4);
    assert_eq!([&MESSAGES, &DELIVERIES].map(|table| vyry.found(table)), rows);
    assert_eq!(rejects(&vyry, "messages"), rejected);
    check_times_to_live(&vyry);

    let first = &rows[0][0];
    keyspace::change(&format!(
        "update {}.messages set content = 'other' where conv_id = {} and bucket = {} and message_id = {}",
        vyry.prefix,
        text(&first["conv_id"]),
        first["bucket"],
        first["message_id"]
    ));
    let verified = vyry.run(&["verify", "--output", "json"]).expect(5).json();
    let found = unequal(&verified);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0]["name"].as_str(), found[0]["different"].as_u64()),
        (Some("messages"), Some(1))
    );
}

/// Seconds by which a time to live may be shorter than when it was set, or longer than computed.
const SECONDS: i64 = 300;

/// Every cell of a message goes when the message does, and those without a moment stay.
fn check_times_to_live(vyry: &Vyry) {
    let moments = "select message_id, floor(extract(epoch from expires_at - now()))::bigint from messages
                   where expires_at > now() and expires_at < now() + interval '20 years'";
    let moments: BTreeMap<String, i64> = query(&vyry.url("source"), moments)
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(|cell| cell.expect("not NULL"));
            let mut next = || cells.next().expect("two columns");
            (next(), next().parse().expect("seconds"))
        })
        .collect();
    assert!(moments.len() > 10, "few messages that will expire");
    let columns = ["content", "iv", "sender_user_id", "sent_at", "extra"];
    let ttls = columns.map(|column| format!("ttl({column}) as {column}")).join(", ");
    let lives = keyspace::documents(&format!("select json message_id, {ttls} from {}.messages", vyry.prefix));
    let mut with = 0;
    for row in &lives {
        for column in columns {
            let (life, moment) = (row[column].as_i64(), moments.get(&row["message_id"].to_string()));
            match (life, moment) {
                (None, None) => {}
                (Some(life), Some(moment)) => assert!((life - moment).abs() < SECONDS, "{row}: {moment}"),
                _ => panic!("{column} of {row}: {moment:?}"),
            }
        }
        with += usize::from(row["content"].is_i64());
    }
    assert_eq!(with, moments.len());
}

#[test]
fn one_user_has_their_messages_and_what_came_to_their_devices() {
    let vyry = Vyry::with_cql(40);
    vyry.run(&["schema", "apply"]).expect(0);
    let plan = vyry.run(&["plan"]);
    plan.expect(0);
    assert!(!plan.stdout.contains("from beginning to end"), "{}", plan.stdout);
    let busy = "select sender_user_id from messages where message_id > 1000 group by 1 order by count(*) desc, 1 limit 1";
    let busy = value(&vyry.url("source"), busy);
    let linked = "select user_id from devices where device_id > 1000 group by user_id having count(*) = 2 order by user_id limit 1";
    let linked = value(&vyry.url("source"), linked);
    for (user, code) in [(busy.as_str(), 0), (linked.as_str(), 0), (TRAP_USER, 4)] {
        vyry.run(&["run", "--for", &format!("user={user}")]).expect(code);
        vyry.run(&["verify", "--for", &format!("user={user}")]).expect(0);
    }
    let users = format!("in ('{busy}', '{linked}', '{TRAP_USER}')");
    vyry.check_cql(|table: &CqlTable| table.of_users.replace("$users", &users));
    vyry.run(&["run"]).expect(4);
    vyry.check_cql(|_| "true".to_owned());
}

#[test]
fn deliveries_to_users_that_are_deleted_stay_behind_and_their_messages_do_not() {
    let vyry = Vyry::with_cql(60);
    vyry.take_without_deleted();
    vyry.run(&["run", "--apply-schema"]).expect(4);
    vyry.check_cql(|table| {
        if table.name == "messages" {
            return "true".to_owned();
        }
        "device_id not in (select device_id from devices where user_id in (select user_id from users where is_deleted))".to_owned()
    });
    vyry.run(&["verify"]).expect(0);
}
