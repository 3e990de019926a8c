//! The shipped mindia project: its migrations, tried and applied, and rows that its schema takes and refuses.

use std::process::{Command, Stdio};

use crate::harness::{Database, Ended, Project, copy, repository, text};

/// The project in a folder of its own, with a database of its own.
struct Mindia {
    project: Project,
    database: Database,
}

impl Mindia {
    fn new() -> Self {
        let mut project = Project::new();
        let database = Database::create();
        copy(&repository("mappings/mindia"), &project.path("mappings/mindia"));
        project.write("config/development.toml", &text("config/development.toml"));
        project.set("MINDIA_DATABASE_URL", &database.url);
        Self { project, database }
    }

    /// Applied, and filled by the seed script.
    fn seeded(media: u32) -> Self {
        let mindia = Self::new();
        mindia.schema("apply", &[]).expect(0);
        mindia.seed(&[&media.to_string()]).expect(0);
        mindia
    }

    fn schema(&self, command: &str, more: &[&str]) -> Ended {
        self.project.run(&[&["schema", command, "mappings/mindia"], more].concat())
    }

    fn seed(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(repository("scripts/seed-mindia.sh"))
            .args(arguments)
            .env("MINDIA_DATABASE_URL", &self.database.url)
            .stdin(Stdio::null())
            .output()
            .expect("the seed script starts");
        Ended::of(output)
    }

    fn count(&self, what: &str) -> String {
        self.database.value(&format!("select count(*)::text from {what}"))
    }

    /// What the server says of a statement that it refuses.
    fn refused(&self, sql: &str) -> String {
        self.database.value(&format!(
            "create or replace function pg_temp.tried() returns text language plpgsql as $tried$
             declare said text;
             begin {sql}; return 'nothing'; exception when others then get stacked diagnostics said = constraint_name; return said; end $tried$;
             select pg_temp.tried()"
        ))
    }
}

fn id(number: u32) -> String {
    format!("'00000000-0000-4000-8000-{number:012}'")
}

#[test]
fn its_migrations_go_up_down_and_up_again() {
    let mindia = Mindia::new();
    let tried = mindia.schema("test", &["--output", "json"]).expect(0).json();
    assert_eq!(tried["connections"][0]["verdict"], "equal");
    assert_eq!(tried["connections"][0]["reverted"], 7);
    assert_eq!(tried["connections"][0]["kept"], serde_json::Value::Null);
}

/// A new database loses nothing: DO blocks need no agreement. One with rows may.
#[test]
fn a_new_database_is_migrated_without_a_question_and_a_filled_one_with_one() {
    let mindia = Mindia::new();
    mindia.schema("apply", &["--to", "20250405083000"]).expect(0);
    mindia
        .database
        .query("insert into users (email, display_name) values ('a@b', 'A')");
    mindia
        .schema("apply", &[])
        .expect(2)
        .says("runs a DO block")
        .says("media_events.up.sql");
    mindia.schema("apply", &["--allow-destructive"]).expect(0);
    mindia.schema("revert", &["--to", "0", "--yes"]).expect(0);
    assert_eq!(
        mindia.count("pg_class where relnamespace = 'public'::regnamespace and relname not like '\\_sqlx%'"),
        "0"
    );
}

#[test]
fn the_same_sizes_seed_the_same_rows() {
    let mindia = Mindia::new();
    mindia.seed(&["5"]).expect(1).says("dbferry schema apply mappings/mindia");
    mindia.schema("apply", &[]).expect(0);
    mindia.seed(&["200"]).expect(0);
    let rows = || {
        mindia
            .database
            .value("select md5(string_agg(t::text, '|' order by t::text)) from media t")
    };
    let first = rows();
    mindia.seed(&["200"]).expect(1).says("--replace");
    mindia.seed(&["300", "--users", "2", "--replace"]).expect(0);
    assert_eq!(
        (mindia.count("users"), mindia.count("media")),
        ("4".to_owned(), "323".to_owned())
    );
    assert_ne!(rows(), first);
    mindia.seed(&["200", "--replace"]).expect(0);
    assert_eq!(rows(), first);
    for wrong in [&[][..], &["none"], &["0"], &["3", "--users", "0"], &["3", "4"]] {
        mindia.seed(wrong).expect(2);
    }
}

