//! Documents in a column of an SQLite source become typed columns: every digit arrives, and what
//! is not what the mapping says is a reject that names its field.

use crate::harness::{Database, Project, sqlite_rows};

const MAPPING: &str = r#"
[[stream]]
name = "accounts"
from = "app.documents"
to = "target.accounts"
key = ["id"]
document = { column = "body", path = "/type", is = ["account"] }
rules = { created_in_milliseconds = "created >= 100000000000" }

[stream.fields]
username = { path = "/username", type = "text" }
created = { path = "/created", type = "bigint", required = true }
expires = { path = "/expires", type = "bigint", null = "reject" }
cents = { path = "/subscription/price/priceCents", type = "integer" }
rate = { path = "/rate", type = "numeric" }
features = { path = "/subscription/entitlements/features", type = "text[]" }
subscription = { path = "/subscription", type = "jsonb", required = true }
named = { path = "/username", present = true }

[stream.columns]
id = "id"
username = "username"
created = "created"
modified = "changed * 1000"
expires = "expires"
cents = "cents"
rate = "rate"
subscription = "subscription"
named = "named"
FEATURES

[[stream]]
name = "payments"
from = "app.documents"
to = "target.payments"
key = ["id"]
document = { column = "body", path = "/type", is = ["payment"] }

[stream.fields]
amount = { path = "/lnAmountSat", type = "integer", required = true }

[stream.columns]
id = "id"
amount = "amount"
"#;

