//! `docs/operator.md` as an operator follows it: every command of a system's part is typed in the order
//! of the page, against the real system, and ends as the page says.

use std::process::Stdio;

use crate::harness::{Ended, Project, text};

const PAGE: &str = "docs/operator.md";

/// A line that an operator types.
struct Step {
    /// Line of the page.
    line: usize,
    command: String,
    /// How it ends: `(ends with 4)` in its remark, 0 without one.
    code: i32,
}

/// The lines of the shell blocks below a system's heading.
fn steps(system: &str) -> Vec<Step> {
    let page = text(PAGE);
    let (mut inside, mut fenced) = (false, false);
    let mut steps = Vec::new();
    for (index, line) in page.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            inside = heading.split([':', ' ']).next() == Some(system);
        }
        if line.starts_with("```") {
            fenced = line == "```sh";
        } else if inside && fenced && !line.trim().is_empty() {
            let (command, remark) = line.split_once(" #").unwrap_or((line, ""));
            let code = remark
                .split_once("(ends with ")
                .and_then(|(_, rest)| rest.split_once(')'))
                .map_or(0, |(code, _)| code.parse().expect("a code"));
            steps.push(Step {
                line: index + 1,
                command: command.trim().to_owned(),
                code,
            });
        }
    }
    assert!(steps.len() > 10, "{PAGE} tells little of {system}");
    steps
}

/// Types every command of a system's part.
pub(crate) fn follow(system: &str, project: &Project) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_dbferry"));
    let folder = program.parent().expect("a folder").display();
    let path = std::env::var("PATH").expect("a path");
    let mut otherwise = Vec::new();
    for Step { line, command, code } in steps(system) {
        // The environment and folder of the program, for the shell that an operator has.
        let mut shell = std::process::Command::new("bash");
        let own = project.command(&[]);
        shell
            .args(["-c", &command])
            .env_clear()
            .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("PATH", format!("{folder}:{path}"))
            .current_dir(project.path(""))
            .stdin(Stdio::null());
        let ended = Ended::of(shell.output().expect("a shell"));
        if ended.code != Some(code) {
            otherwise.push(format!(
                "{PAGE}:{line}: {command}: ends with {:?}, not {code}: {ended:?}",
                ended.code
            ));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
}

#[test]
fn every_command_of_the_page_belongs_to_a_system() {
    let systems = ["game", "bento", "nostria", "vyry", "mindia"];
    let typed: usize = systems.iter().map(|system| steps(system).len()).sum();
    let mut fenced = false;
    let page = text(PAGE);
    let shown = page.lines().filter(|line| {
        if line.starts_with("```") {
            fenced = *line == "```sh";
            return false;
        }
        fenced && !line.trim().is_empty()
    });
    assert_eq!(shown.count(), typed, "commands of {PAGE} that no test types");
}
