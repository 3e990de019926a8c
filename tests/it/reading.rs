//! Sources as tests read them: what is asked for, all batches of a stream, and their rows as text.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use dbferry::data::batch::SourceBatch;
use dbferry::data::column::ColumnType;
use dbferry::data::stream::{Order, Origin, ReadColumn, ReadRequest};
use dbferry::data::table::TableName;
use dbferry::source::Source;

/// A table, or a table of a schema.
pub(crate) fn table(table: &str) -> Origin {
    Origin::Table(match table.split_once('.') {
        Some((schema, name)) => TableName {
            schema: Some(schema.to_owned()),
            name: name.to_owned(),
        },
        None => TableName::new(table),
    })
}

/// Names of all tables.
pub(crate) async fn table_names(source: &dyn Source) -> Vec<String> {
    let names = source.tables().await.expect("names");
    names.iter().map(ToString::to_string).collect()
}

/// A stream from its start, three rows at a time.
pub(crate) fn three_at_a_time(origin: Origin, columns: impl Iterator<Item = (String, ColumnType)>, key: &[&str]) -> ReadRequest {
    ReadRequest {
        origin,
        columns: columns
            .map(|(name, ty)| ReadColumn {
                name,
                ty,
                json_is_checked: false,
            })
            .collect(),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        order: Order::Key,
        after: None,
        subject: None,
        only: None,
        piece: None,
        rows_max: 3,
        bytes_max: 1 << 20,
        patience: std::time::Duration::ZERO,
    }
}

/// Reads to the end.
pub(crate) async fn batches(source: &dyn Source, request: ReadRequest) -> Vec<SourceBatch> {
    let mut receiver = source.read(request).await.expect("a readable stream");
    let mut all = Vec::new();
    while let Some(batch) = receiver.recv().await {
        all.push(batch.expect("a batch"));
    }
    all
}

/// Rows as text, columns apart by `|`.
pub(crate) fn rows(batches: &[SourceBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut all = Vec::new();
    for batch in batches {
        assert_eq!(batch.keys.len(), batch.rows.num_rows());
        let formatters: Vec<_> = batch
            .rows
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).expect("a formatter"))
            .collect();
        for row in 0..batch.rows.num_rows() {
            let cells: Vec<_> = formatters.iter().map(|column| column.value(row).to_string()).collect();
            all.push(cells.join("|"));
        }
    }
    all
}
