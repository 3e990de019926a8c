//! The types that tables are made of, each with values that are near its ends or of odd form, as
//! SQL expressions.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

type Values = BoxedStrategy<String>;

/// A type on both sides, and its values.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) values: Values,
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One of these texts, as literals of the type.
fn of(ty: &str, texts: &[&str]) -> Values {
    let ty = ty.to_owned();
    let texts: Vec<String> = texts.iter().map(|text| format!("{}::{ty}", literal(text))).collect();
    prop::sample::select(texts).boxed()
}

fn written<T: std::fmt::Debug + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
    write: impl Fn(T) -> String + 'static,
) -> Values {
    strategy.prop_map(write).boxed()
}

fn text() -> Values {
    written("[ -~äß€𝄞\\n\\t]{0,12}", |text| literal(&text))
}

fn numeric() -> Values {
    let digits = written(("-?", "[0-9]{1,30}", "[0-9]{0,30}"), |(sign, whole, fraction)| {
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}::numeric", literal(&format!("{sign}{whole}{point}{fraction}")))
    });
    prop_oneof![
        6 => digits,
        2 => of("numeric", &["NaN", "Infinity", "-Infinity", "0", "0.00", "1e-16383", "-1e1000", "9999.9999", "1000000000000", "0.0001"]),
    ]
    .boxed()
}

fn pattern(pattern: &str) -> impl Strategy<Value = String> + use<> {
    proptest::string::string_regex(pattern).expect("a pattern")
}

/// Numbers that have at most so many digits before and after the point.
fn decimal(whole: usize, fraction: usize) -> Values {
    let digits = written(
        (
            any::<bool>(),
            pattern(&format!("[0-9]{{1,{whole}}}")),
            pattern(&format!("[0-9]{{0,{fraction}}}")),
        ),
        |(negative, whole, fraction)| format!("'{}{whole}.{fraction}'::numeric", if negative { "-" } else { "" }),
    );
    prop_oneof![8 => digits, 1 => of("numeric", &["NaN", "0"])].boxed()
}