/// What mappings/mindia/sample/README.md says of users and folders.
#[test]
fn keys_over_columns_that_may_be_null_take_and_refuse_what_they_should() {
    let mindia = Mindia::seeded(50);
    assert_eq!(
        mindia.count("users where external_id is null and id::text like '00000000-0000-4%'"),
        "2"
    );
    let mail = "insert into users (email, display_name) values ('trap.user@MINDIA.example', 'x')";
    assert_eq!(mindia.refused(mail), "users_email_key");
    let folder = |parent: &str| {
        format!(
            "insert into folders (user_id, parent_id, name) values ({}, {parent}, 'Deep')",
            id(1)
        )
    };
    assert_eq!(mindia.refused(&folder("null")), "nothing");
    assert_eq!(mindia.refused(&folder(&id(100))), "folders_name_key");
    assert_eq!(
        mindia.refused(&format!("update folders set parent_id = id where id = {}", id(11))),
        "folders_check"
    );
    // Cascades: the chain of folders goes, the medium in its last one stays.
    assert_eq!(mindia.count(&format!("media where folder_id = {}", id(119))), "1");
    mindia.database.query(&format!("delete from folders where id = {}", id(100)));
    assert_eq!(mindia.count("folders where name = 'Deep' and parent_id is not null"), "0");
    assert_eq!(
        mindia.count(&format!("media where id = {} and folder_id is null", id(301))),
        "1"
    );
    // Restricted: a user with media stays.
    assert_eq!(
        mindia.refused(&format!("delete from users where id = {}", id(1))),
        "media_user_id_fkey"
    );
    mindia.database.query(&format!("delete from media where user_id = {}", id(1)));
    assert_eq!(mindia.count(&format!("media_events where media_id = {}", id(301))), "0");
    mindia.database.query(&format!("delete from users where id = {}", id(1)));
    assert_eq!(mindia.count(&format!("folders where user_id = {}", id(1))), "0");
}

#[test]
fn a_row_that_changes_says_when_and_one_that_does_not_keeps_its_moment() {
    let mindia = Mindia::seeded(10);
    let moment = || {
        mindia
            .database
            .value(&format!("select updated_at::text from media where id = {}", id(303)))
    };
    let before = moment();
    mindia
        .database
        .query(&format!("update media set filename = filename where id = {}", id(303)));
    assert_eq!(moment(), before);
    mindia
        .database
        .query(&format!("update media set filename = 'new.jpg' where id = {}", id(303)));
    assert_ne!(moment(), before);
}

/// Each user sees what is theirs, and what is public of others; the owner sees all.
#[test]
fn rows_are_shown_to_their_users_alone() {
    let mindia = Mindia::seeded(50);
    let role = format!("{}_reader", mindia.database.name);
    mindia.database.query(&format!(
        "create role {role}; grant select, insert, update on all tables in schema public to {role}; grant {role} to current_user"
    ));
    let seen = |user: &str, what: &str| {
        let count = format!("select count(*)::text from {what}");
        mindia
            .database
            .value(&format!("set role {role}; set mindia.user_id = {user}; {count}"))
    };
    let all: u32 = mindia.count("media").parse().expect("a number");
    assert_eq!(all, 73);
    assert_eq!(seen("''", "folders"), "0");
    assert_eq!(seen(&id(1), "folders"), "22");
    assert_eq!(seen(&id(1), &format!("media where user_id = {}", id(1))), "22");
    assert_eq!(seen(&id(1), &format!("media where id = {}", id(304))), "0");
    assert_eq!(seen(&id(2), &format!("media where id in ({}, {})", id(303), id(304))), "2");
    let public = mindia.count("media where 'public' = any (tags)");
    assert_eq!(seen("''", "media"), public);
    mindia.database.query(&format!("drop owned by {role}; drop role {role}"));
}

/// Where extensions are absent, what needs them is not made, and nothing else is missing.
#[test]
fn absent_extensions_are_done_without() {
    let mindia = Mindia::seeded(10);
    let available = |name: &str| mindia.count(&format!("pg_available_extensions where name = '{name}'")) == "1";
    let installed = |name: &str| mindia.count(&format!("pg_extension where extname = '{name}'")) == "1";
    assert_eq!(installed("vector"), available("vector"));
    let made = mindia
        .database
        .value("select (to_regclass('media_embeddings') is not null)::text");
    assert_eq!(made == "true", available("vector"));
    let loaded = mindia
        .database
        .value("select (current_setting('shared_preload_libraries') ~ 'timescaledb')::text");
    assert_eq!(installed("timescaledb"), loaded == "true" && available("timescaledb"));
    assert_eq!(mindia.count("media_events where kind = 'uploaded'"), "2");
    let indexes = "select string_agg(indexname, ' ' order by indexname) from pg_indexes where tablename = 'media'";
    assert_eq!(
        mindia.database.value(indexes),
        "media_camera media_filename media_folder media_metadata media_pkey media_tags media_user media_without_metadata"
    );
}

#[test]
fn the_runbook_works_from_the_first_command_to_the_last() {
    let mindia = Mindia::seeded(200);
    // As it was before the column came that is filled in.
    mindia.schema("revert", &["--yes"]).expect(0);
    crate::runbook::follow("mindia", &mindia.project);
}
