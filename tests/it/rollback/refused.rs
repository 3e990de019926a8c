//! What cannot be taken back, and is refused before anything is touched.

use super::{back, demo, everything, mapping, rows, run, same};

#[test]
fn a_run_without_undo_logs_is_refused_by_name() {
    let (project, database) = demo("error", 100);
    project.write("mappings/demo/streams.toml", &mapping("error", ""));
    let id = run(&project, &["--only", "teams"], 0);
    let logged = run(&project, &["--undo"], 0);
    let moved = everything(&database);
    back(&project, &id, &["--yes"])
        .expect(2)
        .says("no undo log")
        .says("teams")
        .says("restore");
    same(&moved, &everything(&database));
    back(&project, &logged, &["--yes"]).expect(0);
    assert_eq!(rows(&database).len(), 10);
    back(&project, "ffffffff", &["--yes"]).expect(2).says("has recorded");
}

#[test]
fn an_undo_log_can_be_forgotten() {
    let (project, database) = demo("error", 100);
    let id = run(&project, &[], 0);
    back(&project, &id, &["--forget"]).expect(2).says("nobody is there to agree");
    let told = back(&project, &id, &["--forget", "--yes"]).expect(0).json();
    assert_eq!(told["undo_logs_removed"], 3);
    assert_eq!(
        database.value("select count(*) from pg_tables where tablename like 'undo_rows%'"),
        "0"
    );
    back(&project, &id, &["--yes"]).expect(2).says("no undo log");
    assert_eq!(rows(&database).len(), 210);
}

#[test]
fn a_table_that_was_altered_since_is_refused() {
    for (change, what) in [
        ("alter table players drop column tags", "column `tags` was dropped"),
        (
            "alter table players alter column score type numeric(20,4)",
            "column `score` was numeric",
        ),
        // (With its schema: the ledger's is first on the path of a role that is called as it is.)
        (
            "create table public.other as select * from notes; drop table notes; alter table public.other rename to notes;
             alter table notes add primary key (id)",
            "made anew",
        ),
    ] {
        let (project, database) = demo("update", 100);
        let id = run(&project, &[], 0);
        database.query(change);
        let moved = rows(&database);
        back(&project, &id, &["--yes"]).expect(1).says(what).says("restore");
        same(&moved, &rows(&database));
    }
}

#[test]
fn an_undo_log_needs_a_key_that_finds_rows_again() {
    let (project, database) = demo("error", 100);
    database.query("alter table notes drop constraint notes_parent_fkey, drop constraint notes_pkey");
    let plan = project.run(&["plan", "mappings/demo"]);
    plan.expect(2).says("plan::undo_key").says("notes");
    project.write("mappings/demo/streams.toml", &mapping("error", ""));
    project
        .run(&["run", "mappings/demo", "--undo"])
        .expect(2)
        .says("plan::undo_key");
    run(&project, &[], 0);
}
