//! Files that users write: every mistake is shown as the golden files beside this one say, and
//! the shipped files fit their JSON Schemas.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use dbferry::cli::diagnostic;
use dbferry::config::connection::ConnectionKind;
use dbferry::config::load::{self, Config};
use dbferry::config::secret::Environment;
use dbferry::data::column::ColumnType;
use dbferry::data::finding::Finding;
use dbferry::data::table::{Column, Fill, ForeignKey, Table, TableName};
use dbferry::mapping::order::{self, Order};
use dbferry::mapping::{Project, check, file};
use dbferry::{Error, ErrorKind};
use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("within the folder")).expect("created");
        fs::write(path, text).expect("written");
    }
    folder
}

/// What the operator sees of an error, with the folder's own path left out.
fn shown(folder: &TempDir, error: &Error) -> String {
    let text = if error.list().is_empty() {
        format!("{error}\nhint: {}\n", error.advice())
    } else {
        format!("{error}\n\n{}", diagnostic::render(error.list(), false))
    };
    text.replace(&format!("{}/", folder.path().display()), "")
        .replace(&folder.path().display().to_string(), ".")
}

fn shown_findings(folder: &TempDir, findings: Vec<Finding>) -> String {
    assert!(!findings.is_empty(), "nothing was found");
    shown(folder, &Error::findings(ErrorKind::Mapping, findings))
}

/// Loads a configuration that must be wrong.
fn bad_config(text: &str) -> String {
    let folder = folder(&[("test.toml", text)]);
    let error = Config::load(folder.path(), "test").expect_err("a mistake");
    assert_eq!(error.kind(), ErrorKind::Config);
    shown(&folder, &error)
}

const PROJECT: &str = "name = \"game\"\nsources = [\"pocketbase\"]\nsinks = [\"game\"]\n";

fn load_streams(text: &str) -> (TempDir, dbferry::Result<Project>) {
    let folder = folder(&[("project.toml", PROJECT), ("streams.toml", text)]);
    let project = file::load(folder.path());
    (folder, project)
}

/// Loads streams that must be wrong in their form.
fn bad_streams(text: &str) -> String {
    let (folder, project) = load_streams(text);
    let error = project.expect_err("a mistake");
    assert_eq!(error.kind(), ErrorKind::Mapping);
    shown(&folder, &error)
}

/// Streams of good form that must be wrong in themselves.
fn bad_alone(text: &str) -> String {
    let (folder, project) = load_streams(text);
    shown_findings(&folder, check::alone(&project.expect("good form"), &["pocketbase", "game"]))
}

/// One stream that must not fit the shapes of `users` and `players`.
fn bad_shapes(text: &str) -> String {
    let (folder, project) = load_streams(text);
    let project = project.expect("good form");
    shown_findings(&folder, check::shapes(&project.streams[0], &users(), &players()))
}

fn table(name: &str, columns: &[(&str, &str, bool, Fill)], uniques: &[&[&str]]) -> Table {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Table {
        name: TableName::new(name),
        columns: columns
            .iter()
            .map(|(name, ty, nullable, fill)| Column {
                name: (*name).to_owned(),
                ty: ColumnType::parse(ty).expect("a type"),
                nullable: *nullable,
                fill: *fill,
                flexible: false,
                wire: None,
            })
            .collect(),
        key: owned(uniques[0]),
        uniques: uniques.iter().map(|names| owned(names)).collect(),
        foreign_keys: Vec::new(),
        rows_estimate: None,
        text_holds_nul: false,
        notes: Vec::new(),
    }
}

fn users() -> Table {
    let columns = ["id", "email", "username", "region"].map(|name| (name, "text", false, Fill::Nothing));
    table("users", &columns, &[&["id"]])
}

fn players() -> Table {
    let columns = [
        ("id", "uuid", false, Fill::Nothing),
        ("username", "varchar(50)", false, Fill::Nothing),
        ("email", "varchar(255)", false, Fill::Nothing),
        ("region", "varchar(50)", true, Fill::Nothing),
        ("created_at", "timestamp", false, Fill::Default),
        ("search", "text", true, Fill::Generated),
    ];
    table("players", &columns, &[&["id"], &["email"]])
}

