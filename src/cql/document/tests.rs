use std::sync::Arc;

use arrow::array::{Int32Array, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use proptest::prelude::*;
use scylla::cluster::metadata::{NativeType, UserDefinedType};

use super::*;
use crate::cql::decode::json::{spell, write};
use crate::cql::literal;

fn native(native: NativeType) -> CqlType<'static> {
    CqlType::Native(native)
}

fn list(element: CqlType<'static>, frozen: bool) -> CqlType<'static> {
    CqlType::Collection {
        frozen,
        typ: CollectionType::List(Box::new(element)),
    }
}

fn set(element: CqlType<'static>) -> CqlType<'static> {
    CqlType::Collection {
        frozen: true,
        typ: CollectionType::Set(Box::new(element)),
    }
}

fn map(key: NativeType, value: CqlType<'static>) -> CqlType<'static> {
    CqlType::Collection {
        frozen: true,
        typ: CollectionType::Map(Box::new(native(key)), Box::new(value)),
    }
}

fn vector(element: NativeType, dimensions: u16) -> CqlType<'static> {
    CqlType::Vector {
        typ: Box::new(native(element)),
        dimensions,
    }
}

fn person(frozen: bool) -> CqlType<'static> {
    let field = |name: &'static str, ty| (name.into(), ty);
    CqlType::UserDefinedType {
        frozen,
        definition: Arc::new(UserDefinedType {
            name: "person".into(),
            keyspace: "ks".into(),
            field_types: vec![
                field("name", native(NativeType::Text)),
                field("Age", native(NativeType::Int)),
                field("tags", set(native(NativeType::Text))),
            ],
        }),
    }
}

/// What is read back of a document.
fn back(ty: &CqlType<'_>, text: &str) -> Result<String, Reason> {
    let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let mut bytes = Vec::new();
    encode(ty, &array, 0, &mut bytes).map_err(|refused| refused.reason)?;
    let mut out = String::new();
    write(ty, &bytes, &mut out).expect("what was just written");
    Ok(out)
}

#[test]
fn documents_come_back_as_they_were() {
    for (ty, text) in [
        (map(NativeType::Text, native(NativeType::Int)), r#"{"b":1,"a":-2,"":0}"#),
        (map(NativeType::Int, native(NativeType::Text)), r#"{"1":"é\"","-5":""}"#),
        (
            map(NativeType::Uuid, native(NativeType::Boolean)),
            r#"{"00000000-0000-4000-8000-00000000000a":true}"#,
        ),
        (
            map(NativeType::Text, list(native(NativeType::Double), true)),
            r#"{"a":[0.1,-1e300,"NaN","Infinity",5e-324]}"#,
        ),
        (
            list(map(NativeType::Text, native(NativeType::Varint)), false),
            r#"[{},{"n":123456789012345678901234567890}]"#,
        ),
        (
            CqlType::Tuple(vec![
                native(NativeType::Text),
                native(NativeType::Decimal),
                native(NativeType::Blob),
            ]),
            r#"["x",12.50,null]"#,
        ),
        (
            CqlType::Tuple(vec![native(NativeType::Inet), native(NativeType::Timestamp)]),
            r#"["::1","2024-02-29 12:00:00.123Z"]"#,
        ),
        (
            CqlType::Tuple(vec![native(NativeType::Date), native(NativeType::Time)]),
            r#"["+12024-02-29","23:59:59.999999999"]"#,
        ),
        (
            CqlType::Tuple(vec![native(NativeType::Date), native(NativeType::Duration)]),
            r#"["-0044-03-15","-1y2mo3d4h5m6s7ms8us9ns"]"#,
        ),
        (
            CqlType::Tuple(vec![native(NativeType::Blob), native(NativeType::Blob)]),
            r#"["0x","0x00ff"]"#,
        ),
        (person(true), r#"{"name":"a","Age":1,"tags":["x","y"]}"#),
        (person(true), "{}"),
        (person(false), r#"{"Age":1}"#),
        (vector(NativeType::Text, 2), r#"["a",""]"#),
        (list(native(NativeType::Int), true), "[]"),
        (set(list(native(NativeType::Int), true)), "[[1]]"),
    ] {
        assert_eq!(back(&ty, text).as_deref(), Ok(text), "{}", kind::name(&ty));
    }
    assert_eq!(
        back(&person(true), r#" { "Age" : 1.0 , "name" : "\u0061" } "#).as_deref(),
        Ok(r#"{"name":"a","Age":1}"#)
    );
}

#[test]
fn documents_that_would_come_back_otherwise_are_refused() {
    use Reason::{Duplicate, Inexact, Json, NullValue, OutOfRange, Refused, Unreadable};
    let words = || map(NativeType::Text, native(NativeType::Text));
    for (ty, text, reason) in [
        (words(), r#"{"a":"1","a":"2"}"#, Duplicate),
        (words(), r#"{"a":null}"#, NullValue),
        (words(), "null", NullValue),
        (words(), r#"["a"]"#, Json),
        (words(), r#"{"a":1}"#, Json),
        (words(), r#"{"a":"1"} x"#, Json),
        (words(), r#"{"a":"\ud800"}"#, Json),
        (map(NativeType::Int, native(NativeType::Int)), r#"{"01":1}"#, Inexact),
        (map(NativeType::Int, native(NativeType::Int)), r#"{"a":1}"#, Unreadable),
        (map(NativeType::Text, native(NativeType::TinyInt)), r#"{"a":128}"#, OutOfRange),
        (map(NativeType::Text, native(NativeType::Int)), r#"{"a":1.5}"#, Unreadable),
        (
            map(NativeType::Text, native(NativeType::Float)),
            r#"{"a":0.12345678901}"#,
            Inexact,
        ),
        (map(NativeType::Text, native(NativeType::Double)), r#"{"a":1e400}"#, Inexact),
        (
            map(NativeType::Text, native(NativeType::Double)),
            r#"{"a":9007199254740993}"#,
            Inexact,
        ),
        (map(NativeType::Text, native(NativeType::Boolean)), r#"{"a":"true"}"#, Json),
        (map(NativeType::Text, native(NativeType::Ascii)), r#"{"a":"é"}"#, OutOfRange),
        (map(NativeType::Text, native(NativeType::Inet)), r#"{"a":"::0001"}"#, Inexact),
        (
            map(NativeType::Text, native(NativeType::Timestamp)),
            r#"{"a":"2024-02-29T12:00:00Z"}"#,
            Inexact,
        ),
        (
            map(NativeType::Text, native(NativeType::Timestamp)),
            r#"{"a":"2024-02-30 12:00:00.000Z"}"#,
            Unreadable,
        ),
        (
            map(NativeType::Text, native(NativeType::Timeuuid)),
            r#"{"a":"00000000-0000-4000-8000-00000000000a"}"#,
            Refused,
        ),
        (map(NativeType::Text, set(native(NativeType::Int))), r#"{"a":[2,1]}"#, Inexact),
        (
            map(NativeType::Text, set(native(NativeType::Int))),
            r#"{"a":[1,1]}"#,
            Duplicate,
        ),
        (set(list(native(NativeType::Int), true)), "[[1],[2]]", Inexact),
        (CqlType::Tuple(vec![native(NativeType::Int)]), "[]", OutOfRange),
        (CqlType::Tuple(vec![native(NativeType::Int)]), "[1,2]", OutOfRange),
        (person(true), r#"{"nobody":1}"#, Refused),
        (person(true), r#"{"age":1}"#, Refused),
        (person(true), r#"{"Age":null}"#, NullValue),
        (person(true), r#"{"Age":1,"Age":1}"#, Duplicate),
        (person(false), "{}", Inexact),
        (list(list(native(NativeType::Int), true), false), "[]", Inexact),
        (vector(NativeType::Float, 2), "[1.0]", OutOfRange),
    ] {
        assert_eq!(back(&ty, text), Err(reason), "{text} as {}", kind::name(&ty));
    }
}

fn lists(items: Vec<Option<i32>>, ends: &[i32]) -> ArrayRef {
    let offsets = OffsetBuffer::new(ends.to_vec().into());
    let field = Arc::new(Field::new("item", DataType::Int32, true));
    Arc::new(ListArray::new(field, offsets, Arc::new(Int32Array::from(items)), None))
}

#[test]
fn arrays_are_lists_sets_and_vectors() {
    let array = lists(vec![Some(1), Some(2), Some(1), Some(1), None], &[0, 0, 2, 4, 5]);
    let bytes = |ty: &CqlType<'_>, row| {
        let mut out = Vec::new();
        encode(ty, &array, row, &mut out)
            .map(|()| out)
            .map_err(|refused| refused.reason)
    };
    let int = || native(NativeType::Int);
    assert_eq!(bytes(&list(int(), true), 0), Ok(vec![0; 4]));
    assert_eq!(bytes(&list(int(), false), 0), Err(Reason::Inexact), "it would be NULL");
    let two = |one: u8, other: u8| vec![0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, one, 0, 0, 0, 4, 0, 0, 0, other];
    assert_eq!(bytes(&list(int(), false), 1), Ok(two(1, 2)));
    assert_eq!(bytes(&list(int(), false), 2), Ok(two(1, 1)));
    assert_eq!(bytes(&set(int()), 1), Ok(two(1, 2)));
    assert_eq!(bytes(&set(int()), 2), Err(Reason::Duplicate));
    assert_eq!(bytes(&list(int(), true), 3), Err(Reason::NullValue));
    assert_eq!(bytes(&vector(NativeType::Int, 2), 1), Ok(vec![0, 0, 0, 1, 0, 0, 0, 2]));
    assert_eq!(bytes(&vector(NativeType::Int, 3), 1), Err(Reason::OutOfRange));
    assert_eq!(bytes(&map(NativeType::Text, int()), 1), Err(Reason::Json));
}

#[test]
fn numbers_that_cql_takes_for_one_are_one_element() {
    let decimals = map(NativeType::Decimal, native(NativeType::Int));
    assert_eq!(back(&decimals, r#"{"1.5":1,"1.50":2}"#), Err(Reason::Duplicate));
    assert_eq!(back(&decimals, r#"{"1.5":1,"15":2}"#).as_deref(), Ok(r#"{"1.5":1,"15":2}"#));
}

proptest! {
    #[test]
    fn scalars_come_back_from_their_text(
        number in any::<i64>(), float in any::<f64>(), single in any::<f32>(),
        bytes in any::<[u8; 16]>(), digits in "-?[1-9][0-9]{0,60}", scale in 0_i32..40,
    ) {
        let mut decimal = scale.to_be_bytes().to_vec();
        decimal.extend(crate::cql::number::integer(&digits).expect("a number"));
        let days = number.rem_euclid(1 << 32).to_be_bytes();
        for (ty, bytes) in [
            (NativeType::BigInt, number.to_be_bytes().to_vec()),
            (NativeType::Double, if float.is_nan() { f64::NAN } else { float }.to_be_bytes().to_vec()),
            (NativeType::Float, if single.is_nan() { f32::NAN } else { single }.to_be_bytes().to_vec()),
            (NativeType::Uuid, bytes.to_vec()),
            (NativeType::Inet, bytes.to_vec()),
            (NativeType::Inet, bytes[..4].to_vec()),
            (NativeType::Blob, bytes.to_vec()),
            (NativeType::Varint, crate::cql::number::integer(&digits).expect("a number")),
            (NativeType::Decimal, decimal),
            (NativeType::Timestamp, (number / 10_000).to_be_bytes().to_vec()),
            (NativeType::Date, days[4..].to_vec()),
            (NativeType::Time, number.rem_euclid(86_400_000_000_000).to_be_bytes().to_vec()),
        ] {
            let mut text = String::new();
            spell(&ty, &bytes, &mut text).expect("a value");
            let mut back = Vec::new();
            prop_assert_eq!(literal::put(&ty, &text, &mut back), Ok(()), "{} {:?}", text, ty);
            prop_assert_eq!(back, bytes, "{} {:?}", text, ty);
        }
    }
}