const DOCUMENTS: [(&str, &str); 15] = [
    (
        "a1",
        r#"{"type":"account","username":"\u00e4nne","created":9007199254740993,"rate":0.1234567890123456789012345,"subscription":{"tier":"free","price":{"priceCents":1.2e3},"entitlements":{"features":["a","b\"c"]}}}"#,
    ),
    (
        "a2",
        r#"{"type":"account","created":1.7e12,"username":null,"subscription":{}}"#,
    ),
    ("a3", r#"{"type":"account","created":1700000000000.5,"subscription":{}}"#),
    ("a4", r#"{"type":"account","created":"1700000000000","subscription":{}}"#),
    ("a5", r#"{"type":"account","created":1700000000,"subscription":{}}"#),
    ("a6", r#"{"type":"account","created":1700000000000}"#),
    (
        "a7",
        r#"{"type":"account","created":1700000000000,"expires":null,"subscription":{}}"#,
    ),
    ("a8", r#"{"type":"account","created":9223372036854775808,"subscription":{}}"#),
    ("a9", r#"{"type":"account","created":1,"created":2,"subscription":{}}"#),
    ("p1", r#"{"type":"payment","lnAmountSat":2147483647}"#),
    ("p2", r#"{"type":"payment","lnAmountSat":2147483648}"#),
    ("p3", r#"{"type":"payment","created":"of no matter here","lnAmountSat":1}"#),
    ("u1", r#"{"type":"unheard-of","created":"x"}"#),
    ("u2", r#"{"created":"x"}"#),
    ("x1", r#"{"type":"account""#),
];

/// Of every row that is refused by one of the streams: key, stream, column, reason, detail.
const REFUSED: [&str; 10] = [
    "a3|accounts|created|inexact|/created: the numeric value has no exact form in bigint",
    "a4|accounts|created|unreadable|/created: text where a number is declared",
    "a5|accounts|created_in_milliseconds|rule|rule `created_in_milliseconds` is broken",
    "a6|accounts|subscription|null_value|/subscription: missing, which the mapping refuses",
    "a7|accounts|expires|null_value|/expires: null, which the mapping refuses",
    "a8|accounts|created|out_of_range|/created: does not fit bigint",
    "a9|accounts|created|json|/created: JSON with the key asked for twice in one object",
    "p2|payments|amount|out_of_range|/lnAmountSat: does not fit integer",
    "x1|accounts|body|json|not valid JSON",
    "x1|payments|body|json|not valid JSON",
];

/// A project that moves the documents into `target`; `features` is a line of the mapping.
fn project(target: &str, features: &str) -> Project {
    let project = Project::new();
    project.write(
        "config/development.toml",
        &format!("[connection.app]\nkind = \"sqlite\"\npath = {{ value = \"app.db\" }}\n\n[connection.target]\n{target}\n"),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\nmax_rejects = 20\n",
    );
    project.write("mappings/demo/streams.toml", &MAPPING.replace("FEATURES", features));
    let rows: Vec<String> = DOCUMENTS
        .iter()
        .map(|(id, body)| format!("('{id}', 1700000000, '{body}')"))
        .collect();
    project.sqlite(
        "app.db",
        &format!(
            "create table documents (id text primary key not null, changed bigint not null, body text);
             insert into documents values {}",
            rows.join(", ")
        ),
    );
    project
}

/// Runs it, and looks at its figures.
fn run(project: &Project) {
    let report = project.run(&["run", "mappings/demo", "--output", "json"]).json();
    let streams = report["streams"].as_array().expect("streams");
    for (stream, figures) in [("accounts", [15, 5, 8, 2]), ("payments", [15, 11, 2, 2])] {
        let found = streams.iter().find(|one| one["name"] == stream).expect("the stream");
        let told = ["read", "filtered", "rejected", "inserted"].map(|name| found[name].as_u64().expect("a number"));
        assert_eq!(told, figures, "{stream}: {report:#}");
    }
}

#[test]
fn documents_become_typed_columns_in_postgres() {
    let database = Database::create();
    database.query(
        "create table accounts (id text primary key, username text, created bigint not null, modified bigint not null,
           expires bigint, cents integer, rate numeric, features text[], subscription jsonb not null, named boolean not null);
         create table payments (id text primary key, amount integer not null)",
    );
    let mut project = project(
        "kind = \"postgres\"\nurl = { env = \"TARGET_URL\" }",
        "features = \"features\"",
    );
    project.set("TARGET_URL", &database.url);
    run(&project);
    let shown = |sql: &str| -> Vec<String> {
        let rows = database.query(sql).into_iter();
        rows.map(|row| row[0].clone().expect("text")).collect()
    };
    assert_eq!(
        shown(
            "select concat_ws('|', id, coalesce(username, '-'), created, modified, coalesce(cents, -1), coalesce(rate::text, '-'),
               coalesce(features::text, '-'), subscription, named) from accounts order by id"
        ),
        [
            r#"a1|änne|9007199254740993|1700000000000|1200|0.1234567890123456789012345|{a,"b\"c"}|{"tier": "free", "price": {"priceCents": 1200}, "entitlements": {"features": ["a", "b\"c"]}}|t"#,
            "a2|-|1700000000000|1700000000000|-1|-|-|{}|t",
        ]
    );
    assert_eq!(
        shown("select concat_ws('|', id, amount) from payments order by id"),
        ["p1|2147483647", "p3|1"]
    );
    assert_eq!(
        shown(
            "select concat_ws('|', source_key->0->>'text', stream, column_name, reason, detail)
             from (select source_key::jsonb as source_key, stream, column_name, reason, detail from dbferry.reject) as rejects
             order by 1"
        ),
        REFUSED
    );
    assert_eq!(
        database.value("select source_row from dbferry.reject where stream = 'payments' and reason = 'out_of_range'"),
        r#"{"id":"p2","body":"{\"type\":\"payment\",\"lnAmountSat\":2147483648}"}"#
    );
}

#[test]
fn documents_become_typed_columns_in_sqlite() {
    let project = project("kind = \"sqlite\"\npath = { value = \"out.db\" }", "");
    project.sqlite(
        "out.db",
        "create table accounts (id text primary key, username text, created bigint not null, modified bigint not null,
           expires bigint, cents integer, rate numeric text, subscription json text not null, named boolean not null);
         create table payments (id text primary key, amount integer not null)",
    );
    run(&project);
    let text = |text: &str| format!("Text({:?})|", text.as_bytes());
    assert_eq!(
        sqlite_rows(
            &project.path("out.db"),
            "select concat_ws('|', id, created, cents, rate, named) from accounts order by id"
        ),
        [
            text("a1|9007199254740993|1200|0.1234567890123456789012345|1"),
            text("a2|1700000000000|1"),
        ]
    );
    let refused = sqlite_rows(
        &project.path("out.db"),
        "select json_extract(source_key, '$[0].text') || '|' || stream || '|' || column_name || '|' || reason || '|' || detail
         from dbferry_reject order by 1",
    );
    let expected: Vec<String> = REFUSED.iter().map(|row| text(row)).collect();
    assert_eq!(refused, expected);
}
