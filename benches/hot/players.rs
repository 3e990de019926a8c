//! Rows of a stream like the game's players, and its mapping: bare columns, and half of them computed.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;

use dbferry::data::batch::SourceBatch;
use dbferry::data::column::ColumnType;
use dbferry::data::finding::{Place, SourceFile};
use dbferry::data::position::{KeyBuffer, KeyRef, Position};
use dbferry::data::table::{Column, Table, TableName};
use dbferry::mapping::Stream;
use dbferry::mapping::stream::{From, Located, TableRef};
use dbferry::transform::{Transform, compile};

use super::ROWS;

const SOURCE: [(&str, &str); 8] = [
    ("id", "text"),
    ("username", "text"),
    ("email", "text"),
    ("verified", "boolean"),
    ("total_score", "double precision"),
    ("total_wins", "bigint"),
    ("settings", "json"),
    ("created", "timestamptz"),
];

pub(super) const TARGET: [(&str, &str); 8] = [
    ("id", "text"),
    ("username", "varchar(50)"),
    ("email", "varchar(255)"),
    ("is_online", "boolean"),
    ("total_score", "bigint"),
    ("wins", "integer"),
    ("settings", "jsonb"),
    ("created_at", "timestamp"),
];

/// Every column as it is.
pub(super) const BARE: [(&str, &str); 8] = [
    ("id", "id"),
    ("username", "username"),
    ("email", "email"),
    ("is_online", "verified"),
    ("total_score", "total_score"),
    ("wins", "total_wins"),
    ("settings", "settings"),
    ("created_at", "created"),
];

/// Half of them computed.
pub(super) const COMPUTED: [(&str, &str); 8] = [
    ("id", "'players/' || id"),
    ("username", "username"),
    ("email", "lower(email)"),
    ("is_online", "not verified"),
    ("total_score", "case when total_score > 0 then round(total_score) else 0 end"),
    ("wins", "total_wins + 1"),
    ("settings", "settings"),
    ("created_at", "created"),
];

fn text(value: &str) -> Located<String> {
    let quoted = format!("'''{value}'''");
    Located {
        value: value.to_owned(),
        place: Place {
            span: 0..quoted.len(),
            file: Arc::new(SourceFile {
                path: "bench.toml".to_owned(),
                text: quoted,
            }),
        },
    }
}

fn table(name: &str, columns: &[(&str, &str)], flexible: bool) -> Table {
    let columns = columns.iter().map(|(name, ty)| Column {
        nullable: *name != "id",
        flexible,
        ..Column::new(*name, ColumnType::parse(ty).expect("a type"))
    });
    Table {
        key: vec!["id".to_owned()],
        uniques: vec![vec!["id".to_owned()]],
        ..Table::new(TableName::new(name), columns.collect())
    }
}

pub(super) fn transform(columns: &[(&str, &str)]) -> Transform {
    let end = |name: &str| Located {
        value: TableRef {
            connection: "bench".to_owned(),
            table: TableName::new(name),
        },
        place: text(name).place,
    };
    let from = From::Table(end("users"));
    let stream = Stream {
        key: vec![text("id")],
        columns: columns.iter().map(|(name, sql)| (text(name), text(sql))).collect(),
        ..Stream::new(text("players"), from, end("players"), text("").place)
    };
    compile(
        &stream,
        &table("users", &SOURCE, true),
        &["id".to_owned()],
        &table("players", &TARGET, false),
    )
    .expect("a mapping without mistakes")
}

fn column(ty: &ColumnType, name: &str) -> ArrayRef {
    let rows = 0..i64::try_from(ROWS).expect("few rows");
    match ty.arrow() {
        DataType::Boolean => Arc::new(rows.map(|row| Some(row % 3 == 0)).collect::<BooleanArray>()),
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(rows)),
        DataType::Int32 => Arc::new(arrow::array::Int32Array::from_iter_values(0..8_192)),
        DataType::Float64 => Arc::new(Float64Array::from_iter_values((0..8_192).map(f64::from))),
        DataType::Timestamp(_, zone) => {
            let micros = rows.map(|row| 1_700_000_000_000_000 + row * 61_000_000);
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone_opt(zone))
        }
        _ if name == "settings" => Arc::new(StringArray::from_iter_values(
            rows.map(|row| format!("{{\"mode\":\"team\",\"limit\":{row},\"map\":[1,2,3]}}")),
        )),
        _ => Arc::new(StringArray::from_iter_values(
            rows.map(|row| format!("Player{row:09}@example")),
        )),
    }
}

/// A portion as it is read.
pub(super) fn batch(transform: &Transform) -> SourceBatch {
    let fields: Vec<_> = transform
        .read_columns()
        .iter()
        .map(|read| read.ty.field(&read.name, true))
        .collect();
    let columns = transform
        .read_columns()
        .iter()
        .map(|read| column(&read.ty, &read.name))
        .collect();
    let mut keys = KeyBuffer::with_capacity(ROWS);
    for row in 0..ROWS {
        keys.push(KeyRef::Text(&format!("player{row:09}")));
        keys.end_row();
    }
    SourceBatch {
        rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of these types"),
        keys: keys.into(),
        rejects: Vec::new(),
        position: Position::End,
        row_json: dbferry::data::render::row_json,
        bytes: 0,
        memory: dbferry::data::memory::Held::default(),
    }
}
