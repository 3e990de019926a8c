//! What is found in texts, and what is not.

use super::*;

/// What is found, each with the text that stands there.
fn found(text: &str, dialect: Dialect) -> Vec<(String, String)> {
    let all = match dialect {
        Dialect::Cql => {
            let statements = pieces(text).expect("statements");
            statements.iter().flat_map(|pieces| words::find(pieces, dialect)).collect()
        }
        _ => parsed::find(text, dialect),
    };
    let word = |at: usize| text[at..].split_whitespace().next().unwrap_or_default().to_owned();
    all.into_iter()
        .map(|found| {
            let when = match found.when {
                When::Always => String::new(),
                When::Filled(table) => format!(" if {table} has rows"),
                When::NotEmpty => " if anything has rows".to_owned(),
            };
            (word(found.at), format!("{}{when}", found.what))
        })
        .collect()
}

#[track_caller]
fn finds(text: &str, dialect: Dialect, expected: &[(&str, &str)]) {
    let found = found(text, dialect);
    let found: Vec<(&str, &str)> = found.iter().map(|(at, what)| (at.as_str(), what.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn what_is_lost_is_named_at_its_place() {
    for (text, at, what) in [
        ("drop table users;", "drop", "drops table users"),
        (
            "create table a (b int);\n\nDROP TABLE IF EXISTS a CASCADE",
            "DROP",
            "drops TABLE a",
        ),
        ("drop schema \"Old\" cascade", "drop", "drops schema \"Old\""),
        ("drop type public.mood", "drop", "drops type public.mood"),
        ("drop materialized view v", "drop", "drops materialized view v"),
        ("drop policy p on t", "drop", "drops policy p"),
        ("alter table users drop column name", "name", "drops column name of users"),
        ("alter table users drop name", "name", "drops column name of users"),
        (
            "alter table only a.users drop constraint c",
            "c",
            "drops constraint c of a.users",
        ),
        ("alter type t drop attribute a", "drop", "drops attribute a"),
        ("truncate a, b", "truncate", "empties a"),
        ("truncate table only a", "truncate", "empties table a"),
        ("delete from t", "delete", "deletes all rows of t"),
        ("delete from only t using u", "delete", "deletes all rows of only t"),
        (
            "with gone as (delete from t returning id) select count(*) from gone where id > 0",
            "delete",
            "deletes all rows of t",
        ),
        ("alter table t alter column c type bigint", "c", "changes the type of c of t"),
        (
            "alter table t alter c set data type text using c::text",
            "c",
            "changes the type of c of t",
        ),
        ("alter type t alter attribute a type text", "type", "changes the type of a"),
    ] {
        finds(text, Dialect::Postgres, &[(at, what)]);
    }
}

#[test]
fn what_rows_decide_names_their_table() {
    for (text, at, what) in [
        (
            "alter table Users alter name set not null",
            "name",
            "forbids NULL in name of Users if users has rows",
        ),
        (
            "alter table \"Users\" add column a int not null",
            "a",
            "adds column a of \"Users\" without a value for its rows if Users has rows",
        ),
        (
            "alter table s.t add a int not null, add b int",
            "a",
            "adds column a of s.t without a value for its rows if s.t has rows",
        ),
        (
            "do $$ begin drop table t; end $$",
            "do",
            "runs a DO block, of which it cannot be told what it does if anything has rows",
        ),
        (
            "call p()",
            "call",
            "calls a procedure, of which it cannot be told what it does if anything has rows",
        ),
        (
            "select 'open",
            "select",
            "cannot be read as SQL: a quote or a comment in it has no end if anything has rows",
        ),
    ] {
        finds(text, Dialect::Postgres, &[(at, what)]);
    }
}

/// The parser does not know these; their words tell.
#[test]
fn what_is_not_parsed_is_looked_through() {
    for (text, at, what) in [
        (
            "alter table t alter column c set statistics 0, drop column d",
            "drop",
            "drops column d of t",
        ),
        (
            "alter table t set (fillfactor = 70), alter c set not null",
            "set",
            "forbids NULL in c of t if t has rows",
        ),
        (
            "alter table t set unlogged_thing, add column if not exists e int not null, add f int",
            "add",
            "adds column e of t without a value for its rows if t has rows",
        ),
        (
            "alter table t cluster on i, alter column type type text",
            "type",
            "changes the type of type of t",
        ),
        ("alter domain d set not null", "set", "forbids NULL in d"),
        (
            "explain analyze verbose_thing delete from t",
            "delete",
            "deletes all rows of t",
        ),
    ] {
        finds(text, Dialect::Postgres, &[(at, what)]);
    }
}

#[test]
fn what_loses_nothing_is_not_named() {
    for text in [
        "create table t (id int primary key, note text default 'drop table x'); -- drop table t\n/* truncate t */",
        "create function f() returns void language plpgsql as $$ begin drop table t; delete from t; end $$",
        "create function f() returns int language sql begin atomic delete from t; select 1; end; select 1",
        "create table t (a int references b on delete cascade)",
        "alter table t add constraint c foreign key (a) references b on delete set null",
        "alter table t alter c drop not null, alter c drop default",
        "alter table t add column a int not null default 0, add column b bigserial not null",
        "alter table t add column a int generated always as identity not null",
        "alter table t add column type text",
        "alter table t cluster on i, add column type text",
        "create policy p on t for delete using (true)",
        "create trigger g before delete or truncate on t for each statement execute function f()",
        "grant delete, truncate on t to u; comment on table t is 'delete from t'",
        "delete from t where id = 1; update t set a = 1; insert into t values ('truncate')",
        "alter table t rename column a to b; alter table t enable row level security",
        "create unique index i on t (lower(a)) where a is not null",
        "create rule r as on delete to t do instead nothing",
        "",
        ";;",
    ] {
        finds(text, Dialect::Postgres, &[]);
    }
}

#[test]
fn triggers_of_sqlite_are_one_statement() {
    let trigger = "create trigger g after insert on t begin delete from t; update t set a = case when 1 then 2 end; end;";
    finds(trigger, Dialect::Sqlite, &[]);
    finds(
        &format!("{trigger}\ndelete from `t`; drop table [t];"),
        Dialect::Sqlite,
        &[("delete", "deletes all rows of `t`"), ("drop", "drops table [t]")],
    );
    finds(
        "ALTER TABLE T ADD COLUMN a INTEGER NOT NULL",
        Dialect::Sqlite,
        &[("a", "adds column a of T without a value for its rows if T has rows")],
    );
}

#[test]
fn cql_is_looked_through() {
    finds(
        "// DROP TABLE a\nCREATE TABLE a (id int PRIMARY KEY);\nALTER TABLE a DROP note;\nTRUNCATE a;\nDROP KEYSPACE \"K\";",
        Dialect::Cql,
        &[
            ("DROP", "drops column note of a"),
            ("TRUNCATE", "empties a"),
            ("DROP", "drops KEYSPACE \"K\""),
        ],
    );
    finds(
        "DELETE FROM a WHERE id = 1; ALTER TABLE a ADD c text; INSERT INTO a (id) VALUES (1)",
        Dialect::Cql,
        &[],
    );
}
