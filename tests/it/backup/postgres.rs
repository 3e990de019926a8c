//! Postgres targets, with a role that is no superuser.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ROWS, Tenant, backed_up, moved, names, text};
use crate::harness::{Ended, postgres_url, query, until};

#[test]
fn a_database_comes_back_row_by_row_and_a_run_goes_on_from_it() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    tenant.query("create table empty (x int); create view seen as select id from items; create table \"Odd \"\"name\" (a int); insert into \"Odd \"\"name\" values (7)");
    query(
        &postgres_url(),
        &format!(
            "alter database {0} set search_path to public, \"$user\"; comment on database {0} is 'it''s mine'; grant temporary on database {0} to public",
            tenant.name
        ),
    );
    let before = tenant.rows();
    let (folder, document) = backed_up(&project, &[]);
    let game = &document["connections"][0];
    assert_eq!(game["connection"], "game");
    assert!(game["checked"] == true && game["one_moment"] == true, "{game:#}");
    assert!(
        game["database"] == tenant.name.as_str() && !document.to_string().contains("secret"),
        "{game:#}"
    );
    let tables = game["tables"].as_array().expect("tables");
    assert!(
        tables
            .iter()
            .any(|table| table["name"] == "public.items" && table["rows"] == ROWS),
        "{game:#}"
    );
    assert!(tables.iter().any(|table| table["name"] == "dbferry.checkpoint"), "{game:#}");
    for path in [
        folder.clone(),
        folder.join("game"),
        folder.join("manifest.json"),
        folder.join("game/database.dump"),
    ] {
        let metadata = std::fs::metadata(&path).expect("there");
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, expected, "{}", path.display());
    }
    assert_eq!(names(&folder), ["app", "game", "manifest.json", "manifest.json.sha256"]);

    let verified = project
        .run(&["backup", "verify", text(&folder), "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(verified["status"], "equal", "{verified:#}");
    assert_eq!(
        tenant.databases(),
        [tenant.name.as_str()],
        "nothing of the verification is left"
    );

    tenant.query("delete from items where id % 2 = 0; update items set name = 'other' where id = 5; create table later (y int); truncate dbferry.checkpoint");
    let refused = project.run(&["restore", text(&folder), "--yes"]);
    refused.expect(1).says("`game` is not empty").says("public.items");
    project
        .run(&["restore", text(&folder), "--replace"])
        .expect(2)
        .says("nobody is there to agree");
    project.run(&["restore", text(&folder), "--replace", "--yes"]).expect(0);
    assert_eq!(tenant.rows(), before);
    assert_eq!(
        tenant.query("select to_regclass('later')"),
        [[None]],
        "what came later is gone"
    );
    assert_eq!(tenant.query("table \"Odd \"\"name\""), [[Some("7".to_owned())]]);
    assert_eq!(tenant.query("show search_path"), [[Some("public, \"$user\"".to_owned())]]);
    let comment = tenant.query("select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()");
    assert_eq!(comment, [[Some("it's mine".to_owned())]]);
    assert_eq!(tenant.databases(), [tenant.name.as_str()]);
    project.run(&["run", "mappings/demo"]).expect(0).says("already complete");
}

#[test]
fn a_dump_in_a_folder_is_made_and_restored_by_several_at_once() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let before = tenant.rows();
    let (folder, document) = backed_up(&project, &["--jobs", "2", "--to", "here/it"]);
    assert_eq!(folder, project.path("here/it"));
    assert_eq!(document["connections"][0]["form"], "postgres_directory");
    assert!(folder.join("game/dump/toc.dat").exists());
    project.run(&["backup", "verify", text(&folder)]).expect(0);
    tenant.query("drop table items");
    project
        .run(&["restore", text(&folder), "--replace", "--yes", "--jobs", "2"])
        .expect(0);
    assert_eq!(tenant.rows(), before);
}

#[test]
fn a_backup_is_of_one_moment_while_the_application_writes() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    tenant.query("create table a (v int); create table b (v int)");
    for jobs in [&[][..], &["--jobs", "2"]] {
        let stop = AtomicBool::new(false);
        let folder = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    tenant.query("begin; insert into a values (1); insert into b values (1); commit");
                }
            });
            until("the first rows", || {
                tenant.query("select count(*) > 3 from a") == [[Some("t".to_owned())]]
            });
            let (folder, _) = backed_up(&project, jobs);
            stop.store(true, Ordering::Relaxed);
            folder
        });
        project.run(&["backup", "verify", text(&folder)]).expect(0);
        project.run(&["restore", text(&folder), "--replace", "--yes"]).expect(0);
        let counts = tenant.query("select (select count(*) from a) = (select count(*) from b)");
        assert_eq!(counts, [[Some("t".to_owned())]], "both rows of a transaction or none");
    }
}

#[test]
fn a_role_that_may_create_no_database_restores_in_one_transaction() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let before = tenant.rows();
    let (folder, _) = backed_up(&project, &[]);
    query(&postgres_url(), &format!("alter role {} nocreatedb", tenant.name));
    project.run(&["backup", "verify", text(&folder)]).expect(3).says("CREATEDB");
    tenant.query("delete from items where id > 10; create table later (y int)");
    let restore = ["restore", text(&folder), "--replace", "--yes"];
    project.run(&restore).expect(1).says("public.later");
    tenant.query("drop table later");
    project.run(&restore).expect(0);
    assert_eq!(tenant.rows(), before);
}

#[test]
fn a_database_in_use_is_not_replaced() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let (folder, _) = backed_up(&project, &[]);
    let mut application = Command::new("psql")
        .args([
            tenant.url.as_str(),
            "-qc",
            "set application_name = 'the game'; select pg_sleep(600)",
        ])
        .spawn()
        .expect("psql starts");
    until("the application", || {
        query(&postgres_url(), "select application_name from pg_stat_activity")
            .iter()
            .any(|row| row[0].as_deref() == Some("the game"))
    });
    let ended = project.run(&["restore", text(&folder), "--replace", "--yes"]);
    application.kill().expect("killed");
    application.wait().expect("an end");
    ended.expect(3).says("the game (1)").says("nothing was changed");
    assert_eq!(tenant.databases(), [tenant.name.as_str()]);
}

#[test]
fn a_database_that_is_gone_or_was_not_there_yet_is_told() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let before = tenant.rows();
    let (folder, _) = backed_up(&project, &[]);
    query(&postgres_url(), &format!("drop database {} with (force)", tenant.name));
    let (empty, document) = backed_up(&project, &[]);
    assert_eq!(document["connections"][0]["state"], "absent");
    project.run(&["backup", "verify", text(&empty)]).expect(0);
    project.run(&["restore", text(&folder), "--yes"]).expect(0);
    assert_eq!(tenant.rows(), before);
}

#[test]
fn a_stopped_backup_leaves_nothing() {
    let tenant = Tenant::create();
    let project = moved(&tenant);
    let child = project.start(&["backup", "mappings/demo"]);
    until("the folder", || project.path("backups/demo").is_dir());
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    let ended = Ended::of_child(child);
    if ended.code != Some(0) {
        ended.expect(130);
        assert!(names(&project.path("backups/demo")).is_empty());
    }
}
