use std::time::Duration;

use arrow::array::{AsArray, BinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Float64Type, Schema};

use super::*;
use crate::data::column::ColumnType;
use crate::data::keyed::{Collision, Moments, Pattern};

const FACTS: KeyFacts = KeyFacts {
    now: 1_000,
    exact_moments: true,
    clocks_apart_max: 0,
    bytes_max: 1_000,
};

/// Columns `id`, `name`, `points`, `raw`, `until` of four rows.
fn rows() -> (Vec<Column>, RecordBatch) {
    let columns = vec![
        Column::new("id", ColumnType::Int64),
        Column::new("name", ColumnType::TEXT),
        Column::new("points", ColumnType::Float64),
        Column::new("raw", ColumnType::Bytes),
        Column::new("until", ColumnType::INSTANT),
    ];
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4)])),
        Arc::new(StringArray::from(vec![Some("ann \"\0"), None, Some("x"), Some("dan")])),
        Arc::new(Float64Array::from(vec![Some(-0.0), Some(2.5), Some(0.1), Some(f64::NAN)])),
        Arc::new(BinaryArray::from(vec![None, None, Some(&b"\xff"[..]), Some(&b"{}"[..])])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(1_001_999), None, Some(1_000_999), Some(1_000_000)]).with_timezone("UTC"),
        ),
    ];
    let fields: Vec<_> = columns.iter().map(|column| column.ty.field(&column.name, true)).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of these types");
    (columns, rows)
}

fn layout(key_type: KeyType, values: &[&str]) -> Layout {
    Layout {
        pattern: Pattern::parse("k:{id}").expect("a pattern"),
        key_type,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        score: (key_type == KeyType::Zset).then(|| "points".to_owned()),
        expiry: None,
        moments: Moments::Rfc3339,
        collision: Collision::Reject,
    }
}

fn rendered(layout: &Layout, facts: KeyFacts) -> Rendered {
    let (columns, rows) = rows();
    let form = Form::of(layout, &facts);
    let how = Renderer {
        layout,
        form: &form,
        columns: &columns,
        facts,
        keys_alone: false,
    };
    let rendered = how.render(&rows).expect("rows");
    let columns = 1 + usize::from(rendered.members.is_some()) + rendered.rest.len();
    let places = usize::from(layout.key_type.is_ordered());
    assert_eq!(columns + places, form.columns.len(), "{:?}", form.columns);
    for (column, array) in form.columns[form.key_columns..].iter().zip(&rendered.rest) {
        assert_eq!(*array.data_type(), column.ty.arrow(), "{}", column.name);
    }
    rendered
}

fn told(array: &ArrayRef) -> Vec<String> {
    let bytes = array.as_binary::<i32>();
    let of = |value: Option<&[u8]>| value.map_or_else(|| "-".to_owned(), |value| value.escape_ascii().to_string());
    bytes.iter().map(of).collect()
}

fn texts(array: &ArrayRef) -> Vec<String> {
    array
        .as_string::<i32>()
        .iter()
        .map(|text| text.unwrap_or("-").to_owned())
        .collect()
}

fn keys(rendered: &Rendered) -> Vec<String> {
    told(&(Arc::new(rendered.keys.clone()) as ArrayRef))
}

#[test]
fn a_row_without_a_key_is_refused_and_its_neighbours_go_on() {
    let rendered = rendered(&layout(KeyType::String, &["raw"]), FACTS);
    assert_eq!(keys(&rendered), ["k:1", "k:2", "k:4"]);
    assert_eq!(rendered.origin, [0, 1, 3]);
    assert_eq!((rendered.refused, rendered.expired), (1, 0));
    assert_eq!(told(&rendered.rest[0]), ["-", "-", "{}"]);
    assert_eq!(texts(&rendered.rest[1]), ["string"; 3]);
    assert_eq!(texts(&rendered.rest[2]), ["none"; 3]);
}

#[test]
fn fields_that_are_null_are_left_out_and_a_row_without_any_is_refused() {
    let rendered = rendered(&layout(KeyType::Hash, &["name", "raw"]), FACTS);
    assert_eq!(keys(&rendered), ["k:1", "k:4"]);
    assert_eq!((rendered.refused, rendered.origin.as_slice()), (2, &[0, 3][..]));
    assert_eq!(told(&rendered.rest[0]), ["ann \\\"\\x00", "dan"]);
    assert_eq!(told(&rendered.rest[1]), ["-", "{}"]);
    assert_eq!(told(&rendered.rest[2]), ["-", "-"], "fields that nobody writes");
}

