//! The command line as such: help, output that programs read, what is typed wrong, and how
//! little it does before it is asked to.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Ended, Project};
use crate::items;

#[test]
fn help_of_every_command() {
    let project = Project::new();
    let commands: [&[&str]; 25] = [
        &[],
        &["check"],
        &["plan"],
        &["run"],
        &["verify"],
        &["repair"],
        &["backfill"],
        &["rollback"],
        &["backup"],
        &["backup", "verify"],
        &["backup", "list"],
        &["restore"],
        &["stats"],
        &["runs"],
        &["runs", "show"],
        &["clean"],
        &["schema"],
        &["schema", "apply"],
        &["schema", "status"],
        &["schema", "revert"],
        &["schema", "new"],
        &["schema", "test"],
        &["introspect"],
        &["json-schema"],
        &["completions"],
    ];
    for words in commands {
        let ended = project.run(&[words, &["--help"]].concat());
        assert!(ended.expect(0).stderr.is_empty());
        let name = ["help"].iter().chain(words).copied().collect::<Vec<_>>().join("_");
        insta::assert_snapshot!(name, ended.stdout);
        assert!(
            words == ["completions"] || ended.stdout.contains("Example"),
            "{words:?} has no example"
        );
        let short = project.run(&[words, &["-h"]].concat());
        assert_eq!(short.stdout, ended.stdout, "{words:?}: one help, not two");
    }
}

#[test]
fn what_is_typed_wrong_is_told_on_stderr_alone() {
    let project = items::into("postgres://localhost/none");
    for (arguments, text) in [
        (&["rnu", "mappings/demo"][..], "unrecognized subcommand 'rnu'"),
        (&["run"], "<PROJECT>"),
        (&["clean", "mappings/demo"], "no prefix says of which"),
        (
            &["run", "mappings/demo", "--key-prefix", "a:b"],
            "a prefix is made of letters",
        ),
        (&["run", "mappings/demo", "--key-prefix", "dbferry:"], "keeps its own records"),
        (
            &["run", "mappings/demo", "--restart", "--retry-rejects"],
            "cannot be used with",
        ),
        (&["run", "mappings/demo", "--batch-size", "0"], "0 is not in 1.."),
        (
            &["verify", "mappings/demo", "--report", "report.pdf"],
            "ends with .html or .json",
        ),
        (&["verify", "mappings/demo", "--wait", "5"], "--recheck <TIMES>"),
        (&["run", "mappings/demo", "--verify", "--dry-run"], "cannot be used with"),
        (&["run", "mappings/demo", "--report", "report.html"], "--verify"),
        (&["json-schema"], "<FORMAT>"),
        (&["run", "mappings/dmo"], "mappings/dmo is not a project"),
        (
            &["run", "mappings/demo", "--env", "developmnt"],
            "did you mean `--env development`?",
        ),
        (&["run", "mappings/demo", "--only", "itms"], "there is no stream `itms`"),
        (&["plan", "mappings/demo", "--only", "itms"], "its streams are: items"),
        (&["schema", "apply", "mappings/demo"], "project `demo` has no migrations"),
    ] {
        let ended = project.run(arguments);
        ended.expect(2).says(text);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    // Nothing at all is a question, not a mistake of the shell.
    let ended = project.run(&[]);
    ended.expect(2).says("Usage: dbferry");
}

#[test]
fn a_failure_is_one_document_too() {
    let project = items::into("not a url");
    let run = project.run(&["run", "mappings/demo", "--output", "json", "--dry-run"]);
    insta::assert_json_snapshot!("run_not_begun", run.expect(2).json());
    for command in ["check", "plan", "stats", "runs"] {
        let ended = project.run(&[command, "mappings/demo", "--output", "json"]);
        let document = ended.expect(2).json();
        assert_eq!(document["status"], "failed", "{command}");
        assert_eq!(document["error"], run.json()["error"], "{command}");
    }
}

#[test]
fn mistakes_in_files_are_quoted_with_their_place() {
    let project = items::into("postgres://localhost/none");
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace("same_name_columns = true", "same_name_colums = true"),
    );
    for command in ["check", "plan", "run", "stats"] {
        let ended = project.run(&[command, "mappings/demo"]);
        ended
            .expect(2)
            .says("mappings/demo/streams.toml:7:1")
            .says("same_name_columns")
            .says("error: 1 mistake found");
        assert_eq!(ended.stdout, "", "{command}");
    }
    let colored = project.run(&["plan", "mappings/demo", "--color", "always"]);
    assert!(colored.stderr.contains('\u{1b}'));
    let mut project = project;
    project.set("NO_COLOR", "1");
    assert!(!project.run(&["plan", "mappings/demo"]).stderr.contains('\u{1b}'));
}

