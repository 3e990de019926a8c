//! Casts, with Postgres as the oracle: what we say is a value, is one for the server, and the
//! same one; what we refuse, it refuses or would change.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field};
use dbferry::data::column::ColumnType;
use dbferry::data::reject::Reason;
use dbferry::transform::cast::{Cast, Rules};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;

use crate::harness::{postgres_url, query};

const STRICT: Rules = Rules {
    lossy: false,
    nul: false,
    explicit: false,
};
const LOSSY: Rules = Rules { lossy: true, ..STRICT };

/// What a cast made of a text: the value as text, or why there is none.
type Ours = Result<String, (Reason, String)>;

/// Casts texts to a type and from there to text.
fn cast(values: &[String], to: &ColumnType, rules: Rules) -> Vec<Ours> {
    let field = Field::new("c", DataType::Utf8, true);
    let given: ArrayRef = Arc::new(StringArray::from_iter_values(values));
    let casted = Cast::plan(&field, to, rules).expect("possible").run(&given).expect("text");
    let back = Cast::plan(&to.field("c", true), &ColumnType::TEXT, STRICT).expect("possible");
    let spelt = back.run(&casted.array).expect("the type").array;
    let spelt = spelt.as_string::<i32>();
    let mut all: Vec<Ours> = (0..spelt.len()).map(|row| Ok(spelt.value(row).to_owned())).collect();
    for fault in casted.faults {
        all[fault.row as usize] = Err((fault.reason, fault.detail));
    }
    all
}

fn ty(text: &str) -> ColumnType {
    ColumnType::parse(text).expect("a type")
}

/// What the server makes of each text; `None` is an error. The function is temporary: it needs
/// no database of its own, and leaves nothing behind.
fn oracle(values: &[String], to: &str) -> Vec<Option<String>> {
    let hex: Vec<String> = values.iter().map(|value| format!("'{}'", hex::encode(value))).collect();
    let rows = query(
        &postgres_url(),
        &format!(
            "set timezone = 'UTC'; set intervalstyle = 'iso_8601';
             create function pg_temp.oracle(given text, wanted text) returns text language plpgsql as $$
             declare answer text;
             begin
               execute format('select ($1::%s)::text', wanted) into answer using given;
               return answer;
             exception when others then
               return null;
             end $$;
             select pg_temp.oracle(convert_from(decode(given, 'hex'), 'utf8'), '{}')
             from unnest(array[{}]::text[]) with ordinality as all_given(given, at) order by at",
            to.replace('\'', "''"),
            hex.join(",")
        ),
    );
    assert_eq!(rows.len(), values.len());
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

/// Texts of a pattern, the same ones in every run.
fn texts(count: usize, pattern: &str) -> Vec<String> {
    some(count, &string_regex(pattern).expect("a pattern"))
}

/// Values of a strategy, the same ones in every run.
fn some<T>(count: usize, strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).expect("a value").current())
        .collect()
}

#[test]
fn documents_are_those_of_the_server() {
    let piece = r#"[\[\]{}:,"ab0-9.eE+\-\\ud\n ]{0,10}"#;
    let number = r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,6})?";
    let string = r#""([ab]|\\u00[46]1|\\u0000|\\ud83d(\\ude00)?|\\udc00|\\n|ä|😀){0,3}""#;
    let value = format!("({number}|{string}|true|false|null|\\[\\]|\\{{\\}})");
    let member = format!("{string} ?: ?{value}");
    let document = format!(
        "{piece}|{value}|\\[{value},{value}\\]|\\{{{member},{member}\\}}|\\[\\{{{member}, {string}:\\{{{member},{member}\\}}\\}}\\]"
    );
    let all = texts(3_000, &document);
    let (json, jsonb) = (oracle(&all, "json"), oracle(&all, "jsonb"));
    let ours_json = cast(&all, &ty("json"), STRICT);
    let ours = cast(&all, &ty("jsonb"), STRICT);
    let mut seen = [0; 3];
    for (at, text) in all.iter().enumerate() {
        assert_eq!(
            ours_json[at].is_ok(),
            json[at].is_some(),
            "{text} as json: {:?}",
            ours_json[at]
        );
        match &ours[at] {
            Ok(_) => {
                seen[0] += 1;
                assert!(jsonb[at].is_some(), "{text}");
            }
            Err((Reason::Json, why)) if why.contains("twice") => {
                seen[1] += 1;
                assert!(jsonb[at].is_some(), "{text}: {why}");
            }
            Err((Reason::Json, why)) => {
                seen[2] += 1;
                assert!(jsonb[at].is_none(), "{text}: {why}");
            }
            Err(other) => panic!("{text}: {other:?}"),
        }
    }
    assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
}

