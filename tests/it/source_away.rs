//! The source goes away in the middle of a stream.

use crate::harness::{Database, Ended, Project, until};

const ROWS: u64 = 20_000;

/// Waits in the middle, so that it can be interrupted there.
const QUERY: &str = "select i as id, case when i = 15000 then pg_sleep(3)::text end as note from generate_series(1, 20000) i";

fn project(source: &Database, target: &Database, keyed: bool) -> Project {
    target.query("create table t (id integer primary key, note text)");
    let mut project = Project::new();
    project.set("SOURCE_URL", &source.url);
    project.set("TARGET_URL", &target.url);
    project.write(
        "config/development.toml",
        "[limits]\nportion_rows_max = 500\n\n[connection.source]\nkind = \"postgres\"\nurl = { env = \"SOURCE_URL\" }\n\n\
         [connection.target]\nkind = \"postgres\"\nurl = { env = \"TARGET_URL\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"source\"]\nsinks = [\"target\"]\n",
    );
    let key = if keyed { "source_key = [\"id\"]\n" } else { "" };
    project.write(
        "mappings/demo/streams.toml",
        &format!(
            "[[stream]]\nname = \"t\"\nto = \"target.t\"\nkey = [\"id\"]\n{key}same_name_columns = true\n\n\
             [stream.query]\nconnection = \"source\"\nsql = \"{QUERY}\"\n"
        ),
    );
    project
}

/// An atomic stream has no place to go on from: what came before the source was lost is not kept,
/// and above all not taken for everything.
#[test]
fn rows_that_came_before_a_source_was_lost_are_not_taken_for_all() {
    for keyed in [false, true] {
        let (source, target) = (Database::create(), Database::create());
        let project = project(&source, &target, keyed);
        let child = project.start(&["run", "mappings/demo", "--batch-size", "1000", "--output", "json"]);
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and wait_event = 'PgSleep' and query ilike 'copy%'";
        // The rows are counted before they are read.
        until("the source waits in the middle of reading", || source.value(end) == "1");
        let ended = Ended::of_child(child);
        let report = ended.expect(0).json();
        assert_eq!(target.value("select count(*) from t"), ROWS.to_string(), "keyed: {keyed}");
        let stream = &report["streams"][0];
        assert_eq!(
            (stream["read"].as_u64(), stream["status"].as_str()),
            (Some(ROWS), Some("complete")),
            "keyed: {keyed}: {report:#}"
        );
    }
}
