//! Configurations: what their values become, and what is said of wrong ones.

use std::ffi::OsString;
use std::path::Path;

use dbferry::config::connection::{ConnectionKind, CosmosAccess, CosmosAccount, CosmosCredential, RedisServer};
use dbferry::config::load::Config;
use dbferry::config::secret::Environment;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{bad_config, folder, shown, shown_findings};
use crate::harness::write;

#[test]
fn a_configuration_resolves_its_values() {
    let text = "
        [limits]
        max_rejects = 7
        [connection.sqlite]
        kind = 'sqlite'
        path = { env = 'UNSET', default = 'a b.db' }
        disabled = true
        [connection.pocketbase]
        kind = 'pocketbase'
        path = { value = 'pb_data' }
        [connection.game]
        kind = 'postgres'
        url = { env = 'GAME_URL' }
        create_database = true
        [connection.other]
        kind = 'postgres'
        url = { file = 'SECRET' }
    ";
    let folder = folder(&[("secret", "postgres://u:hunter2@h/other\n")]);
    let secret = folder.path().join("secret").display().to_string();
    write(&folder.path().join("test.toml"), &text.replace("SECRET", &secret));
    let config = Config::load(folder.path(), "test").expect("a good file");
    assert_eq!(config.connections(), ["sqlite", "pocketbase", "game", "other"]);
    assert_eq!(config.limits.max_rejects, 7);
    assert_eq!(config.limits.batch_rows_max, 131_072);
    assert!(config.is_disabled("sqlite") && !config.is_disabled("game"));

    let url = "postgres://u:hunter2@h/game";
    let environment: Environment = [(OsString::from("GAME_URL"), OsString::from(url))].into_iter().collect();
    let kind = |name: &str| config.resolve_in(name, &environment).expect("resolved").kind;
    assert!(matches!(kind("sqlite"), ConnectionKind::Sqlite { path, create_database: false } if path == Path::new("a b.db")));
    assert!(matches!(kind("pocketbase"), ConnectionKind::Pocketbase { path } if path == Path::new("pb_data")));
    let ConnectionKind::Postgres {
        url: game,
        create_database,
        ..
    } = kind("game")
    else {
        panic!("the kind that is declared")
    };
    assert!(create_database);
    assert_eq!(game.expose_secret(), url);
    let ConnectionKind::Postgres { url: other, .. } = kind("other") else {
        panic!("the kind that is declared")
    };
    assert_eq!(other.expose_secret(), "postgres://u:hunter2@h/other");
    assert!(!format!("{config:?} {:?} {:?}", kind("game"), kind("other")).contains("hunter2"));
}

