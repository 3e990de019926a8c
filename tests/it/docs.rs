//! The pages: every example is good, every command is accepted, every link leads somewhere, and
//! every key, reason and code of the program is in its page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use dbferry::config::Config;
use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::batch::SourceBatch;
use dbferry::data::column::ColumnType;
use dbferry::data::finding::Severity;
use dbferry::data::position::{KeyBuffer, KeyRef, Position};
use dbferry::data::table::{Column, Fill, Table, TableName};
use dbferry::mapping::{Project, check, file};
use dbferry::{sink, source, transform};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A page: its path within the package, and its text.
struct Page {
    path: &'static str,
    text: String,
}

fn pages() -> Vec<Page> {
    [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/configuration.md",
        "docs/mapping.md",
        "docs/engineer.md",
        "docs/operator.md",
        "docs/output.md",
    ]
    .into_iter()
    .map(|path| Page { path, text: read(path) })
    .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A fenced block: what stands behind its fence, its first line's number, and its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

impl Page {
    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => {
                    open = Some(Block {
                        info: info.trim().to_owned(),
                        line: index + 2,
                        text: String::new(),
                    });
                }
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path);
        blocks
    }

    /// Text without fenced blocks.
    fn prose(&self) -> String {
        let mut fenced = false;
        let lines = self.text.lines().filter(|line| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.path, block.line)
    }
}

// ---- examples

const PROJECT: &str = "name = \"game\"\nsources = [\"pocketbase\", \"app\"]\nsinks = [\"game\", \"target\"]\n";
const STREAMS: &str = "[[stream]]\nname = \"players\"\nfrom = \"pocketbase.users\"\nto = \"game.players\"\nkey = [\"id\"]\nsame_name_columns = true\n";

/// Checks a configuration by its schema and by the program.
fn config(text: &str, at: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("page.toml"), text).expect("written");
    fits(text, "config", at);
    if let Err(error) = Config::load(folder.path(), "page") {
        panic!("{at}: {error:?}");
    }
}

/// Checks a project with its streams by their schemas and by the program.
fn project(project: &str, streams: &str, at: &str) -> Project {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("project.toml"), project).expect("written");
    fs::write(folder.path().join("streams.toml"), streams).expect("written");
    fits(project, "project", at);
    fits(streams, "mapping", at);
    let project = file::load(folder.path()).unwrap_or_else(|error| panic!("{at}: {error:?}"));
    let findings = check::alone(&project, &["pocketbase", "app", "game", "target"]);
    let wrong: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{at}: {wrong:#?}");
    project
}

