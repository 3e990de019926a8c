//! What `backfill` means: which of a project's, and how.

use super::{Invocation, quoted};
use crate::cli::arguments::{BackfillArguments, EnvironmentArguments};
use crate::pipeline::backfill::{How, Options};

/// `backfill`.
pub(in crate::cli) struct BackfillIntent {
    pub(in crate::cli) invocation: Invocation,
    pub(in crate::cli) plan: Options,
    pub(in crate::cli) how: How,
    /// Rows are changed.
    pub(in crate::cli) fills: bool,
    /// Rows are compared.
    pub(in crate::cli) verifies: bool,
}

impl BackfillIntent {
    pub(super) fn of(typed: BackfillArguments, environment: &EnvironmentArguments) -> Self {
        Self {
            invocation: Invocation::of(typed.project, environment),
            plan: Options {
                only: typed.only,
                batch_rows_max: typed.batch_size,
                max_rejects: typed.max_rejects,
                rows_per_second_max: typed.max_rows_per_second,
            },
            how: How {
                dry_run: typed.dry_run,
                restart: typed.restart,
            },
            fills: !typed.verify_only,
            verifies: typed.verify || typed.verify_only,
        }
    }

    /// The same backfill as a command line, without what holds for its beginning alone, and with `more`
    /// at its end.
    pub(in crate::cli) fn again(&self, more: &[&str]) -> String {
        let mut words = Vec::new();
        if !self.plan.only.is_empty() {
            words.extend(["--only".to_owned(), quoted(&self.plan.only.join(","))]);
        }
        let given = |name: &str| more.contains(&name);
        for (name, value) in [
            ("--batch-size", self.plan.batch_rows_max),
            ("--max-rows-per-second", self.plan.rows_per_second_max),
            ("--max-rejects", self.plan.max_rejects),
        ] {
            if let Some(value) = value.filter(|_| !given(name)) {
                words.extend([name.to_owned(), value.to_string()]);
            }
        }
        if self.fills && self.verifies {
            words.push("--verify".to_owned());
        }
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.invocation.command("backfill", &words)
    }
}
