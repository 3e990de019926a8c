//! Shapes: one stream checked against both its ends, every finding collected.

use super::ends::Ends;
use crate::data::finding::Finding;
use crate::data::stream::Origin;
use crate::data::table::{Table, TableName};
use crate::mapping::stream::{From, Located, TableRef};
use crate::mapping::{Stream, check};
use crate::transform::{self, Transform};
use crate::{ErrorKind, Result};

/// What checking a stream against its ends found out.
pub(super) struct Shape {
    pub(super) origin: Origin,
    pub(super) source: Table,
    pub(super) source_key: Vec<String>,
    pub(super) target: Table,
    pub(super) transform: Transform,
}

/// `Ok(None)` when findings stand in the way.
pub(super) async fn check_stream(stream: &Stream, ends: &Ends, findings: &mut Vec<Finding>) -> Result<Option<Shape>> {
    let source = &ends.sources[stream.from.connection()];
    let sink = &ends.sinks[&stream.to.value.connection];
    let (origin, table) = match &stream.from {
        From::Table(from) => {
            let table = source.table(&from.value.table).await?;
            if table.is_none() {
                findings.push(missing_table(from, &source.tables().await?, "source"));
            }
            (Origin::Table(from.value.table.clone()), table)
        }
        From::Query { sql, .. } => {
            let text = sql.value.trim().trim_end_matches(';').trim_end().to_owned();
            let table = match source.query(&text).await {
                Ok(table) => Some(table),
                Err(error) if error.kind() == ErrorKind::Mapping => {
                    findings.push(
                        Finding::error(
                            "plan::query",
                            Some(sql.place.clone()),
                            format!("the query of stream `{}` is refused: {error}", stream.name.value),
                        )
                        .help(error.advice().to_owned()),
                    );
                    None
                }
                Err(error) => return Err(error),
            };
            (Origin::Query { sql: text }, table)
        }
    };
    let target = sink.table(&stream.to.value.table).await?;
    if target.is_none() {
        findings.push(missing_table(&stream.to, &sink.tables().await?, "target"));
    }
    let (Some(table), Some(target)) = (table, target) else {
        return Ok(None);
    };
    let source_key = stream.source_key.as_ref().map_or_else(
        || {
            if matches!(origin, Origin::Table(_)) {
                table.key.clone()
            } else {
                Vec::new()
            }
        },
        |key| key.iter().map(|name| name.value.clone()).collect(),
    );
    findings.extend(check::shapes(stream, &table, &target));
    Ok(match transform::compile(stream, &table, &source_key, &target) {
        Ok(transform) => {
            findings.extend(transform.warnings().iter().cloned());
            Some(Shape {
                origin,
                source: table,
                source_key,
                target,
                transform,
            })
        }
        Err(found) => {
            findings.extend(found);
            None
        }
    })
}

fn missing_table(at: &Located<TableRef>, known: &[TableName], end: &str) -> Finding {
    let wanted = at.value.table.to_string();
    let nearest = known
        .iter()
        .map(|name| {
            (
                strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_string().to_lowercase()),
                name,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_string());
    let code = if end == "target" {
        "plan::missing_table"
    } else {
        "plan::unknown_table"
    };
    let finding = Finding::error(
        code,
        Some(at.place.clone()),
        format!("{end} `{}` has no table `{wanted}`", at.value.connection),
    )
    .label("not there");
    match (nearest, end) {
        (Some(name), _) => finding.help(format!("did you mean `{}.{name}`?", at.value.connection)),
        (None, "target") => {
            finding.help("create it, or apply the project's migrations: `dbferry schema apply PROJECT` or `run --apply-schema`")
        }
        (None, _) => finding.help("`from` is `connection.table`; see which tables the source has"),
    }
}
