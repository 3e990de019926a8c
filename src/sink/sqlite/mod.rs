//! SQLite sink.

use async_trait::async_trait;

use super::{LeaseRequest, Session, Sink};
use crate::Result;
use crate::data::table::{Table, TableName};
use crate::ledger::{Checkpoint, RunRecord, StoredReject};

/// SQLite target.
pub(super) struct SqliteSink {}

impl SqliteSink {
    pub(super) async fn open(_name: &str, _at: &std::path::Path, _create: bool) -> Result<Self> {
        todo!()
    }
}

#[async_trait]
impl Sink for SqliteSink {
    async fn tables(&self) -> Result<Vec<TableName>> {
        todo!()
    }
    async fn table(&self, _name: &TableName) -> Result<Option<Table>> {
        todo!()
    }
    async fn count(&self, _name: &TableName) -> Result<u64> {
        todo!()
    }
    async fn checkpoints(&self, _project: &str) -> Result<Vec<Checkpoint>> {
        todo!()
    }
    async fn runs(&self, _project: &str, _rows_max: u32) -> Result<Vec<RunRecord>> {
        todo!()
    }
    async fn rejects(&self, _project: &str, _stream: Option<&str>, _after_id: i64, _rows_max: u32) -> Result<Vec<StoredReject>> {
        todo!()
    }
    async fn reject_counts(&self, _project: &str) -> Result<Vec<(String, u64)>> {
        todo!()
    }
    async fn acquire(&self, _lease: &LeaseRequest) -> Result<Box<dyn Session>> {
        todo!()
    }
}
