//! Indexes and keys of an empty table are away while it is loaded, and back as they were, whatever
//! happens in between; what arrives, and what is refused, is as with them in place.

use std::process::Command;

use crate::harness::{Database, Ended, KillTimes, Project, sqlite_rows, until};
use crate::items;
use crate::projects::{SAME_NAMES, stream};
use crate::role::Role;

/// Authors, and books that refer to them; more of them than of the others.
fn source(rows: u32) -> String {
    format!(
        "create table authors (id integer primary key, name text not null, email text);
         create table books (id integer primary key, author integer, title text not null, pages integer);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into authors select i, 'author ' || i, 'a' || i || '@example.org' from n;
         insert into books select id, {rows} + 1 - id, 'title ' || (id * 7919 % 10007), id % 900 + 1 from authors;"
    )
}

/// Every kind of index and key that there is, and what can be said of one.
const TABLES: &str = r#"
create schema "odd ""schema""";
create type "odd ""schema""".mood as enum ('calm');
create function "odd ""schema""".shout(text) returns text immutable language sql as 'select upper($1)';
create table authors (id bigint not null, name text not null, email text, note text default 'x',
    mood "odd ""schema""".mood default 'calm',
    constraint "The ""key""" primary key (id) with (fillfactor = 71),
    constraint also_unique unique (id, name) include (email) deferrable initially deferred,
    constraint email_unique unique (email));
comment on constraint "The ""key""" on authors is 'it''s the one';
comment on index "The ""key""" is 'its index';
create unique index name_and_id on authors (name collate "C" desc nulls last, id) nulls not distinct;
create index "Lower" on authors using btree (lower(name), "odd ""schema""".shout(email) text_pattern_ops) with (fillfactor = 55)
    where note is not null and mood = 'calm';
alter index "Lower" alter column 1 set statistics 321;
comment on index "Lower" is E'two\nlines \\ and a ''quote''';
create index by_hash on authors using hash (email);
create index by_brin on authors using brin (id) with (pages_per_range = 7);
create index covering on authors (email) include (note);
alter table authors cluster on covering;
create table books (id bigint primary key, author bigint not null references authors on delete cascade deferrable,
    title text not null, pages int not null check (pages > 0), spans int4range,
    exclude using gist (spans with &&));
alter table books replica identity using index books_pkey;
create index books_words on books using gin (to_tsvector('simple', title));
create index books_author on books (author);
create table notes (id bigint primary key, author bigint references authors);
alter table notes add constraint named foreign key (author) references authors on update cascade not valid;
comment on constraint named on notes is 'not looked at';
"#;

/// All that is known of indexes and constraints.
const SCHEMA: &str = "
select 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), c.reloptions::text, c.reltablespace::text,
    obj_description(i.indexrelid, 'pg_class'), i.indisunique, i.indisprimary, i.indimmediate, i.indisclustered, i.indisreplident,
    i.indisvalid, (select string_agg(a.attnum || ' ' || a.attname || ' ' || a.attstattarget, ', ' order by a.attnum) from pg_attribute a
        where a.attrelid = i.indexrelid)
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
where t.relnamespace = 'public'::regnamespace
union all
select 'constraint', k.conrelid::regclass || '.' || k.conname, pg_get_constraintdef(k.oid), k.contype::text, '',
    obj_description(k.oid, 'pg_constraint'), k.condeferrable, k.condeferred, k.convalidated, false, false, false, null
from pg_constraint k where k.connamespace = 'public'::regnamespace
union all
select 'table', oid::regclass::text, relreplident::text, '', '', '', relhasindex, false, false, false, false, false, null
from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
order by 1, 2";

/// What the ledger says of streams, but for when.
const LEDGER: &str =
    "select stream, split, complete, rows_read, rows_inserted, rows_rejected, digest_rows, digest, position, target_was_empty
    from dbferry.checkpoint order by 1, 2";

const REJECTS: &str = "select stream, source_key, column_name, reason, detail, source_row from dbferry.reject
    where resolved_at is null order by 1, 2";

const RUN: [&str; 6] = ["run", "mappings/demo", "--batch-size", "100", "--output", "json"];

