//! What a backup came to: as a table for people, as a document for programs.

use std::path::PathBuf;

use serde::Serialize;

use crate::backup::manifest::{Form, Saved, State};
use crate::backup::{Order, Outcome};
use crate::cli::failure::ErrorDocument;
use crate::cli::figures;
use crate::cli::output::visible;
use crate::cli::table::{Align, Grid};

/// A backup for programs.
#[derive(Debug, Serialize)]
pub(super) struct BackupDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    /// Null where nothing was done.
    folder: Option<&'a PathBuf>,
    manifest_sha256: Option<&'a str>,
    bytes: u64,
    connections: Vec<Saved>,
    left_out: &'a [String],
    removed: &'a [PathBuf],
    error: Option<ErrorDocument>,
}

impl<'a> BackupDocument<'a> {
    pub(super) fn done(outcome: &'a Outcome, left_out: &'a [String]) -> Self {
        Self {
            project: &outcome.manifest.project,
            environment: &outcome.manifest.environment,
            status: "done",
            folder: Some(&outcome.folder),
            manifest_sha256: Some(&outcome.manifest_sha256),
            bytes: outcome.manifest.bytes(),
            connections: outcome.manifest.connections.clone(),
            left_out,
            removed: &outcome.removed,
            error: None,
        }
    }

    pub(super) fn planned(order: &'a Order<'_>, left_out: &'a [String], outdated: &'a [PathBuf]) -> Self {
        Self {
            project: order.project,
            environment: order.environment,
            status: "planned",
            folder: None,
            manifest_sha256: None,
            bytes: 0,
            connections: order.parts.iter().map(Saved::planned).collect(),
            left_out,
            removed: outdated,
            error: None,
        }
    }
}

pub(in crate::cli) const fn state_name(state: State) -> &'static str {
    match state {
        State::Saved => "saved",
        State::Absent => "absent",
        State::NotBackedUp => "not backed up",
    }
}

const fn form_name(form: Option<Form>) -> &'static str {
    match form {
        Some(Form::PostgresCustom) => "dump",
        Some(Form::PostgresDirectory) => "dump, in a folder",
        Some(Form::Sqlite) => "file",
        Some(Form::PbData) => "pb_data",
        Some(Form::Keys) => "keys",
        None => "",
    }
}

fn lines(heading: &str, names: impl IntoIterator<Item = String>) -> String {
    let lines = names.into_iter().map(|name| format!("{heading} {}\n", visible(&name)));
    lines.collect::<Vec<_>>().concat()
}

fn shown(paths: &[PathBuf]) -> impl Iterator<Item = String> {
    paths.iter().map(|path| path.display().to_string())
}

/// A backup for people.
pub(super) fn text(outcome: &Outcome, left_out: &[String], color: bool) -> String {
    let left = ["connection", "kind", "state", "as", "moment"].map(|head| (head, Align::Left));
    let right = ["tables", "rows", "bytes"].map(|head| (head, Align::Right));
    let heads: Vec<_> = left.into_iter().chain(right).collect();
    let mut grid = Grid::new(&heads, color);
    for saved in &outcome.manifest.connections {
        grid.row([
            saved.connection.clone(),
            saved.kind.clone(),
            state_name(saved.state).to_owned(),
            form_name(saved.form).to_owned(),
            saved.taken_at.clone().unwrap_or_default(),
            figures::count(saved.tables.len() as u64),
            figures::count(saved.rows()),
            figures::bytes(saved.bytes()),
        ]);
    }
    let folder = visible(&outcome.folder.display().to_string());
    format!(
        "{}\n{}{}backup: {folder}, {}, checked\nmanifest: SHA-256 {}\n",
        grid.render(),
        lines("left out:", left_out.iter().cloned()),
        lines("removed:", shown(&outcome.removed)),
        figures::bytes(outcome.manifest.bytes()),
        outcome.manifest_sha256
    )
}

/// What a backup would do.
pub(super) fn planned(order: &Order<'_>, left_out: &[String], outdated: &[PathBuf], color: bool) -> String {
    let mut grid = Grid::new(&["connection", "kind", "keys"].map(|head| (head, Align::Left)), color);
    for part in &order.parts {
        let keys: Vec<&str> = part.keys.iter().map(|selection| selection.name.as_str()).collect();
        grid.row([part.connection.name.as_str(), part.connection.kind.name(), &keys.join(", ")]);
    }
    format!(
        "{}\n{}{}nothing was done\n",
        grid.render(),
        lines("left out:", left_out.iter().cloned()),
        lines("would be removed:", shown(outdated)),
    )
}