#[test]
fn numbers_are_rounded_as_the_server_rounds() {
    let all = texts(800, r"[+-]?[0-9]{0,7}(\.[0-9]{0,6}(49|50|5|9999)?)?([eE][+-]?[0-9]{1,2})?");
    for to in ["numeric(5,2)", "numeric(12,0)", "numeric(38,10)", "numeric(50,3)", "numeric"] {
        let theirs = oracle(&all, to);
        for ((text, ours), theirs) in all.iter().zip(cast(&all, &ty(to), LOSSY)).zip(theirs) {
            assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{text} as {to}: {ours:?}");
        }
    }
    let negative = ColumnType::Numeric { limits: Some((3, -2)) };
    let theirs = oracle(&all, "numeric(3,-2)");
    for ((text, ours), theirs) in all.iter().zip(cast(&all, &negative, LOSSY)).zip(theirs) {
        assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{text} as numeric(3,-2): {ours:?}");
    }
}

#[test]
fn integers_and_floats_are_those_of_the_server() {
    let all = texts(800, "[+-]?[0-9]{1,20}");
    for to in ["smallint", "integer", "bigint"] {
        let theirs = oracle(&all, to);
        for ((text, ours), theirs) in all.iter().zip(cast(&all, &ty(to), STRICT)).zip(theirs) {
            assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{text} as {to}: {ours:?}");
        }
    }
    let doubles = proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO;
    let singles = proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO;
    let round =
        (0_u32..30, -999_i64..1_000).prop_map(|(power, value)| format!("{value}e{power}").parse::<f64>().expect("a number"));
    for (to, all) in [
        ("double precision", some(800, &doubles.prop_map(|value| value.to_string()))),
        ("double precision", some(500, &round.prop_map(|value| value.to_string()))),
        ("real", some(800, &singles.prop_map(|value| value.to_string()))),
    ] {
        let theirs = oracle(&all, to);
        for ((text, ours), theirs) in all.iter().zip(cast(&all, &ty(to), STRICT)).zip(theirs) {
            // The server writes a digit more where ours is on the edge of what reads back.
            let ours: f64 = ours.expect("a float").parse().expect("a number");
            let theirs: f64 = theirs.expect("a float").parse().expect("a number");
            let same = if to == "real" {
                single(ours) == single(theirs)
            } else {
                ours.to_bits() == theirs.to_bits()
            };
            assert!(same, "{text} as {to}: {ours}, {theirs}");
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "single precision is asked for")]
fn single(value: f64) -> u32 {
    (value as f32).to_bits()
}

#[test]
fn times_are_read_and_rounded_as_the_server_does() {
    let date = "(000[1-9]|1[0-9]{3}|20[0-9]{2}|9999)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
    let time = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,5}|\.[0-9]{1,6}(49|5|50|51|9999))?)?";
    let zone = "(Z| ?[+-](0[0-9]|1[0-5])(:[0-5][0-9]|[0-5][0-9]|:[0-5][0-9]:[0-5][0-9])?)";
    let instants = texts(800, &format!("{date}[ T]{time}({zone})?"));
    for digits in [0, 1, 3, 6] {
        let theirs = oracle(&instants, &format!("timestamptz({digits}) at time zone 'UTC'"));
        let to = ty(&format!("timestamp({digits})"));
        for ((text, ours), theirs) in instants.iter().zip(cast(&instants, &to, LOSSY)).zip(theirs) {
            assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{text} with {digits} digits: {ours:?}");
        }
    }
    let dates = texts(500, &format!("{date}( BC)?"));
    let theirs = oracle(&dates, "date");
    for ((text, ours), theirs) in dates.iter().zip(cast(&dates, &ColumnType::Date, STRICT)).zip(theirs) {
        assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{text}: {ours:?}");
    }
    let times = texts(500, time);
    for digits in [0, 2, 6] {
        let to = format!("time({digits})");
        let theirs = oracle(&times, &to);
        for ((text, ours), theirs) in times.iter().zip(cast(&times, &ty(&to), LOSSY)).zip(theirs) {
            // The end of the day is no time of day for us.
            let theirs = theirs.filter(|theirs| theirs != "24:00:00");
            assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{text} as {to}: {ours:?}");
        }
    }
}

#[test]
fn intervals_are_spelt_as_the_server_spells_them() {
    let part = |unit: &str| format!("(-?[0-9]{{1,4}}{unit})?");
    let text = format!(
        r"P{}{}{}(T{}{}(-?[0-9]{{1,5}}(\.[0-9]{{1,6}})?S))?",
        part("Y"),
        part("M"),
        part("D"),
        part("H"),
        part("M")
    );
    let all = texts(500, &text);
    let theirs = oracle(&all, "interval");
    for ((text, ours), theirs) in all.iter().zip(cast(&all, &ColumnType::Interval, STRICT)).zip(theirs) {
        assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{text}: {ours:?}");
    }
}
