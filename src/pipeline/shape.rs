//! Shapes: one stream checked against both its ends, every finding collected.

use super::ends::Ends;
use super::subject;
use crate::data::finding::Finding;
use crate::data::stream::Origin;
use crate::data::table::{Table, TableName};
use crate::mapping::stream::{From, Located, TableRef};
use crate::mapping::{Stream, check};
use crate::source::Source;
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
    let (origin, mut table) = origin(stream, source.as_ref(), findings).await?;
    let mut target = None;
    if stream.keyed.is_none() {
        target = sink.table(&stream.to.value.table).await?;
        if target.is_none() {
            findings.push(missing_table(&stream.to, &sink.tables().await?, "target"));
        }
    }
    if let Some(table) = &mut table {
        subject::check(stream, source.as_ref(), &origin, table, findings).await?;
        findings.extend(check::add_fields(stream, table));
    }
    let Some(table) = table else { return Ok(None) };
    if let Some(keyed) = &stream.keyed {
        let (shape, found) = transform::natural(stream, &keyed.layout, &table);
        findings.extend(found);
        target = Some(shape);
    }
    let Some(target) = target else { return Ok(None) };
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
    findings.extend(match &stream.keyed {
        Some(_) => check::keyed_shapes(stream, &table, &source_key, &target),
        None => check::shapes(stream, &table, &target),
    });
    Ok(match transform::compile(stream, &table, &source_key, &target) {
        Ok(transform) => {
            findings.extend(transform.warnings().iter().cloned());
            findings.extend(moved_after_all(stream, &transform));
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

/// Where a stream reads, and its shape if it is there.
async fn origin(stream: &Stream, source: &dyn Source, findings: &mut Vec<Finding>) -> Result<(Origin, Option<Table>)> {
    let sql = match &stream.from {
        From::Table(from) => {
            let table = source.table(&from.value.table).await?;
            if table.is_none() {
                findings.push(missing_table(from, &source.tables().await?, "source"));
            }
            return Ok((Origin::Table(from.value.table.clone()), table));
        }
        From::Query { sql, .. } => sql,
    };
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
    Ok((Origin::Query { sql: text }, table))
}

/// Columns under the stream's own `ignore` that it moves.
fn moved_after_all(stream: &Stream, transform: &Transform) -> Vec<Finding> {
    let moved = |name: &str| transform.moved_columns().iter().any(|column| column == name);
    let names = stream.ignore.iter().map(|(name, _)| name).filter(|name| moved(&name.value));
    let finding = |name: &Located<String>| {
        Finding::warning(
            "plan::ignored_but_moved",
            Some(name.place.clone()),
            format!("`{}` is to be left out, but this stream moves it", name.value),
        )
        .label("moved after all")
        .help("take it out of `ignore`")
    };
    names.map(finding).collect()
}

pub(super) fn missing_table(at: &Located<TableRef>, known: &[TableName], end: &str) -> Finding {
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
