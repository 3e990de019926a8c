//! The target's server crashes again and again under a run whose batches are not on the disk when they are
//! committed: rows, ledger and the figures of the report are those of an undisturbed run.

use crate::harness::{Database, Ended, KillTimes, until};
use crate::items;
use crate::server::Server;

const ROWS: u32 = 20_000;
const CRASHES: u32 = 6;
const SMALL: [&str; 6] = ["run", "mappings/demo", "--batch-size", "20", "--output", "json"];

fn flushes(server: &Server) -> i64 {
    let flushes = crate::harness::value(&server.url(), "select wal_sync from pg_stat_wal");
    flushes.parse().expect("a count")
}

/// Batches that can be seen, whether they are on the disk or not.
fn committed(database: &Database) -> i64 {
    let exists = "select count(*) from pg_tables where schemaname = 'dbferry' and tablename = 'checkpoint'";
    if database.value(exists) == "0" {
        return 0;
    }
    let batches = "select coalesce(max(sequence), 0) from dbferry.checkpoint";
    database.value(batches).parse().expect("a count")
}

#[test]
fn a_server_that_crashes_takes_no_row_and_no_figure_with_it() {
    let server = Server::start();
    let undisturbed = Database::create_on(&server.url());
    undisturbed.query(items::POSTGRES_DDL);
    let project = items::into(&undisturbed.url);
    items::fill(&project, ROWS);
    let expected = project.run(&SMALL).expect(0).json();

    let database = Database::create_on(&server.url());
    database.query(items::POSTGRES_DDL);
    let mut project = project;
    project.set("TARGET_URL", &database.url);
    let mut times = KillTimes::within(300);
    let mut crashed = 0;
    let report = 'anew: loop {
        let mut child = project.start(&SMALL);
        let mut before = 0;
        while crashed < CRASHES {
            let mut ended = false;
            until("something more is committed", || {
                let now = committed(&database);
                ended = child.try_wait().expect("its state").is_some();
                let more = now > before;
                before = before.max(now);
                ended || more
            });
            times.wait();
            if ended || child.try_wait().expect("its state").is_some() {
                times.too_late();
                Ended::of_child(child).expect(0);
                database.query("truncate items; drop schema dbferry cascade");
                continue 'anew;
            }
            server.down("immediate");
            server.up();
            crashed += 1;
        }
        break Ended::of_child(child).expect(0).json();
    };
    let figures = |report: &serde_json::Value| {
        let stream = &report["streams"][0];
        ["status", "read", "inserted", "rejected", "batches", "bytes", "target_rows"].map(|name| stream[name].clone())
    };
    assert_eq!(figures(&report), figures(&expected), "{report}");
    assert!(
        undisturbed.query(items::ALL_ROWS) == database.query(items::ALL_ROWS),
        "the rows differ"
    );
    let ledger = "select sequence::text, first_key::text, last_key::text, rows_read::text, rows_inserted::text, digest::text
        from dbferry.batch order by sequence";
    assert_eq!(undisturbed.query(ledger), database.query(ledger));
    let checkpoint = "select sequence::text, position::text, rows_read::text, digest::text, complete::text from dbferry.checkpoint";
    assert_eq!(undisturbed.query(checkpoint), database.query(checkpoint));
}

#[test]
fn a_commit_waits_for_the_disk_once_in_a_while_and_where_the_server_says_otherwise_always() {
    let server = Server::start();
    // What the server flushes by itself would be counted, too.
    crate::harness::query(&server.url(), "alter system set wal_writer_delay = '10s'");
    crate::harness::query(&server.url(), "select pg_reload_conf()");
    let moved = |rows: u32, setting: &str| -> i64 {
        let database = Database::create_on(&server.url());
        database.query(items::POSTGRES_DDL);
        database.query(&format!(
            "alter database {} set synchronous_commit = {setting}",
            database.name
        ));
        let project = items::into(&database.url);
        items::fill(&project, rows);
        let before = flushes(&server);
        project.run(&["run", "mappings/demo", "--batch-size", "10"]).expect(0);
        assert_eq!(database.value("select count(*) from items"), rows.to_string());
        // Backends tell of theirs when they end.
        until("the run's sessions have ended", || {
            database.value("select count(*) from pg_stat_activity where application_name like 'dbferry%'") == "0"
        });
        flushes(&server) - before
    };
    for setting in ["on", "local", "off"] {
        let few = moved(3_000, setting);
        assert!(few < 200, "{few} flushes for 300 batches with {setting}");
    }
    let all = moved(1_000, "remote_write");
    assert!(all >= 100, "{all} flushes for 100 batches");
}
