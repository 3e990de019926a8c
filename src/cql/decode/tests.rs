use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int16Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType};
use scylla::cluster::metadata::UserDefinedType;

use super::*;

fn native(native: NativeType) -> CqlType<'static> {
    CqlType::Native(native)
}

fn decoder(cql: &CqlType<'static>) -> ColumnDecoder {
    let ty = kind::column_type(cql).expect("a type that is read");
    ColumnDecoder::new(cql, &ty, 4).expect("its own type")
}

/// What is wrong with a value.
fn reason(ty: NativeType, bytes: &[u8]) -> Option<Reason> {
    decoder(&native(ty)).append(Some(bytes)).err().map(|unfit| unfit.reason)
}

fn json(ty: &CqlType<'_>, bytes: &[u8]) -> Option<String> {
    let mut out = String::new();
    json::write(ty, bytes, &mut out).ok().map(|()| out)
}

#[test]
fn null_is_not_empty_and_a_value_that_does_not_fit_is_null_beside_its_neighbours() {
    let mut texts = decoder(&native(NativeType::Text));
    for field in [Some(&b"a"[..]), None, Some(b""), Some(b"\0")] {
        texts.append(field).expect("text");
    }
    assert!(texts.append(Some(&[0xff])).is_err(), "no UTF-8");
    let column = texts.finish();
    let read: Vec<_> = column.as_string::<i32>().iter().collect();
    assert_eq!(read, [Some("a"), None, Some(""), Some("\0"), None]);
    assert_eq!(texts.finish().len(), 0, "empty again");

    let mut small = decoder(&native(NativeType::TinyInt));
    small.append(Some(&[0x80])).expect("a number");
    small.append(None).expect("NULL");
    let column = small.finish();
    assert_eq!(
        column.as_primitive::<Int16Type>().iter().collect::<Vec<_>>(),
        [Some(-128), None]
    );
}

#[test]
fn what_has_no_exact_form_is_told_and_never_rounded() {
    for ty in [
        NativeType::Boolean,
        NativeType::Int,
        NativeType::Double,
        NativeType::Varint,
        NativeType::Decimal,
        NativeType::Uuid,
        NativeType::Inet,
        NativeType::Timestamp,
        NativeType::Duration,
    ] {
        assert_eq!(reason(ty.clone(), &[]), Some(Reason::Unreadable), "an empty {ty:?}");
    }
    assert_eq!(reason(NativeType::Time, &1_i64.to_be_bytes()), Some(Reason::Inexact));
    assert_eq!(reason(NativeType::Time, &1_000_i64.to_be_bytes()), None);
    assert_eq!(reason(NativeType::Time, &value::DAY.to_be_bytes()), Some(Reason::Unreadable));
    assert_eq!(
        reason(NativeType::Timestamp, &(i64::MAX / 1_000 + 1).to_be_bytes()),
        Some(Reason::OutOfRange)
    );
    assert_eq!(reason(NativeType::Timestamp, &(i64::MAX / 1_000).to_be_bytes()), None);
    for infinity in [0, u32::MAX] {
        assert_eq!(reason(NativeType::Date, &infinity.to_be_bytes()), Some(Reason::OutOfRange));
    }
    assert_eq!(reason(NativeType::Varint, &[1; 500]), Some(Reason::OutOfRange));
    assert_eq!(reason(NativeType::Inet, &[1; 5]), Some(Reason::Unreadable));
}

#[test]
fn lists_keep_their_elements_and_nested_ones_are_documents() {
    let list = CqlType::Collection {
        frozen: false,
        typ: CollectionType::List(Box::new(native(NativeType::Int))),
    };
    let mut lists = decoder(&list);
    let of = |items: &[i32]| {
        let count = i32::try_from(items.len()).expect("few").to_be_bytes();
        let items = items
            .iter()
            .flat_map(|item| [4_i32.to_be_bytes(), item.to_be_bytes()].concat());
        count.into_iter().chain(items).collect::<Vec<u8>>()
    };
    lists.append(Some(&of(&[1, -2]))).expect("a list");
    lists.append(None).expect("NULL");
    lists.append(Some(&of(&[]))).expect("an empty list");
    assert!(
        lists.append(Some(&[of(&[1, 2, 3]), vec![0]].concat())).is_err(),
        "more than its elements"
    );
    assert!(lists.append(Some(&of(&[1, 2])[..9])).is_err(), "cut");
    lists.append(Some(&of(&[3]))).expect("a list");
    let column = lists.finish();
    let column = column.as_list::<i32>();
    let read: Vec<Option<Vec<i32>>> = column
        .iter()
        .map(|list| list.map(|list| list.as_primitive::<Int32Type>().values().to_vec()))
        .collect();
    assert_eq!(read, [Some(vec![1, -2]), None, Some(vec![]), None, None, Some(vec![3])]);

    let nested = CqlType::Collection {
        frozen: false,
        typ: CollectionType::List(Box::new(list)),
    };
    let inner = of(&[7]);
    let length = i32::try_from(inner.len()).expect("short").to_be_bytes();
    let bytes = [&1_i32.to_be_bytes()[..], &length, &inner].concat();
    assert_eq!(json(&nested, &bytes).as_deref(), Some("[[7]]"));
    assert_eq!(kind::column_type(&nested), Some(ColumnType::Json { binary: true }));
}

