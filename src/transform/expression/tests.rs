use std::sync::Arc;

use arrow::array::{
    BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};

use super::*;
use crate::data::stream::ReadColumn;
mod mistakes;
mod values;

use crate::transform::sample::{batch, shown, table, text, told};

const COLUMNS: [&str; 12] = [
    "id bigint",
    "small integer",
    "name text",
    "Mixed text",
    "xp double precision",
    "rating numeric(7,2)",
    "verified boolean",
    "created timestamptz",
    "born date",
    "settings jsonb",
    "exact numeric",
    "user text",
];

fn users() -> Table {
    table("users", &COLUMNS, &["id"])
}

fn schema() -> Schema {
    let fields = users()
        .columns
        .iter()
        .map(|column| column.ty.field(&column.name, true))
        .collect::<Vec<_>>();
    Schema::new(fields)
}

/// Two rows and one of NULLs.
fn rows() -> RecordBatch {
    let reads: Vec<ReadColumn> = users()
        .columns
        .iter()
        .map(|column| ReadColumn {
            name: column.name.clone(),
            ty: column.ty.clone(),
            json_is_checked: false,
        })
        .collect();
    let decimals = Decimal128Array::from(vec![Some(120_050), Some(-1), None]).with_precision_and_scale(7, 2);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(7), None])),
        Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(2), None])),
        Arc::new(StringArray::from(vec![Some("Ann"), Some(""), None])),
        Arc::new(StringArray::from(vec![Some("12"), Some("-7"), None])),
        Arc::new(Float64Array::from(vec![Some(0.5), Some(3.0), None])),
        Arc::new(decimals.expect("a decimal type")),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1_709_251_199_000_000), Some(0), None]).with_timezone("UTC")),
        Arc::new(Date32Array::from(vec![Some(19_782), Some(0), None])),
        Arc::new(StringArray::from(vec![Some("{\"a\":1}"), Some("[]"), None])),
        Arc::new(StringArray::from(vec![Some("1.50"), Some("2"), None])),
        Arc::new(StringArray::from(vec![Some("u"), Some("v"), None])),
    ];
    batch(&reads, columns, 3).rows
}

fn compiled(sql: &str) -> Expression {
    let sql = text(sql);
    let parsed = Parsed::read(&sql, &users()).unwrap_or_else(|found| panic!("{}: {found:?}", sql.value));
    parsed
        .compile(&schema())
        .unwrap_or_else(|found| panic!("{}: {found:?}", sql.value))
}

/// Type and values of an expression over all rows.
fn value(sql: &str) -> String {
    let expression = compiled(sql);
    let values = match expression.evaluate(&rows()) {
        Ok(values) => {
            assert_eq!(values.data_type(), expression.field().data_type(), "{sql}");
            shown(&values).join(" | ")
        }
        Err(failure) => format!("!{}: {}", failure.reason, failure.detail),
    };
    format!("{}: {values}", expression.type_name())
}

/// What is found wrong with an expression.
fn mistakes(sql: &str) -> Vec<String> {
    let sql = text(sql);
    match Parsed::read(&sql, &users()) {
        Err(found) => found.iter().map(told).collect(),
        Ok(parsed) => parsed.compile(&schema()).err().iter().map(told).collect(),
    }
}

#[test]
fn expressions_and_what_they_give() {
    for (sql, expected) in values::VALUES {
        assert_eq!(value(sql), *expected, "{sql}");
    }
}

#[test]
fn mistakes_and_where_the_caret_stands() {
    for (sql, expected) in mistakes::MISTAKES {
        assert_eq!(mistakes(sql).join("; "), *expected, "{sql}");
    }
}

#[test]
fn what_is_beyond_all_measure_is_refused_at_once() {
    for (open, close) in [
        ("(", ")"),
        ("lower(", ")"),
        ("cast(", " as int)"),
        ("case when verified then ", " end"),
        ("not ", ""),
        ("- ", ""),
        ("(id + coalesce((- -", "), 1))"),
    ] {
        for depth in [33, 60, 500] {
            let found = mistakes(&format!("{} 1 {}", open.repeat(depth), close.repeat(depth)));
            assert!(found[0].starts_with("mapping::too_large"), "{open} {depth}: {found:?}");
        }
        let found = mistakes(&format!("{} 1 {}", open.repeat(5), close.repeat(5)));
        assert!(
            !found.iter().any(|found| found.starts_with("mapping::too_large")),
            "{open}: {found:?}"
        );
    }
    for terms in [150, 50_000] {
        assert!(
            mistakes(&vec!["id"; terms].join(" + "))[0].starts_with("mapping::too_large"),
            "{terms}"
        );
    }
    compiled(&vec!["small"; 50].join(" + "));
}

#[test]
fn infinity_is_compared_and_chosen_but_never_computed_with() {
    let evaluated = |sql: &str, micros: i64, days: i32| {
        let mut columns = rows().columns().to_vec();
        columns[7] = Arc::new(TimestampMicrosecondArray::from(vec![0, micros, 0]).with_timezone("UTC"));
        columns[8] = Arc::new(Date32Array::from(vec![0, days, 0]));
        let rows = RecordBatch::try_new(rows().schema(), columns).expect("columns of these types");
        compiled(sql).evaluate(&rows)
    };
    let ends = [(i64::MAX, i32::MAX), (i64::MIN, i32::MIN)];
    let far = [
        (9_000_000_000_000_000_000, 2_145_042_905),
        (-9_000_000_000_000_000_000, -2_145_042_905),
    ];
    for sql in [
        "extract(year from created)",
        "extract(epoch from born)",
        "date_part('month', born)",
        "date_trunc('month', created)",
        "date_trunc('month', born)",
        "created + interval '1 day'",
        "created - interval '1 month'",
        "born + interval '1 day'",
        "born - interval '1 month'",
        "created - created",
        "born - date '2024-01-01'",
        "to_char(created, '%Y')",
        "to_unixtime(created)",
        "to_timestamp(created)",
    ] {
        for (micros, days) in ends.into_iter().chain(far) {
            let failure = evaluated(sql, micros, days).expect_err(sql);
            assert!(!failure.detail.contains(char::is_numeric), "{sql}: {failure:?}");
        }
    }
    for (sql, expected) in [
        ("created > '2024-01-01'", ["true", "false"]),
        ("created = 'infinity'", ["true", "false"]),
        ("created between '2024-01-01' and '9999-12-31'", ["false", "false"]),
        ("created in ('-infinity', '9999-12-31')", ["false", "true"]),
        ("born < date '2024-01-01'", ["false", "true"]),
        ("created::text", ["infinity", "-infinity"]),
        ("coalesce(born, date '2024-01-01')::text", ["infinity", "-infinity"]),
        (
            "case when verified is null then null else created::date end::text",
            ["infinity", "-infinity"],
        ),
    ] {
        for ((micros, days), expected) in ends.into_iter().zip(expected) {
            assert_eq!(shown(&evaluated(sql, micros, days).expect(sql))[1], expected, "{sql}");
        }
    }
}
