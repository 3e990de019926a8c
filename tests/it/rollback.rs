//! Taking runs back: afterwards every row, every checkpoint and every reject is what it was before, byte by
//! byte as the server writes it down; and the run can be had again.

use serde_json::Value;

use crate::harness::{Database, Ended, Project};
use crate::items;
use crate::projects::{SAME_NAMES, stream};

mod changed;
mod interrupted;
mod refused;
mod subject;
mod whole;

/// Teams, their players, and notes that refer to each other and come before what they refer to.
const POSTGRES: &str = r#"
create domain label as text not null check (value <> '');
create table teams (id bigint generated always as identity primary key, label label, motto text default 'none');
create table players (id text collate "C" primary key, name text not null, loud text generated always as (name || '!') stored,
    score numeric not null, alias varchar(40) unique, team bigint references teams, tags text[] default '{a,b}');
create table notes (id bigint primary key, parent bigint references notes on delete cascade, player text references players on delete cascade,
    body jsonb);
create function shout() returns trigger language plpgsql as $$ begin new.name := upper(new.name); return new; end $$;
create trigger shout before insert or update on players for each row execute function shout();
"#;

const TABLES: [&str; 3] = ["teams", "players", "notes"];

/// As many players, and notes; a tenth of them teams. `salt` makes other values of the same keys.
fn source(rows: u32, salt: u32) -> String {
    format!(
        "drop table if exists teams; drop table if exists players; drop table if exists notes;
         create table teams (id integer primary key, label text);
         create table players (id text primary key not null, name text, score numeric, alias text, team integer);
         create table notes (id integer primary key, parent integer, player text, body json);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into notes select i, case when i % 4 > 0 then i * 6007 % {rows} + 1 end, 'p' || (i * 7919 % {rows} + 1),
             '{{\"n\":' || (i + {salt} * (i % 3)) || '}}' from n;
         insert into players select 'p' || id, 'Player ' || (id + {salt} * (id % 2)), id / 4.0, 'alias ' || id, id % ({rows} / 10) + 1 from notes;
         insert into teams select id, 'Team ' || (id + {salt}) from notes where id <= {rows} / 10;"
    )
}

fn mapping(policy: &str, more: &str) -> String {
    let one = |table: &&str| {
        let subject = match *table {
            "notes" => "subject = { user = \"player = $key\" }\n",
            "players" => "subject = { user = \"id = $key\" }\n",
            _ => "",
        };
        stream(
            table,
            &format!("app.{table}"),
            &format!("target.{table}"),
            &format!("on_conflict = \"{policy}\"\n{subject}{more}{SAME_NAMES}"),
        )
    };
    TABLES.iter().map(one).collect()
}

/// A project of these, with an empty target.
fn demo(policy: &str, rows: u32) -> (Project, Database) {
    let database = Database::create();
    database.query(POSTGRES);
    let project = items::into(&database.url);
    project.write("mappings/demo/streams.toml", &mapping(policy, "undo = true\n"));
    project.sqlite("app.db", &source(rows, 0));
    (project, database)
}

/// Fills the target with some of the rows in other forms, and with some that no run has.
fn fill(database: &Database, rows: u32) {
    database.query(&format!(
        "insert into teams (id, label, motto) overriding system value select i, 'old ' || i, 'm' || i from generate_series(1, {rows} / 10) i;
         alter table players disable trigger shout;
         insert into players (id, name, score, alias, team, tags) select 'p' || i, 'Old ' || i, (i || '.50')::numeric, 'alias ' || i, i % ({rows} / 10) + 1, array['t' || i]
             from generate_series(1, {rows}, 2) i;
         insert into players (id, name, score) values ('somebody', 'Else', 1.0);
         alter table players enable trigger shout;
         insert into notes select i, null, 'p1', jsonb_build_object('old', i) from generate_series(1, {rows}, 3) i;"
    ));
}