/// A stream that is right, with `more` behind its first lines.
fn stream(name: &str, more: &str) -> String {
    format!("[[stream]]\nname = \"{name}\"\nfrom = \"pocketbase.users\"\nto = \"game.players\"\nkey = [\"id\"]\n{more}\n")
}

const COLUMNS: &str = "[stream.columns]\nid = \"uuid_v5('users', id)\"\nusername = \"username\"\nemail = \"email\"\n";

// ---- configuration

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
    fs::write(folder.path().join("test.toml"), text.replace("SECRET", &secret)).expect("written");
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

// ---- form of a mapping

#[test]
fn a_mapping_keeps_file_order_and_places() {
    let text = stream(
        "players",
        "on_conflict = \"update\"\nrules = { z = \"1 = 1\", a = \"2 = 2\" }\n[stream.columns]\nid = \"id\"\nb = '''\nlower(\n  email)'''\na = \"1\"",
    );
    let (_folder, project) = load_streams(&text);
    let project = project.expect("good form");
    let stream = &project.streams[0];
    let names: Vec<_> = stream.columns.iter().map(|(name, _)| name.value.as_str()).collect();
    assert_eq!(names, ["id", "b", "a"]);
    assert_eq!(stream.rules[0].0.value, "z");
    assert_eq!(stream.from.connection(), "pocketbase");
    let expression = &stream.columns[1].1;
    assert_eq!(expression.value, "lower(\n  email)");
    let email = expression.inside(&(9..14));
    assert_eq!((email.text(), email.line_column()), ("email", (12, 3)));
}

#[test]
fn mapping_keys_and_types() {
    insta::assert_snapshot!(bad_streams(
        "[[stream]]\nname = \"a\"\nform = \"pocketbase.users\"\nto = [\"game.players\"]\nkey = \"id\"\non_conflict = \"upsert\"\n\
         [stream.columns]\nid = 5\n\n[[stream]]\nname = \"b\"\nfrom = \"users\"\ncolumns = \"all\"\n"
    ));
}

#[test]
fn mapping_one_bracket_too_few() {
    insta::assert_snapshot!(bad_streams("[stream]\nname = \"a\"\n"));
}

#[test]
fn odd_files_end_in_findings() {
    for text in [
        "limits = 5",
        "limits.batch_rows_max.x = 1",
        "limits = { batch_rows_max = 1e3 }",
        "connection = []",
        "[[connection.game]]\nkind = 'sqlite'",
        "[connection.game]\nkind = { postgres = 1 }",
        "[connection.game]\nkind = 'postgres'\nurl.env.x = 'A'",
        "[connection.game]\nkind = 'postgres'\nurl = { env = '', default = 5 }",
        "[connection.game]\nkind = 'postgres'\nurl = { env = 'A=B' }",
        "[connection.game]\nkind = 'sqlite'\npath = { value = \"a\\u0000b\" }",
        "\"\" = 1",
        "a = \"\u{0}\"",
        "\u{feff}\u{feff}x = 1",
        "[connection.game",
        "a.b.c = 1\na.b = 2",
    ] {
        assert!(bad_config(text).contains("test.toml:"), "{text}");
    }
    for text in [
        "stream = 5",
        "stream = [1, 'a']",
        "stream = [[]]",
        "[[stream]]\nquery = []",
        "[[stream]]\nkey = [[]]",
    ] {
        assert!(bad_streams(text).contains("streams.toml:"), "{text}");
    }
}

#[test]
fn mapping_from_both_and_neither() {
    insta::assert_snapshot!(bad_streams(
        "[[stream]]\nname = \"a\"\nto = \"game.a\"\nkey = [\"id\"]\n\n\
         [[stream]]\nname = \"b\"\nfrom = \"pocketbase.b\"\nto = \"game.b\"\nkey = [\"id\"]\n[stream.query]\nconnection = \"pocketbase\"\nsql = \"select 1\"\n\n\
         [[stream]]\nname = \"c\"\nto = \"game.c\"\nkey = [\"id\"]\n[stream.query]\nsql = \"select 1\"\n"
    ));
}

#[test]
fn mapping_syntax() {
    insta::assert_snapshot!(bad_streams(
        "[[stream]]\nname = players\nname = \"b\"\nkey = [\"id\"\n[stream.columns]\nid = \"a\nb\"\n"
    ));
}