#[test]
fn durations_and_addresses_are_read() {
    let mut durations = decoder(&native(NativeType::Duration));
    durations.append(Some(&[2, 4, 6])).expect("a duration");
    durations.append(Some(&[1, 0, 0])).expect("a duration");
    let column = durations.finish();
    let column = column.as_primitive::<IntervalMonthDayNanoType>();
    assert_eq!(column.value(0), IntervalMonthDayNano::new(1, 2, 3));
    assert_eq!(column.value(1), IntervalMonthDayNano::new(-1, 0, 0));
    assert!(durations.append(Some(&[2, 4, 6, 8])).is_err(), "more than three numbers");
    let mut addresses = decoder(&native(NativeType::Inet));
    addresses.append(Some(&[127, 0, 0, 1])).expect("an address");
    addresses
        .append(Some(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
        .expect("an address");
    let column = addresses.finish();
    assert_eq!(
        column.as_string::<i32>().iter().collect::<Vec<_>>(),
        [Some("127.0.0.1"), Some("::1")]
    );
}

#[test]
fn scalars_within_documents_are_spelt_as_cql_does() {
    let text = |ty: NativeType, bytes: &[u8]| json(&native(ty), bytes).expect("a value");
    assert_eq!(text(NativeType::Double, &1e300_f64.to_be_bytes()), "1e300");
    assert_eq!(text(NativeType::Double, &(-0.0_f64).to_be_bytes()), "-0.0");
    assert_eq!(text(NativeType::Double, &f64::NAN.to_be_bytes()), "\"NaN\"");
    assert_eq!(text(NativeType::Float, &f32::NEG_INFINITY.to_be_bytes()), "\"-Infinity\"");
    assert_eq!(text(NativeType::Float, &0.1_f32.to_be_bytes()), "0.1");
    assert_eq!(
        text(NativeType::Timestamp, &0_i64.to_be_bytes()),
        "\"1970-01-01 00:00:00.000Z\""
    );
    assert_eq!(
        text(NativeType::Timestamp, &(-1_i64).to_be_bytes()),
        "\"1969-12-31 23:59:59.999Z\""
    );
    assert_eq!(text(NativeType::Date, &(1_u32 << 31).to_be_bytes()), "\"1970-01-01\"");
    assert_eq!(text(NativeType::Time, &1_i64.to_be_bytes()), "\"00:00:00.000000001\"");
    assert_eq!(text(NativeType::Blob, &[0, 255]), "\"0x00ff\"");
    assert_eq!(text(NativeType::Duration, &[26, 4, 6]), "\"1y1mo2d3ns\"");
    assert_eq!(text(NativeType::Duration, &[0, 0, 0]), "\"0s\"");
    assert_eq!(text(NativeType::Text, b"\"\n"), r#""\"\n""#);
}

#[test]
fn maps_have_keys_of_text_and_fields_that_are_not_there_are_left_out() {
    let map = CqlType::Collection {
        frozen: true,
        typ: CollectionType::Map(Box::new(native(NativeType::Int)), Box::new(native(NativeType::Boolean))),
    };
    let bytes = [0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1, 1];
    assert_eq!(json(&map, &bytes).as_deref(), Some(r#"{"7":true}"#));
    assert_eq!(json(&map, &[0; 4]).as_deref(), Some("{}"));
    let definition = UserDefinedType {
        name: "point".into(),
        keyspace: "ks".into(),
        field_types: vec![
            ("x".into(), native(NativeType::TinyInt)),
            ("Y".into(), native(NativeType::TinyInt)),
        ],
    };
    let point = CqlType::UserDefinedType {
        frozen: true,
        definition: Arc::new(definition),
    };
    assert_eq!(
        json(&point, &[0, 0, 0, 1, 5, 0, 0, 0, 1, 6]).as_deref(),
        Some(r#"{"x":5,"Y":6}"#)
    );
    assert_eq!(
        json(&point, &[255, 255, 255, 255, 0, 0, 0, 1, 6]).as_deref(),
        Some(r#"{"Y":6}"#)
    );
    assert_eq!(
        json(&point, &[0, 0, 0, 1, 5]).as_deref(),
        Some(r#"{"x":5}"#),
        "written before it had two"
    );
    assert_eq!(
        json(&point, &[0, 0, 0, 1, 5, 0, 0, 0, 1, 6, 0, 0, 0, 1, 7]),
        None,
        "it has got a third"
    );
    let pair = CqlType::Tuple(vec![native(NativeType::Text), native(NativeType::Int)]);
    assert_eq!(
        json(&pair, &[0, 0, 0, 1, b'a', 255, 255, 255, 255]).as_deref(),
        Some(r#"["a",null]"#)
    );
}
