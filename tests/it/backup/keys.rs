//! Keys of Redis, on one server and on a cluster.

use super::{backed_up, flip, source, text};
use crate::harness::{KillTimes, Project, file_connection};
use crate::redis::dump::assert_same;
use crate::redis::store::Store;

fn project(store: &Store) -> Project {
    let mut project = Project::new();
    project.set("REDIS_URL", &store.url());
    project.write(
        "config/development.toml",
        &format!(
            "{}[connection.cache]\nkind = \"redis\"\nurl = {{ env = \"REDIS_URL\" }}\n",
            file_connection("app", "sqlite", "app.db")
        ),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"cache\"]\n",
    );
    let of = |name: &str, rest: &str, columns: &[&str]| {
        let columns: Vec<_> = columns.iter().map(|column| format!("{column} = \"{column}\"\n")).collect();
        let columns = columns.concat();
        format!("[[stream]]\nname = \"{name}\"\nfrom = \"app.items\"\nto = \"cache\"\n{rest}\n\n[stream.columns]\n{columns}\n")
    };
    let streams = [
        of(
            "profiles",
            "key = \"h:{{{id}}}:p\"\ntype = \"hash\"\nttl = \"24h\"",
            &["id", "name", "body", "points"],
        ),
        of(
            "board",
            "key = \"z\"\ntype = \"zset\"\nvalue = [\"id\"]\nscore = \"points\"",
            &["id", "points"],
        ),
        of("queue", "key = \"q\"\ntype = \"list\"", &["name"]),
    ];
    project.write("mappings/demo/streams.toml", &streams.concat());
    project.sqlite("app.db", &source(700));
    project.run(&["run", "mappings/demo"]).expect(0);
    project
}

/// Moments of expiry of all keys, to the millisecond.
fn expiries(store: &Store) -> Vec<(String, i64)> {
    store
        .keys("h:*")
        .into_iter()
        .map(|key| (key.clone(), store.query(&["PEXPIRETIME", &key])))
        .collect()
}

fn come_back(store: &Store) {
    let project = project(store);
    store.query::<()>(&["SET", "foreign:1", "mine"]);
    store.query::<()>(&["SET", "z:not", "mine"]);
    let (before, ledger, moments) = (store.dump(), store.keys("dbferry:*"), expiries(store));
    let (folder, document) = backed_up(&project, &[]);
    let cache = &document["connections"][0];
    assert!(cache["one_moment"] == false && cache["checked"] == true, "{cache:#}");
    assert!(cache["tables"].to_string().contains(r#""rows":700"#), "{cache:#}");
    project.run(&["backup", "verify", text(&folder)]).expect(0);
    assert_same(&store.dump(), &before);
    assert!(store.keys("dbferry-verify:*").is_empty());

    project
        .run(&["restore", text(&folder), "--yes"])
        .expect(1)
        .says("keys h:{{{id}}}:p");
    store.query::<()>(&["DEL", "h:{5}:p"]);
    store.query::<()>(&["HSET", "h:{6}:p", "name", "other"]);
    store.query::<()>(&["HSET", "h:{99999}:p", "name", "later"]);
    store.query::<()>(&["RPUSH", "q", "later"]);
    project.run(&["restore", text(&folder), "--yes", "--replace"]).expect(0);
    assert_same(&store.dump(), &before);
    assert_eq!(store.keys("dbferry:*"), ledger);
    assert_eq!(expiries(store), moments, "moments stay, whatever time has passed");
    project.run(&["run", "mappings/demo"]).expect(0).says("already complete");

    flip(&folder.join("cache/keys"));
    let ended = project.run(&["backup", "verify", text(&folder)]);
    assert!(ended.expect(5).stdout.contains("cache/keys"), "{}", ended.stdout);
    project
        .run(&["restore", text(&folder), "--yes", "--replace"])
        .expect(1)
        .says("damaged");
    assert_same(&store.dump(), &before);
}

#[test]
fn keys_of_a_server_come_back_as_they_were() {
    come_back(&Store::single());
}

#[test]
fn keys_of_a_cluster_come_back_as_they_were() {
    come_back(&Store::cluster(false));
}

#[test]
fn keys_that_begin_so_are_saved_where_they_are_asked_for() {
    let store = Store::single();
    let project = project(&store);
    store.query::<()>(&["SET", "foreign:[1]", "mine"]);
    store.query::<()>(&["SET", "foreignx", "not"]);
    let (folder, document) = backed_up(&project, &["--keys", "foreign:"]);
    assert_eq!(document["connections"][0]["tables"][0]["rows"], 1, "{document:#}");
    store.query::<()>(&["SET", "foreign:[1]", "changed"]);
    project.run(&["restore", text(&folder), "--yes", "--replace"]).expect(0);
    assert_eq!(store.query::<String>(&["GET", "foreign:[1]"]), "mine");
    assert_eq!(store.query::<String>(&["GET", "foreignx"]), "not");
}

/// Killed at random moments: no run begins on half of the keys, and the next call brings back all.
fn killed(store: &Store) {
    let project = project(store);
    // A key that was only tried out, by a call that was killed, goes by itself in minutes.
    let dump = || {
        let mut dump = store.dump();
        dump.retain(|key, _| !key.starts_with(b"dbferry-verify:"));
        dump
    };
    let before = dump();
    let (folder, _) = backed_up(&project, &[]);
    let restore = ["restore", text(&folder), "--yes", "--replace"];
    let began = std::time::Instant::now();
    project.run(&restore).expect(0);
    let mut times = KillTimes::within(u64::try_from(began.elapsed().as_millis()).expect("a short restore"));
    let mut halves = 0;
    for _ in 0..12 {
        let mut child = project.start_unheard(&restore);
        times.wait();
        if child.try_wait().expect("its state").is_some() {
            times.too_late();
        } else {
            child.kill().expect("SIGKILL");
        }
        child.wait().expect("an end");
        if store.keys("dbferry:{demo}:restoring").is_empty() {
            assert_same(&dump(), &before);
        } else {
            halves += 1;
            project.run(&["run", "mappings/demo"]).expect(1).says("not all of them are");
        }
    }
    eprintln!("{halves} of 12 were killed half-way");
    project.run(&restore).expect(0);
    assert_same(&dump(), &before);
    project.run(&["run", "mappings/demo"]).expect(0);
}

#[test]
fn a_restore_of_keys_that_was_killed_is_completed_by_the_next() {
    killed(&Store::single());
}