#[test]
fn json_is_one_object_and_what_it_has_no_number_for_is_refused() {
    let rendered = rendered(&layout(KeyType::Json, &["name", "points"]), FACTS);
    assert_eq!(keys(&rendered), ["k:1", "k:2"]);
    assert_eq!(rendered.refused, 2);
    let objects = told(&rendered.rest[0]);
    assert_eq!(objects[1], "{\\\"name\\\":null,\\\"points\\\":2.5}");
    let object: serde_json::Value = serde_json::from_slice(rendered.rest[0].as_binary::<i32>().value(0)).expect("an object");
    assert_eq!(object["name"], "ann \"\0");
}

#[test]
fn members_have_scores_to_the_last_bit() {
    let rendered = rendered(&layout(KeyType::Zset, &["name"]), FACTS);
    assert_eq!(keys(&rendered), ["k:1", "k:2"], "NaN is no score");
    assert_eq!(told(rendered.members.as_ref().expect("members")), ["ann \\\"\\x00", "-"]);
    let scores = rendered.rest[0].as_primitive::<Float64Type>();
    assert_eq!(scores.value(0).to_bits(), 0.0_f64.to_bits(), "0 and -0 are one score");
    assert_eq!(scores.value(1).to_bits(), 2.5_f64.to_bits());
    let identities = rendered.identities();
    assert_ne!(identities[0], identities[1]);
}

#[test]
fn what_has_expired_is_counted_by_the_servers_clock() {
    let mut expiring = layout(KeyType::String, &["id"]);
    expiring.expiry = Some(Expiry::At("until".to_owned()));
    let rendered = rendered(&expiring, FACTS);
    assert_eq!(keys(&rendered), ["k:1", "k:2"]);
    assert_eq!(
        (rendered.expired, rendered.refused),
        (1, 1),
        "a row without a key is no row that has expired"
    );
    assert_eq!(texts(&rendered.rest[2]), ["1970-01-01T00:00:01.001Z", "none"]);
}

#[test]
fn one_time_to_live_is_a_class() {
    let mut expiring = layout(KeyType::Set, &["id"]);
    expiring.expiry = Some(Expiry::After(Duration::from_secs(9)));
    assert_eq!(texts(&rendered(&expiring, FACTS).rest[1]), ["set"; 3]);
}

#[test]
fn keys_alone_are_made_of_their_columns_alone() {
    let (columns, rows) = rows();
    let mut expiring = layout(KeyType::Zset, &["name"]);
    expiring.expiry = Some(Expiry::At("until".to_owned()));
    let form = Form::of(&expiring, &FACTS);
    let how = Renderer {
        layout: &expiring,
        form: &form,
        columns: &columns[..2],
        facts: FACTS,
        keys_alone: true,
    };
    let rendered = how.render(&rows.project(&[0, 1]).expect("columns")).expect("rows");
    assert_eq!(keys(&rendered), ["k:1", "k:2", "k:4"]);
    assert_eq!(told(rendered.members.as_ref().expect("members"))[2], "dan");
    assert!(rendered.rest.is_empty());
}

#[test]
fn what_no_server_takes_is_refused() {
    let facts = KeyFacts { bytes_max: 265, ..FACTS };
    assert_eq!(rendered(&layout(KeyType::String, &["id"]), facts).refused, 1);
    let facts = KeyFacts { bytes_max: 261, ..FACTS };
    assert_eq!(rendered(&layout(KeyType::String, &["id"]), facts).refused, 4);
}

#[test]
fn nothing_comes_of_nothing() {
    let (columns, rows) = rows();
    let layout = layout(KeyType::Hash, &["name"]);
    let form = Form::of(&layout, &FACTS);
    let how = Renderer {
        layout: &layout,
        form: &form,
        columns: &columns,
        facts: FACTS,
        keys_alone: false,
    };
    let rendered = how.render(&rows.slice(0, 0)).expect("no rows");
    assert_eq!((rendered.keys.len(), rendered.refused), (0, 0));
}