fn fits(text: &str, schema: &str, at: &str) {
    let schema: Value = serde_json::from_str(&read(&format!("config/schema/{schema}.schema.json"))).expect("a schema");
    let document: toml::Table = text.parse().unwrap_or_else(|error| panic!("{at}: {error}"));
    let document = serde_json::to_value(document).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a good schema");
    let wrong: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{at}: {wrong:#?}");
}

/// A whole mapping around some keys of one stream: what they leave out is filled in.
fn around(keys: &str, at: &str) -> String {
    let given: toml::Table = keys.parse().unwrap_or_else(|error| panic!("{at}: {error}"));
    let query = given.get("stream").is_some_and(|stream| stream.get("query").is_some());
    let mut text = "[[stream]]\n".to_owned();
    for (key, line) in [
        ("name", "name = \"players\""),
        ("from", "from = \"pocketbase.users\""),
        ("to", "to = \"game.players\""),
        ("key", "key = [\"id\"]"),
        ("same_name_columns", "same_name_columns = true"),
    ] {
        let replaced = query && key == "from";
        if !replaced && !given.contains_key(key) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str(keys);
    if given.contains_key("after") {
        text.push_str("\n[[stream]]\nname = \"games\"\nfrom = \"pocketbase.matches\"\nto = \"game.games\"\nkey = [\"id\"]\nsame_name_columns = true\n");
    }
    text
}

#[test]
fn every_file_shown_is_a_good_one() {
    let mut seen = BTreeSet::new();
    for page in pages() {
        for block in page.blocks() {
            let at = page.at(&block);
            let Some(what) = block.info.strip_prefix("toml") else {
                continue;
            };
            match what.trim() {
                "config" => config(&block.text, &at),
                "project" => drop(project(&block.text, STREAMS, &at)),
                "mapping" => compiles(&project(PROJECT, &block.text, &at), &at),
                "stream" => compiles(&project(PROJECT, &around(&block.text, &at), &at), &at),
                other => panic!("{at}: ```toml is followed by config, project, mapping or stream, not `{other}`"),
            }
            seen.insert(what.trim().to_owned());
        }
    }
    assert_eq!(seen.len(), 4, "every kind of file is shown: {seen:?}");
}

// ---- commands

/// Command lines of the program in a page: in shell blocks, and in code within the text that
/// begins with its name and a command.
fn commands(page: &Page) -> Vec<String> {
    let blocks = page
        .blocks()
        .into_iter()
        .filter(|block| matches!(block.info.as_str(), "sh" | "console"));
    let lines = blocks.flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>());
    let prose = page.prose();
    let spans = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    lines
        .chain(spans)
        .filter_map(|line| {
            let line = line.split(" #").next().unwrap_or_default().trim().trim_start_matches("$ ");
            let arguments = line.strip_prefix("dbferry ").or_else(|| line.strip_prefix("cargo run -- "))?;
            // A shell's own words end what is ours.
            let arguments = arguments.split([';', '|', '>', '…']).next()?.trim();
            (!arguments.is_empty() && !arguments.starts_with('<')).then(|| arguments.to_owned())
        })
        .collect()
}

#[test]
fn every_command_shown_is_accepted() {
    let mut count = 0;
    for page in pages() {
        for line in commands(&page) {
            // `--help` ends a command line that was accepted so far without doing anything.
            let output = Command::new(env!("CARGO_BIN_EXE_dbferry"))
                .args(line.split_whitespace())
                .arg("--help")
                .output()
                .expect("the program starts");
            assert!(
                output.status.success(),
                "{}: dbferry {line}: {}",
                page.path,
                String::from_utf8_lossy(&output.stderr)
            );
            count += 1;
        }
    }
    assert!(count > 30, "{count} commands");
}

// ---- links

/// Anchors of a page, as GitHub makes them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let page = Page {
        path: "",
        text: text.to_owned(),
    };
    for heading in page.prose().lines().filter_map(|line| line.strip_prefix('#')) {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let plain: String = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let number = (1..).map(|n| format!("{plain}-{n}"));
        let free = std::iter::once(plain.clone())
            .chain(number)
            .find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let folder = Path::new(page.path).parent().expect("within the package").to_owned();
        let prose = page.prose();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() {
                page.path.to_owned()
            } else {
                folder.join(file).to_string_lossy().into_owned()
            };
            assert!(root().join(&path).exists(), "{}: {link}", page.path);
            let known = anchor.is_empty() || anchors(&read(&path)).contains(anchor);
            assert!(known, "{}: {link}: there is no such heading", page.path);
        }
    }
}

#[test]
fn every_file_of_the_program_that_a_page_names_is_there() {
    let ours = ["src/", "tests/", "scripts/", "config/schema", "mappings/", "benches/"];
    let mut missing = Vec::new();
    for page in pages() {
        for span in page.prose().split('`').skip(1).step_by(2) {
            let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if plain && ours.iter().any(|folder| span.starts_with(folder)) && !root().join(span).exists() {
                missing.push(format!("{}: `{span}`", page.path));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

// ---- completeness

/// Names of all properties within a schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                found.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| properties(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| properties(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_in_its_page() {
    for (schema, path) in [
        ("config", "docs/configuration.md"),
        ("project", "docs/mapping.md"),
        ("mapping", "docs/mapping.md"),
    ] {
        let schema: Value = serde_json::from_str(&read(&format!("config/schema/{schema}.schema.json"))).expect("a schema");
        let mut names = BTreeSet::new();
        properties(&schema, &mut names);
        let page = read(path);
        for name in names {
            let shown =
                page.contains(&format!("`{name}`")) || page.contains(&format!("[{name}]`")) || page.contains(&format!("[{name}."));
            assert!(shown, "{path} does not tell of `{name}`");
        }
    }
}

#[test]
fn every_reason_of_a_reject_is_in_its_page() {
    let page = read("docs/mapping.md");
    for name in quoted_in("src/data/reject.rs", "const fn name(self)") {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/mapping.md does not tell of `{name}`"
        );
    }
}

/// Texts in the body of a function.
fn quoted_in(path: &str, function: &str) -> Vec<String> {
    let text = read(path);
    let body = text.split(function).nth(1).expect("the function");
    let body = body.split("\n    }\n").next().expect("its end");
    let found: Vec<_> = body.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!found.is_empty(), "{path}: {function}");
    found
}

/// Codes of findings in the program's own files.
fn codes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the program") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            codes(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("readable");
            let strings = text.split('"').skip(1).step_by(2);
            let code = |text: &str| {
                let known = ["config::", "file::", "mapping::", "plan::"]
                    .iter()
                    .any(|part| text.starts_with(part));
                known && text.chars().all(|c| c.is_ascii_lowercase() || c == ':' || c == '_')
            };
            found.extend(strings.filter(|text| code(text)).map(str::to_owned));
        }
    }
}

