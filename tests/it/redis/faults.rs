//! Faults of a server: out of memory, rights that are missing, what it does not take, its end.
//! The run says what is wrong, and goes on when it is mended.

use std::process::Child;
use std::time::Duration;

use super::dump::{Dump, assert_same};
use super::killed::rejects;
use super::server::Server;
use super::store::Store;
use super::toy::{Toy, assert_ledger, assert_tidy, every_type, items, stream};
use crate::harness::{Ended, until};

const ROWS: u32 = 4_000;
const ARGS: [&str; 4] = ["run", "mappings/demo", "--batch-size", "100"];

/// A server with options, and a toy for it.
fn with(options: &[(&str, &str)], rows: u32) -> (Store, Toy) {
    let store = Store::Single(Server::start(options));
    let toy = Toy::of(&store.url(), &items(rows), &every_type("error"));
    (store, toy)
}

fn server(store: &Store) -> &Server {
    store.masters()[0]
}

/// What an undisturbed run leaves.
fn undisturbed() -> (Dump, Vec<String>) {
    let (store, toy) = with(&[], ROWS);
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    (store.dump(), rejects(&store))
}

fn check(store: &Store, (expected, refused): &(Dump, Vec<String>)) {
    assert_same(&store.dump(), expected);
    assert_eq!(&rejects(store), refused);
    assert_tidy(store);
    assert_ledger(store, 11);
}

/// A run, once it has written something.
fn begun(store: &Store, toy: &Toy) -> Child {
    let child = toy.project.start(&ARGS);
    until("the first batches", || store.keys("dbferry:{demo}:checkpoint:*").len() > 3);
    child
}

