//! What came of a change of schemas, as a table, as SQL, and as a document.

use serde::Serialize;

use super::state_name;
use crate::Result;
use crate::cli::failure::ErrorDocument;
use crate::cli::files::Files;
use crate::cli::output::{Console, visible};
use crate::cli::table::{Align, Grid};
use crate::schema::{Migration, Proposal};

/// One migration of one target.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    connection: String,
    version: i64,
    description: String,
    state: &'static str,
    applied_at: Option<String>,
    /// Of a dry run: the file, and what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<String>,
}

/// A step that loses something, for programs.
#[derive(Debug, Serialize)]
struct Loss {
    connection: String,
    version: i64,
    file: String,
    line: usize,
    column: usize,
    what: String,
}

/// Migrations for programs.
#[derive(Debug, Serialize)]
struct SchemaDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    migrations: &'a [Row],
    #[serde(skip_serializing_if = "Option::is_none")]
    destructive: Option<&'a [Loss]>,
    error: Option<ErrorDocument>,
}

/// What there is to tell.
pub(super) struct Outcome {
    status: &'static str,
    rows: Vec<Row>,
    losses: Option<Vec<Loss>>,
    /// For people, instead of the table.
    text: Option<String>,
    /// With the moments at which migrations were applied.
    timed: bool,
}

impl Row {
    /// As it stands.
    pub(super) fn of(connection: &str, migration: &Migration) -> Self {
        Self::done(connection, migration, state_name(migration))
    }

    /// With what was just done to it.
    pub(super) fn done(connection: &str, migration: &Migration, state: &'static str) -> Self {
        Self {
            connection: connection.to_owned(),
            version: migration.version,
            description: migration.description.clone(),
            state,
            applied_at: migration.applied_at.clone(),
            file: None,
            sql: None,
        }
    }
}

impl Outcome {
    const fn new(status: &'static str, rows: Vec<Row>) -> Self {
        Self {
            status,
            rows,
            losses: None,
            text: None,
            timed: false,
        }
    }

    /// What stands.
    pub(super) fn status(rows: Vec<Row>) -> Self {
        let text = rows.is_empty().then(|| "there are no migrations".to_owned());
        Self {
            timed: true,
            text,
            ..Self::new("done", rows)
        }
    }

    /// What was done; `nothing` says so where nothing was.
    pub(super) fn done(rows: Vec<Row>, nothing: &str) -> Self {
        let text = rows.is_empty().then(|| nothing.to_owned());
        Self {
            text,
            ..Self::new("done", rows)
        }
    }

    /// What was done before it stopped, and what is left.
    pub(super) fn failed(rows: Vec<Row>) -> Self {
        Self::new("failed", rows)
    }

    /// What would be done: the SQL, in its order. `way`: `apply` or `revert`.
    pub(super) fn planned(proposals: &[Proposal], way: &str) -> Self {
        let mut rows = Vec::new();
        let mut text = String::new();
        let mut losses = Vec::new();
        for proposal in proposals {
            let connection = &proposal.connection;
            for step in &proposal.steps {
                let migration = &step.migration;
                let alone = if step.in_transaction { "" } else { ", without a transaction" };
                let head = format!(
                    "-- {way} {connection} {} {}{alone}: {}",
                    migration.version, migration.description, step.file
                );
                text.push_str(&visible(&head));
                text.push('\n');
                text.push_str(&shown(&step.text));
                rows.push(Row {
                    file: Some(step.file.clone()),
                    sql: Some(step.text.clone()),
                    ..Row::of(connection, migration)
                });
            }
            losses.extend(proposal.hazards.iter().map(|hazard| {
                let (line, column) = hazard.place.line_column();
                Loss {
                    connection: connection.clone(),
                    version: hazard.version,
                    file: hazard.place.file.path.clone(),
                    line,
                    column,
                    what: hazard.what.clone(),
                }
            }));
        }
        if rows.is_empty() {
            text = format!("-- there is nothing to {way}");
        }
        Self {
            losses: Some(losses),
            text: Some(text),
            ..Self::new("planned", rows)
        }
    }

    /// To stdout.
    pub(super) fn tell(&self, files: &Files, error: Option<ErrorDocument>, console: &Console) -> Result<()> {
        if console.is_json() {
            return console.document(&SchemaDocument {
                project: &files.project.name,
                environment: &files.config.environment,
                status: self.status,
                migrations: &self.rows,
                destructive: self.losses.as_deref(),
                error,
            });
        }
        match &self.text {
            Some(text) => console.result(text),
            // Where nothing was begun, the error says all.
            None if self.rows.is_empty() => Ok(()),
            None => console.result(&self.table(console.result_color)),
        }
    }

    fn table(&self, color: bool) -> String {
        let heads = [
            ("connection", Align::Left),
            ("version", Align::Right),
            ("migration", Align::Left),
            ("state", Align::Left),
            ("applied", Align::Left),
        ];
        // What was just done needs no time beside it.
        let shown = if self.timed { heads.len() } else { heads.len() - 1 };
        let mut grid = Grid::new(&heads[..shown], color);
        for row in &self.rows {
            grid.row([
                row.connection.as_str(),
                &row.version.to_string(),
                &row.description,
                row.state,
                row.applied_at.as_deref().unwrap_or_default(),
            ]);
        }
        grid.render()
    }
}

/// A file's text line by line, ending with one.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        shown.push_str(&line.split('\t').map(visible).collect::<Vec<_>>().join("\t"));
        shown.push('\n');
    }
    shown.push('\n');
    shown
}
