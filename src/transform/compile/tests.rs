use super::*;
use crate::transform::sample::{stream, table, text, texts, told};

const USERS: [&str; 9] = [
    "id text flexible",
    "name text flexible",
    "xp double precision flexible",
    "level bigint flexible",
    "verified boolean flexible",
    "created timestamptz flexible",
    "settings json flexible",
    "token bigint flexible",
    "fixed integer",
];

fn users() -> Table {
    table("users", &USERS, &["id"])
}

fn players() -> Table {
    table(
        "players",
        &[
            "id uuid not null",
            "name varchar(50) not null",
            "xp bigint",
            "rating numeric(7,2)",
            "rank smallint",
            "verified boolean",
            "created_at timestamp(0)",
            "settings jsonb",
            "key text not null",
            "fixed bigint",
        ],
        &["id"],
    )
}

fn compile_with(columns: &[(&str, &str)], change: impl FnOnce(&mut Stream)) -> Result<Transform, Vec<Finding>> {
    let mut stream = stream(&["id"], columns);
    change(&mut stream);
    compile(&stream, &users(), &["id".to_owned()], &players())
}

fn compiled(columns: &[(&str, &str)], change: impl FnOnce(&mut Stream)) -> Transform {
    compile_with(columns, change).unwrap_or_else(|found| panic!("{:?}", found.iter().map(told).collect::<Vec<_>>()))
}

fn mistakes(columns: &[(&str, &str)], change: impl FnOnce(&mut Stream)) -> Vec<String> {
    compile_with(columns, change)
        .expect_err("mistakes")
        .iter()
        .map(told)
        .collect()
}

fn reads(transform: &Transform) -> Vec<String> {
    let columns = transform.read_columns().iter();
    columns.map(|column| format!("{} {}", column.name, column.ty)).collect()
}

#[test]
fn a_flexible_column_is_read_as_what_it_is_to_become() {
    let plain = |columns: &[(&str, &str)]| reads(&compiled(columns, |_| {}));
    assert_eq!(plain(&[("xp", "xp")]), ["xp bigint"]);
    assert_eq!(plain(&[("xp", "(xp)")]), ["xp bigint"]);
    assert_eq!(plain(&[("xp", "xp"), ("fixed", "xp")]), ["xp bigint"], "twice to one type");
    assert_eq!(
        plain(&[("xp", "xp"), ("rank", "xp")]),
        ["xp double precision"],
        "to two types"
    );
    assert_eq!(plain(&[("xp", "xp + 1")]), ["xp double precision"]);
    assert_eq!(
        plain(&[("xp", "xp"), ("rank", "xp + 1")]),
        ["xp double precision"],
        "bare and computed"
    );
    assert_eq!(plain(&[("name", "name")]), ["name text"], "limits are the cast's");
    assert_eq!(plain(&[("created_at", "created")]), ["created timestamp"]);
    assert_eq!(plain(&[("settings", "settings")]), ["settings jsonb"]);
    assert_eq!(plain(&[("rating", "level")]), ["level numeric(7,2)"]);
    assert_eq!(plain(&[("fixed", "fixed")]), ["fixed integer"], "as it is");
    assert_eq!(plain(&[("xp", "null")]), Vec::<String>::new());
    let named = |columns: &[(&str, &str)]| reads(&compiled(columns, |stream| stream.types = texts(&[("xp", "numeric(20,4)")])));
    assert_eq!(named(&[("xp", "xp")]), ["xp numeric(20,4)"]);
    assert_eq!(named(&[("xp", "round(xp)")]), ["xp numeric(20,4)"]);
    let lossy = compiled(&[("rating", "xp"), ("created_at", "created")], |stream| {
        stream.allow_precision_loss = vec![text("rating"), text("created_at")];
    });
    assert_eq!(
        reads(&lossy),
        ["xp numeric", "created timestamp"],
        "digits that may go have to be read"
    );
    let filtered = compiled(&[("verified", "true")], |stream| stream.filter = Some(text("verified")));
    assert_eq!(reads(&filtered), ["verified boolean"]);
}

#[test]
fn columns_of_the_same_name_follow() {
    let transform = compiled(&[("name", "lower(name)")], |stream| {
        stream.same_name_columns = Some(crate::mapping::stream::Located {
            value: true,
            place: text("true").place,
        });
    });
    let names: Vec<_> = transform.target_columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["name", "id", "xp", "verified", "settings", "fixed"]);
    assert_eq!(transform.expression_type("name").as_deref(), Some("text"));
    assert_eq!(
        transform.expression_type("id").as_deref(),
        Some("uuid"),
        "read as what it is to become"
    );
    assert_eq!(transform.expression_type("rating"), None);
}

#[test]
fn all_mistakes_of_a_stream_are_told_at_once() {
    let found = mistakes(
        &[
            ("name", "lower(nmae) || nowhere"),
            ("created_at", "fixed"),
            ("settings", "verified +"),
            ("not_there", "lvel"),
            ("xp", "created + 1"),
        ],
        |stream| {
            stream.filter = Some(text("level"));
            stream.rules = texts(&[("sober", "xp >="), ("rich", "name")]);
            stream.types = texts(&[("fixed", "text")]);
        },
    );
    assert_eq!(
        found,
        [
            r#"mapping::syntax: ">=": expected an expression, found the end (no help)"#,
            r#"mapping::unknown_column: "nmae": the source users has no column `nmae` (did you mean `name`?)"#,
            r#"mapping::unknown_column: "nowhere": the source users has no column `nowhere` (there are `id`, `name`, `xp`, `level`, `verified`, `created`, `settings`, `token` and `fixed`)"#,
            r#"mapping::syntax: "+": expected an expression, found the end (no help)"#,
            r#"mapping::unknown_column: "lvel": the source users has no column `lvel` (did you mean `level`?)"#,
            r#"plan::not_readable: "'''text'''": `fixed` is integer in the source and cannot be read as another type (cast it in an expression: fixed::text)"#,
            r#"mapping::not_boolean: "level": `where` is not a condition (such as "score >= 0")"#,
            r#"mapping::not_boolean: "name": rule `rich` is not a condition (such as "score >= 0")"#,
            r#"mapping::wrong_operands: "created + 1": `+` does not work between timestamptz and bigint (cast one of them, as in id::text)"#,
        ]
    );
}

