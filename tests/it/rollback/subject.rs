//! The rows of one subject alone.

use super::{back, demo, everything, figures, fill, rows, run, same};

#[test]
fn only_the_rows_of_one_subject_go_back_and_the_rest_can_follow() {
    let (project, database) = demo("update", 300);
    fill(&database, 300);
    let before = rows(&database);
    let id = run(&project, &["--batch-size", "70"], 0);
    let moved = everything(&database);
    let of_p1 = |row: &&String| row.starts_with("players (p1,") || (row.starts_with("notes ") && row.contains(",p1,"));
    let told = back(&project, &id, &["--for", "user=p1", "--yes"]).expect(5).json();
    assert_eq!(told["status"], "refused", "notes of others refer to a note of theirs");
    same(&moved, &everything(&database));
    database.query("update notes set parent = null where parent = (select id from notes where body ? 'n' and player = 'p1')");
    let told = back(&project, &id, &["--for", "user=p1", "--yes"]).expect(0).json();
    assert_eq!(figures(&told, "players"), [0, 1, 0, 0, 0]);
    let after = rows(&database);
    let player = |all: &[String]| all.iter().filter(of_p1).find(|row| row.starts_with("players")).cloned();
    assert_eq!(player(&after), player(&before));
    // The stream itself is as far as it was, and the rest goes back with the rest of the log.
    assert_eq!(
        database.value("select count(*) from dbferry.checkpoint where complete and split >= 0"),
        "3"
    );
    back(&project, &id, &["--for", "user=nobody", "--yes"])
        .expect(1)
        .says("no row belongs");
    back(&project, &id, &["--yes", "--changed", "overwrite"]).expect(0);
    same(&before, &rows(&database));
}