#[test]
fn a_redis_connection_is_its_nodes() {
    let folder = folder(&[
        ("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
        (
            "test.toml",
            "[connection.one]\nkind = 'redis'\nurl = { env = 'ONE' }\n\
             [connection.many]\nkind = 'redis'\nurl = { env = 'MANY' }\nca_file = 'CA'\n",
        ),
    ]);
    let path = folder.path().join("test.toml");
    let authorities = folder.path().join("ca.pem");
    let text = std::fs::read_to_string(&path).expect("the file");
    write(&path, &text.replace("CA'", &format!("{}'", authorities.display())));
    let config = Config::load(folder.path(), "test").expect("a good file");
    let environment: Environment = [
        ("ONE", "redis://me:hunter2@h/3"),
        ("MANY", "rediss://me:hunter2@a:7001,b:7002"),
    ]
    .map(|(name, value)| (OsString::from(name), OsString::from(value)))
    .into_iter()
    .collect();
    let server = |name: &str| {
        let kind = config.resolve_in(name, &environment).expect("resolved").kind;
        assert_eq!((kind.name(), kind.title()), ("redis", "Redis"));
        assert!(!format!("{kind:?}").contains("hunter2"));
        let ConnectionKind::Redis(server) = kind else {
            panic!("the kind that is declared")
        };
        server
    };
    let urls = |server: &RedisServer| -> Vec<String> { server.urls.iter().map(|url| url.expose_secret().to_owned()).collect() };
    assert_eq!(urls(&server("one")), ["redis://me:hunter2@h/3"]);
    assert_eq!((&server("one").ca_file, &*server("one").key_prefix), (&None, ""));
    assert_eq!(
        urls(&server("many")),
        ["rediss://me:hunter2@a:7001", "rediss://me:hunter2@b:7002"]
    );
    assert_eq!(server("many").ca_file, Some(authorities));
}

#[test]
fn a_redis_connection_may_be_left_out_by_its_variable() {
    let folder = folder(&[(
        "test.toml",
        "[connection.maybe]\nkind = 'redis'\nurl = { env = 'DBFERRY_NEVER_SET', optional = true }\n\
         [connection.always]\nkind = 'redis'\nurl = { env = 'DBFERRY_NEVER_SET' }\n",
    )]);
    let config = Config::load(folder.path(), "test").expect("a good file");
    assert!(config.is_disabled("maybe") && !config.is_disabled("always"));
    let disabled = |value: &str| {
        let environment = [(OsString::from("DBFERRY_NEVER_SET"), OsString::from(value))]
            .into_iter()
            .collect();
        config.is_disabled_in("maybe", &environment)
    };
    assert!(disabled("") && !disabled("redis://h") && !disabled("no URL"));
}

#[test]
fn config_of_a_redis_server_that_cannot_be_meant() {
    let text = bad_config(
        "[connection.plain]\nkind = \"redis\"\n\n\
         [connection.keys]\nkind = \"redis\"\nurl = { env = \"REDIS_URL\" }\npath = { value = \"x\" }\ncreate_database = true\n\n\
         [connection.open]\nkind = \"redis\"\nurl = { value = \"redis://:hunter2@h\" }\n\n\
         [connection.nodes]\nkind = \"redis\"\nurl = { value = \"redis://a,http://b\" }\n\n\
         [connection.socket]\nkind = \"redis\"\nurl = { env = \"S\", default = \"unix:///s?auth=x\" }\n\n\
         [connection.clear]\nkind = \"redis\"\nurl = { value = \"redis://h\" }\nca_file = \"ca.pem\"\n\n\
         [connection.game]\nkind = \"postgres\"\nurl = { env = \"URL\", optional = true }\nca_file = \"ca.pem\"\n",
    );
    assert!(!text.contains("hunter2"));
    insta::assert_snapshot!(text);
}

#[test]
fn config_of_a_redis_server_whose_variables_cannot_be_meant() {
    let folder = folder(&[(
        "test.toml",
        "[connection.bad]\nkind = \"redis\"\nurl = { env = \"BAD\" }\n\n\
         [connection.clear]\nkind = \"redis\"\nurl = { env = \"CLEAR\" }\nca_file = \"ca.pem\"\n\n\
         [connection.away]\nkind = \"redis\"\nurl = { env = \"AWAY\" }\nca_file = \"/nowhere/ca.pem\"\n\n\
         [connection.unset]\nkind = \"redis\"\nurl = { env = \"REDIS_URL\" }\n",
    )]);
    let config = Config::load(folder.path(), "test").expect("a good file");
    let environment: Environment = [
        ("BAD", "redis://me:hunter2@h/game"),
        ("CLEAR", "redis://me:hunter2@h"),
        ("AWAY", "rediss://me:hunter2@h"),
    ]
    .map(|(name, value)| (OsString::from(name), OsString::from(value)))
    .into_iter()
    .collect();
    let findings = ["bad", "clear", "away", "unset"].map(|name| {
        let error = config.resolve_in(name, &environment).expect_err("a mistake");
        error.into_findings()
    });
    let text = shown_findings(&folder, findings.into_iter().flatten().collect());
    assert!(!text.contains("hunter2"));
    insta::assert_snapshot!(text);
}

#[test]
fn config_keys_types_and_kinds() {
    insta::assert_snapshot!(bad_config(
        "[limits]\nbatch_row_max = 5\nbatch_rows_max = 0\nmax_rejects = \"many\"\n\n\
         [connection.game]\nkind = \"postgress\"\n\n\
         [connection.\"the old one\"]\nkind = \"sqlite\"\nurl = { env = \"OLD_URL\" }\n\n\
         [connection.pb]\nkind = \"pocketbase\"\npath = { value = \"pb_data\", env = \"PB\" }\ncreate_database = true\n"
    ));
}

#[test]
fn config_of_a_new_database_where_none_is_created() {
    insta::assert_snapshot!(bad_config(
        "[connection.game]\nkind = \"postgres\"\nurl = { env = \"URL\" }\nowner = \"me\"\n\n\
         [connection.file]\nkind = \"sqlite\"\npath = { value = \"a.db\" }\ncreate_database = true\nencoding = \"UTF8\"\n\n\
         [connection.other]\nkind = \"postgres\"\nurl = { env = \"URL\" }\ncreate_database = true\nowner = \"\"\n"
    ));
}

#[test]
fn config_text_instead_of_a_table() {
    let text = bad_config("[connection.game]\nkind = \"postgres\"\nurl = \"postgres://me:hunter2@localhost/game\"\n");
    assert!(!text.contains("hunter2"));
    insta::assert_snapshot!(text);
}

#[test]
fn config_password_in_the_file() {
    let text = bad_config("[connection.game]\nkind = \"postgres\"\nurl = { value = \"postgres://me:hunter2@localhost/game\" }\n");
    assert!(!text.contains("hunter2"));
    insta::assert_snapshot!(text);
}

#[test]
fn config_bad_syntax_beside_a_password() {
    let text = bad_config("[connection.game]\nkind = \"postgres\"\nurl = { value = \"postgres://me:hunter2@localhost/game\" \n");
    assert!(!text.contains("hunter2"));
    insta::assert_snapshot!(text);
}

#[test]
fn config_bad_url_in_the_file() {
    insta::assert_snapshot!(bad_config(
        "[connection.a]\nkind = \"postgres\"\nurl = { value = \"mysql://localhost/game\" }\n\
         [connection.b]\nkind = \"postgres\"\nurl = { env = \"B\", default = \"postgres://localhost\" }\n"
    ));
}

#[test]
fn config_variables_and_secret_files() {
    let folder = folder(&[(
        "test.toml",
        "[connection.unset]\nkind = \"postgres\"\nurl = { env = \"GAME_DATABASE_URL\" }\n\
         [connection.bad]\nkind = \"postgres\"\nurl = { env = \"BAD_URL\" }\n\
         [connection.empty]\nkind = \"sqlite\"\npath = { env = \"EMPTY\" }\n\
         [connection.file]\nkind = \"postgres\"\nurl = { file = \"no/such/file\" }\n",
    )]);
    let config = Config::load(folder.path(), "test").expect("a good file");
    let environment: Environment = [
        ("BAD_URL", "postgres://me:hunter2@localhost:port/game"),
        ("EMPTY", ""),
        ("GAME_DATABSE_URL", "x"),
    ]
    .into_iter()
    .map(|(name, value)| (OsString::from(name), OsString::from(value)))
    .collect();
    let findings = config.connections().into_iter().flat_map(|name| {
        let error = config.resolve_in(name, &environment).expect_err("a mistake");
        error.into_findings()
    });
    let text = shown_findings(&folder, findings.collect());
    assert!(!text.contains("hunter2"));
    insta::assert_snapshot!(text);
}

#[test]
fn config_environment_or_connection_that_is_not_there() {
    let folder = folder(&[
        ("development.toml", ""),
        ("embedded.toml", "[connection.game]\nkind = 'sqlite'\npath = {value='x'}\n"),
    ]);
    let missing = |name: &str| shown(&folder, &Config::load(folder.path(), name).expect_err("no such environment"));
    let config = Config::load(folder.path(), "embedded").expect("a good file");
    let environment: Environment = [].into_iter().collect();
    let unknown = config.resolve_in("gmae", &environment).expect_err("no such connection");
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}\n{}",
        missing("embeded"),
        missing("production"),
        missing("../x"),
        shown(&folder, &unknown)
    ));
}

