//! What `rollback` means: of which run, how far, and who wins.

use super::{Invocation, quoted};
use crate::cli::arguments::{ChangedRows, EnvironmentArguments, RollbackArguments};
use crate::ledger::undo::Winner;
use crate::pipeline::subject::SubjectKey;

/// `rollback`.
pub(in crate::cli) struct RollbackIntent {
    pub(in crate::cli) invocation: Invocation,
    /// Id of the run, or how it begins.
    pub(in crate::cli) run: String,
    pub(in crate::cli) winner: Option<Winner>,
    pub(in crate::cli) subject: Option<SubjectKey>,
    pub(in crate::cli) rows_max: u64,
    pub(in crate::cli) dry_run: bool,
    pub(in crate::cli) ask: bool,
    pub(in crate::cli) forget: bool,
}

impl RollbackIntent {
    pub(super) fn of(typed: RollbackArguments, environment: &EnvironmentArguments) -> Self {
        Self {
            invocation: Invocation::of(typed.project, environment),
            run: typed.run,
            winner: typed.changed.map(|who| match who {
                ChangedRows::Keep => Winner::Target,
                ChangedRows::Overwrite => Winner::Undo,
            }),
            subject: typed.subject,
            rows_max: typed.batch_size,
            dry_run: typed.dry_run,
            ask: !typed.yes,
            forget: typed.forget,
        }
    }

    /// The same as a command line, with `more` at its end.
    pub(in crate::cli) fn again(&self, more: &[&str]) -> String {
        let mut words = Vec::new();
        if let Some(winner) = self.winner.filter(|_| !more.iter().any(|word| word.starts_with("--changed"))) {
            let who = if winner == Winner::Target { "keep" } else { "overwrite" };
            words.push(format!("--changed {who}"));
        }
        if let Some(SubjectKey { name, key }) = &self.subject {
            words.push(format!("--for {}", quoted(&format!("{name}={key}"))));
        }
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.invocation.command(&format!("rollback {}", quoted(&self.run)), &words)
    }
}