#[test]
fn a_cast_that_can_never_work_names_both_types() {
    assert_eq!(
        mistakes(&[("created_at", "level + 1"), ("rank", "settings")], |stream| stream.types =
            texts(&[("settings", "jsonb")])),
        [
            r#"plan::type_mismatch: "level + 1": column `created_at` is timestamp(0), and bigint cannot be cast to timestamp(0) (convert it to timestamp(0) in the expression)"#,
            r#"plan::type_mismatch: "settings": column `rank` is smallint, and jsonb cannot be cast to smallint (convert it to smallint in the expression)"#,
        ]
    );
    let warned = compiled(&[("created_at", "level")], |_| {});
    assert_eq!(
        warned.warnings().iter().map(told).collect::<Vec<_>>(),
        [
            r#"plan::declared_otherwise: "'''level'''": the source declares `level` as bigint, and it is read as timestamp (values that are not stored as such become rejects; to convert them write an expression)"#
        ]
    );
}

#[test]
fn keys_are_distinct_only_where_it_is_proven() {
    let distinct = |source: &Table, source_key: &[&str], key: &[&str], columns: &[(&str, &str)]| {
        let source_key: Vec<String> = source_key.iter().map(|name| (*name).to_owned()).collect();
        let target = table(
            "players",
            &["id text", "second bigint", "uid uuid", "small numeric(7,2)", "cut varchar(5)"],
            key,
        );
        compile(&stream(key, columns), source, &source_key, &target)
            .unwrap_or_else(|found| panic!("{:?}", found.iter().map(told).collect::<Vec<_>>()))
            .keys_distinct()
    };
    let one = users();
    assert!(distinct(&one, &["id"], &["id"], &[("id", "id")]));
    assert!(
        distinct(&one, &["id"], &["id", "second"], &[("id", "id"), ("second", "level")]),
        "more does no harm"
    );
    assert!(
        distinct(&one, &["id"], &["cut"], &[("cut", "id")]),
        "too long a key is a reject"
    );
    assert!(
        !distinct(&one, &["id"], &["id"], &[("id", "lower(id)")]),
        "two ids may differ in case"
    );
    assert!(!distinct(&one, &["id"], &["id"], &[("id", "name")]));
    assert!(
        !distinct(&one, &["id"], &["uid"], &[("uid", "id")]),
        "a uuid has many spellings"
    );
    assert!(
        !distinct(&one, &["level"], &["second"], &[("second", "level")]),
        "the source does not keep it unique"
    );
    assert!(!distinct(&one, &[], &["id"], &[("id", "id")]), "an atomic stream has no key");
    let two = table(
        "pairs",
        &["a text flexible", "b bigint flexible", "c numeric(7,2)"],
        &["a", "b"],
    );
    assert!(distinct(
        &two,
        &["a", "b"],
        &["id", "second"],
        &[("id", "a"), ("second", "b")]
    ));
    assert!(!distinct(&two, &["a", "b"], &["id"], &[("id", "a")]), "half of a key");
    let view = table("view", &["a text flexible", "b bigint flexible"], &[]);
    assert!(
        distinct(&view, &["b"], &["second"], &[("second", "b")]),
        "the reader insists on it"
    );
    let fixed = table("fixed", &["d numeric(7,2)"], &["d"]);
    assert!(distinct(&fixed, &["d"], &["small"], &[("small", "d")]));
}

#[test]
fn the_description_tells_all_that_decides_and_nothing_else() {
    let columns = [
        ("id", "'00000000-0000-0000-0000-00000000000a'"),
        ("xp", "xp+1"),
        ("name", "LOWER(name)"),
    ];
    let describe = |columns: &[(&str, &str)], change: &dyn Fn(&mut Stream)| compiled(columns, |stream| change(stream)).describe();
    let before = describe(&columns, &|_| {});
    assert_eq!(
        before,
        "read \"name\" as text\n\
         read \"xp\" as double precision\n\
         write \"id\" uuid not null = \"'00000000-0000-0000-0000-00000000000a'\"\n\
         write \"xp\" bigint = \"xp + 1\"\n\
         write \"name\" varchar(50) not null = \"LOWER(name)\"\n"
    );
    let spaced = [
        ("id", "'00000000-0000-0000-0000-00000000000a'"),
        ("xp", "xp   +\n1 -- more"),
        ("name", "LOWER( name )"),
    ];
    assert_eq!(describe(&spaced, &|_| {}), before);
    assert_ne!(describe(&columns, &|stream| stream.filter = Some(text("verified"))), before);
    assert_ne!(
        describe(&columns, &|stream| stream.rules = texts(&[("r", "verified")])),
        before
    );
    assert_ne!(
        describe(&columns, &|stream| stream.types = texts(&[("xp", "bigint")])),
        before
    );
    assert_ne!(
        describe(&columns, &|stream| stream.allow_precision_loss = vec![text("xp")]),
        before
    );
}

#[test]
fn a_transform_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Transform>();
}