#[test]
fn every_code_of_a_mistake_is_in_a_page() {
    let mut found = BTreeSet::new();
    codes(&root().join("src"), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let pages = read("docs/mapping.md") + &read("docs/configuration.md");
    // Names that tests make up end in one letter.
    let untold: Vec<_> = found
        .iter()
        .filter(|code| !code.ends_with("::x") && !pages.contains(&format!("`{code}`")))
        .collect();
    assert!(untold.is_empty(), "{untold:?}");
}

// ---- tables of types

/// Rows of the table with that head; every cell without the blanks around it.
fn table_rows(text: &str, head: &str) -> Vec<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| *line != head).skip(2).peekable();
    assert!(lines.peek().is_some(), "there is no table {head}");
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let line = line.trim_matches('|').replace("\\|", "\u{0}");
        line.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
    });
    rows.collect()
}

/// Pieces of code in a cell, with example figures for letters.
fn code(cell: &str) -> Vec<String> {
    let figures = |code: &str| code.replace("(p,s)", "(7,2)").replace("(n)", "(50)").replace("(d)", "(3)");
    cell.split('`').skip(1).step_by(2).map(figures).collect()
}

/// Declared types and what a page says of them.
fn declared(head: &str) -> Vec<(String, String)> {
    let rows = table_rows(&read("docs/mapping.md"), head);
    let pairs = rows.iter().flat_map(|row| {
        let ty = code(&row[1]).remove(0);
        code(&row[0]).into_iter().map(move |declared| (declared, ty.clone()))
    });
    pairs.collect()
}

/// A file with a table that has a column of each declared type, as a connection.
fn declaring(pairs: &[(String, String)], folder: &Path) -> Connection {
    let path = folder.join("page.db");
    let columns: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(at, (declared, _))| format!("c{at} {declared}"))
        .collect();
    let sql = format!("create table page (id integer primary key, {})", columns.join(", "));
    let file = rusqlite::Connection::open(&path).expect("a new file");
    file.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    Connection {
        name: "page".to_owned(),
        kind: ConnectionKind::Sqlite {
            path,
            create_database: false,
        },
    }
}

