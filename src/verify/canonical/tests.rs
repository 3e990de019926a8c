//! The rules, one by one.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
    ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Schema};

use super::super::side::Compared;
use super::*;

fn ty(text: &str) -> ColumnType {
    ColumnType::parse(text).unwrap_or_else(|| ColumnType::Opaque { name: text.to_owned() })
}

/// Hash of one row of one column.
fn hash_in(ty: &ColumnType, value: ArrayRef, negative_zero: bool) -> u128 {
    let form = Form {
        columns: vec![Compared {
            name: "c".to_owned(),
            ty: ty.clone(),
            unordered: false,
        }],
        key: Vec::new(),
    };
    let schema = Arc::new(Schema::new(vec![ty.field("c", true)]));
    let rows = RecordBatch::try_new(schema, vec![value]).expect("one column");
    let mut hashes = Hashes::default();
    Canonical::new(&form, negative_zero)
        .rows(&rows, &mut hashes)
        .expect("a type that is compared");
    hashes.row[0]
}

fn hash(name: &str, value: impl arrow::array::Array + 'static) -> u128 {
    hash_in(&ty(name), Arc::new(value), true)
}

fn text(name: &str, value: Option<&str>) -> u128 {
    hash(name, StringArray::from(vec![value]))
}

#[test]
fn null_is_no_value() {
    assert_ne!(text("text", None), text("text", Some("")));
    assert_eq!(text("text", None), text("text", None));
    assert_ne!(
        hash("bytea", BinaryArray::from(vec![None])),
        hash("bytea", BinaryArray::from(vec![Some(&[][..])]))
    );
    assert_ne!(
        hash("bigint", Int64Array::from(vec![None])),
        hash("bigint", Int64Array::from(vec![0]))
    );
    assert_ne!(
        hash("boolean", BooleanArray::from(vec![None])),
        hash("boolean", BooleanArray::from(vec![false]))
    );
    let list = |items: Option<Vec<Option<i32>>>| hash("integer[]", ListArray::from_iter_primitive::<Int32Type, _, _>([items]));
    let all = [
        list(None),
        list(Some(vec![])),
        list(Some(vec![None])),
        list(Some(vec![Some(0)])),
        list(Some(vec![None, None])),
    ];
    for (place, one) in all.iter().enumerate() {
        assert!(all[place + 1..].iter().all(|other| other != one), "{place}");
    }
}

#[test]
fn text_is_compared_as_it_is() {
    for (one, other) in [
        ("a", "a "),
        ("a", "A"),
        ("\u{e9}", "e\u{301}"),
        ("a\u{0}", "a"),
        ("1", "1.0"),
        ("a\r\n", "a\n"),
    ] {
        assert_ne!(text("text", Some(one)), text("text", Some(other)), "{one:?} {other:?}");
        assert_ne!(text("varchar(9)", Some(one)), text("varchar(9)", Some(other)));
    }
}

#[test]
fn blanks_at_the_end_of_char_are_padding() {
    assert_eq!(text("char(5)", Some("a")), text("char(5)", Some("a    ")));
    assert_eq!(text("char(5)", Some("")), text("char(5)", Some("     ")));
    assert_ne!(text("char(5)", Some("a")), text("char(5)", Some(" a")));
    assert_ne!(text("char(5)", Some("a")), text("char(5)", Some("a\t")));
}