fn mapping(defer: &str) -> String {
    let rest = format!("defer_indexes = \"{defer}\"\n{SAME_NAMES}");
    let subject = "subject = { book = \"id = $key\" }\n";
    [
        stream("authors", "app.authors", "target.authors", &rest),
        stream("books", "app.books", "target.books", &format!("{subject}{rest}")),
    ]
    .concat()
}

fn into_postgres(rows: u32, defer: &str) -> (Project, Database) {
    let database = Database::create();
    database.query(TABLES);
    let project = items::into(&database.url);
    project.write("mappings/demo/streams.toml", &mapping(defer));
    project.sqlite("app.db", &source(rows));
    (project, database)
}

/// Names of what is away.
fn away(database: &Database) -> Vec<String> {
    if database.value("select to_regclass('dbferry.deferred_index') is null") == "t" {
        return Vec::new();
    }
    let rows = database.query("select name from dbferry.deferred_index order by name");
    rows.into_iter().map(|row| row[0].clone().unwrap_or_default()).collect()
}

/// Building this index takes long, whoever looks.
fn slow_index(database: &Database, table: &str) {
    database.query(&format!(
        "create function slow(bigint) returns bigint immutable language plpgsql as 'begin perform pg_sleep(0.004); return $1; end';
         create index slow on {table} (slow(id))"
    ));
}

/// Waits until somebody builds the slow index.
fn until_it_is_built(database: &Database) {
    until("the index is being built", || {
        // Other tests have slow indexes, too.
        let active = "select exists (select from pg_stat_activity
            where datname = current_database() and query like 'CREATE INDEX slow%' and state = 'active')";
        database.value(active) == "t"
    });
}

#[test]
fn every_kind_of_index_and_key_is_back_as_it_was() {
    let (project, database) = into_postgres(500, "always");
    let before = database.query(SCHEMA);
    let plan = project.run(&["plan", "mappings/demo"]).expect(0).stdout.clone();
    for what in [
        "away for the load",
        "primary key `The \"key\"`",
        "unique index `name_and_id`",
        "index `Lower`",
        "index `books_words`",
        "foreign key `named` of table `public.notes`",
        "unique constraint `email_unique` stays, for its values are not known to be distinct",
        "`books_spans_excl` stays",
    ] {
        assert!(plan.contains(what), "no {what} in:\n{plan}");
    }
    let ended = project.run(&RUN);
    ended
        .expect(0)
        .says("building primary key `The \"key\"`")
        .says("index `books_words` is built, in");
    assert_eq!(database.query(SCHEMA), before);
    assert_eq!(away(&database), [""; 0]);
    assert_eq!(database.value("select count(*) from dbferry.foreign_key"), "0");
    assert_eq!(
        database.value("select count(*) from books b join authors a on a.id = b.author"),
        "500"
    );
    // Once more: nothing to do, and nothing is taken away.
    project.run(&RUN).expect(0);
    assert_eq!(database.query(SCHEMA), before);
}

#[test]
fn what_arrives_and_what_is_refused_is_as_with_indexes_in_place() {
    let outcome = |defer: &str| {
        let (project, database) = into_postgres(1_000, defer);
        project.sqlite(
            "app.db",
            "update authors set email = 'twice@example.org' where id in (7, 8, 700);
             update books set author = 99999 where id in (5, 6);
             update books set author = 7 where id = 10; update books set author = 8 where id = 11;
             update books set pages = 0 where id = 30;",
        );
        let before = database.query(SCHEMA);
        let report = project.run(&[&RUN[..], &["--max-rejects", "1000"]].concat()).expect(4).json();
        assert_eq!(database.query(SCHEMA), before);
        let streams = report["streams"].as_array().expect("streams").iter().map(|stream| {
            let figures = [
                "name",
                "status",
                "read",
                "inserted",
                "rejected",
                "rejects_open",
                "target_rows",
            ];
            figures.map(|figure| stream[figure].clone())
        });
        let ledger = database.query(
            "select stream, complete, rows_read, rows_inserted, rows_rejected, digest_rows, digest, target_was_empty
             from dbferry.checkpoint order by 1",
        );
        let rows = database.query("select * from authors order by id");
        let books = database.query("select * from books order by id");
        (streams.collect::<Vec<_>>(), ledger, rows, books, database.query(REJECTS))
    };
    let (left, right) = (outcome("always"), outcome("never"));
    assert_eq!(left.0, right.0);
    assert_eq!(left.1, right.1);
    assert!(left.2 == right.2 && left.3 == right.3, "the rows differ");
    assert_eq!(left.4, right.4);
    assert_eq!(left.4.len(), 8);
}