/// All that a rollback has to bring back, as the server writes it down: rows, what keeps them in order,
/// and how far the streams were.
fn everything(database: &Database) -> Vec<String> {
    let mut all = rows(database);
    let mut ask = |sql: &str| {
        let found = database.query(sql).into_iter();
        all.extend(found.map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|")));
    };
    ask(
        "select conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text from pg_constraint
         where connamespace = 'public'::regnamespace order by 1, 2",
    );
    ask("select tgrelid::regclass::text, tgname, tgenabled::text from pg_trigger where not tgisinternal order by 1, 2");
    if database.value("select to_regclass('dbferry.checkpoint') is not null") == "t" {
        ask("select c::text from dbferry.checkpoint c where split > -2147483646 order by project, stream, split");
        ask("select r::text from dbferry.reject r order by id");
        ask("select k::text from dbferry.key_claim k order by 1");
        ask(&format!("select f::text from {} f order by 1", foreign_keys(database)));
    }
    all
}

/// The table of keys that are away, or one that is empty.
fn foreign_keys(database: &Database) -> String {
    let there = database.value("select to_regclass('dbferry.foreign_key') is not null") == "t";
    if there {
        "dbferry.foreign_key"
    } else {
        "(select 1 where false)"
    }
    .to_owned()
}

/// The rows alone.
fn rows(database: &Database) -> Vec<String> {
    let mut all = Vec::new();
    for table in TABLES {
        let found = database.query(&format!("select '{table} ' || t::text from {table} t order by t.id"));
        all.extend(found.into_iter().flatten().flatten());
    }
    all
}

#[track_caller]
fn same(before: &[String], after: &[String]) {
    let missing: Vec<_> = before.iter().filter(|row| !after.contains(row)).take(5).collect();
    let extra: Vec<_> = after.iter().filter(|row| !before.contains(row)).take(5).collect();
    assert!(
        before == after,
        "{} before, {} after; missing: {missing:#?}, extra: {extra:#?}",
        before.len(),
        after.len()
    );
}

/// Runs; returns the id of the run.
#[track_caller]
fn run(project: &Project, more: &[&str], code: i32) -> String {
    let mut args = vec!["run", "mappings/demo", "--output", "json"];
    args.extend_from_slice(more);
    let ended = project.run(&args);
    ended.expect(code);
    ended.json()["run"].as_str().expect("its id").to_owned()
}

/// Rolls a run back.
fn back(project: &Project, run: &str, more: &[&str]) -> Ended {
    let mut args = vec!["rollback", run, "mappings/demo", "--output", "json"];
    args.extend_from_slice(more);
    project.run(&args)
}

/// Figures of a stream in the document of a rollback: removed, restored, gone, kept, changed since.
fn figures(document: &Value, stream: &str) -> [u64; 5] {
    let streams = document["streams"].as_array().expect("streams");
    let found = streams.iter().find(|told| told["name"] == stream).expect("the stream");
    let figure = |name: &str| found[name].as_u64().expect(name);
    let changed = found["changed_since"]["rows"].as_u64().expect("changed");
    [figure("removed"), figure("restored"), figure("gone"), figure("kept"), changed]
}

/// Ids and states of the runs, newest first.
fn states(project: &Project) -> Vec<(String, String)> {
    let listed = project.run(&["runs", "mappings/demo", "--output", "json"]).expect(0).json();
    let runs = listed["runs"].as_array().expect("runs").iter();
    let text = |run: &Value, name: &str| run[name].as_str().expect(name).to_owned();
    runs.map(|run| (text(run, "run"), text(run, "status"))).collect()
}

/// Everything but a ledger that was not there before.
fn without_ledger(database: &Database, before: &[String]) -> Vec<String> {
    let mut all = everything(database);
    all.retain(|row| before.contains(row) || TABLES.iter().any(|table| row.starts_with(&format!("{table} "))));
    all
}
