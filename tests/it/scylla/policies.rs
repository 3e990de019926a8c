//! Rows that are there already: each policy does what it says, what the application has written since
//! stays, and a run over what is equal changes nothing.

use super::toy::Toy;
use super::writing::figures;
use crate::cassandra::Keyspace;

const RUN: [&str; 4] = ["run", "mappings/demo", "--output", "json"];
const AGAIN: [&str; 5] = ["run", "mappings/demo", "--restart", "--output", "json"];

const TABLE: &str = "CREATE TABLE notes (part int, id int, note text, level int, PRIMARY KEY (part, id))";
const SOURCE: &str = "create table notes (id integer primary key, note text, level integer);
    insert into notes values (1, 'one', 1), (2, null, 2), (3, 'three', 3), (4, 'four', null);";

fn mapping(policy: &str) -> String {
    format!(
        "[[stream]]\nname = \"notes\"\nfrom = \"app.notes\"\nto = \"wide.notes\"\nkey = [\"part\", \"id\"]\non_conflict = \"{policy}\"\n\
         subject = {{ group = \"cast(id % 2 as text) = $key\" }}\n\
         [stream.columns]\npart = \"id % 2\"\nid = \"id\"\nnote = \"note\"\nlevel = \"level\"\n"
    )
}

fn notes(policy: &str) -> Toy {
    let toy = Toy::with(Keyspace::fresh(), TABLE, &mapping(policy), SOURCE);
    // One that is equal, one that differs, one with a value where the source has none.
    toy.keyspace.run([
        "INSERT INTO notes (part, id, note, level) VALUES (1, 1, 'one', 1)",
        "INSERT INTO notes (part, id, note, level) VALUES (0, 2, 'old', 2)",
        "INSERT INTO notes (part, id, note, level) VALUES (1, 3, 'old', 3)",
    ]);
    toy
}

fn held(toy: &Toy) -> Vec<String> {
    let rows = toy.keyspace.texts("SELECT id, note, level FROM notes");
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.join(" ")).collect();
    rows.sort();
    rows
}

#[test]
fn update_changes_what_differs_and_erases_what_the_source_has_not() {
    let toy = notes("update");
    let run = toy.project.run(&RUN);
    run.expect(0);
    assert_eq!(figures(&run, "notes"), [4, 1, 2, 1, 0, 0]);
    let expected = held(&toy);
    assert_eq!(expected.len(), 4);
    assert!(expected.iter().any(|row| row == "2 null 2"), "{expected:?}");
    toy.project.run(&["verify", "mappings/demo"]).expect(0);
    let run = toy.project.run(&AGAIN);
    assert_eq!(figures(&run, "notes"), [4, 0, 0, 4, 0, 0], "a run over what is equal");
    assert_eq!(held(&toy), expected);
}

#[test]
fn skip_leaves_what_is_there() {
    let toy = notes("skip");
    let run = toy.project.run(&RUN);
    run.expect(0);
    assert_eq!(figures(&run, "notes"), [4, 1, 0, 3, 0, 0]);
    assert_eq!(held(&toy).len(), 4);
    assert!(held(&toy).iter().filter(|row| row.contains("old")).count() == 2);
}

#[test]
fn error_rejects_what_is_there() {
    let toy = notes("error");
    let run = toy.project.run(&RUN);
    run.expect(4);
    assert_eq!(figures(&run, "notes"), [4, 1, 0, 0, 0, 3]);
    let rejects = toy.rejects();
    assert!(rejects.iter().all(|line| line.contains("\"duplicate\"")), "{rejects:?}");
    // Once they are out of the way, they are moved.
    toy.keyspace.run(["TRUNCATE notes"]);
    toy.project.run(&["run", "mappings/demo", "--retry-rejects"]).expect(0);
    assert_eq!(held(&toy).len(), 3);
    assert!(toy.rejects().is_empty());
}

