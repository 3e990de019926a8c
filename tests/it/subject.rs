//! One user by key: exactly their rows, in the order of foreign keys, again and again without a
//! change, and without getting in the way of runs of everything.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::game::{Game, Row, sqlite_query, uuid};
use crate::harness::{Database, Ended, Project};
use crate::items;

/// A shop: users with numbers and texts for keys, what is theirs, and topics, which are nobody's.
const SOURCE: &str = r#"
pragma journal_mode = wal;
create table users (id text primary key not null, name text);
create table orders (id integer primary key, user_id text, total integer);
create index orders_user on orders (user_id);
create table tags (id integer primary key, label text, owners json);
create table topics (id integer primary key, label text);
insert into users values ('ann', 'Ann'), ('bob', 'Bob'), ('o''brien "100%_\', 'O'), ('Зоя 🦊', 'Z'), ('$key', 'K'), ('42', 'N');
insert into orders select 100 * u.rowid + n.value, u.id, n.value from users u, json_each('[1,2,3]') n;
insert into tags values (1, 'red', '["ann","bob"]'), (2, 'blue', '["bob"]'), (3, 'odd', '["42","$key"]');
insert into topics values (1, 'all');
"#;

const TABLES: &str = "
create table users (id varchar(50) primary key, name varchar(50) not null);
create table orders (id integer primary key, user_id varchar(50) not null references users (id), total integer not null);
create table tags (id integer primary key, label varchar(50) not null);
create table topics (id integer primary key, label varchar(50) not null);
";

/// The mapping, `orders` before `users` to show that foreign keys decide.
fn mapping(policy: &str) -> String {
    format!(
        r#"
[[stream]]
name = "orders"
from = "app.orders"
to = "target.orders"
key = ["id"]
on_conflict = "{policy}"
subject = {{ user = "user_id = $key" }}
same_name_columns = true
[stream.columns]
id = "id"

[[stream]]
name = "users"
from = "app.users"
to = "target.users"
key = ["id"]
on_conflict = "{policy}"
subject = {{ user = "id = $key -- not '$key'" }}
same_name_columns = true
[stream.columns]
id = "id"

[[stream]]
name = "tags"
from = "app.tags"
to = "target.tags"
key = ["id"]
on_conflict = "{policy}"
subject = {{ user = "exists (select 1 from json_each(owners) where value = $key)" }}
same_name_columns = true
[stream.columns]
id = "id"

[[stream]]
name = "topics"
from = "app.topics"
to = "target.topics"
key = ["id"]
on_conflict = "{policy}"
same_name_columns = true
[stream.columns]
id = "id"
"#
    )
}

const EVERYTHING: [&str; 4] = [
    "select id, name from users order by id",
    "select cast(id as text), user_id, cast(total as text) from orders order by id",
    "select cast(id as text), label from tags order by id",
    "select cast(id as text), label from topics order by id",
];

struct Shop {
    project: Project,
    database: Option<Database>,
}

impl Shop {
    fn new(postgres: bool, policy: &str) -> Self {
        let (project, database) = if postgres {
            let database = Database::create();
            database.query(TABLES);
            (items::into(&database.url), Some(database))
        } else {
            let project = items::into_sqlite(0);
            project.sqlite("out.db", TABLES);
            std::fs::remove_file(project.path("app.db")).expect("the source of the items");
            (project, None)
        };
        project.write("mappings/demo/streams.toml", &mapping(policy));
        project.sqlite("app.db", SOURCE);
        Self { project, database }
    }

    /// On both targets.
    fn both(policy: &str) -> [Self; 2] {
        [Self::new(true, policy), Self::new(false, policy)]
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.project.run(&[&["run", "mappings/demo"], args].concat())
    }

    fn query(&self, sql: &str) -> Vec<Row> {
        if let Some(database) = &self.database {
            return database.query(sql);
        }
        let connection = rusqlite::Connection::open(self.project.path("out.db")).expect("an SQLite file");
        sqlite_query(&connection, &sql.replace("dbferry.", "dbferry_"))
    }

    fn value(&self, sql: &str) -> String {
        self.query(sql)[0][0].clone().unwrap_or_default()
    }

    fn change(&self, sql: &str) {
        match &self.database {
            Some(database) => drop(database.query(sql)),
            None => self.project.sqlite("out.db", sql),
        }
    }

    fn everything(&self) -> Vec<Vec<Row>> {
        EVERYTHING.iter().map(|sql| self.query(sql)).collect()
    }

    fn open_rejects(&self) -> Vec<Row> {
        self.query("select stream, source_key, reason from dbferry.reject where resolved_at is null order by stream, source_key")
    }
}

/// Figures of a stream in a document.
fn figures(report: &serde_json::Value, stream: &str) -> [u64; 5] {
    let streams = report["streams"].as_array().expect("streams");
    let found = streams.iter().find(|found| found["name"] == stream).expect("the stream");
    ["read", "inserted", "updated", "skipped", "rejected"].map(|figure| found[figure].as_u64().expect("a figure"))
}

#[test]
fn one_user_of_the_game_moves_alone_and_a_second_call_changes_nothing() {
    for environment in ["embedded", "development"] {
        let game = Game::new(environment);
        game.run(&["schema", "apply"]).expect(0);
        let source = rusqlite::Connection::open(game.project.path("mappings/game/sample/pb_data/data.db")).expect("the sample");
        let user = sqlite_query(
            &source,
            "select user_id from participants p where user_id in (select user_id from user_stats)
             and not exists (select 1 from participants t where t.user_id = p.user_id and t.id like 'trap%')
             and not exists (select 1 from user_stats t where t.user_id = p.user_id and t.id like 'trap%')
             and not exists (select 1 from matches m join participants t on t.match_id = m.id where t.user_id = p.user_id and m.id like 'trap%')
             and user_id not like 'trap%' and exists (select 1 from users u where u.id = p.user_id) group by user_id having count(*) > 2",
        )[0][0]
            .clone()
            .expect("a user");
        let count = |sql: &str| -> u64 {
            let row = source.query_row(sql, [&user], |row| row.get::<_, i64>(0));
            row.expect("a count").unsigned_abs()
        };
        let wanted = format!("user={user}");

        let rehearsed = game
            .run(&["run", "--for", &wanted, "--dry-run", "--output", "json"])
            .expect(0)
            .json();
        assert!(game.rows().is_empty(), "a dry run writes nothing");
        let report = game.run(&["run", "--for", &wanted, "--output", "json"]).expect(0).json();
        assert_eq!(report["for"]["subject"], "user");
        assert_eq!(report["for"]["key"].as_str(), Some(user.as_str()));
        let order: Vec<_> = report["streams"]
            .as_array()
            .expect("streams")
            .iter()
            .map(|stream| stream["name"].clone())
            .collect();
        assert_eq!(order, ["games", "players", "game_sessions", "player_stats"]);
        for (stream, sql) in [
            ("players", "select count(*) from users where id = ?"),
            ("games", "select count(distinct match_id) from participants where user_id = ?"),
            ("game_sessions", "select count(*) from participants where user_id = ?"),
            ("player_stats", "select count(*) from user_stats where user_id = ?"),
        ] {
            let rows = count(sql);
            assert!(rows > 0, "{stream}: a user with rows everywhere");
            assert_eq!(figures(&report, stream), [rows, rows, 0, 0, 0], "{stream}");
            assert_eq!(figures(&rehearsed, stream), [rows, rows, 0, 0, 0], "{stream}");
            assert_eq!(game.query(&format!("select 1 from {stream}")).len() as u64, rows, "{stream}");
        }
        let id = uuid("users", &user);
        assert_eq!(game.query("select cast(id as text) from players"), [[Some(id.clone())]]);
        for table in ["game_sessions", "player_stats"] {
            let others = format!("select 1 from {table} where cast(player_id as text) <> '{id}'");
            assert!(game.query(&others).is_empty(), "{table}");
        }

        let before = game.rows();
        let again = game.run(&["run", "--for", &wanted, "--output", "json"]).expect(0).json();
        for stream in ["players", "games", "game_sessions", "player_stats"] {
            let [read, inserted, updated, skipped, rejected] = figures(&again, stream);
            assert_eq!([inserted, updated, skipped, rejected], [0, 0, read, 0], "{stream}");
        }
        assert!(before == game.rows(), "a second call changes nothing");
        game.run(&["run", "--for", &wanted]).expect(0).says("one user");

        // A run of everything finds the rows there, and counts them as they are.
        game.run(&["run", "--output", "json"]).expect(4);
        assert!(before.iter().all(|(key, row)| game.rows().get(key) == Some(row)));
        let whole = Game::new(environment);
        whole.run(&["run", "--apply-schema"]).expect(4);
        assert!(whole.rows() == game.rows(), "the same rows as without the user moved before");
    }
}

#[test]
fn every_stream_of_the_game_finds_one_user_by_an_index() {
    let game = Game::new("embedded");
    game.run(&["schema", "apply"]).expect(0);
    let notes = |game: &Game| {
        game.run(&["plan", "--output", "json"])
            .expect(0)
            .stdout
            .matches("no index finds")
            .count()
    };
    assert_eq!(notes(&game), 0);
    game.project
        .sqlite("mappings/game/sample/pb_data/data.db", "drop index idx_participants_user");
    assert_eq!(notes(&game), 2, "games and game_sessions look through participants");
}

#[test]
fn keys_may_hold_anything_and_other_streams_are_named() {
    for shop in Shop::both("update") {
        for (key, tags) in [("o'brien \"100%_\\", 0), ("Зоя 🦊", 0), ("$key", 1), ("42", 1), ("ann", 1)] {
            let report = shop
                .run(&["--for", &format!("user={key}"), "--output", "json"])
                .expect(0)
                .json();
            assert_eq!(figures(&report, "users"), [1, 1, 0, 0, 0], "{key}");
            assert_eq!(figures(&report, "orders"), [3, 3, 0, 0, 0], "{key}");
            assert_eq!(figures(&report, "tags")[0], tags, "{key}");
            assert_eq!(report["for"]["key"], key);
            assert_eq!(
                report["warnings"][0],
                "stream `topics` does not say how its rows belong to a user: left out"
            );
        }
        assert_eq!(shop.value("select count(*) from users"), "5");
        assert_eq!(shop.value("select count(*) from topics"), "0");
        for key in ["an_", "ann' or '1'='1", "ANN", "%"] {
            let ended = shop.run(&["--for", &format!("user={key}")]);
            ended.expect(1).says(&format!("no row belongs to user {key}"));
        }
        assert_eq!(shop.value("select count(*) from users"), "5");
        let report = shop.run(&["--for", "user=nobody", "--output", "json"]).expect(1).json();
        assert_eq!(
            (&report["error"]["kind"], &report["for"]["key"]),
            (&"absent".into(), &"nobody".into())
        );
        shop.run(&["--for", "users=ann"])
            .expect(2)
            .says("no subject `users`")
            .says("`user`");
        shop.run(&["--for", "user=ann", "--only", "topics"])
            .expect(2)
            .says("none of the streams asked for");
        shop.run(&["--for", "user="]).expect(2);
        let runs = shop.value("select count(*) from dbferry.run");
        assert_eq!(runs, "5", "what cannot begin leaves no trace");
    }
}

#[test]
fn what_is_logged_says_nothing_of_whose_rows_they_are() {
    for shop in Shop::both("skip") {
        let ended = shop.run(&["--for", "user=Зоя 🦊", "-vvv"]);
        ended.expect(0);
        let log = ended.stderr.replace("Зоя", "CANARY");
        assert!(!log.contains("CANARY") && !log.contains("u{417}"), "{log}");
        assert!(ended.stdout.contains("user Зоя 🦊: done"), "{}", ended.stdout);
    }
}

#[test]
fn rows_that_exist_are_treated_as_declared_and_never_overwritten_by_surprise() {
    for shop in Shop::both("update") {
        shop.run(&["--for", "user=ann"]).expect(0);
        shop.change("update orders set total = 99 where id = 101");
        let report = shop.run(&["--for", "user=ann", "--output", "json"]).expect(0).json();
        assert_eq!(figures(&report, "orders"), [3, 0, 1, 2, 0]);
        assert_eq!(shop.value("select total from orders where id = 101"), "1");
    }
    for shop in Shop::both("skip") {
        shop.run(&["--for", "user=ann"]).expect(0);
        shop.change("update orders set total = 99 where id = 101");
        let report = shop.run(&["--for", "user=ann", "--output", "json"]).expect(0).json();
        assert_eq!(figures(&report, "orders"), [3, 0, 0, 3, 0]);
        assert_eq!(shop.value("select total from orders where id = 101"), "99");
    }
    for shop in Shop::both("error") {
        shop.run(&["--for", "user=ann"])
            .expect(0)
            .says("takes rows that exist for an error");
        let before = shop.everything();
        let again = shop.run(&["--for", "user=ann", "--output", "json"]).expect(0).json();
        assert_eq!(figures(&again, "orders"), [3, 0, 0, 3, 0]);
        assert_eq!(shop.everything(), before);
        shop.change("update orders set total = 99 where id = 101");
        for _ in 0..2 {
            let report = shop
                .run(&["--for", "user=ann", "--max-rejects", "5", "--output", "json"])
                .expect(4)
                .json();
            assert_eq!(figures(&report, "orders"), [3, 0, 0, 2, 1]);
            assert_eq!(
                shop.open_rejects().len(),
                1,
                "the same row is one open reject, however often it is met"
            );
        }
        assert_eq!(shop.open_rejects()[0][2].as_deref(), Some("duplicate"));
        assert_eq!(
            shop.value("select total from orders where id = 101"),
            "99",
            "nothing is overwritten"
        );
        // Mended: the reject is resolved by the same command.
        shop.change("delete from orders where id = 101");
        let report = shop.run(&["--for", "user=ann", "--output", "json"]).expect(0).json();
        assert_eq!(figures(&report, "orders"), [3, 1, 0, 2, 0]);
        assert!(shop.open_rejects().is_empty());
        assert_eq!(shop.everything(), before);
    }
}

#[test]
fn rejects_of_one_user_are_seen_by_stats_retried_and_not_doubled_by_a_run_of_all() {
    for shop in Shop::both("update") {
        shop.project.sqlite("app.db", "update orders set total = null where id = 102");
        shop.run(&["--for", "user=ann"]).expect(4).says("--for user=ann");
        shop.run(&["--for", "user=bob"]).expect(0);
        let stats = shop
            .project
            .run(&["stats", "mappings/demo", "--output", "json"])
            .expect(0)
            .json();
        assert_eq!(stats["streams"][0]["rejects_open"], 1);
        assert_eq!(stats["streams"].as_array().map(Vec::len), Some(4), "subjects are no streams");
        shop.project.sqlite("app.db", "update orders set total = 7 where id = 102");
        shop.run(&["--retry-rejects"]).expect(0);
        assert_eq!(shop.value("select total from orders where id = 102"), "7");
        assert!(shop.open_rejects().is_empty());

        shop.project.sqlite("app.db", "update orders set total = null where id = 103");
        shop.change("delete from orders where id = 103");
        shop.run(&["--for", "user=ann"]).expect(4);
        shop.run(&["--max-rejects", "5"]).expect(4);
        assert_eq!(shop.open_rejects().len(), 1, "the run of all meets the row again");
        assert_eq!(shop.value("select count(*) from orders"), "17");
    }
}

#[test]
fn two_users_rows_with_one_target_key_collide_as_in_a_run_of_all() {
    for shop in Shop::both("update") {
        let same = mapping("update").replacen("id = \"id\"", "id = \"id % 100\"", 1);
        shop.project.write("mappings/demo/streams.toml", &same);
        shop.run(&["--for", "user=ann"]).expect(0);
        let report = shop
            .run(&["--for", "user=bob", "--max-rejects", "9", "--output", "json"])
            .expect(4)
            .json();
        assert_eq!(figures(&report, "orders"), [3, 0, 0, 0, 3]);
        assert_eq!(shop.value("select count(*) from orders where user_id = 'ann'"), "3");
        assert!(
            shop.open_rejects()
                .iter()
                .all(|row| row[2].as_deref() == Some("key_collision"))
        );
        // Whoever came first keeps the key, until a run of all begins anew.
        shop.run(&["--for", "user=ann"]).expect(0);
    }
}

#[test]
fn rows_that_refer_to_each_other_and_to_those_of_others() {
    for shop in Shop::both("update") {
        shop.project.sqlite(
            "app.db",
            "create table notes (id integer primary key, user_id text, parent integer);
             insert into notes values (1, 'ann', 2), (2, 'ann', null), (3, 'ann', 4), (4, 'bob', 1)",
        );
        shop.change(
            "create table notes (id integer primary key, user_id varchar(50) not null references users (id),
                 parent integer references notes (id))",
        );
        let notes = mapping("update").replacen("orders", "notes", 3);
        shop.project.write("mappings/demo/streams.toml", &notes);
        let report = shop
            .run(&["--for", "user=ann", "--max-rejects", "9", "--output", "json"])
            .expect(4)
            .json();
        assert_eq!(
            figures(&report, "notes"),
            [3, 2, 0, 0, 1],
            "a note of ann's that comes after the one it refers to"
        );
        shop.run(&["--for", "user=bob"]).expect(0);
        let report = shop.run(&["--for", "user=ann", "--output", "json"]).expect(0).json();
        assert_eq!(figures(&report, "notes"), [3, 1, 0, 2, 0]);
        assert!(shop.open_rejects().is_empty());
        let keys = "select cast(id as text), cast(parent as text) from notes order by id";
        let before = shop.query(keys);
        assert_eq!(before.len(), 4);
        // A run of all takes the key away and puts it back, whatever was moved before.
        shop.run(&[]).expect(0);
        assert_eq!(shop.query(keys), before);
    }
}

