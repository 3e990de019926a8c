//! What `schema …` means.

use super::Invocation;
use crate::cli::arguments::{EnvironmentArguments, SchemaCommand};

/// `schema …`.
pub(in crate::cli) struct SchemaIntent {
    pub(in crate::cli) invocation: Invocation,
    /// Only these targets, if any are named.
    pub(in crate::cli) only: Vec<String>,
    pub(in crate::cli) change: SchemaChange,
}

/// What `schema` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum SchemaChange {
    Apply {
        to: Option<i64>,
        dry_run: bool,
        /// Losses are agreed to.
        allow: bool,
    },
    Status,
    Revert {
        to: Option<i64>,
        dry_run: bool,
        ask: bool,
    },
    New {
        name: String,
    },
    Test,
}

impl SchemaIntent {
    pub(super) fn of(typed: SchemaCommand, environment: &EnvironmentArguments) -> Self {
        let (project, only, change) = match typed {
            SchemaCommand::Apply(apply) => {
                let change = SchemaChange::Apply {
                    to: apply.to,
                    dry_run: apply.dry_run,
                    allow: apply.allow_destructive,
                };
                (apply.schema.project, apply.schema.only, change)
            }
            SchemaCommand::Status(schema) => (schema.project, schema.only, SchemaChange::Status),
            SchemaCommand::Revert(revert) => {
                let change = SchemaChange::Revert {
                    to: revert.to,
                    dry_run: revert.dry_run,
                    ask: !revert.yes,
                };
                (revert.schema.project, revert.schema.only, change)
            }
            SchemaCommand::New(new) => {
                let only = new.connection.into_iter().collect();
                (new.project, only, SchemaChange::New { name: new.name })
            }
            SchemaCommand::Test(schema) => (schema.project, schema.only, SchemaChange::Test),
        };
        Self {
            invocation: Invocation::of(project, environment),
            only,
            change,
        }
    }
}
