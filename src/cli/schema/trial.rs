//! `dbferry schema test`: the migrations of all targets, tried in scratch databases.

use serde::Serialize;

use super::follow::Follower;
use super::targets::Target;
use crate::cli::failure::ErrorDocument;
use crate::cli::files::Files;
use crate::cli::output::{Console, visible};
use crate::cli::table::{Align, Grid};
use crate::schema::{self, Difference, Rehearsal};
use crate::{Result, error};

/// A trial for programs.
#[derive(Debug, Serialize)]
struct TrialDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    connections: &'a [Tried],
    error: Option<ErrorDocument>,
}

/// The migrations of one target.
#[derive(Debug, Serialize)]
struct Tried {
    connection: String,
    verdict: &'static str,
    applied: usize,
    reverted: usize,
    /// The newest version that cannot be reverted.
    kept: Option<i64>,
    /// What differs between before and the way down.
    left_behind: Vec<Difference>,
    /// What differs between the first way up and the second.
    changed: Vec<Difference>,
    /// Scratch databases of calls that were killed.
    removed: Vec<String>,
}

/// Tries them one after the other; the first that fails ends it.
pub(super) async fn run(files: &Files, targets: &[Target], follower: &Follower, console: &Console) -> Result<u8> {
    let mut tried = Vec::new();
    for Target { connection, folder } in targets {
        let rehearsal = schema::rehearse(connection, folder, follower).await?;
        tried.push(Tried::of(&connection.name, rehearsal));
    }
    let is_clean = tried.iter().all(|one| one.verdict == EQUAL);
    if console.is_json() {
        console.document(&TrialDocument {
            project: &files.project.name,
            environment: &files.config.environment,
            status: if is_clean { EQUAL } else { DIFFERENT },
            connections: &tried,
            error: None,
        })?;
    } else {
        console.result(&text(&tried, console.result_color))?;
    }
    for one in &tried {
        for name in &one.removed {
            console.note(&visible(&format!(
                "{}: removed {name}, which a call that was killed had left",
                one.connection
            )));
        }
        if let Some(version) = one.kept {
            console.note(&visible(&format!(
                "{}: migration {version} has no file that undoes it, so that it and those before it were not reverted",
                one.connection
            )));
        }
    }
    Ok(if is_clean { error::EXIT_DONE } else { error::EXIT_DIFFERENCES })
}

const EQUAL: &str = "equal";
const DIFFERENT: &str = "different";

impl Tried {
    fn of(connection: &str, rehearsal: Rehearsal) -> Self {
        Self {
            connection: connection.to_owned(),
            verdict: if rehearsal.is_clean() { EQUAL } else { DIFFERENT },
            applied: rehearsal.applied,
            reverted: rehearsal.reverted,
            kept: rehearsal.kept,
            left_behind: rehearsal.left_behind,
            changed: rehearsal.changed,
            removed: rehearsal.removed,
        }
    }
}

fn text(tried: &[Tried], color: bool) -> String {
    let heads = [
        ("connection", Align::Left),
        ("up", Align::Right),
        ("down", Align::Right),
        ("up again", Align::Right),
        ("verdict", Align::Left),
    ];
    let mut grid = Grid::new(&heads, color);
    for one in tried {
        let counts = [one.applied, one.reverted, one.reverted].map(|count| count.to_string());
        let [up, down, again] = &counts;
        grid.row([&one.connection, up, down, again, one.verdict]);
    }
    let mut text = grid.render();
    for one in tried {
        list(&mut text, &one.connection, "the way down", &one.left_behind);
        list(&mut text, &one.connection, "the second way up", &one.changed);
    }
    text
}

/// What differs, each with both of its definitions.
fn list(text: &mut String, connection: &str, way: &str, differences: &[Difference]) {
    if differences.is_empty() {
        return;
    }
    text.extend(["\n", &visible(connection), ", after ", way, ":\n"]);
    for Difference { object, before, after } in differences {
        let name = format!("{} {}", object.kind, object.name);
        let lines = match (before, after) {
            (None, _) => vec![format!("{name} was not there before")],
            (Some(_), None) => vec![format!("{name} is gone")],
            (Some(before), Some(after)) => vec![
                format!("{name} differs"),
                format!("  before: {before}"),
                format!("  after:  {after}"),
            ],
        };
        for line in lines {
            text.extend(["  ", &visible(&line.replace('\n', " ")), "\n"]);
        }
    }
}
