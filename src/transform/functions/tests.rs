use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int32Array, Int64Array, StringArray, StringViewArray};
use arrow::datatypes::{Field, Schema};
use arrow::util::display::array_value_to_string;

use super::*;
use crate::data::column::ColumnType;
use ColumnarValue::{Array, Scalar};

mod buckets;
mod documents;
mod paths;

fn function(name: &str) -> &'static Arc<ScalarUDF> {
    all().iter().find(|function| function.name() == name).expect("one of ours")
}

/// Calls a function as the planner and the evaluator do: types first, then values.
fn call_with(name: &str, args: Vec<ColumnarValue>, fields: Vec<Field>) -> Result<(ColumnarValue, FieldRef)> {
    let function = function(name);
    let types: Vec<DataType> = args.iter().map(ColumnarValue::data_type).collect();
    let coerced = function.coerce_types(&types)?;
    let rows = args
        .iter()
        .find_map(|value| match value {
            Array(array) => Some(array.len()),
            Scalar(_) => None,
        })
        .unwrap_or(1);
    let args = args
        .into_iter()
        .zip(&coerced)
        .map(|(value, ty)| value.cast_to(ty, None))
        .collect::<Result<Vec<_>>>()?;
    let arg_fields: Vec<FieldRef> = fields
        .into_iter()
        .zip(coerced)
        .map(|(field, ty)| Arc::new(field.with_data_type(ty)))
        .collect();
    let constants: Vec<Option<ScalarValue>> = args
        .iter()
        .map(|value| match value {
            Scalar(value) => Some(value.clone()),
            Array(_) => None,
        })
        .collect();
    let return_field = function.return_field_from_args(ReturnFieldArgs {
        arg_fields: &arg_fields,
        scalar_arguments: &constants.iter().map(Option::as_ref).collect::<Vec<_>>(),
    })?;
    let answer = function.invoke_with_args(ScalarFunctionArgs {
        args,
        arg_fields,
        number_rows: rows,
        return_field: Arc::clone(&return_field),
        config_options: Arc::default(),
    })?;
    if let Array(array) = &answer {
        assert_eq!(array.len(), rows);
    }
    // Arrow itself checks types, and NULLs where none were promised.
    let columns = vec![answer.to_array(rows)?];
    let schema = Arc::new(Schema::new(vec![Arc::clone(&return_field)]));
    arrow::record_batch::RecordBatch::try_new(schema, columns).expect("a column of the promised type");
    Ok((answer, return_field))
}

fn call(name: &str, args: Vec<ColumnarValue>) -> Result<Vec<Option<String>>> {
    let fields = args.iter().map(|value| Field::new("c", value.data_type(), true)).collect();
    show(call_with(name, args, fields)?)
}

fn show((answer, field): (ColumnarValue, FieldRef)) -> Result<Vec<Option<String>>> {
    let array = answer.to_array(1)?;
    let to = cast::Cast::plan(&field, &ColumnType::TEXT, TEXT).expect("everything has a text");
    let texts = to.run(&array).expect("the planned type").array;
    Ok((0..texts.len())
        .map(|row| texts.is_valid(row).then(|| array_value_to_string(&texts, row).expect("text")))
        .collect())
}

const TEXT: cast::Rules = cast::Rules {
    lossy: false,
    nul: true,
    explicit: true,
};

fn one(name: &str, args: Vec<ColumnarValue>) -> Option<String> {
    call(name, args).expect("an answer").remove(0)
}

fn fails(name: &str, args: Vec<ColumnarValue>) -> String {
    call(name, args).expect_err("an error").strip_backtrace()
}

fn text(value: &str) -> ColumnarValue {
    Scalar(ScalarValue::from(value))
}

fn texts(values: &[Option<&str>]) -> ColumnarValue {
    Array(Arc::new(StringArray::from(values.to_vec())))
}

fn null() -> ColumnarValue {
    Scalar(ScalarValue::Null)
}

fn int(value: i64) -> ColumnarValue {
    Scalar(ScalarValue::from(value))
}