#[test]
fn killed_at_any_moment_no_index_is_lost_and_all_is_as_after_an_undisturbed_run() {
    let (project, database) = into_postgres(3_000, "always");
    let schema = database.query(SCHEMA);
    let run = ["run", "mappings/demo", "--batch-size", "150"];
    let began = std::time::Instant::now();
    project.run(&run).expect(0);
    let whole = u64::try_from(began.elapsed().as_millis()).expect("a short run");
    let rows = |database: &Database| {
        (
            database.query("select * from authors order by id"),
            database.query("select * from books order by id"),
            database.query(LEDGER),
        )
    };
    let undisturbed = rows(&database);
    assert_eq!(database.query(SCHEMA), schema);
    let mut times = KillTimes::within(whole);
    let mut killed = 0;
    for _ in 0..3 {
        let (project, database) = into_postgres(3_000, "always");
        for _ in 0..4 {
            let mut child = project.start_unheard(&run);
            times.wait();
            if child.try_wait().expect("asked").is_some() {
                times.too_late();
                break;
            }
            child.kill().expect("SIGKILL");
            child.wait().expect("the child ends");
            killed += 1;
        }
        until("the killed one's backends are gone", || {
            let run = project.run(&run);
            run.code == Some(0)
        });
        assert_eq!(database.query(SCHEMA), schema);
        assert_eq!(away(&database), [""; 0]);
        assert!(rows(&database) == undisturbed, "rows or ledger differ");
    }
    assert!(killed > 2, "only {killed} kills");
}

#[test]
fn killed_while_an_index_is_built_a_run_of_something_else_builds_it_first() {
    let (project, database) = into_postgres(500, "always");
    slow_index(&database, "authors");
    let before = database.query(SCHEMA);
    let mut child = project.start_unheard(&RUN);
    until_it_is_built(&database);
    child.kill().expect("SIGKILL");
    child.wait().expect("the child ends");
    assert!(away(&database).contains(&"slow".to_owned()));
    let stats = project.run(&["stats", "mappings/demo"]);
    stats.expect(0).says("index `slow`").says("still away");
    let plan = project.run(&["plan", "mappings/demo"]).expect(0).stdout.clone();
    assert!(plan.contains("still away"), "{plan}");
    // The server notices that nobody is there any more.
    until("the lease is free", || {
        let child = project.run(&["run", "mappings/demo", "--only", "books"]);
        child.code == Some(0)
    });
    assert_eq!(database.query(SCHEMA), before);
    assert_eq!(away(&database), [""; 0]);
    project.run(&RUN).expect(0);
}

#[test]
fn a_backend_that_is_ended_while_it_builds_an_index_is_replaced() {
    let (project, database) = into_postgres(500, "always");
    slow_index(&database, "authors");
    let before = database.query(SCHEMA);
    let child = project.start(&RUN);
    until_it_is_built(&database);
    database.query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'CREATE INDEX slow%' and pid <> pg_backend_pid()",
    );
    let ended = Ended::of_child(child);
    ended.expect(0);
    assert_eq!(database.query(SCHEMA), before);
    assert_eq!(away(&database), [""; 0]);
    assert_eq!(ended.json()["streams"][0]["inserted"], 500);
}

#[test]
fn a_stop_while_an_index_is_built_says_what_is_still_away() {
    let (project, database) = into_postgres(500, "always");
    let books = "to = \"target.books\"\n";
    let streams = mapping("always").replace(books, &format!("{books}on_conflict = \"update\"\n"));
    project.write("mappings/demo/streams.toml", &streams);
    slow_index(&database, "authors");
    database.query("create index zlast on authors (note)");
    let before = database.query(SCHEMA);
    let child = project.start(&["run", "mappings/demo"]);
    until_it_is_built(&database);
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.expect("kill runs").success());
    let ended = Ended::of_child(child);
    ended
        .expect(130)
        .says("index `zlast` of table `public.authors` is still away");
    assert_eq!(away(&database), ["zlast"]);
    // A subject's run needs the keys, and finds all that is there.
    project
        .run(&["run", "mappings/demo", "--for", "book=3", "--dry-run"])
        .expect(0);
    assert_eq!(away(&database), ["zlast"]);
    project.run(&["run", "mappings/demo", "--for", "book=3"]).expect(0);
    assert_eq!(away(&database), [""; 0]);
    project.run(&RUN).expect(0);
    assert_eq!(database.query(SCHEMA), before);
}

