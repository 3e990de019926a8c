use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array, StringArray};
use proptest::prelude::*;

use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::position::{KeyBuffer, KeyRef};
use crate::mapping::Stream;
use crate::transform::sample::{batch, shown, stream, table, text, texts, told};
use crate::transform::{Transform, compile};

/// `number` and `word` in, `id`, `word` and `number` out.
fn compiled(columns: &[(&str, &str)], change: impl FnOnce(&mut Stream)) -> Transform {
    let source = table("source", &["number bigint", "word text", "flag boolean"], &["number"]);
    let target = table(
        "target",
        &[
            "id bigint not null",
            "word varchar(5)",
            "number smallint",
            "must text not null",
        ],
        &["id"],
    );
    let mut stream = stream(&["id"], columns);
    change(&mut stream);
    compile(&stream, &source, &[], &target).unwrap_or_else(|found| panic!("{:?}", found.iter().map(told).collect::<Vec<_>>()))
}

fn rows(transform: &Transform, numbers: &[Option<i64>], words: &[Option<&str>]) -> SourceBatch {
    let columns = transform
        .read_columns()
        .iter()
        .map(|column| match column.name.as_str() {
            "number" => Arc::new(Int64Array::from(numbers.to_vec())) as _,
            "word" => Arc::new(StringArray::from(words.to_vec())) as _,
            _ => Arc::new(BooleanArray::from(vec![Some(true); numbers.len()])) as _,
        })
        .collect();
    batch(transform.read_columns(), columns, numbers.len())
}

fn numbers(transform: &Transform, numbers: &[i64]) -> SourceBatch {
    let some: Vec<_> = numbers.iter().copied().map(Some).collect();
    rows(transform, &some, &vec![Some("w"); numbers.len()])
}

/// `source row: column reason: detail`, in the order of the rejects.
fn rejects(target: &TargetBatch) -> Vec<String> {
    let rejects = target.rejects.iter();
    rejects
        .map(|reject| {
            let column = reject.column.as_deref().unwrap_or("-");
            format!("{}: {column} {}: {}", reject.key, reject.reason, reject.detail)
        })
        .collect()
}

#[test]
fn what_is_not_touched_is_the_same_array() {
    let transform = compiled(&[("id", "number"), ("must", "word")], |stream| {
        stream.rules = texts(&[("positive", "number > 0")]);
    });
    let source = numbers(&transform, &[1, 2, 3]);
    let target = transform.apply(&source).expect("a batch");
    let data = |batch: &arrow::record_batch::RecordBatch, column: usize| batch.column(column).to_data().buffers()[0].as_ptr();
    assert_eq!(data(&target.rows, 0), data(&source.rows, 0), "no copy of the numbers");
    assert_eq!(data(&target.rows, 1), data(&source.rows, 1), "no copy of the words");
    assert_eq!(target.origin, [0, 1, 2]);
    assert!(!target.rows.schema().field(0).is_nullable());
}

#[test]
fn rows_that_where_leaves_out_are_counted_and_harm_nobody() {
    let transform = compiled(&[("id", "100 / number"), ("must", "word")], |stream| {
        stream.filter = Some(text("number <> 0 and word <> 'x'"));
    });
    let some = Some("w");
    let source = rows(
        &transform,
        &[Some(0), Some(1), Some(50), None, Some(2)],
        &[some, Some("x"), some, some, None],
    );
    let target = transform.apply(&source).expect("a batch");
    assert_eq!(shown(target.rows.column(0)), ["2"]);
    assert_eq!((target.origin.as_slice(), target.filtered), (&[2][..], 4));
    assert!(target.rejects.is_empty(), "NULL is not true: left out as well");
}

#[test]
fn a_condition_that_fails_makes_a_reject() {
    let transform = compiled(&[("id", "number"), ("must", "word")], |stream| {
        stream.filter = Some(text("10 / number > 1"));
    });
    let target = transform.apply(&numbers(&transform, &[0, 1, 20, 0, 5])).expect("a batch");
    assert_eq!(target.origin, [1, 4]);
    assert_eq!(target.filtered, 1);
    assert_eq!(
        rejects(&target),
        [
            "0: - expression: `where`: division by zero",
            "3: - expression: `where`: division by zero"
        ]
    );
}

#[test]
fn a_broken_rule_is_named_and_null_breaks_none() {
    let transform = compiled(&[("id", "number"), ("must", "coalesce(word, '?')")], |stream| {
        stream.rules = texts(&[("positive", "number > 0"), ("short", "length(word) < 3")]);
    });
    let source = rows(
        &transform,
        &[Some(1), Some(-1), Some(2), Some(-3)],
        &[Some("abc"), Some("a"), None, Some("abc")],
    );
    let target = transform.apply(&source).expect("a batch");
    assert_eq!(target.origin, [2]);
    assert_eq!(
        rejects(&target),
        [
            "1: positive rule: rule `positive` is broken",
            "3: positive rule: rule `positive` is broken",
            "0: short rule: rule `short` is broken",
        ],
        "the first rule that a row breaks"
    );
}

#[test]
fn the_first_thing_wrong_with_a_row_is_told() {
    let transform = compiled(
        &[
            ("word", "word"),
            ("number", "number + 1"),
            ("id", "100 / number"),
            ("must", "word"),
        ],
        |_| {},
    );
    let source = rows(
        &transform,
        &[Some(0), Some(i64::MAX), Some(40_000), Some(1), None, Some(1)],
        &[Some("too long"), Some("b"), Some("c"), None, Some("e"), Some("f")],
    );
    let target = transform.apply(&source).expect("a batch");
    assert_eq!(
        rejects(&target),
        [
            "0: word too_long: longer than varchar(5) allows",
            "1: number expression: a number beyond the range of its type",
            "2: number out_of_range: does not fit smallint",
            "3: must null_value: NULL, which the column refuses",
            "4: id null_value: NULL, which the column refuses",
        ]
    );
    assert_eq!(target.origin, [5]);
    assert!(target.rejects[0].row.contains("too long"), "the whole row is kept");
}

