//! Starter projects: they say what was found, hide nothing, and plan as they are.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Database, Ended, Project};

/// A source file `app.db`, a target file `out.db`, and a PocketBase that is neither.
const CONFIG: &str = r#"
[connection.app]
kind = "sqlite"
path = { value = "app.db" }

[connection.out]
kind = "sqlite"
path = { value = "out.db" }

[connection.shop]
kind = "postgres"
url = { env = "SHOP_URL" }

[connection.old]
kind = "postgres"
url = { env = "OLD_URL" }

[connection.pocketbase]
kind = "pocketbase"
path = { value = "data.db" }

[connection.missing]
kind = "sqlite"
path = { value = "missing.db" }
create_database = true
"#;

fn project(source: &str, target: &str) -> Project {
    let project = Project::new();
    project.write("config/development.toml", CONFIG);
    project.sqlite("app.db", source);
    project.sqlite("out.db", target);
    project
}

fn file(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const ODD_SOURCE: &str = r#"
create table users (
    id varchar(36) primary key not null, username varchar(100) not null, bio text, status text, role text not null,
    points bigint not null, rating numeric(12,4), seen timestamp(3), token blob, "Nick Name" text, "say ""hi""" integer,
    "order" integer, "case" text, flag integer, extra text);
create table Orders (number integer, customer text not null, note text, total numeric(9,2) not null, unique (customer));
create table "weird table" (id integer primary key, "a.b" text);
create table audit_log (id integer primary key, what text);
create view busy as select id, username from users;
"#;

const ODD_TARGET: &str = r#"
create type "UserStatus" as enum ('active', 'it''s over');
create type "Topic Status" as enum ('open', 'closed');
create table users (
    id varchar(36) primary key, username varchar(50) not null unique, status "UserStatus" not null, role text not null,
    points integer not null, rating numeric(7,2), seen timestamp(0), token uuid, "Nick Name" text, "say ""hi""" bigint,
    "order" integer, "case" text not null, flag boolean not null, extra int[],
    "topic status" "Topic Status" not null, level integer not null default 1, total integer generated always as (points * 2) stored);
create table orders (id bigint generated always as identity primary key, number integer, customer varchar(36) references users (id),
    note text, total numeric(9,2) not null);
create table "weird table" (id integer primary key, "a.b" text, "c.d" integer not null);
create table user_profiles (id text primary key, username text not null, bio text not null, points integer);
create table unrelated (x integer primary key, y text not null);
create unlogged table cache (k text primary key);
create table parted (id integer primary key, at date) partition by range (id);
create table parted_1 partition of parted for values from (0) to (10);
"#;

#[test]
fn every_oddity_is_told_and_the_project_plans() {
    let database = Database::create();
    database.query(ODD_TARGET);
    let mut project = project(ODD_SOURCE, "create table t (x integer)");
    project.set("SHOP_URL", &database.url);
    let ended = project.run(&["introspect", "--from", "app", "--to", "shop", "--name", "odd"]);
    ended
        .expect(0)
        .says("wrote mappings/odd/project.toml")
        .says("wrote mappings/odd/shop.toml");
    insta::assert_snapshot!("odd_result", ended.stdout);
    insta::assert_snapshot!("odd_project", file(&project, "mappings/odd/project.toml"));
    insta::assert_snapshot!("odd_streams", file(&project, "mappings/odd/shop.toml"));
    project.run(&["plan", "mappings/odd"]).expect(0);
}

/// Between two Postgres databases: types that only they have, schemas, partitions, views, tables
/// without a key, enums with other labels.
#[test]
fn a_postgres_pair_plans_and_moves() {
    let (old, shop) = (Database::create(), Database::create());
    old.query(
        r#"create schema archive;
        create type "Mood" as enum ('good', 'bad', 'ugly');
        create type state as enum ('on', 'off');
        create table users (id uuid primary key, email text not null, mood "Mood", state state, ip inet, tags text[], at timestamptz(3));
        create table archive.logs (at timestamp not null, what text);
        create table "Line Items" (no integer not null, "User" uuid not null, price numeric(12,4), doc jsonb, unique (no, "User"));
        create table parts (id bigint primary key) partition by range (id);
        create table parts_1 partition of parts for values from (0) to (10);
        create view totals as select "User", sum(price) as price from "Line Items" group by 1;
        insert into users values ('00000000-0000-0000-0000-000000000001', 'a', 'good', 'on', '10.0.0.1', '{a,null}', '2024-02-29 12:00:00.5+00');
        insert into "Line Items" values (1, '00000000-0000-0000-0000-000000000001', 1.5, '{"a": 1}');
        insert into parts values (1);"#,
    );
    shop.query(
        r#"create type "Mood" as enum ('bad', 'good');
        create table "Line Items" (no integer, "User" uuid references users (id), price numeric(12,2), doc jsonb, primary key (no, "User"));
        create table logs (at timestamp not null, what text);
        create table parts (id bigint primary key) partition by range (id);
        create table parts_1 partition of parts for values from (0) to (10);
        create table totals ("User" uuid primary key, price numeric);"#
            .replacen("create table \"Line", "create table users (id uuid primary key, email text not null unique, mood \"Mood\", state text, ip inet, tags text[], at timestamp(0));\ncreate table \"Line", 1)
            .as_str(),
    );
    let mut project = Project::new();
    project.write("config/development.toml", CONFIG);
    project.set("OLD_URL", &old.url);
    project.set("SHOP_URL", &shop.url);
    let ended = project.run(&["introspect", "--from", "old", "--to", "shop", "--out", "mappings/shop"]);
    insta::assert_snapshot!("postgres_result", ended.expect(0).stdout);
    insta::assert_snapshot!("postgres_streams", file(&project, "mappings/shop/shop.toml"));
    project.run(&["plan", "mappings/shop"]).expect(0);
    let text = file(&project, "mappings/shop/shop.toml");
    project.write(
        "mappings/shop/shop.toml",
        &text.replace("# allow_precision_loss", "allow_precision_loss"),
    );
    project.run(&["run", "mappings/shop"]).expect(0);
    assert_eq!(
        shop.value("select mood || state || host(ip) || tags::text || at from users"),
        "goodon10.0.0.1{a,NULL}2024-02-29 12:00:01"
    );
}

#[test]
fn a_plain_pair_moves_without_a_change() {
    let table = "create table items (id text primary key not null, n bigint, note text);
        create table parts (id integer primary key, item text not null references items (id));";
    let rows = "insert into items values ('a', 1, 'x'), ('b', 2, null); insert into parts values (1, 'a'), (2, 'b');";
    let project = project(&format!("{table}{rows}"), table);
    let ended = project.run(&["introspect", "--from", "app", "--to", "out"]);
    assert!(
        ended.expect(0).stdout.contains("2 streams; next: dbferry plan mappings/app"),
        "{}",
        ended.stdout
    );
    let text = file(&project, "mappings/app/out.toml");
    assert!(text.find("name = \"items\"") < text.find("name = \"parts\""), "{text}");
    project.run(&["run", "mappings/app"]).expect(0);
    assert_eq!(
        crate::harness::sqlite_rows(&project.path("out.db"), "select count(*) from parts"),
        ["Integer(2)|"]
    );
}

#[test]
fn tables_of_two_targets_have_streams_of_their_own() {
    let users = "create table users (id text primary key not null, name text not null)";
    let database = Database::create();
    database.query("create table users (id text primary key, name text not null); create table topics (id text primary key)");
    let mut project = project(&format!("{users}; create table topics (id text primary key not null)"), users);
    project.set("SHOP_URL", &database.url);
    let ended = project.run(&[
        "introspect",
        "--from",
        "app",
        "--to",
        "shop,out",
        "--out",
        "mappings/two",
        "--output",
        "json",
    ]);
    let document = ended.expect(0).json();
    let names: Vec<_> = document["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .map(|stream| stream["name"].as_str())
        .collect();
    assert_eq!(names, [Some("topics"), Some("shop_users"), Some("out_users")]);
    assert_eq!(document["project"], "two");
    assert_eq!(document["files"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["next"], "dbferry plan mappings/two");
    project.run(&["plan", "mappings/two"]).expect(0);
}

#[test]
fn nothing_is_overwritten_unless_it_is_asked_for() {
    let table = "create table items (id text primary key not null)";
    let project = project(table, table);
    let introspect = ["introspect", "--from", "app", "--to", "out", "--out", "mappings/x"];
    let printed = project.run(&[&introspect[..], &["--print"]].concat());
    assert!(!project.path("mappings/x").exists());
    assert!(
        printed
            .expect(0)
            .stdout
            .contains("# ---- mappings/x/out.toml\n#:schema ../../config/schema/mapping.schema.json\n")
    );
    project.run(&introspect).expect(0);
    project.write("mappings/x/out.toml", "# mine\n");
    std::fs::remove_file(project.path("mappings/x/project.toml")).expect("it was there");
    project
        .run(&introspect)
        .expect(2)
        .says("there is already `mappings/x/out.toml`")
        .says("--force");
    assert_eq!(file(&project, "mappings/x/out.toml"), "# mine\n");
    assert!(!project.path("mappings/x/project.toml").exists(), "all or nothing");
    project.run(&[&introspect[..], &["--force"]].concat()).expect(0);
    project.run(&["plan", "mappings/x"]).expect(0);
}

#[test]
fn what_is_named_wrong_is_told() {
    let table = "create table items (id text primary key not null)";
    let project = project(table, table);
    project.sqlite("empty.db", "");
    project.write(
        "config/bare.toml",
        &CONFIG.replace("path = { value = \"out.db\" }", "path = { value = \"empty.db\" }"),
    );
    for (arguments, code, text) in [
        (&["--from", "ap", "--to", "out"][..], 2, "did you mean `app`?"),
        (&["--from", "app", "--to", "oout"], 2, "has no connection `oout`"),
        (&["--from", "app", "--to", "app"], 2, "after --from and after --to"),
        (&["--from", "app", "--to", "pocketbase"], 2, "only ever read"),
        (&["--from", "app", "--to", "shop"], 2, "SHOP_URL"),
        (&["--from", "app", "--to", "missing"], 3, "create those of the targets first"),
        (
            &["--from", "app", "--to", "out", "--env", "bare"],
            3,
            "connection `out` has no tables",
        ),
        (
            &["--from", "app", "--to", "out", "--name", "1st"],
            2,
            "a name begins with a letter",
        ),
        (&["--from", "app"], 2, "--to"),
    ] {
        let ended = project.run(&[&["introspect"], arguments].concat());
        ended.expect(code).says(text);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(!project.path("mappings/app").exists(), "{arguments:?} wrote something");
        assert!(!project.path("missing.db").exists(), "{arguments:?} made a database");
    }
}

/// The game sample has no table of a target's name: every stream is there as a comment, and
/// `--guess` pairs tables by their columns.
#[test]
fn the_game_is_paired_by_its_columns() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/game");
    let project = Project::new();
    project.write(
        "config/development.toml",
        &format!(
            "[connection.pocketbase]\nkind = \"pocketbase\"\npath = {{ value = \"{root}/sample/pb_data/data.db\" }}\n\n\
             [connection.game]\nkind = \"sqlite\"\npath = {{ value = \"game.db\" }}\n"
        ),
    );
    for name in ["0001_players", "0002_games", "0003_player_stats"] {
        let sql = std::fs::read_to_string(format!("{root}/migrations/game.sqlite/{name}.up.sql")).expect("a migration");
        project.sqlite("game.db", &sql);
    }
    let ended = project.run(&["introspect", "--from", "pocketbase", "--to", "game", "--out", "mappings/game"]);
    assert!(ended.expect(0).stdout.contains("`--guess` pairs tables"), "{}", ended.stdout);
    let commented = file(&project, "mappings/game/game.toml");
    assert!(
        commented.contains("\n# [[stream]]\n# name = \"players\"\n# from = \"pocketbase.users\"\n"),
        "{commented}"
    );
    project.run(&["plan", "mappings/game"]).expect(2).says("there is no stream");
    // Taking the first `#` off makes streams of them.
    let block = |line: &str| line.strip_prefix("# ").or(line.strip_prefix('#')).unwrap_or(line).to_owned();
    let mut live = String::new();
    let mut within = false;
    for line in commented.lines() {
        within |= line == "# [[stream]]";
        within &= !line.is_empty();
        writeln!(live, "{}", if within { block(line) } else { line.to_owned() }).expect("a string");
    }
    project.write("mappings/game/game.toml", &live);
    project.run(&["plan", "mappings/game"]).expect(0);

    let guess = [
        "introspect",
        "--from",
        "pocketbase",
        "--to",
        "game",
        "--out",
        "mappings/game",
        "--force",
        "--guess",
    ];
    project.run(&guess).expect(0);
    let text = file(&project, "mappings/game/game.toml");
    assert!(
        text.find("name = \"players\"") < text.find("name = \"game_sessions\""),
        "in the order of foreign keys: {text}"
    );
    project.run(&["plan", "mappings/game"]).expect(0);
}

/// The shared Postgres of the bento project into its seven services: the starter plans as it is.
#[test]
fn bento_plans_as_it_is_written() {
    const SERVICES: [&str; 7] = [
        "auth_db",
        "user_db",
        "post_db",
        "topic_db",
        "comment_db",
        "notification_db",
        "interaction_db",
    ];
    let root = env!("CARGO_MANIFEST_DIR");
    let source = Database::create();
    let seeded = std::process::Command::new(format!("{root}/scripts/seed-bento.sh"))
        .arg("10")
        .env("BENTO_SOCIAL_URL", &source.url)
        .output();
    Ended::of(seeded.expect("the seed script starts")).expect(0);
    let mut project = Project::new();
    project.write(
        "config/development.toml",
        &file_of(&format!("{root}/config/development.toml")),
    );
    project.set("BENTO_SOCIAL_URL", &source.url);
    let mut services = Vec::new();
    for service in SERVICES {
        let database = Database::create();
        let folder = format!("{root}/mappings/bento/migrations/{service}");
        let entries = std::fs::read_dir(folder).expect("migrations");
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("readable").path().display().to_string())
            .collect();
        paths.retain(|path| path.ends_with(".up.sql"));
        paths.sort();
        for path in paths {
            database.query(&file_of(&path));
        }
        project.set(&format!("{}_URL", service.to_uppercase()), &database.url);
        services.push(database);
    }
    let to = SERVICES.join(",");
    let ended = project.run(&["introspect", "--from", "bento_social", "--to", &to, "--name", "bento"]);
    insta::assert_snapshot!("bento_result", ended.expect(0).stdout);
    for service in ["auth_db", "topic_db", "comment_db"] {
        insta::assert_snapshot!(
            format!("bento_{service}"),
            file(&project, &format!("mappings/bento/{service}.toml"))
        );
    }
    project.run(&["plan", "mappings/bento"]).expect(0);
    // Rows that need a decision are rejects; all others arrive.
    project.run(&["run", "mappings/bento", "--max-rejects", "1000000"]).expect(4);
    assert_eq!(
        services[2].value("select count(*) from posts"),
        source.value("select count(*) from posts")
    );
}

fn file_of(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

// ---- any schemas

/// A column of a made-up table.
#[derive(Debug, Clone)]
struct Made {
    name: String,
    ty: &'static str,
    not_null: bool,
}

const TYPES: [&str; 12] = [
    "integer",
    "bigint",
    "text",
    "varchar(20)",
    "boolean",
    "numeric(9,2)",
    "double precision",
    "bytea",
    "date",
    "timestamp(3)",
    "uuid",
    "jsonb",
];

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "id", "Id", "name", "user", "select", "order", "case", "true", "null", "date", "interval", "group", "end", "type", "from",
            "position", "current_date", "not", "values", "key", "array",
        ]).prop_map(str::to_owned),
        2 => "[a-zA-Z_ .\"'\\\\#=\\-\\[\\]$éß{}\n\t%]{1,9}",
    ]
}

