//! Streams of a plan: in their order, with what was found out about each and how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ends::Ends;
use super::not_covered::LeftToOthers;
use super::plan::{Options, PlannedColumn, PlannedStream};
use super::shape::Shape;
use super::{difference, fingerprint, foreign_keys, undo};
use crate::data::column::ColumnType;
use crate::data::stream::{Consistency, RowOptions, StreamTarget};
use crate::data::table::TableName;
use crate::ledger::Checkpoint;
use crate::mapping::stream::From;
use crate::mapping::{Project, Stream, order};
use crate::{Error, ErrorKind, Result};

/// The streams in the order in which they run, with their checkpoints.
pub(super) async fn arranged(
    project: &Project,
    selected: &[&Stream],
    mut checked: Vec<Option<Shape>>,
    ends: &Ends,
    options: &Options,
) -> Result<Vec<PlannedStream>> {
    let selected: Vec<Stream> = selected.iter().map(|stream| (*stream).clone()).collect();
    let targets: Vec<_> = checked
        .iter()
        .map(|shape| shape.as_ref().map(|shape| shape.target.clone()))
        .collect();
    let passes = if options.in_order || options.since_last || options.subject.is_some() {
        Vec::new()
    } else {
        passes(&selected, &checked, ends)
    };
    let order = order::order(&selected, &targets, &passes).map_err(|finding| Error::findings(ErrorKind::Mapping, vec![finding]))?;
    let mut checkpoints = BTreeMap::new();
    for (name, sink) in &ends.sinks {
        checkpoints.insert(name.clone(), sink.checkpoints(&project.name).await?);
    }
    let mut streams = Vec::new();
    for index in order.sequence {
        if let Some(shape) = checked[index].take() {
            let mut stream = planned(project, (&selected, &selected[index]), shape, (ends, options), &checkpoints);
            let filled: Vec<&TableName> = streams.iter().map(|stream: &PlannedStream| &stream.write.table).collect();
            foreign_keys::plan(&mut stream, &order.suspended[index], (&selected, &targets), &filled);
            for first in &order.needs[index] {
                let name = &selected[*first].name.value;
                if !stream.after.contains(name) {
                    stream.after.push(name.clone());
                }
            }
            streams.push(stream);
        }
    }
    Ok(streams)
}

/// Streams that a source which is paid for can be read for at once, by the number of that pass. A
/// target of one writer takes one stream after the other.
fn passes(streams: &[Stream], checked: &[Option<Shape>], ends: &Ends) -> Vec<Option<usize>> {
    let reads = |(stream, shape): (&Stream, &Option<Shape>)| {
        let shape = shape.as_ref()?;
        let connection = stream.from.connection();
        let shares = ends.sources[connection].has_ranges() && ends.sinks[&stream.to.value.connection].sessions_max() > 1;
        shares.then(|| (connection.to_owned(), shape.origin.clone(), shape.source_key.clone()))
    };
    let reads: Vec<_> = streams.iter().zip(checked).map(reads).collect();
    let first = |wanted: &Option<_>| wanted.as_ref().and_then(|_| reads.iter().position(|other| other == wanted));
    reads.iter().map(first).collect()
}

/// What a stream reads, for people.
pub(super) fn source_of(stream: &Stream) -> String {
    match &stream.from {
        From::Table(from) => format!("{}.{}", from.value.connection, from.value.table),
        From::Query { connection, .. } => format!("{} (query)", connection.value),
    }
}

