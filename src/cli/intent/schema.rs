//! What `schema …` means.

use super::Invocation;
use crate::cli::arguments::{EnvironmentArguments, SchemaArguments, SchemaCommand};

/// `schema …`.
pub(in crate::cli) struct SchemaIntent {
    pub(in crate::cli) invocation: Invocation,
    /// Only this target.
    pub(in crate::cli) connection: Option<String>,
    pub(in crate::cli) change: SchemaChange,
}

/// What `schema` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum SchemaChange {
    Apply,
    Status,
    Revert { to: Option<i64>, ask: bool },
}

impl SchemaIntent {
    pub(super) fn of(typed: SchemaCommand, environment: &EnvironmentArguments) -> Self {
        let (schema, change): (SchemaArguments, _) = match typed {
            SchemaCommand::Apply(schema) => (schema, SchemaChange::Apply),
            SchemaCommand::Status(schema) => (schema, SchemaChange::Status),
            SchemaCommand::Revert(revert) => {
                let (to, ask) = (revert.to, !revert.yes);
                (revert.schema, SchemaChange::Revert { to, ask })
            }
        };
        Self {
            invocation: Invocation::of(schema.project, environment),
            connection: schema.connection,
            change,
        }
    }
}
