//! A target table's side: the rows as they lie in it, read by its own connection opened as a source.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::sync::mpsc;

use super::expiry::Expiry;
use super::handle::{self, Spelling};
use super::side::{self, Form, Handles, PORTIONS_IN_FLIGHT_MAX, Portion, Portions, Side, Unreadable, Wanted};
use crate::config::connection::ConnectionKind;
use crate::config::limits::Limits;
use crate::data::batch::SourceBatch;
use crate::data::piece::{Piece, Pieces};
use crate::data::position::Key;
use crate::data::stream::{Origin, ReadColumn, ReadRequest, StreamTarget, Subject};
use crate::data::table::Table;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// A table that a stream writes.
#[derive(Clone)]
pub(super) struct TableSide {
    source: Arc<dyn Source>,
    origin: Origin,
    form: Form,
    /// Columns by whose values the database finds a row; empty where it has no such columns.
    handle: Vec<String>,
    /// Of each part of the handle its place among the parts of the form's key, where it is made of
    /// them.
    of_key: Option<Vec<usize>>,
    spelling: Spelling,
    /// Rows end by themselves.
    expiry: Option<Expiry>,
    limits: Limits,
    subject: Option<Subject>,
}

impl TableSide {
    /// The table that a stream writes.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where the connection does not see it.
    pub(super) async fn open(
        source: Arc<dyn Source>,
        kind: &ConnectionKind,
        write: &StreamTarget,
        form: Form,
        limits: Limits,
    ) -> Result<Self> {
        let Some(table) = source.table(&write.table).await? else {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("table `{}` cannot be seen by who reads it", write.table),
            ));
        };
        let spelling = Spelling::of(kind);
        let handle = handle_of(&table, &write.key, spelling == Spelling::Sqlite);
        let of_key = handle
            .iter()
            .map(|part| write.key.iter().position(|name| name == part))
            .collect::<Option<Vec<_>>>()
            .filter(|places| places.len() == write.key.len());
        Ok(Self {
            source,
            origin: Origin::Table(write.table.clone()),
            form,
            handle,
            of_key,
            spelling,
            expiry: Expiry::of(write),
            limits,
            subject: None,
        })
    }

    /// Only the rows of a subject, by a condition over this table's columns.
    pub(super) fn of_subject(mut self, subject: Option<Subject>) -> Self {
        self.subject = subject;
        self
    }

    fn request(&self, columns: &[usize], handles: bool, only: Option<Vec<Key>>) -> ReadRequest {
        let column = |place: &usize| ReadColumn {
            name: self.form.columns[*place].name.clone(),
            ty: self.form.columns[*place].ty.clone(),
            json_is_checked: false,
        };
        let key = if handles { self.handle.clone() } else { Vec::new() };
        let columns = columns.iter().map(column).collect();
        side::request((&self.origin, columns, key), self.subject.as_ref(), only, &self.limits)
    }
}

/// By what rows are found: the mapping's key where the table itself holds it unique, else the
/// table's own.
fn handle_of(table: &Table, key: &[String], in_sqlite: bool) -> Vec<String> {
    let sure = |columns: &[String]| {
        // SQLite finds NULL too.
        in_sqlite
            || columns
                .iter()
                .all(|name| table.column(name).is_some_and(|column| !column.nullable))
    };
    let unique = |columns: &&[String]| {
        let mut uniques = table.uniques.iter().chain([&table.key]);
        uniques.any(|unique| unique.len() == columns.len() && unique.iter().all(|name| columns.contains(name))) && sure(columns)
    };
    if let Some(key) = Some(key).filter(|key| !key.is_empty()).filter(unique) {
        return key.to_vec();
    }
    table.key.clone()
}

#[async_trait]
impl Side for TableSide {
    fn form(&self) -> &Form {
        &self.form
    }

    fn finds(&self) -> bool {
        !self.handle.is_empty() && !self.form.key.is_empty()
    }

    async fn read(&self, wanted: Wanted) -> Result<Portions> {
        let all: Vec<usize> = (0..self.form.columns.len()).collect();
        let (columns, handles, only, piece) = match wanted {
            Wanted::All { handles } => (&all, handles && !self.handle.is_empty(), None, None),
            Wanted::Piece(piece) => (&all, false, None, Some(piece)),
            Wanted::Since(mark) => (&self.form.key, false, None, Some(Piece::Since(mark))),
            Wanted::Keys { only } => (&self.form.key, true, only, None),
            Wanted::These(keys) => (&all, true, Some(keys), None),
        };
        let request = self.request(columns, handles, only);
        let mut batches = self.source.read(ReadRequest { piece, ..request }).await?;
        let expiry = self.expiry.filter(|_| columns.len() == all.len());
        let (sender, portions) = mpsc::channel(PORTIONS_IN_FLIGHT_MAX);
        tokio::spawn(async move {
            while let Some(batch) = batches.recv().await {
                let portion = batch.and_then(|batch| as_read(batch, handles, expiry));
                let failed = portion.is_err();
                if sender.send(portion).await.is_err() || failed {
                    break;
                }
            }
        });
        Ok(portions)
    }

    async fn pieces(&self) -> Result<Option<Pieces>> {
        if self.subject.is_some() || self.form.key.is_empty() {
            return Ok(None);
        }
        self.source.pieces(&self.origin, self.limits.piece_bytes_max).await
    }

    fn handles(&self, keys: &RecordBatch) -> Option<Vec<Key>> {
        handle::keys(keys, self.of_key.as_deref()?, self.spelling)
    }
}

fn as_read(batch: SourceBatch, handles: bool, expiry: Option<Expiry>) -> Result<Portion> {
    let unreadable = batch.rejects.iter().map(|reject| Unreadable {
        handle: reject.key.clone(),
        column: reject.column.clone(),
        detail: reject.detail.clone(),
    });
    let mut portion = Portion {
        unreadable: unreadable.collect(),
        read: batch.read(),
        handles: handles.then(|| Handles {
            keys: Arc::clone(&batch.keys),
            origin: None,
        }),
        rows: batch.rows,
        memory: batch.memory.clone(),
        filtered: 0,
        expired: 0,
        refused: 0,
    };
    if let Some(expiry) = expiry {
        let living = expiry.settled(portion.rows)?;
        portion.handles = portion.handles.map(|handles| living.handles(handles));
        (portion.rows, portion.expired) = (living.rows, living.expired);
    }
    Ok(portion)
}