fn date() -> Values {
    let day = written(-2_451_545..2_145_031_949_i32, |days| format!("(date '2000-01-01' + {days})"));
    let near = written(-20_000..20_000_i32, |days| format!("(date '2000-01-01' + {days})"));
    prop_oneof![2 => day, 3 => near, 1 => of("date", &["infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "0001-01-01"])]
        .boxed()
}

fn timestamp(ty: &str) -> Values {
    let ty = ty.to_owned();
    let micros = prop_oneof![
        -211_810_000_000_000_000..9_223_371_000_000_000_000_i64,
        -900_000_000_000_000..900_000_000_000_000_i64
    ];
    let name = ty.clone();
    // Whole days first: an interval of so many microseconds would lose some.
    let any = written(micros, move |micros| {
        let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
        format!("(timestamp '2000-01-01' + {days} * interval '1 day' + {rest} * interval '1 microsecond')::{name}")
    });
    let ends = [
        "infinity",
        "-infinity",
        "4714-11-24 00:00:00 BC",
        "294276-12-31 23:59:59",
        "294247-01-10 04:00:54.775807",
        "1970-01-01 00:00:00",
    ];
    prop_oneof![4 => any, 1 => of(&format!("timestamp::{ty}"), &ends)].boxed()
}

fn interval() -> Values {
    let parts = (any::<i32>(), any::<i32>(), any::<i64>());
    let any = written(parts, |(months, days, micros)| {
        // `make_interval` takes seconds as a float.
        let micros = micros / 2;
        format!("({months} * interval '1 month' + {days} * interval '1 day' + interval '{micros} microseconds')")
    });
    prop_oneof![3 => any, 1 => of("interval", &["0", "1 year -1 mon +1 day -00:00:00.000001", "-178000000 years", "2562047788 hours"])].boxed()
}

fn jsons(ty: &str) -> Values {
    let texts = [
        "null",
        "{}",
        "[]",
        "\"\"",
        "1.50",
        "1e400",
        "{\"b\": 1, \"a\": [null, {\"x\": \"\\u00e9\"}]}",
        " {\"a\":1,  \"a\":2} ",
        "\"it's\"",
        "12345678901234567890.123",
    ];
    of(ty, &texts)
}

fn mood() -> Values {
    of("\"Mood of \"\"day\"\"\"", &["happy", "sad", "odd 'one'"])
}

fn price() -> Values {
    decimal(8, 4)
}

/// Arrays of one dimension with NULLs, of two, empty ones, and with other lower bounds.
fn array(element: &str, values: &Values) -> Values {
    let item = prop_oneof![1 => Just("null".to_owned()), 4 => values.clone()];
    let list = prop::collection::vec(item.clone(), 0..5);
    let (plain, square, shifted) = (element.to_owned(), element.to_owned(), element.to_owned());
    prop_oneof![
        4 => written(list, move |items| format!("array[{}]::{plain}[]", items.join(", "))),
        1 => written((item.clone(), item.clone(), item.clone(), item.clone()), move |(a, b, c, d)| {
            format!("array[array[{a}, {b}], array[{c}, {d}]]::{square}[]")
        }),
        1 => written((values.clone(), -9..9, 1..4), move |(value, bound, length)| {
            format!("array_fill({value}::{shifted}, array[{length}], array[{bound}])")
        }),
    ]
    .boxed()
}

fn pair() -> Values {
    let field = |values: Values| prop_oneof![1 => Just("null".to_owned()), 4 => values];
    let parts = (
        field(mood()),
        field(price()),
        field(timestamp("timestamptz")),
        field(array("tag", &short())),
    );
    written(parts, |(mood, amount, at, tags)| {
        format!("row({mood}, {amount}, {at}, {tags})::\"Pair\"")
    })
}

fn short() -> Values {
    written("[a-zä ,\\\\\"{}]{0,8}", |text| literal(&text))
}

fn range(ty: &str, bound: &str, values: &Values) -> Values {
    let ty = ty.to_owned();
    let bounds = prop::sample::select(vec!["[]", "[)", "(]", "()"]);
    let (null, name) = (format!("null::{bound}"), ty.clone());
    let value = prop_oneof![1 => Just(null), 4 => values.clone()];
    // The lesser bound comes first; without one there is no end.
    let some = written((value.clone(), value, bounds), move |(a, b, bounds)| {
        format!(
            "(select case when a > b then {name}(b, a, '{bounds}') else {name}(a, b, '{bounds}') end from (select {a}, {b}) as given(a, b))"
        )
    });
    prop_oneof![6 => some, 1 => Just(format!("'empty'::{ty}"))].boxed()
}

fn integer() -> Values {
    written(-1000..1000_i32, |value| format!("{value}::int"))
}

/// All of them.
pub(super) fn kinds() -> Vec<Kind> {
    let mut all = Vec::new();
    let mut add = |source: &str, target: &str, values: Values| {
        all.push(Kind {
            source: source.to_owned(),
            target: target.to_owned(),
            values,
        });
    };
    numbers(&mut add);
    texts(&mut add);
    times(&mut add);
    built_in(&mut add);
    made(&mut add);
    all
}

fn numbers(add: &mut impl FnMut(&str, &str, Values)) {
    let int = || written(any::<i16>(), |value| format!("'{value}'"));
    add("boolean", "boolean", of("bool", &["t", "f"]));
    add("smallint", "smallint", int());
    add("smallint", "bigint", int());
    add("integer", "integer", written(any::<i32>(), |value| format!("'{value}'")));
    add("bigint", "bigint", written(any::<i64>(), |value| format!("'{value}'")));
    let float = || {
        of(
            "float8",
            &[
                "0",
                "-0",
                "NaN",
                "Infinity",
                "-Infinity",
                "0.1",
                "1e-300",
                "-1.7976931348623157e308",
                "5e-324",
            ],
        )
    };
    add("double precision", "double precision", float());
    add(
        "real",
        "real",
        of("float4", &["0", "-0", "NaN", "Infinity", "0.1", "3.4028235e38", "1e-45"]),
    );
    add("numeric", "numeric", numeric());
    add("numeric(9,3)", "numeric(9,3)", decimal(6, 3));
    add("numeric(9,3)", "numeric(12,4)", decimal(6, 3));
    add("numeric(60,20)", "numeric", decimal(40, 20));
    add("numeric(3,-2)", "numeric(3,-2)", decimal(4, 0));
    add(
        "numeric(3,5)",
        "numeric(3,5)",
        of("numeric", &["0.00123", "-0.00999", "0", "NaN"]),
    );
    add("money", "money", of("money", &["0", "-12.34", "92233720368547758.07"]));
}

fn texts(add: &mut impl FnMut(&str, &str, Values)) {
    add("text", "text", text());
    add("varchar(12)", "varchar(40)", text());
    add("char(14)", "char(14)", text());
    add("citext", "citext", text());
    add("name", "name", short());
    add("\"char\"", "\"char\"", of("\"char\"", &["a", "", "\\377"]));
    add(
        "xml",
        "xml",
        of(
            "xml",
            &["<a>1</a>", "just text", "<?xml version=\"1.0\" standalone=\"yes\"?><b/>"],
        ),
    );
    add("json", "json", jsons("json"));
    add("jsonb", "jsonb", jsons("jsonb"));
    add("jsonpath", "jsonpath", of("jsonpath", &["$.a[*] ? (@ > 1)"]));
    add(
        "bytea",
        "bytea",
        written(prop::collection::vec(any::<u8>(), 0..20), |bytes| {
            format!("'\\x{}'", hex::encode(bytes))
        }),
    );
    add("tsvector", "tsvector", of("tsvector", &["a:1A b:2,3 'it''s'", ""]));
    add("tsquery", "tsquery", of("tsquery", &["a & !b | c:*"]));
    add("hstore", "hstore", of("hstore", &["a=>1, \"b c\"=>NULL", ""]));
    add("ltree", "ltree", of("ltree", &["a.b_c.d", ""]));
    add("cube", "cube", of("cube", &["(1,2),(3,4)", "(0)"]));
    add("uuid", "uuid", written(any::<u128>(), |value| format!("'{value:032x}'")));
}

fn times(add: &mut impl FnMut(&str, &str, Values)) {
    add("date", "date", date());
    add(
        "time",
        "time",
        of("time", &["00:00", "24:00:00", "23:59:59.999999", "12:34:56.5"]),
    );
    add("time(3)", "time", of("time", &["00:00", "24:00:00", "12:34:56.567"]));
    add(
        "timetz",
        "timetz",
        of("timetz", &["00:00+15:59", "24:00:00-15", "12:34:56.789012+00:00:07"]),
    );
    add(
        "time(2) with time zone",
        "time(3) with time zone",
        of("timetz", &["12:34:56.78+02"]),
    );
    add("timestamp", "timestamp", timestamp("timestamp"));
    add("timestamp(3)", "timestamp", timestamp("timestamp"));
    add("timestamptz", "timestamptz", timestamp("timestamptz"));
    add("timestamptz(0)", "timestamptz(2)", timestamp("timestamptz"));
    add("interval", "interval", interval());
    add("interval(2)", "interval(2)", of("interval", &["1.25 seconds", "-3 days"]));
    add(
        "interval year to month",
        "interval",
        of("interval", &["14 months", "-1 year"]),
    );
}

fn built_in(add: &mut impl FnMut(&str, &str, Values)) {
    add("inet", "inet", of("inet", &["10.0.0.1/8", "::1", "fe80::1/64", "0.0.0.0/0"]));
    add("cidr", "cidr", of("cidr", &["10.0.0.0/8", "2001:db8::/32"]));
    add("macaddr", "macaddr", of("macaddr", &["08:00:2b:01:02:03"]));
    add("macaddr8", "macaddr8", of("macaddr8", &["08:00:2b:01:02:03:04:05"]));
    add("bit(5)", "bit(5)", of("bit(5)", &["10101", "00000"]));
    add("bit varying(9)", "bit varying(12)", of("varbit", &["", "1", "101010101"]));
    add("point", "point", of("point", &["(1.5,-0)", "(NaN,Infinity)"]));
    add("box", "box", of("box", &["(1,2),(0.1,0.2)"]));
    add("path", "path", of("path", &["[(1,2),(3,4)]", "((1,2),(3,4))"]));
    add("circle", "circle", of("circle", &["<(1,2),3>"]));
    add("pg_lsn", "pg_lsn", of("pg_lsn", &["16/B374D848"]));
    add("int4range", "int4range", range("int4range", "int", &integer()));
    add("numrange", "numrange", range("numrange", "numeric", &decimal(5, 3)));
    add(
        "tstzrange",
        "tstzrange",
        range("tstzrange", "timestamptz", &timestamp("timestamptz")),
    );
    add(
        "int4multirange",
        "int4multirange",
        of("int4multirange", &["{}", "{[1,3),[5,)}"]),
    );
    add("int2vector", "int2vector", of("int2vector", &["1 2 3"]));
    add("integer[]", "integer[]", array("integer", &integer()));
    add("text[]", "text[]", array("text", &short()));
    add("varchar(8)[]", "varchar(9)[]", array("varchar(8)", &short()));
    add("char(8)[]", "char(8)[]", array("char(8)", &short()));
    add("numeric(9,2)[]", "numeric(9,2)[]", array("numeric(9,2)", &decimal(7, 2)));
    add("numeric[]", "numeric[]", array("numeric", &numeric()));
    add(
        "timestamptz[]",
        "timestamptz[]",
        array("timestamptz", &timestamp("timestamptz")),
    );
    add("jsonb[]", "jsonb[]", array("jsonb", &jsons("jsonb")));
    add("inet[]", "inet[]", array("inet", &of("inet", &["10.0.0.1/8", "::1"])));
    add("bit(3)[]", "bit(3)[]", array("bit(3)", &of("bit(3)", &["101", "000"])));
}

fn made(add: &mut impl FnMut(&str, &str, Values)) {
    let mood_name = "\"Mood of \"\"day\"\"\"";
    add(mood_name, mood_name, mood());
    add(
        &format!("{mood_name}[]"),
        &format!("{mood_name}[]"),
        array(mood_name, &mood()),
    );
    add("moods", "moods", array(mood_name, &mood()));
    add(&format!("{mood_name}[]"), "moods", array(mood_name, &mood()));
    add("price", "price", price());
    add("price", "numeric(12,4)", price());
    add("price[]", "price[]", array("price", &price()));
    add("tag[]", "varchar(12)[]", array("tag", &short()));
    add("varchar(12)[]", "tag[]", array("varchar(12)", &short()));
    add("\"Pair\"", "\"Pair\"", pair());
    add("\"Pair\"[]", "\"Pair\"[]", array("\"Pair\"", &pair()));
    add("\"Pair\"[]", "pairs", array("\"Pair\"", &pair()));
    let nested = written((pair(), array("\"Pair\"", &pair()), text()), |(pair, pairs, note)| {
        format!("row({pair}, {pairs}, {note})::nested")
    });
    add("nested", "nested", nested.clone());
    add("nested[]", "nested[]", array("nested", &nested));
    let float = written(-1000..1000_i32, |value| format!("'{value}.5'::float8"));
    add(
        "\"Float Range\"",
        "\"Float Range\"",
        range("\"Float Range\"", "float8", &float),
    );
    add(
        "\"Float Range\"[]",
        "\"Float Range\"[]",
        array("\"Float Range\"", &range("\"Float Range\"", "float8", &float)),
    );
}
