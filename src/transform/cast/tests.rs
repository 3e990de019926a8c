use arrow::array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, StringViewArray, Time32SecondArray, Time64MicrosecondArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, IntervalUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;

use super::*;

mod documents;
mod infinity;
mod intervals;
mod literals;
mod number_properties;
mod numbers;
mod texts;
mod times;

const STRICT: Rules = Rules {
    lossy: false,
    nul: false,
    explicit: false,
};
const LOSSY: Rules = Rules { lossy: true, ..STRICT };

fn ty(text: &str) -> ColumnType {
    // A negative scale is declared by targets only, never by a mapping.
    if let Some((precision, scale)) = text.strip_prefix("numeric(").and_then(|rest| rest.split_once(",-")) {
        let scale: i16 = scale.trim_end_matches(')').parse().expect("a scale");
        return ColumnType::Numeric {
            limits: Some((precision.parse().expect("a precision"), -scale)),
        };
    }
    ColumnType::parse(text).unwrap_or_else(|| panic!("{text} is no type"))
}

/// Casts a column and shows every row as text, a fault as `!reason`.
fn cast_as(from: &Field, values: &ArrayRef, to: &ColumnType, rules: Rules) -> Vec<String> {
    let cast = Cast::plan(from, to, rules).expect("a possible cast");
    let casted = cast.run(values).expect("the planned type");
    assert_eq!(casted.array.data_type(), &to.arrow());
    assert_eq!(casted.array.len(), values.len());
    (0..values.len())
        .map(|row| {
            if let Some(fault) = casted.faults.iter().find(|fault| fault.row as usize == row) {
                assert!(casted.array.is_null(row), "a refused row is NULL");
                return format!("!{}", fault.reason);
            }
            if casted.array.is_null(row) {
                return "null".to_owned();
            }
            array_value_to_string(&casted.array, row).expect("a value that has a text")
        })
        .collect()
}

fn cast(values: &ArrayRef, to: &str, rules: Rules) -> Vec<String> {
    let from = Field::new("c", values.data_type().clone(), true);
    cast_as(&from, values, &ty(to), rules)
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Casts texts and compares each with what stands beside it.
fn reads(to: &str, rules: Rules, pairs: &[(&str, &str)]) {
    let (given, wanted): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
    let got = cast(&texts(&given), to, rules);
    for ((given, wanted), got) in given.iter().zip(wanted).zip(got) {
        assert_eq!(got, wanted, "{given} as {to}");
    }
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
    Arc::new(
        Decimal128Array::from(values.to_vec())
            .with_precision_and_scale(precision, scale)
            .expect("a decimal type"),
    )
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// UTC microseconds of a timestamp text.
fn at(text: &str) -> i64 {
    civil::read_timestamp(text).expect("a timestamp").0
}

fn instants(values: &[&str]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values.iter().map(|text| at(text))).with_timezone("UTC"))
}

#[test]
fn nulls_stay_nulls() {
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1)]));
    for to in [
        "smallint",
        "bigint",
        "double precision",
        "numeric(5,2)",
        "numeric",
        "text",
        "jsonb",
    ] {
        assert_eq!(cast(&nulls, to, STRICT)[0], "null", "{to}");
    }
    let nothing: ArrayRef = Arc::new(arrow::array::NullArray::new(2));
    for to in ["boolean", "bigint", "uuid", "timestamptz", "text[]", "bytea", "interval"] {
        let from = Field::new("c", DataType::Null, true);
        assert_eq!(cast_as(&from, &nothing, &ty(to), STRICT), ["null", "null"], "{to}");
    }
}

#[test]
fn lists_are_cast_item_by_item() {
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), None]),
        None,
        Some(vec![Some(40_000), Some(50_000)]),
        Some(vec![]),
    ]));
    let from = Field::new("c", lists.data_type().clone(), true);
    assert_eq!(
        cast_as(&from, &lists, &ty("smallint[]"), STRICT),
        ["[1, ]", "null", "!out_of_range", "[]"]
    );
    assert_eq!(cast_as(&from, &lists, &ty("text[]"), STRICT)[2], "[40000, 50000]");
}

#[test]
fn only_items_of_a_row_can_refuse_it() {
    // Items before and after a slice, and items below a NULL, belong to no row.
    let items = Int32Array::from(vec![70_000, 1, 70_001, 2, 70_002]);
    let field = Arc::new(Field::new_list_field(DataType::Int32, true));
    let offsets = arrow::buffer::OffsetBuffer::new(vec![0, 1, 2, 3, 4, 5].into());
    let nulls = arrow::buffer::NullBuffer::from(vec![true, true, false, true, true]);
    let lists: ArrayRef = Arc::new(ListArray::new(field, offsets, Arc::new(items), Some(nulls)));
    let from = Field::new("c", lists.data_type().clone(), true);
    let all = ["!out_of_range", "[1]", "null", "[2]", "!out_of_range"];
    assert_eq!(cast_as(&from, &lists, &ty("smallint[]"), STRICT), all);
    assert_eq!(cast_as(&from, &lists.slice(1, 3), &ty("smallint[]"), STRICT), all[1..4]);
    assert_eq!(cast_as(&from, &lists.slice(2, 0), &ty("smallint[]"), STRICT), [""; 0]);
    let large = arrow::compute::cast(
        &lists,
        &DataType::LargeList(Arc::new(Field::new_list_field(DataType::Int32, true))),
    );
    let large = large.expect("a wider list");
    let from = Field::new("c", large.data_type().clone(), true);
    assert_eq!(cast_as(&from, &large, &ty("smallint[]"), STRICT), all);
}

#[test]
fn impossible_casts_are_told_before_any_row() {
    let refused = [
        ("uuid", "integer"),
        ("timestamp", "boolean"),
        ("boolean", "integer"),
        ("integer", "boolean"),
        ("integer", "timestamp"),
        ("bytea", "text"),
        ("text", "bytea"),
        ("uuid", "jsonb"),
        ("timestamp", "time"),
        ("text", "text[]"),
        ("json", "integer"),
    ];
    for (from, to) in refused {
        assert!(!possible(&ty(from), &ty(to), false), "{from} to {to}");
        let error = Cast::plan(&ty(from).field("c", true), &ty(to), STRICT).expect_err("not possible");
        assert!(error.contains("cannot be cast"), "{error}");
    }
    assert!(possible(&ty("boolean"), &ty("integer"), true), "written out");
    let bools: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
    assert_eq!(
        cast(
            &bools,
            "bigint",
            Rules {
                explicit: true,
                ..STRICT
            }
        ),
        ["1", "null"]
    );
    assert_eq!(
        cast(
            &ints(&[0, 1, 2]),
            "boolean",
            Rules {
                explicit: true,
                ..STRICT
            }
        ),
        ["false", "true", "!out_of_range"]
    );
}

#[test]
fn details_never_quote_the_value() {
    let cast = Cast::plan(&Field::new("c", DataType::Utf8, true), &ty("numeric(5,2)"), STRICT).expect("possible");
    let casted = cast.run(&texts(&["secret", "1200"])).expect("text");
    assert_eq!(casted.faults[0].detail, "the text value is not a valid numeric(5,2)");
    assert_eq!(casted.faults[1].detail, "does not fit numeric(5,2)");
}