/// The application writes into a row while it is being moved, or after: no older row goes over it.
#[test]
fn a_later_write_of_the_application_stays() {
    let toy = notes("update");
    toy.project.run(&RUN).expect(0);
    // From an hour ahead, as if it came after the next run began.
    let ahead = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_micros()
        + 3_600_000_000;
    toy.keyspace.run([
        format!("INSERT INTO notes (part, id, note) VALUES (1, 1, 'mine') USING TIMESTAMP {ahead}").as_str(),
        &format!("INSERT INTO notes (part, id, note, level) VALUES (0, 6, 'mine', 6) USING TIMESTAMP {ahead}"),
    ]);
    toy.project.sqlite(
        "app.db",
        "update notes set note = 'newer', level = 10 where id = 1; insert into notes values (6, 'theirs', 5);",
    );
    let run = toy.project.run(&AGAIN);
    run.expect(0);
    assert_eq!(
        figures(&run, "notes"),
        [5, 0, 1, 4, 0, 0],
        "one column of row 1 is older than the source's"
    );
    let rows = held(&toy);
    assert!(
        rows.contains(&"1 'mine' 10".to_owned()) && rows.contains(&"6 'mine' 6".to_owned()),
        "{rows:?}"
    );
    toy.project.run(&["verify", "mappings/demo"]).expect(5);
}

/// What was deleted at a later moment hides what is written: that is found, not counted as moved.
#[test]
fn rows_hidden_by_a_later_deletion_are_found_by_reading_them_back() {
    let toy = Toy::with(Keyspace::fresh(), TABLE, &mapping("update"), SOURCE);
    let ahead = 4_000_000_000_000_000_i64;
    toy.keyspace
        .run([format!("DELETE FROM notes USING TIMESTAMP {ahead} WHERE part = 1").as_str()]);
    let run = toy.project.run(&RUN);
    run.expect(1).says("2 are not in table `notes`").says("compare the clocks");
    assert_eq!(toy.keyspace.count("dbferry_batch"), 0);
}

#[test]
fn one_subject_is_moved_alone_and_again() {
    let toy = Toy::with(Keyspace::fresh(), TABLE, &mapping("error"), SOURCE);
    let run = toy
        .project
        .run(&["run", "mappings/demo", "--for", "group=1", "--output", "json"]);
    run.expect(0);
    assert_eq!(figures(&run, "notes"), [2, 2, 0, 0, 0, 0]);
    let run = toy
        .project
        .run(&["run", "mappings/demo", "--for", "group=1", "--output", "json"]);
    run.expect(0);
    assert_eq!(figures(&run, "notes"), [2, 0, 0, 2, 0, 0]);
    toy.project.run(&["verify", "mappings/demo", "--for", "group=1"]).expect(0);
    toy.project.run(&["run", "mappings/demo", "--for", "group=7"]).expect(1);
    // Moved whole, the rows of the subject are there already, and are no conflict where they are equal?
    let run = toy.project.run(&RUN);
    run.expect(4);
    assert_eq!(figures(&run, "notes"), [4, 2, 0, 0, 0, 2], "as the policy says");
}

#[test]
fn a_repair_mends_what_a_verification_found() {
    let toy = notes("update");
    toy.project.run(&RUN).expect(0);
    toy.keyspace.run([
        "DELETE FROM notes WHERE part = 0 AND id = 2",
        "UPDATE notes SET note = 'broken' WHERE part = 1 AND id = 3",
        "INSERT INTO notes (part, id, note) VALUES (1, 99, 'extra')",
    ]);
    let report = toy.project.path("report.json").display().to_string();
    toy.project.run(&["verify", "mappings/demo", "--report", &report]).expect(5);
    toy.project.run(&["repair", &report, "--yes", "--delete-extra"]).expect(0);
    toy.project.run(&["verify", "mappings/demo"]).expect(0);
    assert_eq!(held(&toy).len(), 4);
}
