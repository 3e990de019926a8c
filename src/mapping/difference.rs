//! Differences between the two ends of a stream that matter for rows: NULL that is allowed here
//! and not there, shorter texts, coarser times, narrower numbers, new uniqueness, other labels.
//!
//! Only columns that are taken as they are have one: what an expression makes of a column is the
//! author's own decision. Each difference knows the [`Concern`] by which a source counts its rows.

use serde::Serialize;

use super::Stream;
use crate::data::column::ColumnType;
use crate::data::concern::Concern;
use crate::data::keyed::Collision;
use crate::data::table::{Column, Table};

mod limits;

/// A difference between a source column and the target column that takes it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Stream.
    pub stream: String,
    /// Target column; of a unique over several the columns with commas.
    pub column: String,
    /// Source column, or columns with commas.
    pub source_column: String,
    /// What differs.
    pub kind: DifferenceKind,
    /// Type of the source column.
    pub source_type: String,
    /// Type of the target column.
    pub target_type: String,
    /// What differs, in words.
    pub what: String,
    /// What becomes of the rows concerned, in words.
    pub effect: String,
    /// The mapping allows the loss (`allow_precision_loss`): no row becomes a reject for it.
    pub allowed: bool,
    /// By which its rows are counted; `None` where no source can.
    pub concern: Option<Concern>,
    /// Rows concerned, where they were counted.
    pub rows: Option<u64>,
}

/// Kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// NULL is allowed in the source, not in the target.
    Null,
    /// The target's text is shorter.
    Shorter,
    /// The target's times have fewer fraction digits.
    CoarserTime,
    /// The target's numbers have fewer fraction digits, or binary ones.
    CoarserNumber,
    /// The target's numbers have a smaller range.
    NarrowerNumber,
    /// The target is unique, the source is not.
    Unique,
    /// The target's enum lacks labels.
    OtherLabels,
    /// One side pads with blanks.
    Padded,
}

/// What differs in one column apart from NULL and uniqueness.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    kind: DifferenceKind,
    /// In words, where it is not told by the two types.
    what: Option<String>,
    effect: String,
    allowed: bool,
    concern: Option<Concern>,
}

/// Differences of a stream in the order of the target's columns, uniqueness last. `taken` are the
/// columns that are taken as they are: target column, source column.
#[must_use]
pub fn differences(stream: &Stream, source: &Table, target: &Table, taken: &[(&str, &str)]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (to, from) in taken {
        if let (Some(from), Some(to)) = (source.column(from), target.column(to)) {
            of_column(stream, &as_named(stream, from), to, &mut found);
        }
    }
    of_uniques(stream, source, target, taken, &mut found);
    found
}

/// The column with the type that `types` gives it: what it is read as is the author's word.
fn as_named(stream: &Stream, column: &Column) -> Column {
    let named = stream.types.iter().find(|(name, _)| name.value == column.name);
    let ty = named.and_then(|(_, ty)| ColumnType::parse(&ty.value));
    Column {
        ty: ty.unwrap_or_else(|| column.ty.clone()),
        ..column.clone()
    }
}

fn of_column(stream: &Stream, from: &Column, to: &Column, found: &mut Vec<Difference>) {
    let in_key = stream.key.iter().any(|key| key.value == to.name);
    if from.nullable && (!to.nullable || in_key) {
        let limit = Limit {
            kind: DifferenceKind::Null,
            what: Some("NULL is allowed in the source, not in the target".to_owned()),
            effect: "rows with NULL are rejects".to_owned(),
            allowed: false,
            concern: Some(Concern::Null {
                column: from.name.clone(),
            }),
        };
        found.push(difference(stream, from, to, limit));
    }
    let lossy = stream.allow_precision_loss.iter().any(|name| name.value == to.name);
    let limits = limits::limits(&from.name, &from.ty, &to.ty, lossy);
    found.extend(limits.into_iter().map(|limit| difference(stream, from, to, limit)));
}

fn difference(stream: &Stream, from: &Column, to: &Column, limit: Limit) -> Difference {
    Difference {
        stream: stream.name.value.clone(),
        column: to.name.clone(),
        source_column: from.name.clone(),
        kind: limit.kind,
        source_type: from.ty.to_string(),
        target_type: to.ty.to_string(),
        what: limit.what.unwrap_or_else(|| format!("{} becomes {}", from.ty, to.ty)),
        effect: limit.effect,
        allowed: limit.allowed,
        concern: limit.concern,
        rows: None,
    }
}

/// What becomes of rows that repeat an earlier one's value.
fn repeated(stream: &Stream) -> &'static str {
    match &stream.keyed {
        Some(keyed) if keyed.layout.collision == Collision::LaterWins => "rows that repeat an earlier one's value go over it",
        _ => "rows that repeat an earlier one's value are rejects",
    }
}

/// What the target keeps unique, the stream's key among it, made of source columns that may repeat.
fn of_uniques(stream: &Stream, source: &Table, target: &Table, taken: &[(&str, &str)], found: &mut Vec<Difference>) {
    let key: Vec<String> = stream.key.iter().map(|key| key.value.clone()).collect();
    let same = |one: &[String], other: &[String]| one.len() == other.len() && one.iter().all(|name| other.contains(name));
    let is_listed = target.uniques.iter().any(|unique| same(unique, &key));
    let uniques = target.uniques.iter().chain((!is_listed).then_some(&key));
    for unique in uniques.filter(|unique| !unique.is_empty()) {
        let origin = |name: &String| taken.iter().find(|(to, _)| to == name).map(|(_, from)| (*from).to_owned());
        let Some(columns) = unique.iter().map(origin).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let covered = |unique: &Vec<String>| !unique.is_empty() && unique.iter().all(|name| columns.contains(name));
        if covered(&source.key) || source.uniques.iter().any(covered) {
            continue;
        }
        let types = |table: &Table, names: &[String]| {
            let ty = |name: &String| table.column(name).map_or_else(String::new, |column| column.ty.to_string());
            names.iter().map(ty).collect::<Vec<_>>().join(", ")
        };
        found.push(Difference {
            stream: stream.name.value.clone(),
            column: unique.join(", "),
            source_column: columns.join(", "),
            kind: DifferenceKind::Unique,
            source_type: types(source, &columns),
            target_type: types(target, unique),
            what: "unique in the target, not in the source".to_owned(),
            effect: repeated(stream).to_owned(),
            allowed: false,
            concern: Some(Concern::Repeated { columns }),
            rows: None,
        });
    }
}
