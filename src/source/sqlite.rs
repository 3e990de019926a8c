//! SQLite source.

use std::path::Path;

use async_trait::async_trait;

use super::{Batches, Source};
use crate::Result;
use crate::data::stream::{Origin, ReadRequest};
use crate::data::table::{Table, TableName};

/// An SQLite file, opened read-only.
pub(super) struct SqliteSource {}

impl SqliteSource {
    pub(super) async fn open(_name: &str, _path: &Path) -> Result<Self> {
        todo!()
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn tables(&self) -> Result<Vec<TableName>> {
        todo!()
    }
    async fn table(&self, _name: &TableName) -> Result<Option<Table>> {
        todo!()
    }
    async fn query(&self, _sql: &str) -> Result<Table> {
        todo!()
    }
    async fn count(&self, _origin: &Origin) -> Result<u64> {
        todo!()
    }
    async fn moment(&self) -> Result<String> {
        todo!()
    }
    async fn read(&self, _request: ReadRequest) -> Result<Batches> {
        todo!()
    }
}
