//! PocketBase source: its `data.db` is an SQLite file whose `_collections` table says what the
//! columns mean. Everything else is the SQLite source's.
//!
//! In columns for a single select, file or relation and in dates PocketBase writes `''` for
//! "none": it is read as NULL, whatever type is wanted. In a column for several values a `''` left
//! over from an older field is the empty list. Plain text keeps its `''`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::sqlite::SqliteSource;
use super::{Batches, Source};
use crate::Result;
use crate::data::concern::Concern;
use crate::data::piece::Pieces;
use crate::data::stream::{Origin, ReadRequest, Subject};
use crate::data::table::{Table, TableName};

mod collection;

/// A PocketBase `data.db`, opened read-only.
pub(super) struct PocketbaseSource {
    database: SqliteSource,
}

impl PocketbaseSource {
    /// Opens `path`, which is a `data.db` or the `pb_data` folder around it.
    pub(super) async fn open(name: &str, path: &Path) -> Result<Self> {
        Ok(Self {
            database: SqliteSource::open_with(name, &database_file(path), collection::meanings).await?,
        })
    }
}

fn database_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("data.db")
    } else {
        path.to_owned()
    }
}

#[async_trait]
impl Source for PocketbaseSource {
    /// PocketBase's own tables (`_…`) are left out; a mapping may still name them.
    async fn tables(&self) -> Result<Vec<TableName>> {
        let mut tables = self.database.tables().await?;
        tables.retain(|table| !table.name.starts_with('_'));
        Ok(tables)
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        self.database.table(name).await
    }

    async fn query(&self, sql: &str) -> Result<Table> {
        self.database.query(sql).await
    }

    async fn count(&self, origin: &Origin) -> Result<Option<u64>> {
        self.database.count(origin).await
    }

    async fn pieces(&self, origin: &Origin, bytes: u64) -> Result<Option<Pieces>> {
        self.database.pieces(origin, bytes).await
    }

    async fn concerned(&self, origin: &Origin, concern: &Concern) -> Result<Option<u64>> {
        self.database.concerned(origin, concern).await
    }

    async fn check_subject(&self, origin: &Origin, condition: &str) -> Result<Vec<String>> {
        self.database.check_subject(origin, condition).await
    }

    async fn count_subject(&self, origin: &Origin, subject: &Subject) -> Result<u64> {
        self.database.count_subject(origin, subject).await
    }

    async fn moment(&self) -> Result<String> {
        self.database.moment().await
    }

    async fn version(&self) -> Result<Option<String>> {
        self.database.version().await
    }

    async fn read(&self, request: ReadRequest) -> Result<Batches> {
        self.database.read(request).await
    }
}