fn planned(
    project: &Project,
    (all, stream): (&[Stream], &Stream),
    shape: Shape,
    (ends, options): (&Ends, &Options),
    checkpoints: &BTreeMap<String, Vec<Checkpoint>>,
) -> PlannedStream {
    let name = stream.name.value.clone();
    let source = source_of(stream);
    let mut notes = shape.source.notes.clone();
    notes.extend(shape.target.notes.iter().cloned());
    let resumable = !shape.source_key.is_empty();
    if !resumable {
        notes.push("no key orders the source rows: the stream is atomic, an interrupted run starts it again".to_owned());
    }
    let keys_distinct = keys_distinct(stream, &shape);
    if !keys_distinct {
        notes.push("two source rows may share a target key: every key is claimed before it is written".to_owned());
    }
    notes.extend(few_replicas(stream));
    let columns = planned_columns(stream, &shape);
    let checkpoint = checkpoints
        .get(&stream.to.value.connection)
        .and_then(|all| Checkpoint::whole(all.iter().filter(|checkpoint| checkpoint.stream == name)));
    let only_writer = all.iter().filter(|other| other.to.value == stream.to.value).count() == 1;
    let undo = undo::is_kept(stream, options, ends);
    let write = written(stream, &shape, (keys_distinct, undo));
    PlannedStream {
        leaves: LeftToOthers::nothing(project, stream, &source),
        source,
        target: stream.target(),
        on_conflict: stream.on_conflict,
        key: write.key.clone(),
        pii: stream.pii.iter().map(|column| column.value.clone()).collect(),
        keyed: write.keyed.clone(),
        resumable,
        after: Vec::new(),
        columns,
        differences: difference::differences(stream, &shape),
        filtered: stream.filter.is_some(),
        rows_estimate: shape.source.rows_estimate,
        checkpoint,
        notes,
        partitions: None,
        suspended: Vec::new(),
        fingerprint: fingerprint::fingerprint(
            &project.name,
            &shape.origin,
            &shape.source_key,
            &write,
            &shape.transform.describe(),
            &ends.identities[stream.from.connection()],
        ),
        source_connection: stream.from.connection().to_owned(),
        sink_connection: stream.to.value.connection.clone(),
        origin: shape.origin,
        defer_indexes: stream.defer_indexes.as_ref().map(|defer| defer.value).unwrap_or_default(),
        refers_to_itself: false,
        transform: Arc::new(shape.transform),
        source_key: shape.source_key,
        write,
        only_writer,
        shares_with: (project.streams.iter())
            .filter(|other| other.to.value == stream.to.value && other.name.value != stream.name.value)
            .map(|other| other.name.value.clone())
            .collect(),
        subject: None,
        subject_rows: None,
        follows: false,
        name,
    }
}

/// What the sink has to know of a stream.
fn written(stream: &Stream, shape: &Shape, (keys_distinct, undo): (bool, bool)) -> StreamTarget {
    StreamTarget {
        stream: stream.name.value.clone(),
        table: shape.target.name.clone(),
        columns: shape.transform.target_columns().to_vec(),
        key: stream.key.iter().map(|key| key.value.clone()).collect(),
        on_conflict: stream.on_conflict,
        triggers: stream.triggers,
        keys_distinct,
        keyed: stream.keyed.as_ref().map(|keyed| Arc::clone(&keyed.layout)),
        options: RowOptions {
            consistency: stream
                .consistency
                .as_ref()
                .map(|consistency| consistency.value)
                .unwrap_or_default(),
            expires_at: stream.expires_at.as_ref().map(|column| column.value.clone()),
            in_place: stream.in_place,
            deferred: false,
        },
        undo,
    }
}

/// What one replica has confirmed may be lost with it.
fn few_replicas(stream: &Stream) -> Option<String> {
    let consistency = stream.consistency.as_ref()?.value;
    matches!(consistency, Consistency::One | Consistency::LocalOne).then(|| {
        format!(
            "consistency = \"{}\": a row counts as written when one replica has it, and may be lost with that one; rows are not read back",
            consistency.name()
        )
    })
}

/// Whether no two source rows can have one target key. Where keys are rendered from values, these
/// must not run into each other either.
fn keys_distinct(stream: &Stream, shape: &Shape) -> bool {
    let Some(keyed) = &stream.keyed else {
        return shape.transform.keys_distinct();
    };
    let layout = &keyed.layout;
    let closed = |name: &str| {
        let column = shape.target.column(name);
        column.is_some_and(|column| {
            matches!(
                column.ty,
                ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 | ColumnType::Uuid | ColumnType::Date
            )
        })
    };
    layout.key_type.is_ordered() || (shape.transform.keys_distinct() && layout.pattern.keeps_apart(closed))
}

fn planned_columns(stream: &Stream, shape: &Shape) -> Vec<PlannedColumn> {
    shape
        .transform
        .target_columns()
        .iter()
        .map(|column| {
            let expression = stream.columns.iter().find(|(name, _)| name.value == column.name).map_or_else(
                || format!("{} (same name)", column.name),
                |(_, expression)| expression.value.clone(),
            );
            PlannedColumn {
                target: column.name.clone(),
                target_type: column.ty.to_string(),
                expression,
                source_type: shape.transform.expression_type(&column.name).unwrap_or_default(),
            }
        })
        .collect()
}