#[test]
fn a_user_moved_while_a_run_of_all_is_interrupted_is_met_by_it_later() {
    for postgres in [true, false] {
        for policy in ["update", "skip", "error"] {
            let shop = Shop::new(postgres, policy);
            // A run of all stops at the broken row of `ann`, with rows committed before.
            shop.project.sqlite("app.db", "update orders set total = null where id = 103");
            let stopped = shop.run(&["--batch-size", "1"]);
            stopped.expect(4);
            assert_eq!(shop.value("select count(*) from orders"), "2");
            shop.project.sqlite("app.db", "update orders set total = 3 where id = 103");
            shop.run(&["--for", "user=bob"]).expect(0);
            let ended = shop.run(&["--max-rejects", "100", "--batch-size", "2"]);
            ended.expect(4);
            shop.run(&["--retry-rejects", "--max-rejects", "100"]);
            // Rows that exist are an error of that policy, but stay as they are all the same.
            assert_eq!(shop.value("select count(*) from orders"), "18", "{policy}");
            assert_eq!(shop.value("select count(*) from users"), "6", "{policy}");
            let bobs = if policy == "error" { 3 } else { 0 };
            let rejected = shop
                .open_rejects()
                .iter()
                .filter(|row| row[0].as_deref() == Some("orders"))
                .count();
            assert_eq!(rejected, bobs, "{policy}: {:?}", shop.open_rejects());
        }
    }
}