fn same_types(pairs: &[(String, String)], table: Option<Table>) {
    let table = table.expect("the table");
    for (at, (declared, expected)) in pairs.iter().enumerate() {
        let column = table.column(&format!("c{at}")).expect("the column");
        assert_eq!(column.ty.to_string(), *expected, "{declared}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_types_mean_what_their_page_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = TableName::new("page");
    let pairs = declared("| declared | type | stored as |");
    assert!(pairs.len() > 30);
    let sink = sink::open(&declaring(&pairs, folder.path())).await.expect("a target");
    same_types(&pairs, sink.table(&page).await.expect("its shape"));

    let folder = tempfile::tempdir().expect("a folder");
    let pairs = declared("| declared | read as |");
    assert!(pairs.len() > 20);
    let source = source::open(&declaring(&pairs, folder.path())).await.expect("a source");
    same_types(&pairs, source.table(&page).await.expect("its shape"));
}

// ---- expressions

/// What the examples read: columns of the kinds that a PocketBase has.
fn users() -> Table {
    let text = ["id", "user_id", "email", "username", "region", "game_mode"].map(|name| (name, "text"));
    let numbers = ["wins", "games", "level", "score", "max_players", "total_score"].map(|name| (name, "bigint"));
    let others = [
        ("win_rate", "double precision"),
        ("verified", "boolean"),
        ("created", "timestamptz(3)"),
        ("end_time", "timestamptz(3)"),
    ];
    shape("users", text.into_iter().chain(numbers).chain(others), true)
}

/// What they write.
fn players() -> Table {
    let columns = [
        ("id", "uuid"),
        ("player_id", "uuid"),
        ("username", "varchar(50)"),
        ("email", "varchar(255)"),
        ("region", "varchar(50)"),
        ("status", "text"),
        ("total_score", "bigint"),
        ("skill_rating", "numeric(7,2)"),
        ("settings", "jsonb"),
        ("created_at", "timestamp"),
    ];
    shape("players", columns, false)
}

fn shape<'a>(name: &str, columns: impl IntoIterator<Item = (&'a str, &'a str)>, flexible: bool) -> Table {
    let column = |(name, ty): (&str, &str)| Column {
        name: name.to_owned(),
        ty: ColumnType::parse(ty).expect("a type"),
        nullable: name != "id",
        fill: Fill::Nothing,
        flexible,
        wire: None,
    };
    Table {
        name: TableName::new(name),
        columns: columns.into_iter().map(column).collect(),
        key: vec!["id".to_owned()],
        uniques: vec![vec!["id".to_owned()]],
        foreign_keys: Vec::new(),
        rows_estimate: None,
        text_holds_nul: false,
        notes: Vec::new(),
    }
}

/// Every stream that writes what the examples write compiles without a finding.
fn compiles(project: &Project, at: &str) {
    for stream in project
        .streams
        .iter()
        .filter(|stream| stream.to.value.table.name == "players")
    {
        let (source, target) = (users(), players());
        let mut findings = check::shapes(stream, &source, &target);
        match transform::compile(stream, &source, &source.key, &target) {
            Ok(compiled) => findings.extend(compiled.warnings().iter().cloned()),
            Err(found) => findings.extend(found),
        }
        let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{at}: {findings:#?}");
    }
}

/// What an expression gives for a row without values, as text.
fn value(expression: &str) -> Result<Option<String>, String> {
    let columns = format!("[stream.columns]\nid = \"id\"\nout = {}\n", Value::from(expression));
    let project = project(PROJECT, &STREAMS.replace("same_name_columns = true\n", &columns), expression);
    let (source, target) = (users(), shape("players", [("id", "text"), ("out", "text")], false));
    let compiled = transform::compile(&project.streams[0], &source, &source.key, &target)
        .map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let read = compiled.read_columns();
    let fields: Vec<_> = read.iter().map(|column| column.ty.field(&column.name, true)).collect();
    let arrays = read.iter().map(|column| match column.name.as_str() {
        "id" => Arc::new(StringArray::from(vec!["a"])) as ArrayRef,
        _ => arrow::array::new_null_array(&column.ty.arrow(), 1),
    });
    let mut keys = KeyBuffer::with_capacity(1);
    keys.push(KeyRef::Text("a"));
    keys.end_row();
    let batch = SourceBatch {
        rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect()).expect("one row"),
        keys: keys.into(),
        rejects: Vec::new(),
        position: Position::End,
        row_json: dbferry::data::render::row_json,
        bytes: 0,
    };
    let written = compiled.apply(&batch).expect("no defect");
    if let Some(reject) = written.rejects.first() {
        return Err(format!("{}: {}", reject.reason, reject.detail));
    }
    let out = written.rows.column_by_name("out").expect("the column").as_string::<i32>();
    Ok(out.is_valid(0).then(|| out.value(0).to_owned()))
}

/// A result in a table: code, or the word NULL.
fn result(cell: &str) -> Option<String> {
    let text = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
    assert!(text.is_some() || cell == "NULL", "{cell}");
    text.map(str::to_owned)
}

#[test]
fn every_expression_gives_what_its_page_says() {
    let page = read("docs/mapping.md");
    for row in table_rows(&page, "| expression | gives |") {
        let expression = row[0].trim_matches('`');
        assert_eq!(value(expression), Ok(result(&row[1])), "{expression}");
    }
}

#[test]
fn every_function_is_in_its_page_and_gives_what_it_says() {
    let page = read("docs/mapping.md");
    let mut told = BTreeSet::new();
    for row in table_rows(&page, "| function | gives | example | result |") {
        let example = row[2].trim_matches('`');
        assert_eq!(value(example), Ok(result(&row[3])), "{example}");
        told.insert(row[0].trim_matches('`').split('(').next().unwrap_or_default().to_owned());
    }
    let mut known = BTreeSet::new();
    named(&root().join("src/transform/functions"), &mut known);
    assert_eq!(told, known);
    for row in table_rows(&page, "| kind | functions |") {
        for name in code(&row[1]) {
            // Without arguments few have a value; but none is unknown or refused as such.
            let outcome = value(&format!("{name}()"));
            let refused = ["unknown_function", "volatile_function", "over_rows"];
            assert!(
                !outcome.is_err_and(|why| refused.iter().any(|code| why.contains(code))),
                "{name}"
            );
        }
    }
}

/// Names of the functions in the program's own table of them.
fn named(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the program") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            named(&path, found);
        } else {
            let text = fs::read_to_string(&path).expect("readable");
            let names = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
            found.extend(names.map(str::to_owned));
        }
    }
}

// ---- queries

#[test]
fn every_query_for_operators_runs_on_a_real_ledger() {
    let (project, database) = crate::items::into_postgres(200);
    project.run(&["run", "mappings/demo", "--batch-size", "50"]).expect(0);
    let page = pages()
        .into_iter()
        .find(|page| page.path == "docs/operator.md")
        .expect("the page");
    let mut count = 0;
    for block in page.blocks().iter().filter(|block| block.info == "sql") {
        let sql = block.text.replace("'game'", "'demo'");
        database.query(&format!("begin; {sql}; rollback"));
        if sql.contains("having") {
            assert!(database.query(&sql).is_empty(), "the batches add up: {sql}");
        }
        count += 1;
    }
    assert!(count > 5, "{count} queries");
}