/// A key in base64 that must not be shown anywhere.
const KEY: &str = "aHVudGVyMg==";

/// A connection to Cosmos with these lines.
fn cosmos(lines: &str) -> String {
    format!(
        "[connection.cosmos]\nkind = 'cosmos'\ndatabase = {{ value = 'db' }}\n\
         containers = {{ documents = {{ env = 'CONTAINER', default = 'Documents' }} }}\n{lines}\n"
    )
}

const EITHER: &str = "endpoint = { env = 'ENDPOINT' }\nkey = { env = 'KEY', optional = true }\n\
                      connection_string = { env = 'STRING', optional = true }";

/// Resolves a connection to Cosmos of these lines with these variables.
fn cosmos_resolved(lines: &str, variables: &[(&str, &str)]) -> (TempDir, dbferry::Result<CosmosAccount>) {
    let folder = folder(&[("test.toml", &cosmos(lines))]);
    let config = Config::load(folder.path(), "test").expect("a good file");
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let account = config.resolve_in("cosmos", &variables.collect()).map(|connection| {
        assert!(!format!("{connection:?}").contains(KEY));
        match connection.kind {
            ConnectionKind::Cosmos(account) => *account,
            kind => panic!("{kind:?}"),
        }
    });
    (folder, account)
}

fn account(lines: &str, variables: &[(&str, &str)]) -> CosmosAccount {
    cosmos_resolved(lines, variables).1.expect("an account")
}

fn entered_by_key(account: &CosmosAccount) -> bool {
    matches!(&account.access, CosmosAccess::Key(key) if key.expose_secret() == KEY)
}