fn columns() -> impl Strategy<Value = Vec<Made>> {
    let column =
        (names(), prop::sample::select(TYPES.to_vec()), any::<bool>()).prop_map(|(name, ty, not_null)| Made { name, ty, not_null });
    prop::collection::vec(column, 1..7).prop_map(|columns| {
        let mut each: Vec<Made> = Vec::new();
        for column in columns {
            // SQLite takes `Id` and `id` for one column.
            if !each.iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
                each.push(column);
            }
        }
        each
    })
}

/// Two shapes of one table: source columns, and target columns of which some are the same.
fn tables() -> impl Strategy<Value = Vec<(String, Vec<Made>, Vec<Made>)>> {
    let table = (names(), columns(), columns(), any::<u8>()).prop_map(|(name, source, more, kept)| {
        let mut target = more;
        for (at, column) in source.iter().enumerate() {
            if kept >> (at % 8) & 1 == 1 && !target.iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
                target.push(column.clone());
            }
        }
        (name, source, target)
    });
    prop::collection::vec(table, 1..4).prop_map(|tables| {
        let mut each: Vec<(String, Vec<Made>, Vec<Made>)> = Vec::new();
        for table in tables {
            if !each.iter().any(|(name, ..)| name.eq_ignore_ascii_case(&table.0)) {
                each.push(table);
            }
        }
        each
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The first column is the key in every second table.
fn ddl(name: &str, columns: &[Made], sqlite: bool) -> String {
    let written: Vec<_> = columns
        .iter()
        .map(|column| {
            let ty = match column.ty {
                "timestamp(3)" if sqlite => "timestamp text(3)".to_owned(),
                "date" | "uuid" | "jsonb" if sqlite => format!("{} text", column.ty),
                ty => ty.to_owned(),
            };
            let null = if column.not_null { " not null" } else { "" };
            format!("{} {ty}{null}", quoted(&column.name))
        })
        .collect();
    let first = &columns[0];
    let key = if first.not_null {
        format!(", primary key ({})", quoted(&first.name))
    } else {
        String::new()
    };
    format!("create table {} ({}{key});", quoted(name), written.join(", "))
}

/// Plans what was written; nothing to map is told as such.
fn plans(project: &Project, from: &str, to: &str) -> Result<(), TestCaseError> {
    let told = |ended: &Ended| {
        format!(
            "{}\n{}\n{}",
            ended.stdout,
            ended.stderr,
            file(project, &format!("mappings/x/{to}.toml"))
        )
    };
    let ended = project.run(&[
        "introspect",
        "--from",
        from,
        "--to",
        to,
        "--out",
        "mappings/x",
        "--force",
        "--output",
        "json",
    ]);
    prop_assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let document = ended.json();
    let streams = document["streams"].as_array().cloned().unwrap_or_default();
    let live = streams.iter().filter(|stream| stream["commented"].is_null()).count();
    for stream in streams.iter().filter(|stream| !stream["commented"].is_null()) {
        let why = stream["commented"].as_str().unwrap_or_default();
        let known = ["nothing fills a key", "no column of the source", "gets no value"];
        prop_assert!(known.iter().any(|known| why.contains(known)), "{}: {}", why, told(&ended));
    }
    let planned = project.run(&["plan", "mappings/x"]);
    if live == 0 {
        prop_assert!(planned.stderr.contains("there is no stream"), "{}", told(&planned));
    } else {
        prop_assert_eq!(planned.code, Some(0), "{}", told(&planned));
    }
    Ok(())
}

fn check(cases: u32, mut test: impl FnMut(&[(String, Vec<Made>, Vec<Made>)]) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let test = std::cell::RefCell::new(&mut test);
    if let Err(error) = runner.run(&tables(), |tables| (test.borrow_mut())(&tables)) {
        panic!("{error}");
    }
}

#[test]
fn whatever_the_schemas_the_starter_plans_into_sqlite() {
    check(24, |tables| {
        let sql = |target: bool| -> String {
            let tables = tables.iter();
            tables
                .map(|(name, from, to)| ddl(name, if target { to } else { from }, target))
                .collect()
        };
        plans(&project(&sql(false), &sql(true)), "app", "out")
    });
}

#[test]
fn whatever_the_schemas_the_starter_plans_between_postgres_databases() {
    let (old, shop) = (Database::create(), Database::create());
    let mut project = Project::new();
    project.write("config/development.toml", CONFIG);
    project.set("OLD_URL", &old.url);
    project.set("SHOP_URL", &shop.url);
    check(6, |tables| {
        for (database, is_target) in [(&old, false), (&shop, true)] {
            database.query("drop schema public cascade; create schema public");
            for (name, from, to) in tables {
                database.query(&ddl(name, if is_target { to } else { from }, false));
            }
        }
        plans(&project, "old", "shop")
    });
}
