//! Rows of a subject that are in the target alone: they are found where a column of the target is
//! known to carry the subject: where it is the source column that the subject's condition compares
//! with the key, or the UUID of it.

use std::collections::HashSet;
use std::sync::Arc;

use super::compare::{Comparison, Rows};
use super::drain::Watch;
use super::group::Group;
use super::locate::{Held, Located, Sought, locate, these};
use super::show;
use super::side::Side;
use super::table_side::TableSide;
use super::tally::Outcome;
use crate::Result;
use crate::config::connection::ConnectionKind;
use crate::data::stream::Subject;
use crate::pipeline::plan::PlannedStream;

/// Where the target carries a subject.
pub(super) struct Carried {
    /// Place of the column that does among those of the form; `None` where none is known to.
    column: Option<usize>,
    /// Why there is none.
    untold: &'static str,
    table: TableSide,
    in_sqlite: bool,
}

impl Carried {
    /// Finds the column of a stream's table.
    pub(super) fn new(stream: &PlannedStream, table: TableSide, kind: &ConnectionKind) -> Self {
        let by_key_alone = matches!(kind, ConnectionKind::Scylla(_));
        Self {
            column: column(stream).filter(|_| !by_key_alone),
            untold: if by_key_alone {
                "its rows are found by their keys alone"
            } else {
                "no column of the target is known to carry it"
            },
            table,
            in_sqlite: matches!(kind, ConnectionKind::Sqlite { .. }),
        }
    }

    /// What the target's column holds for the subject, told by a row of the source.
    pub(super) fn value(&self, held: &Held) -> Option<String> {
        let place = self.column?;
        let (field, column) = (held.rows.schema_ref().field(place).clone(), held.rows.column(place));
        if self.in_sqlite && !field.data_type().is_integer() {
            show::stored_text(&field, column.as_ref(), 0)
        } else {
            show::text(&field, column.as_ref(), 0)
        }
    }
}

/// The column that a condition compares with the key, where it does nothing else.
fn compared(condition: &str) -> Option<String> {
    let (left, right) = condition.split_once('=')?;
    let ((column, "$key") | ("$key", column)) = (left.trim(), right.trim()) else {
        return None;
    };
    let column = column
        .strip_prefix('"')
        .and_then(|column| column.strip_suffix('"'))
        .unwrap_or(column);
    let plain = !column.is_empty() && column.chars().all(|c| c.is_alphanumeric() || c == '_');
    plain.then(|| column.to_owned())
}

/// Place of a column that is the subject's source column as it is, or the UUID of it: no other
/// subject has the same value there, and all rows of this one do.
fn column(stream: &PlannedStream) -> Option<usize> {
    let source = compared(&stream.subject.as_ref()?.condition)?;
    stream.write.columns.iter().position(|column| {
        let planned = stream.columns.iter().find(|planned| planned.target == column.name);
        stream.transform.taken_from(&column.name) == Some(&source)
            || planned.is_some_and(|planned| hashed(&planned.expression) == Some(&source))
    })
}

/// The column of `uuid_v5('a constant', column)`.
fn hashed(expression: &str) -> Option<&str> {
    let inside = expression.trim().strip_prefix("uuid_v5('")?.strip_suffix(')')?;
    let (_, column) = inside.split_once('\'')?;
    let column = column.trim_start().strip_prefix(',')?.trim();
    let column = column
        .strip_prefix('"')
        .and_then(|column| column.strip_suffix('"'))
        .unwrap_or(column);
    column.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(column)
}

/// Rows in the target alone, whose keys are not among `known`, with `value` in the column that
/// carries the subject.
///
/// # Errors
/// What reading the target fails with.
pub(super) async fn extra(
    carried: &Carried,
    value: Option<&str>,
    group: &Group,
    known: &HashSet<u128>,
    differences_max: usize,
    watch: &Watch,
) -> Result<(Outcome, Option<String>)> {
    let mut outcome = Outcome::default();
    outcome.members.resize_with(group.members.len(), Default::default);
    let (Some(place), Some(value)) = (carried.column, value) else {
        let untold = format!(
            "rows of the subject that are in the target alone were not looked for: {}",
            carried.untold
        );
        return Ok((outcome, Some(untold)));
    };
    let name = &group.targets[0].form().columns[place].name;
    let subject = Subject {
        condition: format!("\"{}\" = $key", name.replace('"', "\"\"")),
        key: value.to_owned(),
    };
    let target: Arc<dyn Side> = Arc::new(carried.table.clone().of_subject(Some(subject)));
    let found = locate(&target, group.canonical(0), Sought::Not(Arc::new(known.clone())), watch).await?;
    let held: Vec<Held> = match found.located {
        Located::Rows(held) => held,
        Located::Handles(handles) => these(&target, &handles, |_| true, group.canonical(0), watch).await?.0,
    };
    let mut targets: Vec<Rows> = (0..group.targets.len()).map(Rows::none).collect();
    targets[0].held = held;
    Comparison::new(group, Vec::new(), targets, differences_max)
        .with_extras()
        .run(&mut outcome)?;
    Ok((outcome, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_hash_is_one_of_the_column() {
        assert_eq!(hashed("uuid_v5('users', id)"), Some("id"));
        assert_eq!(hashed(" uuid_v5('users',\"userId\") "), Some("userId"));
        for other in [
            "uuid_v5('users', lower(id))",
            "uuid_v5(kind, id)",
            "uuid_v5('it''s', id)",
            "length(id)",
            "id",
        ] {
            assert_eq!(hashed(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_plain_comparison_names_the_column() {
        assert_eq!(compared("id = $key").as_deref(), Some("id"));
        assert_eq!(compared("$key = \"userId\"").as_deref(), Some("userId"));
        for other in [
            "id = $key or id = 'x'",
            "lower(id) = $key",
            "id in (select user from t where u = $key)",
            "id like $key",
            "a = 1 and b = $key",
        ] {
            assert_eq!(compared(other), None, "{other}");
        }
    }
}