#[test]
fn a_cosmos_account_is_entered_in_one_of_three_ways() {
    let string = format!("AccountEndpoint=https://a.documents.azure.com:443/;AccountKey={KEY};");
    let endpoint = ("ENDPOINT", "https://a.documents.azure.com");
    let key = account(
        "endpoint = { env = 'ENDPOINT' }\nkey = { env = 'KEY' }",
        &[endpoint, ("KEY", KEY)],
    );
    assert!(entered_by_key(&key));
    assert_eq!(key.endpoint, "https://a.documents.azure.com/");
    assert_eq!(key.database, "db");
    assert_eq!(key.containers["documents"], "Documents");
    assert_eq!((key.max_request_units_per_second, key.pages_in_flight_max), (None, 4));
    assert!(key.http2 && !key.accept_emulator_certificate);

    for variables in [
        vec![("STRING", string.as_str())],
        vec![("STRING", &string), endpoint],
        vec![("STRING", &string), ("KEY", "")],
    ] {
        let account = account(EITHER, &variables);
        assert!(entered_by_key(&account), "{variables:?}");
        assert_eq!(account.endpoint, key.endpoint);
    }
    assert!(entered_by_key(&account(EITHER, &[endpoint, ("KEY", KEY)])));
    assert!(entered_by_key(&account(
        "connection_string = { env = 'STRING' }",
        &[("STRING", &string)]
    )));

    let lines = "endpoint = { value = 'http://localhost:8081' }\ncredential = 'developer'\nhttp2 = false\n\
                 accept_emulator_certificate = true\nmax_request_units_per_second = 400\npages_in_flight_max = 1";
    let other = account(lines, &[("CONTAINER", "Old documents")]);
    assert!(matches!(other.access, CosmosAccess::Credential(CosmosCredential::Developer)));
    assert_eq!(other.containers["documents"], "Old documents");
    assert_eq!(
        (other.max_request_units_per_second, other.pages_in_flight_max),
        (Some(400), 1)
    );
    assert!(!other.http2 && other.accept_emulator_certificate);
}

#[test]
fn config_of_a_cosmos_account_that_cannot_be_meant() {
    let secret = format!("key = {{ value = '{KEY}' }}");
    let text = bad_config(&[
        "[connection.nothing]\nkind = 'cosmos'\n",
        "[connection.other]\nkind = 'cosmos'\nurl = { env = 'URL' }\ncreate_database = true\ndatabase = { value = 'a/b' }\n\
         containers = {}\nconnection_string = { value = 'https://a' }\nendpoint = { env = 'ENDPOINT' }\n",
        &format!("[connection.secret]\nkind = 'cosmos'\nendpoint = {{ value = 'https://me:hunter2@a' }}\n{secret}\n"),
        "database = { value = 'db', optional = true }\ncontainers = { 'my documents' = { value = 'x ' } }\n",
        "[connection.both]\nkind = 'cosmos'\nkey = { env = 'KEY' }\nconnection_string = { env = 'STRING', optional = true }\n\
         credential = 'developer'\ndatabase = { env = 'DB' }\ncontainers = { documents = { value = 'x' } }\n\
         pages_in_flight_max = 0\nmax_request_units_per_second = -1\n",
        "[connection.default]\nkind = 'cosmos'\nendpoint = { env = 'ENDPOINT' }\nkey = { env = 'KEY', default = 'aHVu', optional = true }\n\
         database = { env = 'DB' }\ncontainers = { documents = { value = 'x' } }\n",
        "[connection.file]\nkind = 'sqlite'\npath = { value = 'a.db', optional = true }\nendpoint = { env = 'ENDPOINT' }\nhttp2 = true\n",
    ]
    .concat());
    for secret in [KEY, "hunter2", "aHVu"] {
        assert!(!text.contains(secret), "{text}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn config_of_a_cosmos_account_whose_variables_do_not_go_together() {
    let string = format!("AccountEndpoint=https://b/;AccountKey={KEY}");
    let emulator = "endpoint = { env = 'ENDPOINT' }\nkey = { env = 'KEY' }\naccept_emulator_certificate = true";
    let endpoint = ("ENDPOINT", "https://a");
    let shown: Vec<_> = [
        (EITHER, vec![]),
        (EITHER, vec![endpoint, ("KEY", KEY), ("STRING", &string)]),
        (EITHER, vec![endpoint, ("STRING", &string)]),
        (EITHER, vec![("KEY", KEY)]),
        (EITHER, vec![("STRING", KEY), ("CONTAINER", "a/b")]),
        (EITHER, vec![endpoint, ("KEY", "hunter2")]),
        (EITHER, vec![("ENDPOINT", "http://a"), ("KEY", KEY)]),
        (emulator, vec![endpoint, ("KEY", KEY)]),
    ]
    .into_iter()
    .map(|(lines, variables)| {
        let (folder, account) = cosmos_resolved(lines, &variables);
        shown_findings(&folder, account.expect_err("a mistake").into_findings())
    })
    .collect();
    let text = shown.join("\n");
    assert!(!text.contains(KEY) && !text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
    let named = [
        ("ENDPOINT", "http://cosmos:8081"),
        ("KEY", KEY),
        ("AZURE_COSMOS_EMULATOR_HOST", "cosmos"),
    ];
    assert_eq!(account(EITHER, &named).endpoint, "http://cosmos:8081/");
}
