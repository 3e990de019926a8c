//! Expressions with mistakes, and what is said of them.

pub(super) const MISTAKES: &[(&str, &str)] = &[
    (
        "nam",
        r#"mapping::unknown_column: "nam": the source users has no column `nam` (did you mean `name`?)"#,
    ),
    (
        "lower(emial)",
        r#"mapping::unknown_column: "emial": the source users has no column `emial` (there are `id`, `small`, `name`, `Mixed`, `xp`, `rating`, `verified`, `created`, `born`, `settings`, `exact` and `user`)"#,
    ),
    (
        "id +",
        r#"mapping::syntax: "+": expected an expression, found the end (no help)"#,
    ),
    (
        "id id",
        r#"mapping::syntax: "id": expected the end of the expression, found id (no help)"#,
    ),
    (
        "lower(name",
        r#"mapping::syntax: "name": expected ), found the end (no help)"#,
    ),
    ("'abc", r#"mapping::syntax: "'abc": unterminated string literal (no help)"#),
    ("", r#"mapping::syntax: "": expected an expression, found the end (no help)"#),
    (
        "lowr(name)",
        r#"mapping::unknown_function: "lowr": there is no function `lowr` (did you mean `lower`?)"#,
    ),
    (
        "1 + now()",
        r#"mapping::volatile_function: "now": `now` gives another value each time (the same row must always give the same row, or neither resume nor verify mean anything)"#,
    ),
    (
        "random()",
        r#"mapping::volatile_function: "random": `random` gives another value each time (the same row must always give the same row, or neither resume nor verify mean anything)"#,
    ),
    (
        "current_date",
        r#"mapping::volatile_function: "current_date": `current_date` gives another value each time (the same row must always give the same row, or neither resume nor verify mean anything)"#,
    ),
    (
        "concat(uuid(), 'x')",
        r#"mapping::volatile_function: "uuid": `uuid` gives another value each time (the same row must always give the same row, or neither resume nor verify mean anything)"#,
    ),
    (
        "sum(id) + 1",
        r#"mapping::over_rows: "sum": `sum` works over many rows (aggregates and joins belong into a query that the source runs: [stream.query])"#,
    ),
    (
        "row_number() over ()",
        r#"mapping::over_rows: "row_number": `row_number` works over many rows (aggregates and joins belong into a query that the source runs: [stream.query])"#,
    ),
    (
        "upper(name) over ()",
        r#"mapping::not_supported: "upper": `upper` takes plain arguments only (no help)"#,
    ),
    (
        "count(*)",
        r#"mapping::over_rows: "count": `count` works over many rows (aggregates and joins belong into a query that the source runs: [stream.query])"#,
    ),
    ("*", r#"mapping::syntax: "*": expected an expression, found * (no help)"#),
    (
        "id = (select 1)",
        r#"mapping::subquery: "select 1": an expression sees one row, not other tables (joins and aggregates belong into a query that the source runs: [stream.query])"#,
    ),
    (
        "id in (select 1)",
        r#"mapping::subquery: "id in (select 1)": an expression sees one row, not other tables (joins and aggregates belong into a query that the source runs: [stream.query])"#,
    ),
    (
        "exists (select 1)",
        r#"mapping::subquery: "select 1": an expression sees one row, not other tables (joins and aggregates belong into a query that the source runs: [stream.query])"#,
    ),
    (
        "id = $1",
        r#"mapping::parameter: "$1": there are no parameters in a mapping (write the value itself; `$key` stands in subjects alone)"#,
    ),
    (
        "id = $key",
        r#"mapping::parameter: "$key": there are no parameters in a mapping (write the value itself; `$key` stands in subjects alone)"#,
    ),
    (
        "users.id",
        r#"mapping::unknown_column: "users.id": columns have no parts, and stand without the name of their table (a column with a dot in its name is "quoted"; for a member of a document see docs/mapping.md, section "Functions")"#,
    ),
    (
        "settings['a']",
        r#"mapping::unknown_column: "settings['a']": columns have no parts, and stand without the name of their table (a column with a dot in its name is "quoted"; for a member of a document see docs/mapping.md, section "Functions")"#,
    ),
    (
        "array[1, 2]",
        r#"mapping::not_supported: "1, 2": this kind of SQL is not supported in a mapping (see docs/mapping.md, section "Expressions")"#,
    ),
    (
        "created at time zone 'UTC'",
        r#"mapping::not_supported: "created at time zone 'UTC'": `at time zone` is not supported (instants become wall clocks in UTC; write x::timestamp or x::timestamptz)"#,
    ),
    (
        "name similar to 'a%'",
        r#"mapping::not_supported: "name similar to 'a%'": `similar to` is not supported (write `like`, or a regular expression: regexp_like(x, '^a'))"#,
    ),
    (
        "name::colour",
        r#"mapping::unknown_type: "colour": `colour` is not a type (types are written as in PostgreSQL: bigint, double precision, numeric(7,2), text, timestamptz, uuid, jsonb, …)"#,
    ),
    (
        "cast((name) as colour)",
        r#"mapping::unknown_type: "colour": `colour` is not a type (types are written as in PostgreSQL: bigint, double precision, numeric(7,2), text, timestamptz, uuid, jsonb, …)"#,
    ),
    (
        "1 + created::int",
        r#"mapping::impossible_cast: "created": timestamptz cannot be cast to integer (no help)"#,
    ),
    (
        "coalesce(1, lower(name + 1))",
        r#"mapping::wrong_operands: "name + 1": `+` does not work between text and bigint (cast one of them, as in id::text)"#,
    ),
    (
        "verified + 1",
        r#"mapping::wrong_operands: "verified + 1": `+` does not work between boolean and bigint (a boolean is a condition by itself: verified, not verified)"#,
    ),
    (
        "lower(verified and name)",
        r#"mapping::wrong_operands: "verified and name": `and` does not work between boolean and text (a boolean is a condition by itself: verified, not verified)"#,
    ),
    (
        "not name",
        r#"mapping::wrong_operands: "name": `not` does not work on text (no help)"#,
    ),
    (
        "id in ('x')",
        r#"mapping::fails_always: "id in ('x')": a constant in this is no value of the type that it is needed as (a constant that overflows, divides by zero, or is no literal of the type it is cast to)"#,
    ),
    (
        "'abc'::int + id",
        r#"mapping::fails_always: "'abc'": this has no value, whatever the row (a constant that overflows, divides by zero, or is no literal of the type it is cast to)"#,
    ),
    (
        "id + 1 / 0",
        r#"mapping::fails_always: "1 / 0": this has no value, whatever the row (a constant that overflows, divides by zero, or is no literal of the type it is cast to)"#,
    ),
    (
        "9223372036854775807 + 1",
        r#"mapping::fails_always: "9223372036854775807 + 1": this has no value, whatever the row (a constant that overflows, divides by zero, or is no literal of the type it is cast to)"#,
    ),
    (
        "exact + 1",
        r#"mapping::bare_column_only: "exact": `exact` is numeric and can only be taken as it is (give it limits: exact::numeric(20,4), or [stream.types] exact = "numeric(20,4)" or "double precision")"#,
    ),
    (
        "arrow_cast(id, 'Int8')",
        r#"mapping::unknown_function: "arrow_cast": there is no function `arrow_cast` (see docs/mapping.md, section "Functions")"#,
    ),
    (
        "substr(1)",
        r#"mapping::wrong_operands: "1": `substr` does not take (bigint, bigint) (cast what you give it, as in lower(id::text); see docs/mapping.md, section "Functions")"#,
    ),
    (
        "\"text\" || name",
        r#"mapping::unknown_column: "\"text\"": the source users has no column `text` (a name stands in "double" quotes, a text in 'single' ones)"#,
    ),
    (
        "day_bucket(created, 0)",
        r#"mapping::wrong_operands: "day_bucket(created, 0)": `day_bucket` does not take this: the number of days is written out, 1 or more (see docs/mapping.md, section "Functions")"#,
    ),
    (
        "day_bucket(created, id)",
        r#"mapping::wrong_operands: "day_bucket(created, id)": `day_bucket` does not take this: the number of days is written out, 1 or more (see docs/mapping.md, section "Functions")"#,
    ),
    (
        "day_bucket(name, 10)",
        r#"mapping::wrong_operands: "day_bucket(name, 10)": `day_bucket` does not take (text, bigint) (cast what you give it, as in lower(id::text); see docs/mapping.md, section "Functions")"#,
    ),
    (
        "settings -> 'a'",
        r#"mapping::wrong_operands: "settings -> 'a'": members of documents are taken by functions (json_get(settings, 'mode') gives the member as json, json_get_text its text)"#,
    ),
    (
        "nope(alsonope)",
        r#"mapping::unknown_function: "nope": there is no function `nope` (see docs/mapping.md, section "Functions"); mapping::unknown_column: "alsonope": the source users has no column `alsonope` (there are `id`, `small`, `name`, `Mixed`, `xp`, `rating`, `verified`, `created`, `born`, `settings`, `exact` and `user`)"#,
    ),
    (
        "xp > 1.5e400",
        r#"mapping::number: "1.5e400": this number has more digits than any type (no help)"#,
    ),
    (
        "verified = 1",
        r#"mapping::wrong_operands: "verified = 1": `=` does not work between boolean and bigint (a boolean is a condition by itself: verified, not verified)"#,
    ),
    (
        "lower(id)",
        r#"mapping::wrong_operands: "lower(id)": `lower` does not take (bigint) (cast what you give it, as in lower(id::text); see docs/mapping.md, section "Functions")"#,
    ),
];
