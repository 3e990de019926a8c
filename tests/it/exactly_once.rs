//! Exactly once: whatever happens to the program, the server or the connection between them, the
//! target ends as that of an undisturbed run, row by row, and the ledger adds up.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::harness::{Database, Ended, Moments, Project, query, sqlite_rows};
use crate::items;

const ROWS: u32 = 60_000;
const KILLS: u32 = 30;

fn start(project: &Project, args: &[&str]) -> Child {
    project.start(args)
}

/// Kills runs at random moments until the run has been killed `KILLS` times while it was alive.
/// `grow` says how much later each kill may come, from how long a whole run took.
fn kill_often(project: &Project, whole: Duration, mut rows_so_far: impl FnMut() -> u64) -> u64 {
    let mut moments = Moments::seeded();
    let mut killed = 0;
    let mut made_progress = 0;
    let mut rows = 0;
    // The start of the program takes part of the time: a kill may come anywhere within it, too.
    let longest = u64::try_from(whole.as_millis()).expect("a short run") / 6 + 60;
    for _ in 0..KILLS * 4 {
        if killed == KILLS {
            break;
        }
        let mut child = start(project, &["run", "mappings/demo", "--batch-size", "500"]);
        std::thread::sleep(Duration::from_millis(moments.below(longest)));
        if child.try_wait().expect("the child's state").is_none() {
            child.kill().expect("SIGKILL");
            killed += 1;
        }
        let ended = Ended::of_child(child);
        assert!(matches!(ended.code, None | Some(0 | 3)), "{ended:?}");
        let now = rows_so_far();
        made_progress += u64::from(now > rows);
        rows = now;
        if rows == u64::from(ROWS) {
            break;
        }
    }
    eprintln!("killed {killed} times, {made_progress} of the runs had committed something");
    killed.into()
}

#[test]
fn killed_at_random_moments_and_resumed_the_postgres_target_equals_an_undisturbed_one() {
    let (undisturbed, expected) = items::into_postgres(ROWS);
    let began = Instant::now();
    undisturbed.run(&["run", "mappings/demo", "--batch-size", "500"]).expect(0);
    let whole = began.elapsed();

    let (project, database) = items::into_postgres(ROWS);
    let mut kills = 0;
    while kills < u64::from(KILLS) {
        kills += kill_often(&project, whole, || {
            database.value("select count(*) from items").parse().expect("a count")
        });
        if database.value("select count(*) from items") == ROWS.to_string() && kills < u64::from(KILLS) {
            // The stream was finished before it was killed often enough: begin again.
            project.run(&["run", "mappings/demo", "--batch-size", "500"]).expect(0);
            check(&expected, &database);
            database.query("truncate items; drop schema dbferry cascade");
        }
    }
    project.run(&["run", "mappings/demo", "--batch-size", "500"]).expect(0);
    check(&expected, &database);
}

/// Row by row, and the ledger: batches without gaps whose sums are the checkpoint's.
fn check(expected: &Database, database: &Database) {
    assert_eq!(database.value("select count(*) from items"), ROWS.to_string());
    assert!(
        expected.query(items::ALL_ROWS) == database.query(items::ALL_ROWS),
        "the rows differ"
    );
    let ledger = database.query(
        "select count(*)::text, min(sequence)::text, max(sequence)::text, sum(rows_read)::text, sum(rows_inserted)::text from dbferry.batch",
    );
    let checkpoint =
        database.query("select sequence::text, rows_read::text, rows_inserted::text, complete::text from dbferry.checkpoint");
    let sequence = checkpoint[0][0].clone();
    let rows = Some(ROWS.to_string());
    assert_eq!(
        ledger[0],
        vec![sequence.clone(), Some("1".to_owned()), sequence, rows.clone(), rows.clone()]
    );
    assert_eq!(checkpoint[0][1..], [rows.clone(), rows, Some("true".to_owned())]);
    assert_eq!(
        expected.value("select digest from dbferry.checkpoint"),
        database.value("select digest from dbferry.checkpoint"),
        "the digests of what was sent differ"
    );
}

#[test]
fn killed_at_random_moments_and_resumed_the_sqlite_target_equals_an_undisturbed_one() {
    let undisturbed = items::into_sqlite(ROWS);
    let began = Instant::now();
    undisturbed.run(&["run", "mappings/demo", "--batch-size", "500"]).expect(0);
    let whole = began.elapsed();
    let project = items::into_sqlite(ROWS);
    let file = project.path("out.db");
    let count = || sqlite_rows(&file, "select id from items").len() as u64;
    let mut kills = 0;
    while kills < u64::from(KILLS) {
        kills += kill_often(&project, whole, count);
        if count() == u64::from(ROWS) && kills < u64::from(KILLS) {
            project.run(&["run", "mappings/demo", "--batch-size", "500"]).expect(0);
            for end in ["", "-wal", "-shm", ".dbferry-lock"] {
                drop(std::fs::remove_file(project.path(&format!("out.db{end}"))));
            }
            project.sqlite("out.db", items::SQLITE_DDL);
        }
    }
    project.run(&["run", "mappings/demo", "--batch-size", "500"]).expect(0);
    let all = "select * from items order by id";
    assert!(
        sqlite_rows(&undisturbed.path("out.db"), all) == sqlite_rows(&file, all),
        "the rows differ"
    );
    let ledger = sqlite_rows(
        &file,
        "select max(sequence) - count(*), sum(rows_read), sum(rows_inserted) from dbferry_batch",
    );
    assert_eq!(ledger, [format!("Integer(0)|Integer({ROWS})|Integer({ROWS})|")]);
}

#[test]
fn a_second_run_is_refused_while_one_is_going_and_told_which() {
    let (project, database) = items::into_postgres(ROWS);
    let first = start(&project, &["run", "mappings/demo", "--batch-size", "200"]);
    let began = Instant::now();
    while database
        .value("select coalesce((select 'yes' from pg_tables where schemaname = 'dbferry' and tablename = 'batch'), 'no')")
        != "yes"
    {
        assert!(began.elapsed() < Duration::from_secs(20), "the first run never began");
    }
    let second = project.run(&["run", "mappings/demo"]);
    second.expect(3).says(&format!("process {}", first.id()));
    let first = Ended::of_child(first);
    first.expect(0);
    assert_eq!(database.value("select count(*) from items"), ROWS.to_string());
}

#[test]
fn ctrl_c_finishes_the_batch_in_flight_and_says_how_to_go_on() {
    let (project, database) = items::into_postgres(ROWS);
    let child = start(&project, &["run", "mappings/demo", "--batch-size", "300"]);
    let began = Instant::now();
    while database.value("select count(*) from items") == "0" {
        assert!(began.elapsed() < Duration::from_secs(20), "the run never committed anything");
    }
    let asked = Instant::now();
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .expect("kill")
            .success()
    );
    let ended = Ended::of_child(child);
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    ended.expect(130).says("dbferry run mappings/demo");
    let rows: u32 = database.value("select count(*) from items").parse().expect("a count");
    assert!(rows > 0 && rows < ROWS && rows.is_multiple_of(300), "{rows} rows");
    assert_eq!(database.value("select rows_read from dbferry.checkpoint"), rows.to_string());
    project.run(&["run", "mappings/demo"]).expect(0);
    assert_eq!(database.value("select count(*) from items"), ROWS.to_string());
    assert_eq!(
        query(&database.url, "select status from dbferry.run order by started_at").len(),
        2
    );
}