#[test]
fn project_file_and_folder() {
    let folder = folder(&[
        (
            "mappings/game/project.toml",
            "name = \"the game\"\nsource = [\"a\"]\nsinks = [\"game\"]\n",
        ),
        ("mappings/empty/project.toml", PROJECT),
    ]);
    let load = |name: &str| shown(&folder, &file::load(&folder.path().join(name)).expect_err("a mistake"));
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        load("mappings/game"),
        load("mappings/empty"),
        load("mappings/gaem")
    ));
}

// ---- a project alone

#[test]
fn alone_a_good_project_has_no_findings() {
    let text = stream("players", COLUMNS) + &stream("more", "[stream.columns]\nid = \"id\"\nregion = \"region\"\n");
    let (_folder, project) = load_streams(&text);
    assert_eq!(check::alone(&project.expect("good form"), &["pocketbase", "game"]), []);
}

#[test]
fn alone_names_and_connections() {
    insta::assert_snapshot!(bad_alone(
        "[[stream]]\nname = \"a\"\nfrom = \"game.users\"\nto = \"pocketbase.players\"\nkey = [\"id\"]\nsame_name_columns = true\n\n\
         [[stream]]\nname = \"a\"\nfrom = \"pocktbase.users\"\nto = \"elsewhere.players\"\nkey = [\"id\"]\nsame_name_columns = true\n"
    ));
}

#[test]
fn alone_connections_of_the_project() {
    let (folder, project) = load_streams(&stream("players", COLUMNS));
    insta::assert_snapshot!(shown_findings(
        &folder,
        check::alone(&project.expect("good form"), &["pocketbase", "games"])
    ));
}

#[test]
fn alone_keys() {
    insta::assert_snapshot!(bad_alone(
        "[[stream]]\nname = \"a\"\nfrom = \"pocketbase.users\"\nto = \"game.a\"\nkey = []\nsource_key = []\n\n\
         [[stream]]\nname = \"b\"\nfrom = \"pocketbase.users\"\nto = \"game.b\"\nkey = [\"id\", \"game_id\", \"id\"]\n[stream.columns]\nid = \"id\"\ngameid = \"id\"\n"
    ));
}

#[test]
fn alone_two_streams_into_one_column() {
    let second = stream("more", "[stream.columns]\nid = \"id\"\nemail = \"lower(email)\"\n");
    insta::assert_snapshot!(bad_alone(&(stream("players", COLUMNS) + &second)));
}

#[test]
fn alone_texts() {
    let long = "a".repeat(64);
    insta::assert_snapshot!(bad_alone(&stream(
        "players",
        &format!(
            "where = \" \"\nsubject = {{ user = \"id = key\" }}\ntypes = {{ score = \"bigintt\" }}\n[stream.columns]\nid = \"id\"\n{long} = \"1\"\n"
        )
    )));
}

#[test]
fn alone_order() {
    let a = "after = [\"b\"]\n[stream.columns]\nid = \"id\"\n";
    let b = "after = [\"a\", \"plaers\"]\n[stream.columns]\nid = \"id\"\n";
    insta::assert_snapshot!(bad_alone(&(stream("players", COLUMNS) + &stream("a", a) + &stream("b", b))));
}

// ---- a stream against both its ends

#[test]
fn shapes_that_fit_have_no_findings() {
    let (_folder, project) = load_streams(&stream("players", COLUMNS));
    assert_eq!(
        check::shapes(&project.expect("good form").streams[0], &users(), &players()),
        []
    );
}

#[test]
fn shapes_unknown_columns() {
    insta::assert_snapshot!(bad_shapes(&stream(
        "players",
        "source_key = [\"ident\"]\nallow_precision_loss = [\"createdat\"]\n[stream.types]\nemial = \"text\"\n\
         [stream.columns]\nid = \"id\"\nusername = \"username\"\nemail = \"email\"\nregoin = \"region\"\nsearch = \"email\"\ncreated_at = \"null\"\n"
    )));
}

#[test]
fn shapes_values_that_are_missing() {
    insta::assert_snapshot!(bad_shapes(&stream(
        "players",
        "[stream.columns]\nid = \"id\"\nemail = \"email\"\n"
    )));
}

#[test]
fn shapes_key_that_is_not_unique() {
    let text = stream("players", COLUMNS).replace("key = [\"id\"]", "key = [\"username\"]\non_conflict = \"update\"");
    insta::assert_snapshot!(bad_shapes(&text));
}

