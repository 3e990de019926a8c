//! Concerns: how many rows a narrower target would refuse, counted by the server.

use dbferry::data::concern::Concern;
use dbferry::source::Source;

use crate::harness::Database;
use crate::reading::table;

use super::{open, query};

/// Values that a narrower target would be a concern for.
const CONCERNS: &str = "create type mood as enum ('a', 'b', 'C');
    create table t (id int, t text, at timestamp, tz timestamptz(3), ti time, n numeric, big bigint, mood mood, f float8);
    insert into t values (1, 'ééé', '2024-01-01 00:00:00.001', now(), '10:00:00.5', 1.25, 5, 'a', 1.5),
        (2, 'éé', 'infinity', '2024-01-01', '10:00', 999.994, 3000000000, 'b', 'NaN'),
        (2, null, '-infinity', null, null, 'NaN', -3000000000, null, 1e300),
        (2, 'éé', '2024-01-01', '2024-01-01', '00:00', 'Infinity', null, 'C', null),
        (null, '', '2024-01-01 00:00:00.000001', '2024-01-01', '00:00', 1000, 7, 'C', 1000);";

/// Counted of the table, and of a query over it.
async fn is_counted(source: &dyn Source, concern: Concern, rows: u64) {
    for origin in [table("t"), query("select * from t")] {
        let found = source.concerned(&origin, &concern).await.expect("a count");
        assert_eq!(found, Some(rows), "{concern:?} of {origin:?}");
    }
}

#[tokio::test]
async fn concerns_of_texts_and_times_are_counted_exactly() {
    let database = Database::create();
    database.query(CONCERNS);
    let source = open(&database).await;
    let column = |name: &str| name.to_owned();
    let finer = |name: &str, digits| Concern::FinerTime {
        column: name.to_owned(),
        digits,
    };
    let other = |labels: &[&str]| Concern::OtherLabel {
        column: "mood".to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let longer = Concern::Longer {
        column: column("t"),
        max_chars: 2,
    };
    for (concern, rows) in [
        (Concern::Null { column: column("id") }, 1),
        (longer, 1),
        (finer("at", 0), 2),
        (finer("at", 3), 1),
        (finer("at", 6), 0),
        (finer("ti", 0), 1),
        (other(&["a", "c"]), 3),
        (other(&[]), 4),
        (
            Concern::Repeated {
                columns: vec![column("id")],
            },
            2,
        ),
        (
            Concern::Repeated {
                columns: vec![column("id"), column("t")],
            },
            1,
        ),
    ] {
        is_counted(&*source, concern, rows).await;
    }
}

#[tokio::test]
async fn concerns_of_numbers_are_counted_exactly() {
    let database = Database::create();
    database.query(CONCERNS);
    let source = open(&database).await;
    let wider = |name: &str, precision, scale| Concern::WiderNumber {
        column: name.to_owned(),
        precision,
        scale,
    };
    let outside = |min, max| Concern::OutOfRange {
        column: "big".to_owned(),
        min,
        max,
    };
    for (concern, rows) in [
        (wider("n", 5, 2), 4),
        (wider("n", 4, 0), 4),
        (wider("n", 10, 3), 2),
        (wider("big", 3, 3), 4),
        (wider("f", 4, 1), 3),
        (outside(i64::from(i32::MIN), i64::from(i32::MAX)), 2),
        (outside(i64::MIN, i64::MAX), 0),
    ] {
        is_counted(&*source, concern, rows).await;
    }
}