#[test]
fn what_is_away_is_not_migrated() {
    let (project, database) = into_postgres(500, "always");
    let migrations = "mappings/demo/migrations/target/1_pages";
    project.write(
        &format!("{migrations}.up.sql"),
        "alter table authors add column pages integer;\n",
    );
    project.write(&format!("{migrations}.down.sql"), "alter table authors drop column pages;\n");
    let apply = ["schema", "apply", "mappings/demo"];
    let revert = ["schema", "revert", "mappings/demo", "--yes"];
    project.run(&apply).expect(0);
    slow_index(&database, "authors");
    let child = project.start_unheard(&RUN);
    until_it_is_built(&database);
    let told = Command::new("kill").args(["-KILL", &child.id().to_string()]).status();
    assert!(told.expect("kill runs").success());
    Ended::of_child(child);
    project.write(
        &format!("{migrations}_more.up.sql").replace("1_", "2_"),
        "create table more (id bigint);\n",
    );
    project.write(
        &format!("{migrations}_more.down.sql").replace("1_", "2_"),
        "drop table more;\n",
    );
    for command in [&apply[..], &revert[..]] {
        project
            .run(command)
            .expect(3)
            .says("is away for the load of stream `authors` of project `demo`")
            .says("a run of project `demo` builds it first");
    }
    assert_eq!(database.value("select to_regclass('more') is null"), "t");
    until("the lease is free", || project.run(&RUN).code == Some(0));
    project.run(&apply).expect(0);
    assert_eq!(database.value("select to_regclass('more') is null"), "f");
    project.run(&revert).expect(0);
    assert_eq!(database.value("select to_regclass('more') is null"), "t");
}

#[test]
fn interrupted_while_it_loads_another_way_of_writing_builds_the_keys_first() {
    let (project, database) = into_postgres(4_000, "always");
    let before = database.query(SCHEMA);
    let loading = || {
        let mut child = project.start_unheard(&["run", "mappings/demo", "--batch-size", "20"]);
        until("authors arrive", || {
            database.value("select exists (select from authors)") == "t"
        });
        child.kill().expect("SIGKILL");
        child.wait().expect("the child ends");
    };
    loading();
    assert_eq!(database.value("select count(*) < 4000 from authors"), "t");
    assert!(away(&database).contains(&"covering".to_owned()));
    project
        .run(&["run", "mappings/demo", "--retry-rejects"])
        .expect(0)
        .says("building index `covering`");
    assert_eq!(away(&database), [""; 0]);
    // The load goes on with its indexes in place.
    project.run(&RUN).expect(0);
    assert_eq!(database.query(SCHEMA), before);
    assert_eq!(database.value("select count(*) from authors"), "4000");
}

#[test]
fn few_rows_full_tables_and_streams_that_say_never_keep_their_indexes() {
    let (project, database) = into_postgres(400, "auto");
    let plan = project.run(&["plan", "mappings/demo"]).expect(0).stdout.clone();
    assert!(plan.contains("away for the load if there are at least 100000 rows"), "{plan}");
    project.run(&RUN).expect(0);
    assert_eq!(database.value("select to_regclass('dbferry.deferred_index') is null"), "t");

    let (project, database) = into_postgres(400, "auto");
    let limit = project.text("config/development.toml");
    project.write(
        "config/development.toml",
        &format!("[limits]\ndefer_indexes_rows_min = 400\n{limit}"),
    );
    let before = database.query(SCHEMA);
    project
        .run(&[&RUN[..], &["--dry-run"]].concat())
        .expect(0)
        .says("a rehearsal leaves them");
    assert_eq!(database.query(SCHEMA), before);
    project.run(&RUN).expect(0).says("building index `covering`");
    assert_eq!(database.query(SCHEMA), before);

    let (project, database) = into_postgres(400, "always");
    database.query("insert into authors (id, name) values (100000, 'there')");
    let plan = project.run(&["plan", "mappings/demo"]).expect(0).stdout.clone();
    assert!(plan.contains("the table is not empty"), "{plan}");
    let ended = project.run(&RUN);
    ended.expect(0);
    assert!(!ended.stderr.contains("building index `covering`"), "{}", ended.stderr);
}