#[test]
fn schemas_are_printed_and_written() {
    let project = Project::new();
    for name in ["config", "project", "mapping", "report"] {
        let printed = project.run(&["json-schema", name]).expect(0).json();
        assert_eq!(printed["$schema"], "http://json-schema.org/draft-07/schema#");
        let shipped = format!("{}/config/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&shipped).expect("a shipped schema");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON"),
            printed,
            "{name}"
        );
    }
    let ended = project.run(&["json-schema", "--out", "config/schema"]);
    assert_eq!(ended.expect(0).stdout, "");
    for name in ["config", "project", "mapping", "report"] {
        let file = format!("{name}.schema.json");
        let shipped = format!("{}/config/schema/{file}", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(
            std::fs::read(project.path(&format!("config/schema/{file}"))).expect("a written schema"),
            std::fs::read(shipped).expect("a shipped schema"),
            "{file}"
        );
    }
}

#[test]
fn completions_know_the_commands() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish"] {
        let ended = project.run(&["completions", shell]);
        for word in ["retry-rejects", "json-schema", "config-dir"] {
            assert!(ended.expect(0).stdout.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let project = Project::new();
    for arguments in [&["json-schema", "mapping"][..], &["completions", "zsh"], &["--help"]] {
        let mut child = project
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // The reading end is closed before anything is read.
        drop(child.stdout.take());
        let ended = Ended::of(child.wait_with_output().expect("the program ends"));
        ended.expect(0);
        assert_eq!(ended.stderr, "", "{arguments:?}");
    }
}

#[test]
fn nothing_heavy_happens_before_it_is_needed() {
    let project = items::into_sqlite(10);
    for arguments in [
        &["--version"][..],
        &["json-schema", "mapping"],
        &["check", "mappings/demo"],
        &["plan", "mappings/demo"],
    ] {
        // The best of several: other tests use the processors, too.
        let once = || {
            let began = Instant::now();
            project.run(arguments).expect(0);
            began.elapsed()
        };
        let best = (0..10).map(|_| once()).min().expect("several");
        assert!(best < Duration::from_millis(100), "{arguments:?} took {best:?}");
    }
}

/// A document as it is pinned: what differs from run to run is left out.
fn pinned(project: &Project, arguments: &[&str], code: i32) -> String {
    let ended = project.run(&[arguments, &["--output", "json"]].concat());
    let mut document = ended.expect(code).json();
    let folder = project.path("").display().to_string();
    blank(&mut document, &folder);
    serde_json::to_string_pretty(&document).expect("JSON")
}

fn blank(value: &mut serde_json::Value, folder: &str) {
    const CHANGING: [&str; 14] = [
        "bytes",
        "run",
        "id",
        "seconds",
        "started_at",
        "ended_at",
        "source_read_at",
        "target_read_at",
        "rows_per_second",
        "moment",
        "fingerprint",
        "holder",
        "version",
        "free_bytes",
    ];
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                if CHANGING.contains(&key.as_str()) && !value.is_null() {
                    *value = "…".into();
                }
                blank(value, folder);
            }
        }
        serde_json::Value::Array(array) => array.iter_mut().for_each(|value| blank(value, folder)),
        serde_json::Value::String(text) => *text = text.replace(folder, ""),
        _ => {}
    }
}

#[test]
fn documents_of_every_command() {
    let project = items::into_sqlite(10);
    project.sqlite("app.db", "update items set doc = '{broken' where id = 'item-00000003'");
    for (name, arguments, code) in [
        ("document_check", &["check", "mappings/demo"][..], 0),
        ("document_plan", &["plan", "mappings/demo"], 0),
        ("document_run", &["run", "mappings/demo", "--max-rejects", "5"], 4),
        ("document_verify", &["verify", "mappings/demo"], 0),
        ("document_stats", &["stats", "mappings/demo"], 0),
        ("document_stats_keys", &["stats", "mappings/demo", "--show-keys"], 0),
        ("document_runs", &["runs", "mappings/demo"], 0),
    ] {
        insta::assert_snapshot!(name, pinned(&project, arguments, code));
    }
}

#[test]
fn text_of_every_command() {
    let project = items::into_sqlite(10);
    project.sqlite("app.db", "update items set doc = '{broken' where id = 'item-00000003'");
    let mut shown = Vec::new();
    for arguments in [
        &["plan", "mappings/demo"][..],
        &["run", "mappings/demo", "--max-rejects", "5", "--dry-run"],
        &["run", "mappings/demo", "--max-rejects", "5"],
        &["verify", "mappings/demo"],
        &["stats", "mappings/demo", "--show-keys"],
        &["plan", "mappings/demo"],
    ] {
        let ended = project.run(arguments);
        shown.push(format!(
            "$ dbferry {}\n{}\n--- stderr\n{}",
            arguments.join(" "),
            ended.stdout,
            ended.stderr
        ));
    }
    insta::with_settings!({filters => vec![
        (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}", "RUN"),
        (r" *\d+\.\d\d s", " TIME"),
        (r"─+", "───"),
    ]}, {
        insta::assert_snapshot!("texts", shown.join("\n"));
    });
}

