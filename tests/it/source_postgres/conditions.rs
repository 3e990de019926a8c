//! SQL that the user wrote: queries in place of tables, and conditions that select a subject.

use dbferry::ErrorKind;
use dbferry::data::stream::Subject;

use crate::harness::{Database, eventually};
use crate::reading::{batches, rows, table};

use super::{failure, open, query, request};

#[tokio::test]
async fn a_query_is_one_statement_that_only_reads() {
    let database = Database::create();
    database.query(
        "create table t (id int primary key, n numeric(7,2), t varchar(9)); insert into t values (1, 1.5, 'a');
         create function grab() returns int language sql volatile as 'insert into t values (9) returning id';",
    );
    let source = open(&database).await;
    let shape = source
        .query("select id, n, t, n * 2 as double, 'x' as word, null as nothing from t -- all of it")
        .await
        .expect("a query");
    let types: Vec<String> = shape.columns.iter().map(|column| column.ty.to_string()).collect();
    assert_eq!(types, ["integer", "numeric(7,2)", "varchar(9)", "numeric", "text", "text"]);
    for (sql, words) in [
        ("select 1; select 2", "more than one statement"),
        ("begin read write", "only reads rows"),
        ("set transaction read write", "only reads rows"),
        ("insert into t values (2) returning id", "not valid"),
        ("with w as (delete from t returning id) select id from w", "not valid"),
        ("select 1) as q; drop table t; --", "not valid"),
        ("select id from t) as s union all (select 1", "not valid"),
        ("explain select 1", "not valid"),
        ("show all", "not valid"),
        ("select id, id from t", "two columns named `id`"),
        ("select id from t where id = $1", "parameters"),
        ("select nme from t", "column \"nme\" does not exist"),
        ("selct 1", "syntax error"),
        ("", "only reads rows"),
        ("select '\0'", "NUL character"),
    ] {
        let error = source.query(sql).await.expect_err(sql);
        assert!(
            error.kind() == ErrorKind::Mapping && error.message().contains(words),
            "{sql}: {error}"
        );
    }
    for sql in ["select id from t for update", "select grab() as id"] {
        let writes = request(&*source, query(sql), &["id"], &[]).await;
        let error = failure(&*source, writes).await;
        assert!(
            error.kind() == ErrorKind::Mapping && error.message().contains("writes"),
            "{sql}: {error}"
        );
    }
    let fails = request(&*source, query("select 1 / (id - 1) as q from t"), &["q"], &[]).await;
    assert_eq!(failure(&*source, fails).await.kind(), ErrorKind::Unreadable);
    assert_eq!(database.value("select count(*) from t"), "1");
}

#[tokio::test]
async fn a_subject_is_read_through_an_index() {
    let database = Database::create();
    database.query(
        "create table posts (id int primary key, author uuid not null, title text);
         insert into posts select g, md5((g % 500)::text)::uuid, 'post ''' || g || '''' from generate_series(1, 20000) g;
         create index on posts (author);
         create table follows (a int, b int, primary key (a, b)); create index on follows (b);
         insert into follows select g % 1000, (g * 7) % 1001 from generate_series(1, 20000) g on conflict do nothing;
         analyze; select pg_stat_reset();",
    );
    let source = open(&database).await;
    let key = database.value("select md5('7')::uuid");
    let of = |condition: &str, key: &str| {
        Some(Subject {
            condition: condition.to_owned(),
            key: key.to_owned(),
        })
    };
    let mut posts = request(&*source, table("posts"), &["id"], &["id"]).await;
    posts.subject = of("author = $key and title <> '$key' -- of one author", &key.to_uppercase());
    let found = rows(&batches(&*source, posts.clone()).await);
    assert_eq!((found.len(), found[0].as_str(), found[1].as_str()), (40, "7", "507"));
    let mut follows = request(&*source, table("follows"), &["a", "b"], &["a", "b"]).await;
    follows.subject = of("a = $key or b = $key", "7");
    let wanted = database.value("select count(*) from follows where a = 7 or b = 7");
    database.query("select pg_stat_reset()");
    assert_eq!(rows(&batches(&*source, follows.clone()).await).len().to_string(), wanted);
    batches(&*source, posts.clone()).await;
    // The figures arrive some time after the transactions.
    let figures = "select string_agg(relname || ' ' || (idx_scan > 0) || ' ' || seq_scan, ', ' order by relname)
        from pg_stat_user_tables where idx_scan + seq_scan > 0";
    eventually("use of the indexes alone", || {
        database.value(figures) == "follows true 0, posts true 0"
    })
    .await;
    for (condition, key, kind, words) in [
        ("author = $key", "canary", ErrorKind::Usage, "not a value of type uuid"),
        ("author = 'canary'", "7", ErrorKind::Mapping, "does not name `$key`"),
        ("writer = $key", "7", ErrorKind::Mapping, "\"writer\" does not exist"),
        ("id = $key) or (true", "7", ErrorKind::Mapping, "syntax error"),
        (
            "id = $key; drop table posts",
            "7",
            ErrorKind::Mapping,
            "more than one statement",
        ),
        ("id = $key and title = $2", "7", ErrorKind::Mapping, "parameters beside"),
    ] {
        let mut wrong = posts.clone();
        wrong.subject = of(condition, key);
        let error = failure(&*source, wrong).await;
        assert!(
            error.kind() == kind && error.message().contains(words),
            "{condition}: {error:?}"
        );
        assert!(!format!("{error:?} {}", error.advice()).contains("canary"), "{error:?}");
    }
}