#[test]
fn bad_rows_are_found_wherever_they_stand() {
    let transform = compiled(&[("id", "number + 9223372036854775800"), ("must", "word")], |_| {});
    for bad in [
        vec![0],
        vec![99],
        vec![50],
        vec![0, 99],
        vec![10, 11, 12, 57],
        (0..100).collect::<Vec<usize>>(),
    ] {
        let values: Vec<i64> = (0..100).map(|row| if bad.contains(&row) { 100 } else { -1 }).collect();
        let target = transform.apply(&numbers(&transform, &values)).expect("a batch");
        let found: Vec<usize> = target
            .rejects
            .iter()
            .map(|reject| reject.key.to_string().parse().expect("a number"))
            .collect();
        assert_eq!(found, bad);
        assert_eq!(target.rows.num_rows() + bad.len(), 100);
        assert!(target.origin.iter().all(|row| !bad.contains(&(*row as usize))));
    }
}

#[test]
fn values_never_reach_the_detail() {
    let transform = compiled(&[("id", "to_timestamp(word)::text::bigint"), ("must", "word")], |_| {});
    let target = transform
        .apply(&rows(&transform, &[Some(1)], &[Some("CANARY")]))
        .expect("a batch");
    let [reject] = target.rejects.as_slice() else {
        panic!("one reject");
    };
    assert!(!reject.detail.contains("CANARY"), "{}", reject.detail);
    assert!(reject.row.contains("CANARY"), "it is in the stored row alone");
}

#[test]
fn nothing_in_nothing_out() {
    let transform = compiled(&[("id", "1 + number"), ("must", "'x'")], |stream| {
        stream.filter = Some(text("number > 0"));
        stream.rules = texts(&[("r", "number < 9")]);
    });
    for values in [&[][..], &[-1, -2]] {
        let target = transform.apply(&numbers(&transform, values)).expect("a batch");
        assert_eq!((target.rows.num_rows(), target.filtered), (0, values.len() as u64));
    }
    let constant = compiled(&[("id", "1"), ("must", "'x'")], |_| {});
    let target = constant.apply(&numbers(&constant, &[4, 5])).expect("a batch");
    assert_eq!(shown(target.rows.column(1)), ["x", "x"]);
}

#[test]
fn a_source_that_hands_over_other_types_is_a_defect() {
    let transform = compiled(&[("id", "number"), ("must", "'x'")], |_| {});
    let other = compiled(&[("word", "word"), ("id", "1"), ("must", "'x'")], |_| {});
    transform.apply(&numbers(&other, &[1])).expect_err("not what was asked for");
}

#[test]
fn a_key_of_another_class_is_a_reject() {
    let source = table("source", &["id text flexible"], &["id"]);
    let target = table("target", &["id text not null"], &["id"]);
    let stream = stream(&["id"], &[("id", "id")]);
    let transform = compile(&stream, &source, &["id".to_owned()], &target).expect("a transform");
    assert!(transform.keys_distinct());
    let mut rows = batch(transform.read_columns(), vec![Arc::new(StringArray::from(vec!["1", "1"]))], 2);
    let mut keys = KeyBuffer::with_capacity(2);
    for key in [KeyRef::Int(1), KeyRef::Text("1")] {
        keys.push(key);
        keys.end_row();
    }
    rows.keys = Arc::new(keys);
    let target = transform.apply(&rows).expect("a batch");
    assert_eq!(target.origin, [1]);
    assert_eq!(target.rejects.len(), 1);
}

proptest! {
    /// Whatever is wrong with whichever rows: the good ones arrive, in order, and each bad one
    /// is a reject with its own key.
    #[test]
    fn exactly_the_good_rows_arrive(values in prop::collection::vec(prop_oneof![
        5 => (1_i64..1000).prop_map(Some),
        1 => Just(Some(0)),
        1 => Just(Some(i64::MAX)),
        1 => Just(Some(-5)),
        1 => Just(Some(70_000)),
        1 => Just(None),
    ], 0..200)) {
        let transform = compiled(
            &[("id", "1000 / number"), ("number", "number + 1"), ("must", "word")],
            |stream| {
                stream.filter = Some(text("number is distinct from 7"));
                stream.rules = texts(&[("not_negative", "number >= 0")]);
            },
        );
        let words = vec![Some("w"); values.len()];
        let target = transform.apply(&rows(&transform, &values, &words)).expect("a batch");
        let is_good = |value: Option<i64>| matches!(value, Some(1..=999) if value != Some(7));
        let good: Vec<usize> = (0..values.len()).filter(|row| is_good(values[*row])).collect();
        let arrived: Vec<usize> = target.origin.iter().map(|row| *row as usize).collect();
        prop_assert_eq!(&arrived, &good);
        let expected: Vec<String> = good.iter().map(|row| (values[*row].expect("good") + 1).to_string()).collect();
        prop_assert_eq!(shown(target.rows.column(1)), expected);
        let mut bad: Vec<usize> = target.rejects.iter().map(|reject| reject.key.to_string().parse().expect("a number")).collect();
        bad.sort_unstable();
        let all_bad: Vec<usize> = (0..values.len()).filter(|row| !is_good(values[*row]) && values[*row] != Some(7)).collect();
        prop_assert_eq!(bad, all_bad);
        let counted = target.rejects.len() + target.rows.num_rows();
        prop_assert_eq!(target.filtered + counted as u64, values.len() as u64);
    }
}
