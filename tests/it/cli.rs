//! The command line as such: help, output that programs read, what is typed wrong, and how
//! little it does before it is asked to.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Ended, Project};
use crate::items;

#[test]
fn help_of_every_command() {
    let project = Project::new();
    let commands: [&[&str]; 12] = [
        &[],
        &["check"],
        &["plan"],
        &["run"],
        &["stats"],
        &["runs"],
        &["schema"],
        &["schema", "apply"],
        &["schema", "status"],
        &["schema", "revert"],
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
        (
            &["run", "mappings/demo", "--restart", "--retry-rejects"],
            "cannot be used with",
        ),
        (&["run", "mappings/demo", "--batch-size", "0"], "0 is not in 1.."),
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
    for name in ["config", "project", "mapping"] {
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
    for name in ["config", "project", "mapping"] {
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
