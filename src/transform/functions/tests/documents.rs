//! Documents made of values.

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array,
    ListArray, NullArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type};
use proptest::prelude::*;

use super::ColumnarValue::Array;
use super::*;

fn json_of(values: ArrayRef) -> Vec<Option<String>> {
    call("to_json", vec![Array(values)]).expect("documents")
}

#[test]
fn values_become_json_with_every_digit() {
    let most = 10_i128.pow(38) - 1;
    let decimals = Decimal128Array::from(vec![most, -5])
        .with_precision_and_scale(38, 2)
        .expect("a type");
    assert_eq!(
        json_of(Arc::new(decimals)),
        some(&["999999999999999999999999999999999999.99", "-0.05"])
    );
    assert_eq!(
        json_of(Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]))),
        some(&["-9223372036854775808", "9223372036854775807"])
    );
    assert_eq!(
        json_of(Arc::new(Float64Array::from(vec![0.1, 1e300, -0.0, 5e-324]))),
        some(&["0.1", "1e+300", "-0", "5e-324"])
    );
    assert_eq!(
        json_of(Arc::new(BooleanArray::from(vec![Some(true), None]))),
        [Some("true".to_owned()), None]
    );
    assert_eq!(
        json_of(Arc::new(StringArray::from(vec![
            "",
            "a\"\\/b",
            "\u{1}\n\r\t\u{7f}",
            "ä😀\u{202e}",
            "\0",
            "[1]"
        ]))),
        some(&[
            r#""""#,
            r#""a\"\\/b""#,
            "\"\\u0001\\n\\r\\t\u{7f}\"",
            "\"ä😀\u{202e}\"",
            r#""\u0000""#,
            r#""[1]""#
        ])
    );
    assert_eq!(json_of(Arc::new(Date32Array::from(vec![19_782]))), some(&[r#""2024-02-29""#]));
    let instants = TimestampMicrosecondArray::from(vec![1_709_251_199_500_000, -62_167_219_200_000_000]);
    assert_eq!(
        json_of(Arc::new(instants.clone())),
        some(&[r#""2024-02-29T23:59:59.5""#, r#""0001-01-01T00:00:00 BC""#])
    );
    assert_eq!(
        json_of(Arc::new(instants.with_timezone("UTC")))[0].as_deref(),
        Some(r#""2024-02-29T23:59:59.5Z""#)
    );
}

#[test]
fn uuids_and_lists_become_json_and_nan_does_not() {
    let uuid = FixedSizeBinaryArray::try_from_iter([[0x0f_u8; 16]].into_iter()).expect("16 bytes");
    assert_eq!(json_of(Arc::new(uuid)), some(&[r#""0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f""#]));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
        Some(vec![Some(-7)]),
    ]);
    assert_eq!(
        json_of(Arc::new(lists.clone())),
        [
            Some("[1,null]".to_owned()),
            None,
            Some("[]".to_owned()),
            Some("[-7]".to_owned())
        ]
    );
    assert_eq!(json_of(Arc::new(lists.slice(2, 2))), some(&["[]", "[-7]"]));
    assert_eq!(json_of(Arc::new(NullArray::new(2))), [None, None]);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let why = call("to_json", vec![Array(Arc::new(Float64Array::from(vec![1.0, value])))]).expect_err("no JSON form");
        assert_eq!(said(&why), Some("a number that JSON has no form for"));
    }
    assert!(fails("to_json", vec![Array(Arc::new(BinaryArray::from(vec![b"a".as_slice()])))]).contains("argument 1 is no value"));
}

#[test]
fn json_stays_json_and_exact_numbers_stay_numbers() {
    let marked = |ty: &str, values: &[&str]| {
        let field = ColumnType::parse(ty).expect("a type").field("c", true);
        let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        call_with("to_json", vec![Array(values)], vec![field]).and_then(show)
    };
    assert_eq!(
        marked("jsonb", &[r#"{"a" : 1.50}"#, "null"]).expect("json"),
        some(&[r#"{"a" : 1.50}"#, "null"])
    );
    assert_eq!(
        marked("numeric", &["1.50", "-12345678901234567890123456789012345678901234567890.5"]).expect("json")[0].as_deref(),
        Some("1.50")
    );
    let why = marked("numeric", &["NaN"]).expect_err("no JSON form");
    assert_eq!(said(&why), Some("a number that JSON has no form for"));
    let why = marked("json", &[r#"1, "injected": 2"#]).expect_err("not JSON");
    assert_eq!(said(&why), Some("not valid JSON"));
    // A function's answer is known as JSON by the next one.
    let (inner, field) = call_with("parse_json", vec![text("[1]")], vec![Field::new("c", DataType::Utf8, false)]).expect("json");
    let fields = vec![Field::new("k", DataType::Utf8, false), field.as_ref().clone()];
    let outer = call_with("json_object", vec![text("list"), inner], fields)
        .and_then(show)
        .expect("json");
    assert_eq!(outer, some(&[r#"{"list":[1]}"#]));
}

#[test]
fn objects_and_arrays_are_built_row_by_row() {
    let keys = texts(&[Some("a"), Some("\"")]);
    let values = Array(Arc::new(Int32Array::from(vec![Some(1), None])));
    assert_eq!(
        call(
            "json_object",
            vec![text("k"), texts(&[None, Some("ü")]), keys.clone(), values.clone()]
        )
        .expect("objects"),
        some(&[r#"{"k":null,"a":1}"#, r#"{"k":"ü","\"":null}"#])
    );
    assert_eq!(
        call("json_array", vec![values, null(), text("x")]).expect("arrays"),
        some(&[r#"[1,null,"x"]"#, r#"[null,null,"x"]"#])
    );
    let same = call("json_object", vec![text("a"), int(1), keys, int(2)]).expect_err("the first row has a twice");
    assert_eq!(said(&same), Some("a JSON object with the same key twice"));
    let same = call("json_object", vec![text("a"), int(1), text("a"), int(2)]).expect_err("a twice");
    assert_eq!(said(&same), Some("a JSON object with the same key twice"));
    let none = call("json_object", vec![texts(&[Some("a"), None]), int(1)]).expect_err("no key");
    assert_eq!(said(&none), Some("NULL as a key of a JSON object"));
    let none = call("json_object", vec![null(), int(1)]).expect_err("no key");
    assert_eq!(said(&none), Some("NULL as a key of a JSON object"));
    for args in [vec![], vec![text("a")], vec![text("a"), int(1), text("b")]] {
        assert!(fails("json_object", args).contains("wrong number of arguments"));
    }
    assert!(fails("json_array", vec![]).contains("wrong number of arguments"));
    assert!(fails("json_object", vec![int(1), int(2)]).contains("argument 1 is no text"));
    let (_, field) = call_with("json_array", vec![null()], vec![Field::new("c", DataType::Null, true)]).expect("json");
    assert_eq!(ColumnType::of_field(&field), Some(table::JSON));
    assert!(!field.is_nullable());
}

proptest! {
    #[test]
    fn a_text_comes_back_from_json(value in ".*") {
        let json = one("to_json", vec![text(&value)]).expect("a document");
        let read: String = serde_json::from_str(&json).expect("valid JSON");
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(one("json_get_text", vec![text(&json), text("")]), Some(value));
    }

    #[test]
    fn objects_and_arrays_are_valid(key in ".*", value in ".*", number: i64) {
        let object = one("json_object", vec![text(&key), text(&value), text(&format!("{key}!")), int(number)]).expect("a document");
        let read: serde_json::Value = serde_json::from_str(&object).expect("valid JSON");
        prop_assert_eq!(&read[&key], &serde_json::Value::from(value));
        let array = one("json_array", vec![int(number), text(&key)]).expect("a document");
        let read: serde_json::Value = serde_json::from_str(&array).expect("valid JSON");
        prop_assert_eq!(&read[1], &serde_json::Value::from(key));
    }
}