const TABLE: &str = "mappings/demo/migrations/target.sqlite/0001_items.up.sql";

/// A project whose target has no table yet, and a migration that makes it.
fn without_table() -> Project {
    let project = items::into_sqlite(10);
    std::fs::remove_file(project.path("out.db")).expect("the file was there");
    let config = std::fs::read_to_string(project.path("config/development.toml")).expect("the file");
    project.write(
        "config/development.toml",
        &config.replace(
            "path = { value = \"out.db\" }",
            "path = { value = \"out.db\" }\ncreate_database = true",
        ),
    );
    project.write(TABLE, &format!("{};", items::SQLITE_DDL));
    project.write(&TABLE.replace(".up.", ".down."), "drop table items;");
    project
}

#[test]
fn only_a_run_makes_what_is_missing_and_says_how() {
    let project = without_table();
    for arguments in [
        &["check", "mappings/demo"][..],
        &["plan", "mappings/demo"],
        &["run", "mappings/demo", "--dry-run"],
        &["stats", "mappings/demo"],
        &["runs", "mappings/demo"],
    ] {
        project
            .run(arguments)
            .expect(3)
            .says("dbferry run mappings/demo --apply-schema");
        assert!(!project.path("out.db").exists(), "{arguments:?} made a file");
    }
    project
        .run(&["run", "mappings/demo"])
        .expect(3)
        .says("has no table `items`")
        .says("dbferry schema apply mappings/demo");
    project
        .run(&["run", "mappings/demo", "--apply-schema"])
        .expect(0)
        .says("applied migration 1 items");
    let status = project
        .run(&["schema", "status", "mappings/demo", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(status["migrations"][0]["state"], "applied");
    project.run(&["schema", "revert", "mappings/demo"]).expect(2).says("--yes");
    project.run(&["schema", "revert", "mappings/demo", "--yes"]).expect(0);
    assert_eq!(
        project
            .run(&["schema", "apply", "mappings/demo"])
            .expect(0)
            .stdout
            .lines()
            .count(),
        3
    );
}

#[test]
fn somebody_at_a_terminal_is_asked() {
    let terminal = |project: &Project, answer: &str| {
        // `script` gives the program a terminal.
        let mut command = project.command(&[]);
        let environment: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        let binary = command.get_program().to_owned();
        command = std::process::Command::new("script");
        command.args(["-qec", &format!("{} run mappings/demo", binary.display()), "/dev/null"]);
        command.current_dir(project.path("")).env_clear();
        command.envs(environment.into_iter().filter_map(|(name, value)| Some((name, value?))));
        command
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("script of Debian's bsdutils");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, answer.as_bytes()).expect("an answer");
        Ended::of(child.wait_with_output().expect("the run ends"))
    };
    let project = without_table();
    let ended = terminal(&project, "n\n");
    assert!(ended.stdout.contains("apply them now? [y/N]"), "{}", ended.stdout);
    ended.expect(3);
    let ended = terminal(&project, "y\n");
    ended.expect(0);
    for text in ["applied migration 1 items", "items: complete, 10 rows", "\u{1b}["] {
        assert!(ended.stdout.contains(text), "no {text:?} in:\n{}", ended.stdout);
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let (project, database) = items::into_postgres(10);
    database.query(
        "create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(60); return new; end';
         create trigger slow before insert on items for each row execute function slow()",
    );
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace("same_name", "triggers = \"on\"\nsame_name"),
    );
    let child = project
        .command(&["run", "mappings/demo", "--restart"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let interrupt = || {
        let status = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(status.expect("kill").success());
    };
    let began = Instant::now();
    let sleeping = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and wait_event = 'PgSleep'",
        database.name
    );
    while database.value(&sleeping) == "0" {
        assert!(began.elapsed() < Duration::from_secs(20), "the run never began");
    }
    interrupt();
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    interrupt();
    let ended = Ended::of(child.wait_with_output().expect("the run ends"));
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
    ended
        .expect(130)
        .says("finishing the batch in flight; press Ctrl-C again to abort")
        .says("aborted: the batch in flight is rolled back")
        .says("dbferry run mappings/demo");
    assert!(
        !ended.stderr.contains("--restart"),
        "what was forgotten is not forgotten twice"
    );
    assert_eq!(database.value("select count(*) from items"), "0");
}