#[test]
fn rows_of_the_application_with_a_key_of_ours_are_never_touched() {
    let (project, database) = into_postgres(4_000, "always");
    let before = database.query(SCHEMA);
    let mut child = project.start_unheard(&["run", "mappings/demo", "--batch-size", "20"]);
    until("authors arrive", || {
        database.value("select exists (select from authors)") == "t"
    });
    child.kill().expect("SIGKILL");
    child.wait().expect("the child ends");
    database.query("insert into authors (id, name) values (4000, 'somebody''s'), (4000, 'else''s')");
    until("the lease is free", || {
        let ended = project.run(&RUN);
        assert_ne!(ended.code, Some(0));
        ended
            .stderr
            .contains("4000 rows were inserted into an empty table, but it holds 4002")
            && ended.stderr.contains("still away")
    });
    let ended = project.run(&["run", "mappings/demo", "--only", "books"]);
    ended
        .expect(1)
        .says("cannot put primary key `The \"key\"` of table `public.authors` back");
    // The last batch of the load was not to be committed.
    assert_eq!(database.value("select count(*) from authors where id = 4000"), "2");
    database.query("delete from authors where name like '%''s'");
    project.run(&RUN).expect(0);
    assert_eq!(database.query(SCHEMA), before);
}

#[test]
fn a_role_that_does_not_own_the_table_loads_it_as_it_is() {
    let (mut project, database) = into_postgres(300, "always");
    let role = Role::create(&database);
    database.query(&format!(
        "grant create on database {} to {role};
         grant select, insert, update on all tables in schema public to {role};
         grant usage on schema \"odd \"\"schema\"\"\" to {role}",
        database.name,
        role = role.name
    ));
    let before = database.query(SCHEMA);
    project.set("TARGET_URL", &role.url);
    let plan = project.run(&["plan", "mappings/demo"]).expect(0).stdout.clone();
    assert!(plan.contains("the role does not own the table"), "{plan}");
    project.run(&RUN).expect(0).says("the role does not own the table");
    assert_eq!(database.query(SCHEMA), before);
}

#[test]
fn a_stream_in_splits_loses_its_indexes_once_and_has_them_back_when_all_are_there() {
    let (_, from) = into_postgres(1, "never");
    from.query("insert into authors (id, name) select i, 'author ' || i from generate_series(1, 20000) i; analyze");
    let database = Database::create();
    database.query(TABLES);
    let before = database.query(SCHEMA);
    let streams = stream(
        "authors",
        "app.authors",
        "target.authors",
        &format!("defer_indexes = \"always\"\n{SAME_NAMES}"),
    );
    let limits = "split_rows_min = 1000\nsplits_max = 4\njobs = 4";
    let project = crate::projects::between(&from, &database, limits, &streams);
    project
        .run(&["run", "mappings/demo", "--batch-size", "1000"])
        .expect(0)
        .says("building index `covering`");
    assert_eq!(database.value("select count(*) from dbferry.checkpoint"), "4");
    assert_eq!(database.value("select count(*) from authors"), "20000");
    assert_eq!(database.query(SCHEMA), before);
}

#[test]
fn other_kinds_of_targets_refuse_it() {
    let project = items::into_sqlite(10);
    let mapping = items::MAPPING.replace("same_name", "defer_indexes = \"always\"\nsame_name");
    project.write("mappings/demo/streams.toml", &mapping);
    project
        .run(&["check", "mappings/demo"])
        .expect(2)
        .says("mapping::defer_indexes")
        .says("of kind sqlite are never taken away");
    project.write("mappings/demo/streams.toml", &mapping.replace("always", "auto"));
    project.run(&["run", "mappings/demo"]).expect(0);
    let rows = sqlite_rows(&project.path("out.db"), "select count(*) from items");
    assert_eq!(rows, ["Integer(10)|"]);
}
