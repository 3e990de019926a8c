//! Backfills in a file: their wire form, and what they become.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::wire::one_pair;
use super::{located, pairs, table_ref};
use crate::data::document::{Marked, Reader};
use crate::data::finding::Finding;
use crate::data::stream::{OnConflict, Triggers};
use crate::mapping::backfill::Backfill;
use crate::mapping::stream::{From, Stream};

/// New values for columns of the rows of one table, from expressions over the same row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with the header [[backfill]]")]
pub(super) struct BackfillEntry {
    /// Name, unique among the streams and backfills of the project: `name = "media_metadata"`. It is
    /// kept with the checkpoint, so that another name begins anew.
    #[schemars(required, example = &"media_metadata")]
    name: Option<Marked<String>>,
    /// Table of a Postgres connection whose rows are changed, `connection.table` or
    /// `connection.schema.table`: `table = "mindia.media"`.
    #[schemars(required, example = &"mindia.media")]
    table: Option<Marked<String>>,
    /// Columns that tell its rows apart, by which they are gone through: `key = ["id"]`. Without it,
    /// the primary key.
    #[schemars(example = ["id"])]
    key: Option<Marked<Vec<Marked<String>>>>,
    /// Which rows it is about, as a condition in the database's own SQL: `where = "legacy is not null"`.
    /// Without it, all. It should hold before and after, for these rows are compared by `--verify`.
    #[schemars(example = &"legacy_metadata is not null")]
    r#where: Option<Marked<String>>,
    /// Which of those rows still need it, as a condition in the database's own SQL:
    /// `pending = "metadata is null"`. Without it every row is computed, and written where it differs.
    #[schemars(example = &"metadata is null")]
    pending: Option<Marked<String>>,
    /// Whether the table's own row triggers fire: `triggers = "off"`. The default is "on", as for
    /// every other update.
    #[schemars(extend("default" = "on"))]
    triggers: Option<Marked<Triggers>>,
    /// Most rows in a second; goes before the limit of the configuration, and behind
    /// `--max-rows-per-second`: `max_rows_per_second = 2000`.
    #[schemars(range(min = 1), example = 2_000)]
    max_rows_per_second: Option<Marked<u64>>,
    /// Columns whose values may lose fraction digits, which are then rounded; elsewhere a row that
    /// would lose some is a reject: `allow_precision_loss = ["taken_at"]`.
    #[serde(default)]
    #[schemars(example = ["taken_at"])]
    allow_precision_loss: Vec<Marked<String>>,
    /// Named SQL conditions over columns of the row; a row that breaks one is a reject that names it
    /// (NULL breaks none): `rules = { has_size = "size_bytes > 0" }`.
    #[serde(default)]
    #[schemars(example = one_pair("has_size", "size_bytes > 0"))]
    rules: BTreeMap<Marked<String>, Marked<String>>,
    /// Column that is filled in = SQL expression over columns of the same row:
    /// `columns = { metadata = "legacy_metadata" }`. The expression must give the same value for the
    /// same row, always.
    #[serde(default)]
    #[schemars(required, example = one_pair("metadata", "legacy_metadata"))]
    columns: BTreeMap<Marked<String>, Marked<String>>,
}

pub(super) fn backfill(reader: &mut Reader, entry: Marked<BackfillEntry>) -> Option<Backfill> {
    let span = entry.span();
    let entry = entry.into_inner();
    let name = reader.required(entry.name, &span, "a backfill", "name = \"media_metadata\"");
    if let Some(name) = &name {
        reader.check_name("a backfill", &name.value, &name.place);
    }
    let owner = name.as_ref().map_or_else(
        || "a backfill".to_owned(),
        |name| format!("backfill `{}`", name.value.escape_debug()),
    );
    let table = reader.required(entry.table, &span, &owner, "table = \"mindia.media\"");
    let table = table.and_then(|table| table_ref(reader, table));
    let columns = pairs(reader, entry.columns);
    let place = reader.place(span.clone());
    if columns.is_empty() && !reader.is_damaged(&span) {
        reader.findings.push(
            Finding::error(
                "mapping::backfill",
                Some(place.clone()),
                format!("{owner} fills in no column"),
            )
            .label("without columns")
            .help("[backfill.columns] metadata = \"…\""),
        );
    }
    let rate = entry.max_rows_per_second.map(|rate| reader.locate(rate));
    if let Some(rate) = rate.as_ref().filter(|rate| rate.value == 0) {
        reader.findings.push(
            Finding::error(
                "mapping::backfill",
                Some(rate.place.clone()),
                "nothing would ever be done at that rate",
            )
            .label("must be at least 1")
            .help("leave it out, and nothing is held back"),
        );
    }
    let key = entry.key.map(|list| located(reader, list.into_inner()));
    let stream = Stream {
        source_key: key.clone(),
        key: key.unwrap_or_default(),
        on_conflict: OnConflict::Update,
        triggers: entry.triggers.map_or(Triggers::On, Marked::into_inner),
        in_place: true,
        rules: pairs(reader, entry.rules),
        columns,
        allow_precision_loss: located(reader, entry.allow_precision_loss),
        ..Stream::new(name?, From::Table(table.clone()?), table?, place)
    };
    Some(Backfill {
        stream,
        condition: entry.r#where.map(|text| reader.locate(text)),
        pending: entry.pending.map(|text| reader.locate(text)),
        rows_per_second_max: rate.map(|rate| rate.value),
    })
}
