//! Older backups, lists of them, and those that runs make.

use serde_json::json;

use super::{Tenant, backed_up, moved, names, source, stream, text};
use crate::harness::{Project, file_connection, url_connection};

/// A project from one SQLite file into another.
fn small() -> Project {
    let project = Project::new();
    let config = format!(
        "{}{}",
        file_connection("app", "sqlite", "app.db"),
        file_connection("shop", "sqlite", "shop.db")
    );
    project.write("config/development.toml", &config);
    project.write("config/other.toml", &config);
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"shop\"]\n",
    );
    project.write("mappings/demo/streams.toml", &stream("items", "shop.items"));
    project.sqlite("app.db", &source(200));
    project.sqlite(
        "shop.db",
        "create table items (id integer primary key, name text not null, body blob, points integer)",
    );
    project
}

#[test]
fn older_backups_of_the_same_project_and_environment_go() {
    let project = small();
    let folders: Vec<String> = (0..3)
        .map(|_| backed_up(&project, &[]).1["folder"].as_str().expect("a folder").to_owned())
        .collect();
    let (other, _) = backed_up(&project, &["--env", "other"]);
    project.write("backups/demo/mine/notes", "mine");
    project.write("backups/demo/development-x.failed/manifest.json", "{}");
    let rehearsed = project
        .run(&["backup", "mappings/demo", "--keep", "2", "--dry-run", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(rehearsed["status"], "planned");
    assert_eq!(rehearsed["removed"].as_array().expect("folders").len(), 2, "{rehearsed:#}");
    assert!(folders.iter().all(|folder| project.path(folder).is_dir()));

    let (newest, document) = backed_up(&project, &["--keep", "2"]);
    assert_eq!(document["removed"].as_array().expect("folders").len(), 2, "{document:#}");
    assert!(!project.path(&folders[0]).exists() && !project.path(&folders[1]).exists());
    assert!(project.path(&folders[2]).is_dir() && newest.is_dir() && other.is_dir());
    assert!(project.path("backups/demo/mine/notes").exists() && project.path("backups/demo/development-x.failed").exists());
    // None is older than a day.
    let (_, document) = backed_up(&project, &["--keep-days", "1"]);
    assert_eq!(document["removed"], json!([]));

    let listed = project.run(&["backup", "list", "--output", "json"]).expect(0).json();
    let listed = listed["backups"].as_array().expect("backups");
    assert_eq!(listed.len(), 4, "{listed:#?}");
    assert!(project.run(&["backup", "list"]).expect(0).stdout.contains("development"));
    project.run(&["backup", "list", "nowhere"]).expect(2);
}

#[test]
fn a_run_notes_the_backup_that_was_made_before_it() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let before = tenant.rows();
    project.sqlite("app.db", "insert into items values (100000, 'new', null, 1)");
    project
        .run(&["run", "mappings/demo", "--backup", "--restart"])
        .says("backup: ");
    let found = names(&project.path("backups/demo"));
    assert_eq!(found.len(), 1, "{found:?}");
    let folder = project.path("backups/demo").join(&found[0]);
    let runs = project.run(&["runs", "mappings/demo", "--output", "json"]).expect(0).json();
    let noted = &runs["runs"][0]["backup"];
    assert_eq!(noted["folder"], text(&folder.canonicalize().expect("there")), "{runs:#}");
    assert!(runs["runs"][1]["backup"].is_null(), "{runs:#}");
    let id = runs["runs"][0]["run"].as_str().expect("an id");
    let shown = project.run(&["runs", "show", id, "mappings/demo"]);
    assert!(
        shown
            .expect(0)
            .stdout
            .contains(noted["manifest_sha256"].as_str().expect("a sum")),
        "{}",
        shown.stdout
    );
    // Sources are left alone by a run, and by its backup.
    assert_eq!(names(&folder), ["game", "manifest.json", "manifest.json.sha256"]);
    project.run(&["restore", text(&folder), "--replace", "--yes"]).expect(0);
    assert_eq!(tenant.rows(), before);
}

#[test]
fn a_run_into_a_file_notes_it_too() {
    let project = small();
    project.run(&["run", "mappings/demo", "--backup"]).expect(0);
    let runs = project.run(&["runs", "mappings/demo", "--output", "json"]).expect(0).json();
    assert!(runs["runs"][0]["backup"]["folder"].is_string(), "{runs:#}");
    assert!(
        project
            .run(&["runs", "mappings/demo"])
            .expect(0)
            .stdout
            .contains("backup before")
    );
    let rehearsal = project.run(&["run", "mappings/demo", "--backup", "--dry-run"]);
    rehearsal.expect(2);
}

#[test]
fn what_is_not_backed_up_is_named() {
    let mut project = small();
    project.set("SCYLLA_URL", "scylla://127.0.0.1:1/nowhere");
    let config = project.text("config/development.toml");
    project.write(
        "config/development.toml",
        &format!("{config}[connection.messages]\nkind = \"scylla\"\nurl = {{ env = \"SCYLLA_URL\" }}\n"),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"shop\", \"messages\"]\n",
    );
    let both = format!("{}{}", stream("items", "shop.items"), stream("copies", "messages.items"));
    project.write("mappings/demo/streams.toml", &both);
    let ended = project.run(&["backup", "mappings/demo"]);
    ended.expect(0).says("messages: databases of kind scylla are not backed up");
    assert!(ended.stdout.contains("not backed up"), "{}", ended.stdout);
}

#[test]
fn a_source_in_postgres_is_saved_where_it_is_asked_for() {
    let (from, to) = (Tenant::create(), Tenant::create());
    let mut project = moved(&from);
    project.set("OTHER_URL", &to.url);
    let config = project.text("config/development.toml");
    project.write(
        "config/development.toml",
        &format!("{config}{}", url_connection("other", "OTHER_URL")),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"game\"]\nsinks = [\"other\"]\n",
    );
    project.write(
        "mappings/demo/streams.toml",
        &stream("items", "other.items").replace("app.items", "game.items"),
    );
    let (folder, document) = backed_up(&project, &[]);
    assert_eq!(names(&folder), ["manifest.json", "manifest.json.sha256", "other"]);
    assert!(document["left_out"].to_string().contains("--sources"), "{document:#}");
    let (folder, _) = backed_up(&project, &["--sources"]);
    assert_eq!(names(&folder), ["game", "manifest.json", "manifest.json.sha256", "other"]);
    // On the server of another connection, too.
    project
        .run(&["backup", "verify", text(&folder), "--server", "other"])
        .expect(0);
    project
        .run(&["backup", "verify", text(&folder), "--server", "app"])
        .expect(2)
        .says("not of kind postgres");
    assert_eq!((from.databases().len(), to.databases().len()), (1, 1));
    let before = from.rows();
    from.query("drop table items");
    let restore = ["restore", text(&folder), "--yes", "--replace", "--only", "game"];
    project.run(&restore).expect(0);
    assert_eq!(from.rows(), before);
    project
        .run(&["restore", text(&folder), "--yes", "--only", "nothing"])
        .expect(2)
        .says("it holds other, game");
}
