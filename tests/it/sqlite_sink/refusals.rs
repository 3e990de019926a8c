//! Rows that the target refuses: told by column, never by value.

use arrow::array::RecordBatch;
use dbferry::ErrorKind;
use dbferry::data::reject::Reason;
use dbferry::data::stream::{OnConflict, StreamTarget};
use dbferry::sink::Session;

use super::{Target, begin, commit, decimal, int, lease, rows, text};

/// A row of the table below.
fn refusable(
    stream: &StreamTarget,
    id: Option<i64>,
    name: Option<&str>,
    size: i64,
    code: &str,
    [doc, label, mail]: [&str; 3],
    price: i128,
) -> RecordBatch {
    rows(
        &stream.columns,
        vec![
            int(&[id]),
            text(&[name]),
            int(&[Some(size)]),
            text(&[Some(code)]),
            text(&[Some(doc)]),
            text(&[Some(label)]),
            decimal(price, 20, 4),
            text(&[Some(mail)]),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_told_by_column_and_leaves_the_batch_usable() {
    let target = Target::new(
        "create table t (id integer primary key, name text not null, size integer constraint small check (size < 10), code text unique,
             doc json, label string, price numeric(20,4), mail text, up text as (json_extract(mail, '$.a')) stored);
         create unique index mails on t (lower(mail));",
    );
    let stream = target.stream("t", &["id"], OnConflict::Update).await;
    let row = |id, name, size, code, rest, price| refusable(&stream, id, name, size, code, rest, price);
    let (name, fine) = (Some("canary"), ["{}", "canary", "{\"a\":\"canary\"}"]);
    let cases = [
        (row(None, name, 1, "c", fine, 0), Some("id"), Reason::NullValue),
        (row(Some(2), None, 1, "c", fine, 0), Some("name"), Reason::NullValue),
        (row(Some(2), name, 77, "c", fine, 0), None, Reason::Constraint),
        (
            row(Some(2), name, 1, "canary", ["{}", "x", "{}"], 0),
            Some("code"),
            Reason::Duplicate,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "x", "{\"A\":\"CANARY\"}"], 0),
            None,
            Reason::Duplicate,
        ),
        (
            row(Some(2), name, 1, "c", ["1.50", "x", "{}"], 0),
            Some("doc"),
            Reason::Inexact,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "42", "{}"], 0),
            Some("label"),
            Reason::Inexact,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "x", "{}"], 12_345_678_901_234_567),
            Some("price"),
            Reason::Inexact,
        ),
        (
            row(Some(2), name, 1, "c", ["{}", "x", "{canary"], 0),
            None,
            Reason::Constraint,
        ),
    ];
    let lease = lease();
    let mut session = target.session(&lease).await;
    begin(session.as_mut(), &stream, 0).await;
    session.write(&row(Some(1), name, 1, "canary", fine, 0)).await.expect("a row");
    let good = row(Some(3), name, 1, "d", ["[]", "y", "[1]"], 15_000);
    for (bad, column, reason) in cases {
        // The good row before the bad one goes with it.
        let both = arrow::compute::concat_batches(&bad.schema(), [&good, &bad]).expect("one schema");
        let error = session.write(&both).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
        let refusal = error.refusal().expect("a refusal").clone();
        assert_eq!(
            (refusal.column.as_deref(), refusal.reason),
            (column, reason),
            "{}",
            refusal.detail
        );
        assert!(
            !format!("{error:?} {}", refusal.detail).to_lowercase().contains("canary"),
            "{error:?}"
        );
        assert_eq!(session.count().await.expect("a count"), 1, "{}", refusal.detail);
    }
    assert_eq!(session.write(&good).await.expect("a row").inserted, 1);
    commit(&lease, session.as_mut(), "t", 1).await.expect("a commit");
    assert_eq!(target.number("select count(*) from t"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_hold_and_deferred_ones_are_looked_at_with_every_portion() {
    let target = Target::new(
        "create table p (id text primary key collate nocase); insert into p values ('A');
         create table now (id integer primary key, p text references p, other text default 'none' references p);
         create table later (id integer primary key, p text references p deferrable initially deferred,
             other text default 'A' references p deferrable initially deferred, up integer references later deferrable initially deferred);
         create table wrong (id integer primary key, p text, other text default 'nobody' references p deferrable initially deferred);",
    );
    let lease = lease();
    let mut session = target.session(&lease).await;
    for table in ["now", "later", "wrong"] {
        let mut stream = target.stream(table, &["id"], OnConflict::Update).await;
        stream.columns.retain(|column| column.name != "other");
        let self_reference = stream.columns.len() == 3;
        let batch = |id: &[i64], p: &[Option<&str>], up: &[Option<i64>]| {
            let ids: Vec<_> = id.iter().copied().map(Some).collect();
            let mut arrays = vec![int(&ids), text(p)];
            if self_reference {
                arrays.push(int(up));
            }
            rows(&stream.columns, arrays)
        };
        begin(session.as_mut(), &stream, 0).await;
        let refused = async |session: &mut Box<dyn Session>, batch: RecordBatch| {
            let error = session.write(&batch).await.expect_err("refused");
            let refusal = error.refusal().unwrap_or_else(|| panic!("{error:?}")).clone();
            assert_eq!(refusal.reason, Reason::ForeignKey, "{table}: {}", refusal.detail);
            refusal.column
        };
        if table == "wrong" {
            let found = refused(&mut session, batch(&[1], &[Some("A")], &[])).await;
            assert_eq!(found.as_deref(), Some("other"), "also what a default gives");
            session.rollback().await.expect("a rollback");
            continue;
        }
        if table == "now" {
            // Its default refers to nothing, and its column is not written.
            assert_eq!(refused(&mut session, batch(&[1], &[Some("A")], &[])).await, None);
            session.rollback().await.expect("a rollback");
            target.sql("insert into p values ('none')");
            session.begin(0, false).await.expect("a batch");
        }
        let found = refused(&mut session, batch(&[1, 2], &[Some("a"), Some("z")], &[None, None])).await;
        assert_eq!(found.as_deref(), Some("p"), "{table}");
        session
            .write(&batch(&[1, 2], &[Some("a"), None], &[Some(2), Some(1)]))
            .await
            .unwrap_or_else(|error| panic!("{table}: {error:?}"));
        if self_reference {
            let found = refused(&mut session, batch(&[3], &[None], &[Some(9)])).await;
            assert_eq!(found.as_deref(), Some("up"));
        }
        commit(&lease, session.as_mut(), table, 1).await.expect("a commit");
        assert_eq!(target.number(&format!("select count(*) from {table}")), 2);
    }
}