#[test]
fn out_of_memory_the_run_stops_and_goes_on_when_there_is_room() {
    let expected = undisturbed();
    let (store, toy) = with(&[("maxmemory-policy", "noeviction")], ROWS);
    let memory: String = server(&store).query(&["INFO", "memory"]);
    let used = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"))
        .expect("a figure");
    let limit = used.trim().parse::<u64>().expect("bytes") + 1_500_000;
    server(&store).query::<()>(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    toy.project.run(&ARGS).expect(3).says("out of memory").says("maxmemory");
    assert!(!store.dump().is_empty(), "it had begun");
    toy.project.run(&ARGS).expect(3).says("out of memory");
    server(&store).query::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    toy.project.run(&ARGS).expect(4);
    check(&store, &expected);
}

#[test]
fn a_server_that_evicts_any_key_is_refused() {
    let (store, toy) = with(&[("maxmemory", "64mb"), ("maxmemory-policy", "allkeys-lru")], 10);
    toy.project.run(&ARGS).expect(3).says("allkeys-lru").says("noeviction");
    assert_eq!(store.keys("*"), Vec::<String>::new());
}

#[test]
fn a_wrong_password_and_none_are_told_without_it() {
    let (store, mut toy) = with(&[("requirepass", "hunter2")], 10);
    for url in [
        store.url(),
        format!("{}/3", store.url().trim_end_matches("/0")),
        server(&store).url_as("", "wr0ng"),
        server(&store).url_as("nobody", "wr0ng"),
    ] {
        toy.project.set("REDIS_URL", &url);
        let ended = toy.project.run(&ARGS);
        ended.expect(3).says("user or password is wrong");
        assert!(
            !ended.stderr.contains("wr0ng") && !ended.stdout.contains("wr0ng"),
            "{ended:?}"
        );
    }
    let url = server(&store).url_as("", "hunter2");
    toy.project.set("REDIS_URL", &format!("{}/99", url.trim_end_matches("/0")));
    toy.project.run(&ARGS).expect(2).says("has no database of that number");
    toy.project.set("REDIS_URL", &url);
    toy.project.run(&ARGS).expect(0);
}

#[test]
fn what_the_users_rights_do_not_cover_is_named() {
    for (rights, said) in [
        ("~* +@all -eval", "the command EVAL"),
        ("~* +@all -rpush", "the command RPUSH"),
        ("~* +@all -info", "the command INFO"),
        ("~* +@all -multi", "the command MULTI"),
        ("~dbferry:* ~s:* +@all", "one of the keys that a command names"),
        ("~s:* ~h:* +@all", "one of the keys that a command names"),
    ] {
        let user = format!("mover on >secret &* {rights}");
        let (store, mut toy) = with(&[("user", &user)], 200);
        toy.project.set("REDIS_URL", &server(&store).url_as("mover", "secret"));
        let ended = toy.project.run(&ARGS);
        ended.expect(3).says(said);
        // What was missing is given, and the run goes on.
        server(&store).query::<()>(&["ACL", "SETUSER", "mover", "~*", "+@all"]);
        toy.project.run(&ARGS).expect(4);
        assert_tidy(&store);
        assert_ledger(&store, 11);
    }
}

#[test]
fn a_command_that_is_switched_off_is_named() {
    let (_store, toy) = with(&[("rename-command", "EVAL \"\"")], 100);
    toy.project.run(&ARGS).expect(3).says("the command EVAL").says("switched off");
}

#[test]
fn values_beyond_the_limit_of_the_server_are_rejects() {
    let source = "create table large (id integer primary key, text text);
        insert into large values (1, 'a'), (2, replace(hex(zeroblob(1050000)), '00', 'xy')), (3, 'c'), (4, hex(zeroblob(1000000)) || '{}'), (5, 'e');";
    let of = |name: &str, rest: &str| stream(name, "large", rest, &["id", "text"]);
    let streams = [
        of("texts", "key = \"s:{id}\"\ntype = \"string\""),
        of("documents", "key = \"j:{id}\"\ntype = \"json\""),
        of("hashes", "key = \"h:{id}\"\ntype = \"hash\""),
        of("tags", "key = \"t:{id}\"\ntype = \"set\""),
        of("queues", "key = \"q\"\ntype = \"list\"\nvalue = [\"text\"]").replace("id = \"id\"\n", ""),
        of("events", "key = \"x\"\ntype = \"stream\"\nvalue = [\"id\", \"text\"]"),
        of("named", "key = \"n:{text}\"\ntype = \"string\""),
    ];
    let store = Store::Single(Server::start(&[("proto-max-bulk-len", "1mb")]));
    let mut toy = Toy::of(&store.url(), source, &streams.concat());
    let figures = toy.figures(4, &[]);
    for (stream, figures) in figures {
        assert_eq!(figures, [5, 3, 0, 0, 0, 2], "{stream}");
    }
    let refused = rejects(&store);
    assert_eq!(refused.len(), 14);
    assert!(refused.iter().all(|line| line.contains("\"too_large\"")), "{refused:?}");
    assert_eq!(store.query::<Vec<String>>(&["LRANGE", "q", "0", "-1"]), ["a", "c", "e"]);
    assert_tidy(&store);
    // Who may not ask for the limit is cut off by the server, and gives up in time.
    store.clear();
    server(&store).query::<()>(&["ACL", "SETUSER", "mover", "on", ">secret", "~*", "+@all", "-config"]);
    toy.project.set("REDIS_URL", &server(&store).url_as("mover", "secret"));
    toy.limit("retry_seconds_max = 2");
    toy.project.run(&ARGS).expect(3).says("the connection broke");
}

#[test]
fn a_server_that_comes_back_with_its_data_is_waited_for() {
    let expected = undisturbed();
    let (store, toy) = with(&[("appendonly", "yes")], ROWS);
    let mut run = begun(&store, &toy);
    let mut killed = 0;
    while killed < 3 && run.try_wait().expect("the child's state").is_none() {
        server(&store).kill();
        killed += 1;
        std::thread::sleep(Duration::from_millis(500));
        server(&store).restart();
        std::thread::sleep(Duration::from_millis(1500));
    }
    Ended::of_child(run).expect(4);
    check(&store, &expected);
}

#[test]
fn a_server_that_comes_back_empty_is_told_and_moved_anew() {
    let expected = undisturbed();
    let (store, toy) = with(&[], ROWS);
    let mut run = begun(&store, &toy);
    server(&store).kill();
    assert!(run.try_wait().expect("the child's state").is_none());
    server(&store).restart();
    let ended = Ended::of_child(run);
    ended.expect(1).says("has lost what this run had written");
    assert_eq!(ended.code, Some(1));
    toy.project.run(&ARGS).expect(4);
    check(&store, &expected);
}
