//! Files that users write: every mistake is shown as the golden files beside these tests say, and
//! the shipped files fit their JSON Schemas.

use dbferry::cli::diagnostic;
use dbferry::config::load::Config;
use dbferry::data::finding::Finding;
use dbferry::mapping::{Project, file};
use dbferry::{Error, ErrorKind};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::write;

mod alone;
mod configuration;
mod keyed;
mod mapping;
mod order;
mod schemas;
mod shapes;

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        write(&folder.path().join(name), text);
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

/// What a schema says against a text in TOML.
pub(crate) fn faults(schema: &Value, text: &str) -> Result<Vec<String>, toml::de::Error> {
    let document: Value = toml::from_str(text)?;
    let validator = jsonschema::validator_for(schema).expect("a good schema");
    Ok(validator.iter_errors(&document).map(|error| error.to_string()).collect())
}

/// A stream that is right, with `more` behind its first lines.
fn stream(name: &str, more: &str) -> String {
    format!("[[stream]]\nname = \"{name}\"\nfrom = \"pocketbase.users\"\nto = \"game.players\"\nkey = [\"id\"]\n{more}\n")
}

const COLUMNS: &str = "[stream.columns]\nid = \"uuid_v5('users', id)\"\nusername = \"username\"\nemail = \"email\"\n";

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