#[test]
fn shapes_same_names() {
    let all = COLUMNS.to_owned() + "region = \"region\"\n";
    let (_folder, project) = load_streams(&stream("players", "same_name_columns = true"));
    let taken = project.expect("good form").streams[0].clone();
    assert_eq!(
        check::taken_over(&taken, &users(), &players()),
        ["id", "username", "email", "region"]
    );
    insta::assert_snapshot!(bad_shapes(&stream("players", &format!("same_name_columns = true\n{all}"))));
}

// ---- order

fn ordered(streams: &str, foreign_keys: &[(usize, &str, &str)]) -> (TempDir, Result<Order, Finding>) {
    let (folder, project) = load_streams(streams);
    let project = project.expect("good form");
    let mut targets: Vec<_> = project.streams.iter().map(|_| Some(players())).collect();
    for (stream, target) in project.streams.iter().zip(&mut targets) {
        target.as_mut().expect("a table").name = stream.to.value.table.clone();
    }
    for (index, column, table) in foreign_keys {
        targets[*index].as_mut().expect("a table").foreign_keys.push(ForeignKey {
            name: format!("{}_fkey", column.trim_end_matches('!')),
            columns: vec![column.trim_end_matches('!').to_owned()],
            table: TableName {
                schema: Some("public".to_owned()),
                name: (*table).to_owned(),
            },
            references: vec!["id".to_owned()],
            removable: !column.ends_with('!'),
        });
    }
    (folder, order::order(&project.streams, &targets))
}

/// An order: its sequence, and of each stream what it waits for and which keys are suspended.
fn shown_order(order: Order) -> (Vec<usize>, Vec<Vec<usize>>, Vec<Vec<String>>) {
    let names = |keys: Vec<ForeignKey>| keys.into_iter().map(|key| key.name).collect();
    (order.sequence, order.needs, order.suspended.into_iter().map(names).collect())
}

fn into(table: &str, more: &str) -> String {
    let text = stream(table, &format!("{more}\n[stream.columns]\nid = \"id\"\nref = \"id\"\n"));
    text.replace("game.players", &format!("game.{table}"))
}

#[test]
fn order_follows_foreign_keys_and_after_and_else_the_files() {
    let streams =
        into("stats", "") + &into("sessions", "") + &into("games", "") + &into("players", "") + &into("log", "after = [\"stats\"]");
    let keys = [
        (0, "ref", "players"),
        (1, "ref", "games"),
        (1, "ref", "sessions"),
        (2, "ref", "players"),
    ];
    let sequence = |keys: &[_]| ordered(&streams, keys).1.map(|order| order.sequence);
    assert_eq!(sequence(&[]), Ok(vec![0, 1, 2, 3, 4]));
    assert_eq!(sequence(&keys), Ok(vec![3, 0, 2, 1, 4]));
    assert_eq!(sequence(&[(0, "left_out", "players")]), Ok(vec![0, 1, 2, 3, 4]));
}

#[test]
fn order_suspends_what_no_order_can_keep() {
    // Posts come first in the file, but are no part of the circle: it is not their key that is cut.
    let streams = into("posts", "") + &into("users", "") + &into("devices", "") + &into("likes", "");
    let keys = [
        (0, "ref", "users"),
        (0, "ref", "posts"),
        (1, "ref", "devices"),
        (2, "ref", "users"),
        (3, "left_out", "likes"),
    ];
    let order = shown_order(ordered(&streams, &keys).1.expect("an order"));
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        order,
        (
            vec![3, 1, 0, 2],
            vec![vec![1], vec![], vec![1], vec![]],
            vec![named(&["ref_fkey"]), named(&["ref_fkey"]), vec![], vec![]]
        )
    );
    // `after` is kept, and so the other one's key is cut.
    let streams = into("users", "after = [\"devices\"]") + &into("devices", "");
    let order = shown_order(ordered(&streams, &[(1, "ref", "users")]).1.expect("an order"));
    assert_eq!(order, (vec![1, 0], vec![vec![1], vec![]], vec![vec![], named(&["ref_fkey"])]));
    // What the role may not take away stays, too.
    let streams = into("users", "") + &into("devices", "");
    let order = shown_order(
        ordered(&streams, &[(0, "ref!", "devices"), (1, "ref", "users")])
            .1
            .expect("an order"),
    );
    assert_eq!(order, (vec![1, 0], vec![vec![1], vec![]], vec![vec![], named(&["ref_fkey"])]));
    let order = shown_order(ordered(&streams, &[(0, "ref!", "users")]).1.expect("an order"));
    assert_eq!(order.2, vec![named(&[]), named(&[])], "the order of the rows has to do");
}

