//! SQLite files and PocketBase's folder.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::{backed_up, flip, names, source, stream, text};
use crate::harness::{Project, copy, file_connection, repository, sqlite_rows, until};

/// A project from a PocketBase with files into an SQLite file.
pub(super) fn project() -> Project {
    let project = Project::new();
    let config = format!(
        "{}{}{}",
        file_connection("pocketbase", "pocketbase", "pb_data"),
        file_connection("app", "sqlite", "app.db"),
        file_connection("shop", "sqlite", "shop.db")
    );
    project.write("config/development.toml", &config);
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\", \"pocketbase\"]\nsinks = [\"shop\"]\n",
    );
    let users = "[[stream]]\nname = \"users\"\nfrom = \"pocketbase.users\"\nto = \"shop.users\"\nkey = [\"id\"]\n\n[stream.columns]\nid = \"id\"\n";
    project.write(
        "mappings/demo/streams.toml",
        &format!("{}{users}", stream("items", "shop.items")),
    );
    project.sqlite("app.db", &source(500));
    project.sqlite(
        "shop.db",
        "create table items (id integer primary key, name text not null, body blob, points integer); create table users (id text primary key)",
    );
    copy(&repository("mappings/game/sample/pb_data"), &project.path("pb_data"));
    project.write("pb_data/storage/c1/r1/a.png", "not really a picture");
    project.write("pb_data/storage/c1/r1/b.txt", "text");
    project.write("pb_data/types.d.ts", "// types");
    project.sqlite(
        "pb_data/auxiliary.db",
        "pragma journal_mode = wal; create table _logs (id text primary key, data json); insert into _logs values ('a', '{}')",
    );
    project.sqlite("pb_data/data.db", "pragma journal_mode = wal");
    project.run(&["run", "mappings/demo"]).expect(0);
    project
}

const USERS: &str = "select * from users order by id";
const ITEMS: &str = "select * from items order by id";

/// Journal that a file has.
fn journal(path: &Path) -> String {
    let connection = Connection::open(path).expect("a database");
    connection
        .query_row("pragma journal_mode", [], |row| row.get(0))
        .expect("a mode")
}

#[test]
fn a_pocketbase_and_a_file_come_back_with_all_that_is_in_them() {
    let project = project();
    let (data, shop) = (project.path("pb_data/data.db"), project.path("shop.db"));
    let (users, items) = (sqlite_rows(&data, USERS), sqlite_rows(&shop, ITEMS));
    let (folder, document) = backed_up(&project, &[]);
    let saved = document["connections"].as_array().expect("connections");
    let of = |name: &str| saved.iter().find(|saved| saved["connection"] == name).expect("it is saved");
    assert_eq!(
        (&of("pocketbase")["form"], &of("shop")["form"]),
        (&"pb_data".into(), &"sqlite".into())
    );
    assert!(
        of("pocketbase")["tables"].to_string().contains("auxiliary.db/_logs"),
        "{saved:#?}"
    );
    assert_eq!(
        names(&folder.join("pocketbase/pb_data")),
        ["auxiliary.db", "data.db", "storage", "types.d.ts"]
    );
    project.run(&["backup", "verify", text(&folder)]).expect(0);

    project.sqlite("pb_data/data.db", "delete from users");
    project.write("pb_data/storage/c1/r1/b.txt", "changed");
    project.write("pb_data/storage/c1/r2/later.txt", "later");
    project.sqlite("shop.db", "delete from items where id > 7; create table later (x)");
    // Only targets, unless a source is named.
    project
        .run(&["restore", text(&folder), "--yes"])
        .expect(1)
        .says("`shop` is not empty");
    project.run(&["restore", text(&folder), "--yes", "--replace"]).expect(0);
    assert_eq!(sqlite_rows(&shop, ITEMS), items);
    assert!(sqlite_rows(&shop, "select name from sqlite_schema where name = 'later'").is_empty());
    assert!(sqlite_rows(&data, USERS).is_empty());
    project
        .run(&["restore", text(&folder), "--yes", "--replace", "--only", "pocketbase"])
        .expect(0);
    assert_eq!(sqlite_rows(&data, USERS), users);
    assert_eq!(project.text("pb_data/storage/c1/r1/b.txt"), "text");
    assert!(!project.path("pb_data/storage/c1/r2").exists());
    assert_eq!(
        (journal(&data).as_str(), journal(&shop).as_str()),
        ("wal", "wal"),
        "journals are kept as they were"
    );
    assert!(
        !names(&project.path("")).iter().any(|name| name.contains("dbferry-restor")),
        "{:?}",
        names(&project.path(""))
    );
    project.run(&["run", "mappings/demo"]).expect(0).says("already complete");

    let empty = ["restore", text(&folder), "--yes", "--only", "shop"];
    std::fs::remove_file(&shop).expect("removed");
    project.run(&empty).expect(0);
    assert_eq!(sqlite_rows(&shop, ITEMS), items);
}

#[test]
fn files_of_a_folder_are_each_looked_at() {
    let project = project();
    let (folder, _) = backed_up(&project, &[]);
    for file in ["data.db", "auxiliary.db", "storage/c1/r1/a.png", "types.d.ts"] {
        let path = folder.join("pocketbase/pb_data").join(file);
        let whole = std::fs::read(&path).expect("a file");
        flip(&path);
        let ended = project.run(&["backup", "verify", text(&folder)]);
        assert!(ended.expect(5).stdout.contains(file), "{}", ended.stdout);
        project
            .run(&["restore", text(&folder), "--only", "pocketbase", "--replace", "--yes"])
            .expect(1)
            .says(file);
        std::fs::write(&path, whole).expect("written");
    }
    project.run(&["backup", "verify", text(&folder)]).expect(0);
}

#[test]
fn a_file_that_is_written_meanwhile_is_saved_of_one_moment_and_not_replaced() {
    let project = project();
    let path = project.path("pb_data/data.db");
    project.sqlite("pb_data/data.db", "create table a (v); create table b (v)");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let application = Connection::open(&path).expect("a database");
            application.busy_timeout(std::time::Duration::from_mins(1)).expect("set");
            while !stop.load(Ordering::Relaxed) {
                let both = "begin immediate; insert into a values (1); insert into b values (1); commit";
                application.execute_batch(both).expect("written");
            }
        });
        until("the first rows", || sqlite_rows(&path, "select 1 from b").len() > 3);
        let (folder, _) = backed_up(&project, &[]);
        let restore = ["restore", text(&folder), "--only", "pocketbase", "--replace", "--yes"];
        project.run(&restore).expect(3).says("is in use");
        stop.store(true, Ordering::Relaxed);
        let copy = folder.join("pocketbase/pb_data/data.db");
        let counts = sqlite_rows(&copy, "select (select count(*) from a) = (select count(*) from b)");
        assert_eq!(counts, ["Integer(1)|"], "both rows of a transaction or none");
    });
}

#[test]
fn a_copy_of_a_damaged_file_is_no_backup() {
    let project = project();
    let mut bytes = std::fs::read(project.path("app.db")).expect("a file");
    let from = bytes.len() / 2;
    bytes[from..from + 3000].fill(0x5a);
    std::fs::write(project.path("app.db"), bytes).expect("written");
    let ended = project.run(&["backup", "mappings/demo"]);
    ended.expect(1).says("app");
    assert!(
        names(&project.path("backups/demo")).is_empty(),
        "{:?}",
        names(&project.path("backups/demo"))
    );
}