fn instant(micros: Option<i64>) -> ColumnarValue {
    Scalar(ScalarValue::TimestampMicrosecond(micros, Some("UTC".into())))
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

#[test]
fn every_function_gives_what_its_reference_says() {
    let decimal = Scalar(ScalarValue::Decimal128(Some(150), 3, 2));
    for entry in reference() {
        let args = match entry.name {
            "uuid_v5" => vec![text("users"), text("abc")],
            "nullif_empty" => vec![text("")],
            "to_json" => vec![text("say \"hi\"")],
            "parse_json" => vec![text("[1, 2.50]")],
            "json_object" => vec![text("x"), decimal.clone(), text("y"), null()],
            "json_array" => vec![int(1), text("a"), Scalar(ScalarValue::from(true))],
            "json_get" => vec![text(r#"{"a": [10, 2.50]}"#), text("/a/1")],
            "json_get_text" => vec![text(r#"{"name": "J\u00f6rg"}"#), text("name")],
            "timestamp_from_unix" => vec![int(1_709_251_199)],
            "timestamp_from_unix_millis" => vec![int(1_709_251_199_500)],
            "unix_millis" => vec![instant(Some(1_709_251_199_500_000))],
            "day_bucket" => vec![instant(Some(1_709_251_199_500_000)), int(10)],
            other => panic!("{other} has no test"),
        };
        let gives = (entry.gives != "NULL").then(|| entry.gives.to_owned());
        assert_eq!(one(entry.name, args), gives, "{}", entry.example);
        assert!(entry.signature.starts_with(&format!("{}(", entry.name)));
        assert!(entry.example.starts_with(&format!("{}(", entry.name)));
    }
}

#[test]
fn no_name_is_taken_twice_or_by_a_function_beside_ours() {
    let mut names: Vec<&str> = all().iter().map(|function| function.name()).collect();
    for function in theirs() {
        assert!(!names.contains(&function.name()), "{}", function.name());
        for alias in function.aliases() {
            assert!(!names.contains(&alias.as_str()), "{alias}");
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(
        all()
            .iter()
            .all(|function| function.signature().volatility == Volatility::Immutable)
    );
}

#[test]
fn a_uuid_is_the_same_for_the_same_name_for_ever() {
    // Computed with Python's uuid module.
    let users = "0300f1dd-6dc2-5c8c-a267-599e023213f9";
    assert_eq!(
        call(
            "uuid_v5",
            vec![text("users"), texts(&[Some("abc"), Some(""), None, Some("ä😀")])]
        )
        .expect("uuids"),
        [
            Some(users.to_owned()),
            Some("a9dcbc90-f30f-576c-aef4-ae53383e3673".to_owned()),
            None,
            Some("5b34b17f-f5dd-51cb-983f-eb7d794748c4".to_owned())
        ]
    );
    assert_eq!(
        one("uuid_v5", vec![text(""), text("abc")]).as_deref(),
        Some("48d3b385-5646-596d-a43b-76c620350dfa")
    );
    let dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let example = Some("2ed6657d-e927-568b-95e1-2665a8aea6a2".to_owned());
    assert_eq!(one("uuid_v5", vec![text(dns), text("www.example.com")]), example);
    assert_eq!(
        one("uuid_v5", vec![text(&dns.to_uppercase()), text("www.example.com")]),
        example
    );
    assert_eq!(
        one("uuid_v5", vec![text(&dns.replace('-', "")), text("www.example.com")]),
        example
    );
    assert_eq!(
        call(
            "uuid_v5",
            vec![texts(&[Some(dns), Some("users"), None]), text("www.example.com")]
        )
        .expect("uuids")[0],
        example
    );
    assert_eq!(
        call(
            "uuid_v5",
            vec![texts(&[Some("users"), None]), texts(&[Some("abc"), Some("abc")])]
        )
        .expect("uuids"),
        [Some(users.to_owned()), None]
    );
    let bytes = identity::NAMESPACE.as_bytes().to_vec();
    let own: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).expect("16 bytes"));
    let nested = call("uuid_v5", vec![Array(own), text("users")])
        .expect("a uuid")
        .remove(0)
        .expect("not NULL");
    assert_eq!(one("uuid_v5", vec![text(&nested), text("abc")]).as_deref(), Some(users));
    assert_eq!(one("uuid_v5", vec![null(), text("abc")]), None);
    assert_eq!(one("uuid_v5", vec![text("users"), null()]), None);
    assert!(
        fails("uuid_v5", vec![text("users"), int(1)])
            .contains("argument 2 is no text: uuid_v5(namespace text or uuid, name text) -> uuid")
    );
    assert!(fails("uuid_v5", vec![text("users")]).contains("wrong number of arguments"));
    let (_, field) = call_with(
        "uuid_v5",
        vec![text("a"), text("b")],
        vec![Field::new("a", DataType::Utf8, false), Field::new("b", DataType::Utf8, false)],
    )
    .expect("a uuid");
    assert_eq!(ColumnType::of_field(&field), Some(ColumnType::Uuid));
    assert!(!field.is_nullable());
}

#[test]
fn only_the_empty_text_becomes_null() {
    let all = texts(&[Some(""), Some(" "), None, Some("a"), Some("\0")]);
    assert_eq!(
        call("nullif_empty", vec![all]).expect("texts"),
        [None, Some(" ".to_owned()), None, Some("a".to_owned()), Some("\0".to_owned())]
    );
    let sliced: ArrayRef = Arc::new(StringArray::from(vec!["x", "", "y"]).slice(1, 2));
    assert_eq!(
        call("nullif_empty", vec![Array(sliced)]).expect("texts"),
        [None, Some("y".to_owned())]
    );
    let view: ArrayRef = Arc::new(StringViewArray::from(vec!["", "v"]));
    assert_eq!(
        call("nullif_empty", vec![Array(view)]).expect("texts"),
        [None, Some("v".to_owned())]
    );
    assert_eq!(one("nullif_empty", vec![null()]), None);
    let empty: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    assert_eq!(call("nullif_empty", vec![Array(empty)]).expect("nothing"), []);
}

#[test]
fn unix_times_are_instants() {
    let seconds = Array(Arc::new(Int64Array::from(vec![
        Some(0),
        Some(-1),
        None,
        Some(253_402_300_799),
    ])));
    assert_eq!(
        call("timestamp_from_unix", vec![seconds.clone()]).expect("instants"),
        [
            Some("1970-01-01 00:00:00Z".to_owned()),
            Some("1969-12-31 23:59:59Z".to_owned()),
            None,
            Some("9999-12-31 23:59:59Z".to_owned())
        ]
    );
    assert_eq!(
        call("timestamp_from_unix_millis", vec![seconds]).expect("instants")[1].as_deref(),
        Some("1969-12-31 23:59:59.999Z")
    );
    let small = Array(Arc::new(Int32Array::from(vec![60])));
    assert_eq!(
        call("timestamp_from_unix", vec![small]).expect("instants"),
        some(&["1970-01-01 00:01:00Z"])
    );
    let error = call("timestamp_from_unix", vec![int(i64::MAX)]).expect_err("too far");
    assert_eq!(said(&error), Some("the number of seconds is beyond every timestamp"));
    assert!(fails("timestamp_from_unix", vec![text("1")]).contains("argument 1 is no bigint"));
    let (_, field) = call_with(
        "timestamp_from_unix",
        vec![int(1)],
        vec![Field::new("c", DataType::Int64, false)],
    )
    .expect("an instant");
    assert_eq!(ColumnType::of_field(&field), Some(ColumnType::INSTANT));
}

#[test]
fn an_instant_is_milliseconds_exactly_or_an_error() {
    assert_eq!(one("unix_millis", vec![instant(Some(-1_000))]).as_deref(), Some("-1"));
    assert_eq!(one("unix_millis", vec![instant(None)]), None);
    assert_eq!(one("unix_millis", vec![null()]), None);
    let error = call("unix_millis", vec![instant(Some(1_700_000_000_123_456))]).expect_err("too fine");
    assert_eq!(said(&error), Some("the instant is finer than milliseconds"));
    assert!(fails("unix_millis", vec![text("2024-02-29")]).contains("argument 1 is no timestamptz"));
}