#[test]
fn mistakes_in_conditions_are_told_at_their_line() {
    let shop = Shop::new(false, "update");
    let wrong = mapping("update").replace("user_id = $key", "usr_id = $key").replace(
        "exists (select 1 from json_each(owners)",
        "exists (select 1 from json_eech(owners)",
    );
    shop.project.write("mappings/demo/streams.toml", &wrong);
    let plan = shop
        .project
        .run(&["plan", "mappings/demo", "--output", "json"])
        .expect(2)
        .json();
    let findings = plan["error"]["findings"].as_array().expect("findings");
    let told: Vec<_> = findings
        .iter()
        .map(|finding| {
            (
                finding["code"].as_str(),
                finding["line"].as_u64(),
                finding["column"].as_u64(),
                finding["help"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told[0],
        (Some("plan::subject"), Some(8), Some(21), Some("did you mean `user_id`?"))
    );
    assert_eq!((told[1].0, told[1].1), (Some("plan::subject"), Some(30)));
    assert!(
        findings[1]["message"]
            .as_str()
            .expect("a message")
            .contains("no such table: json_eech")
    );
    shop.run(&["--for", "user=ann"]).expect(2).says("no such column: usr_id");
}

/// The shop in Postgres, with keys of types of its own.
const POSTGRES_SOURCE: &str = r#"
create table "Users" (id uuid primary key, name varchar(50));
create table orders (id integer primary key, user_id uuid, total integer);
create index orders_user on orders (user_id);
create table tags (id integer primary key, label text, owners uuid[]);
create index tags_owners on tags using gin (owners);
insert into "Users" select ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'user ' || n from generate_series(1, 3) n;
insert into orders select n, ('00000000-0000-4000-8000-00000000000' || n % 3 + 1)::uuid, n from generate_series(1, 3000) n;
insert into tags select n, 'tag', array[('00000000-0000-4000-8000-00000000000' || n)::uuid] from generate_series(1, 3) n;
"#;

/// The shop between two databases, and its streams.
fn between_servers() -> (Project, Database, Database, String) {
    let (source, target) = (Database::create(), Database::create());
    source.query(POSTGRES_SOURCE);
    target.query(
        "create table users (id uuid primary key, name varchar(50) not null);
         create table orders (id integer primary key, user_id uuid not null references users (id), total integer not null);
         create table tags (id integer primary key, label text not null)",
    );
    let mut project = items::into(&target.url);
    project.set("SOURCE_URL", &source.url);
    project.write(
        "config/development.toml",
        "[connection.app]\nkind = \"postgres\"\nurl = { env = \"SOURCE_URL\" }\n\n[connection.target]\nkind = \"postgres\"\nurl = { env = \"TARGET_URL\" }\n",
    );
    let streams = mapping("update").replace("app.users", "app.\\\"Users\\\"").replace(
        "exists (select 1 from json_each(owners) where value = $key)",
        "owners @> array[$key::uuid] -- '$key'",
    );
    let streams = &streams[..streams.rfind("[[stream]]").expect("topics")];
    project.write("mappings/demo/streams.toml", streams);
    let streams = streams.to_owned();
    (project, source, target, streams)
}

#[test]
fn one_user_moves_from_postgres_to_postgres() {
    let (project, _source, target, _) = between_servers();
    let user = "user=00000000-0000-4000-8000-000000000002";
    let report = project
        .run(&["run", "mappings/demo", "--for", user, "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(figures(&report, "users"), [1, 1, 0, 0, 0]);
    assert_eq!(figures(&report, "orders"), [1000, 1000, 0, 0, 0]);
    assert_eq!(figures(&report, "tags"), [1, 1, 0, 0, 0]);
    let before = target.query("select * from orders order by id");
    let report = project
        .run(&["run", "mappings/demo", "--for", user, "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(figures(&report, "orders"), [1000, 0, 0, 1000, 0]);
    assert!(before == target.query("select * from orders order by id"));
    project
        .run(&["run", "mappings/demo", "--for", "user=' or true --"])
        .expect(2)
        .says("not a value of type uuid");
    project
        .run(&["run", "mappings/demo", "--for", "user=00000000-0000-4000-8000-000000000009"])
        .expect(1);
}

#[test]
fn conditions_are_prepared_by_the_server_that_is_read() {
    let (project, source, _target, streams) = between_servers();
    let notes = || {
        project
            .run(&["plan", "mappings/demo", "--output", "json"])
            .expect(0)
            .stdout
            .clone()
    };
    assert!(!notes().contains("no index finds"), "{}", notes());
    source.query("drop index orders_user");
    assert!(
        notes().contains("no index finds the rows of a subject: `orders` is read from beginning to end"),
        "{}",
        notes()
    );
    project.write(
        "mappings/demo/streams.toml",
        &streams.replace("user_id = $key", "usr_id = $key"),
    );
    project
        .run(&["plan", "mappings/demo"])
        .expect(2)
        .says("usr_id")
        .says("did you mean `user_id`?");
    project.write(
        "mappings/demo/streams.toml",
        &streams.replace("user_id = $key", "user_id = $key::uuid and total = $1"),
    );
    project
        .run(&["plan", "mappings/demo"])
        .expect(2)
        .says("parameters beside `$key`");
}

/// Many rows of one user: enough to be killed in between.
const MANY: u32 = 20_000;

fn owned(project: &Project) {
    let streams = format!("{}\n", items::MAPPING).replace(
        "same_name_columns = true",
        "subject = { owner = \"amount % 2 = cast($key as integer)\" }\nsame_name_columns = true",
    );
    let second = streams
        .replace("\"items\"", "\"copies\"")
        .replace("target.items", "target.copies");
    project.write("mappings/demo/streams.toml", &format!("{streams}\n{second}"));
}

#[test]
fn killed_in_between_and_repeated_the_rows_are_those_of_an_undisturbed_move() {
    let (project, database) = items::into_postgres(MANY);
    database.query(&items::POSTGRES_DDL.replace("items", "copies"));
    owned(&project);
    let half = project.path("app.db");
    let source = rusqlite::Connection::open(half).expect("the source");
    let expected = sqlite_query(&source, "select id from items where amount % 2 = 1 order by id");
    let args = ["run", "mappings/demo", "--for", "owner=1", "--batch-size", "500"];
    let began = Instant::now();
    project.run(&args).expect(0);
    let whole = began.elapsed();
    let rows = |table: &str| database.query(&format!("select id from {table} order by id"));
    assert!(rows("items") == expected && rows("copies") == expected);

    let mut partly = 0;
    for round in 0..8_u32 {
        database.query("truncate items, copies; drop schema if exists dbferry cascade");
        let mut child = project
            .command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a start");
        std::thread::sleep(whole * (round + 1) / 9);
        child.kill().expect("SIGKILL");
        child.wait().expect("an end");
        // The server may still be at it.
        std::thread::sleep(Duration::from_millis(50));
        for table in ["items", "copies"] {
            let there = rows(table).len();
            assert!(
                there == 0 || there == expected.len(),
                "{table}: all of a stream's rows or none, not {there}"
            );
            partly += u32::from(there == 0);
        }
        let report = project.run(&[&args[..], &["--output", "json"]].concat()).expect(0).json();
        assert_eq!(figures(&report, "items")[0], expected.len() as u64);
        assert!(rows("items") == expected && rows("copies") == expected, "round {round}");
        let ledger = database.query(
            "select count(*)::text from dbferry.checkpoint c where sequence <> (select count(*) from dbferry.batch b where b.stream = c.stream)",
        );
        assert_eq!(ledger[0][0].as_deref(), Some("0"), "a batch for each step of the checkpoint");
    }
    assert!(partly > 0, "no round was killed in between");
}