#[test]
fn json_is_a_text_and_jsonb_a_meaning() {
    for (one, other) in [
        ("[1]", "[ 1 ]"),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        ("1.0", "1.00"),
        (r#""\u0061""#, r#""a""#),
    ] {
        assert_ne!(text("json", Some(one)), text("json", Some(other)), "{one}");
        assert_eq!(text("jsonb", Some(one)), text("jsonb", Some(other)), "{one}");
    }
    assert_ne!(text("jsonb", Some("null")), text("jsonb", None));
}

#[test]
fn numbers_are_compared_by_value() {
    for (one, other) in [("1", "1.000"), ("0", "-0.0"), ("NaN", "NaN")] {
        assert_eq!(text("numeric", Some(one)), text("numeric", Some(other)), "{one}");
    }
    assert_ne!(
        text("numeric", Some("0.1")),
        text("numeric", Some("0.10000000000000000000000000001"))
    );
    let decimal = |value| {
        hash(
            "numeric(12,2)",
            Decimal128Array::from(vec![value])
                .with_precision_and_scale(12, 2)
                .expect("fits"),
        )
    };
    assert_eq!(decimal(100), decimal(100));
    assert_ne!(decimal(100), decimal(101));
    assert_ne!(
        hash("bigint", Int64Array::from(vec![9_007_199_254_740_993])),
        hash("bigint", Int64Array::from(vec![9_007_199_254_740_992]))
    );
}

#[test]
fn all_nan_are_one_and_a_negative_zero_is_not_zero_where_the_target_tells_them_apart() {
    let double = |value: f64, apart| hash_in(&ty("double precision"), Arc::new(Float64Array::from(vec![value])), apart);
    let real = |value: f32, apart| hash_in(&ty("real"), Arc::new(Float32Array::from(vec![value])), apart);
    let odd = f64::from_bits(f64::NAN.to_bits() | 1);
    assert!(odd.is_nan());
    assert_eq!(double(odd, true), double(f64::NAN, true));
    assert_eq!(real(f32::from_bits(f32::NAN.to_bits() | 1), true), real(f32::NAN, true));
    assert_ne!(double(-0.0, true), double(0.0, true));
    assert_eq!(double(-0.0, false), double(0.0, false));
    assert_ne!(real(-0.0, true), real(0.0, true));
    assert_eq!(real(-0.0, false), real(0.0, false));
    assert_ne!(double(f64::NAN, true), double(f64::INFINITY, true));
    assert_ne!(double(0.1, true), double(0.1 + f64::EPSILON, true));
}

#[test]
fn times_are_compared_to_the_microsecond() {
    let at = |micros| {
        hash(
            "timestamptz",
            TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"),
        )
    };
    assert_eq!(at(1_700_000_000_000_000), at(1_700_000_000_000_000));
    assert_ne!(at(1_700_000_000_000_000), at(1_700_000_000_000_001));
    assert_ne!(
        hash("date", Date32Array::from(vec![0])),
        hash("date", Date32Array::from(vec![i32::MAX]))
    );
}

#[test]
fn values_in_binary_form_are_compared_without_what_is_no_part_of_them() {
    let wire = |form: &str, hex: &str| {
        let bytes = hex::decode(hex).expect("hex");
        let ty = ColumnType::Opaque { name: form.to_owned() };
        hash_in(&ty, Arc::new(BinaryArray::from(vec![bytes.as_slice()])), true)
    };
    assert_eq!(
        wire("numeric", "00010000000000000001"),
        wire("numeric", "00010000000000020001")
    );
    assert_ne!(
        wire("numeric", "00010000000000000001"),
        wire("numeric", "00010000000000000002")
    );
    assert_ne!(wire("inet", "0220000401020304"), wire("inet", "0220000401020305"));
}

fn two_columns(ids: Vec<i32>, notes: Vec<&str>) -> Vec<u128> {
    let form = Form {
        columns: vec![
            Compared {
                name: "note".to_owned(),
                ty: ColumnType::TEXT,
                unordered: false,
            },
            Compared {
                name: "id".to_owned(),
                ty: ColumnType::Int32,
                unordered: false,
            },
        ],
        key: vec![1],
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("note", Arc::new(StringArray::from(notes))),
        ("id", Arc::new(Int32Array::from(ids.clone()))),
    ];
    let rows = RecordBatch::try_from_iter(columns).expect("two columns");
    let mut canonical = Canonical::new(&form, true);
    let mut hashes = Hashes::default();
    canonical.rows(&rows, &mut hashes).expect("types that are compared");
    let mut keys = Vec::new();
    let key: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(Int32Array::from(ids)))];
    canonical
        .keys(&RecordBatch::try_from_iter(key).expect("one column"), &mut keys)
        .expect("a type that is compared");
    assert_eq!(keys, hashes.key, "a key has one hash, read alone or with the row");
    hashes.row
}

#[test]
fn values_that_change_rows_change_the_sum() {
    let sum = |rows: Vec<u128>| rows.into_iter().fold(0, u128::wrapping_add);
    assert_eq!(
        sum(two_columns(vec![1, 2], vec!["a", "b"])),
        sum(two_columns(vec![2, 1], vec!["b", "a"]))
    );
    assert_ne!(
        sum(two_columns(vec![1, 2], vec!["a", "b"])),
        sum(two_columns(vec![1, 2], vec!["b", "a"]))
    );
}

#[test]
fn lists_within_a_slice_are_those_of_the_slice() {
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1)]),
        Some(vec![Some(2), None]),
        Some(vec![]),
    ]));
    let alone: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(2), None])]));
    assert_eq!(
        hash_in(&ty("integer[]"), lists.slice(1, 1), true),
        hash_in(&ty("integer[]"), alone, true)
    );
}

#[test]
fn elements_without_an_order_are_the_same_in_any() {
    let hash = |unordered: bool, items: [Option<i32>; 3]| {
        let form = Form {
            columns: vec![Compared {
                name: "c".to_owned(),
                ty: ty("integer[]"),
                unordered,
            }],
            key: Vec::new(),
        };
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(items)]));
        let mut canonical = Canonical::new(&form, true);
        canonical.value(0, &lists, 0).expect("a type that is compared")
    };
    let (one, other, third) = ([Some(1), Some(2), None], [None, Some(2), Some(1)], [Some(1), Some(1), None]);
    assert_eq!(hash(true, one), hash(true, other));
    assert_ne!(hash(true, one), hash(true, third));
    assert_ne!(hash(false, one), hash(false, other));
}