#[test]
fn order_names_the_cycle() {
    let streams = into("players", "") + &into("games", "") + &into("sessions", "after = [\"games\"]");
    let (folder, result) = ordered(&streams, &[(1, "ref!", "sessions")]);
    insta::assert_snapshot!(shown_findings(&folder, vec![result.expect_err("a cycle")]));
}

#[test]
fn order_is_none_where_after_goes_in_circles() {
    let streams = into("players", "after = [\"sessions\"]") + &into("games", "") + &into("sessions", "after = [\"players\"]");
    let (folder, result) = ordered(&streams, &[(1, "ref", "players"), (0, "ref", "games")]);
    insta::assert_snapshot!(shown_findings(&folder, vec![result.expect_err("a cycle")]));
}

// ---- schemas

/// Schema files with what the program says.
fn schemas() -> [(&'static str, Value); 3] {
    [
        ("config.schema.json", load::json_schema()),
        ("project.schema.json", file::project_json_schema()),
        ("mapping.schema.json", file::mapping_json_schema()),
    ]
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn schemas_are_those_of_the_program() {
    for (name, schema) in schemas() {
        let path = root().join("config/schema").join(name);
        let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &text).expect("written");
        }
        let checked_in = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == text,
            "{} is not what the program says: UPDATE_SCHEMAS=1 cargo test --test it schemas",
            path.display()
        );
    }
}

#[test]
fn schemas_document_every_key() {
    fn walk(path: &str, schema: &Value) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (key, value) in properties {
                let path = format!("{path}.{key}");
                assert!(value["description"].is_string(), "{path} has no description");
                walk(&path, value);
            }
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
                walk(path, inner);
            }
        }
    }
    for (name, schema) in schemas() {
        walk(name, &schema);
    }
}

/// TOML files below a folder.
fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(toml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn faults(schema: &Value, path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("readable");
    let document: Value = toml::from_str(&text).expect("TOML");
    let validator = jsonschema::validator_for(schema).expect("a schema");
    validator.iter_errors(&document).map(|error| error.to_string()).collect()
}

#[test]
fn schemas_accept_every_shipped_file_and_so_does_the_program() {
    let [config, project, mapping] = schemas().map(|(_, schema)| schema);
    let configs = toml_files(&root().join("config"));
    assert!(configs.len() >= 2);
    for path in configs {
        assert_eq!(faults(&config, &path), [""; 0], "{}", path.display());
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        Config::load(&root().join("config"), name).expect("a good file");
    }
    for path in toml_files(&root().join("mappings")) {
        let is_project = path.ends_with("project.toml");
        let schema = if is_project { &project } else { &mapping };
        assert_eq!(faults(schema, &path), [""; 0], "{}", path.display());
        if is_project {
            let loaded = file::load(path.parent().expect("a folder")).expect("good form");
            let development = Config::load(&root().join("config"), "development").expect("a good file");
            assert_eq!(check::alone(&loaded, &development.connections()), []);
        }
    }
}

#[test]
fn schemas_refuse_what_the_program_refuses() {
    let [config, _, mapping] = schemas().map(|(_, schema)| schema);
    let refused = |schema: &Value, text: &str| {
        let folder = folder(&[("test.toml", text)]);
        !faults(schema, &folder.path().join("test.toml")).is_empty()
    };
    for text in [
        "colour = 1",
        "[connection.a]\nkind = 'postgres'\npath = { value = 'x' }",
        "[connection.a]\nkind = 'sqlite'\npath = 'x'",
        "[connection.a]\nkind = 'sqlite'\npath = { env = 'A', value = 'x' }",
        "[limits]\nbatch_rows_max = 0",
    ] {
        assert!(refused(&config, text), "{text}");
    }
    assert!(!refused(&mapping, &stream("players", COLUMNS)));
    assert!(refused(&mapping, &stream("players", "on_conflict = 'upsert'")));
    assert!(refused(
        &mapping,
        &stream("players", "query = { connection = 'a', sql = 'b' }")
    ));
}
