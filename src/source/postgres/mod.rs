//! Postgres source: one moment of a database, read by as many connections as are asked for.
//!
//! All reading happens in read-only transactions on one exported snapshot ([`link`]), each stream
//! by a COPY in binary form that is decoded straight into columns ([`read`]). What the catalog
//! says is asked outside of it. A role with CONNECT, USAGE and SELECT is enough.
//!
//! Owns: the order of rows and what a key is called ([`key`]), the statement that reads a stream
//! ([`select`]), what a moment is no shield against ([`intact`]). Knows nothing of targets.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use super::{Batches, Source};
use crate::Result;
use crate::data::concern::Concern;
use crate::data::piece::Pieces;
use crate::data::position::Position;
use crate::data::stream::{Origin, ReadRequest, Subject};
use crate::data::table::{Table, TableName};
use crate::postgres::catalog;
use crate::postgres::connect::Address;

mod concern;
mod condition;
mod failure;
mod intact;
mod key;
mod link;
mod piece;
mod portion;
mod privilege;
mod read;
mod select;
mod shape;
mod split;
mod subject;
mod wide;

use link::Links;

/// Relations that a stream could read.
const READABLE: [&str; 5] = ["r", "p", "v", "m", "f"];

/// A Postgres database, only read.
pub(super) struct PostgresSource {
    name: String,
    links: Arc<Links>,
}

impl PostgresSource {
    /// Connects for the connection `name`. The moment that is read begins when it is asked for.
    pub(super) async fn open(name: &str, url: &SecretString) -> Result<Self> {
        let open = async { Links::open(Address::parse(url)?).await };
        let links = open
            .await
            .map_err(|error| error.during(format_args!("connection `{name}`")))?;
        Ok(Self {
            name: name.to_owned(),
            links: Arc::new(links),
        })
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn tables(&self) -> Result<Vec<TableName>> {
        let mut connection = self.links.lease().await?;
        let names = catalog::tables(&mut connection, &READABLE).await?;
        self.links.give_back(connection);
        Ok(names)
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        let mut connection = self.links.lease().await?;
        let found = shape::table(&mut connection, name)
            .await
            .map_err(|error| error.during(format_args!("table `{name}`")))?;
        self.links.give_back(connection);
        Ok(found.map(|shape| shape.table))
    }

    async fn query(&self, sql: &str) -> Result<Table> {
        let mut connection = self.links.lease().await?;
        let shape = shape::query(&mut connection, sql).await?;
        self.links.give_back(connection);
        Ok(shape.table)
    }

    async fn permitted(&self, origin: &Origin, columns: &[String]) -> Result<()> {
        let mut connection = self.links.lease().await?;
        let shape = shape::shape(&mut connection, origin).await?;
        privilege::check(&mut connection, &shape, columns).await?;
        self.links.give_back(connection);
        Ok(())
    }

    async fn count(&self, origin: &Origin) -> Result<Option<u64>> {
        let mut reader = self.links.reader().await?;
        let shape = shape::shape(&mut reader.connection, origin).await?;
        privilege::check(&mut reader.connection, &shape, &[]).await?;
        let rows = concern::count(&mut reader.connection, &shape, "true").await?;
        intact::check(&mut reader.connection).await?;
        self.links.finish(reader).await?;
        Ok(Some(rows))
    }

    async fn check_subject(&self, origin: &Origin, condition: &str) -> Result<Vec<String>> {
        let mut connection = self.links.lease().await?;
        let shape = shape::shape(&mut connection, origin).await?;
        let notes = subject::check(&mut connection, &shape, condition).await?;
        self.links.give_back(connection);
        Ok(notes)
    }

    async fn check_condition(&self, origin: &Origin, condition: &str) -> Result<Option<u64>> {
        let mut connection = self.links.lease().await?;
        let shape = shape::shape(&mut connection, origin).await?;
        let rows = condition::check(&mut connection, &shape, condition).await?;
        self.links.give_back(connection);
        Ok(rows)
    }

    async fn let_go(&self) -> Result<()> {
        self.links.let_go().await
    }

    async fn count_subject(&self, origin: &Origin, subject: &Subject) -> Result<u64> {
        let mut reader = self.links.reader().await?;
        let shape = shape::shape(&mut reader.connection, origin).await?;
        privilege::check(&mut reader.connection, &shape, &[]).await?;
        let condition = subject::bind(&mut reader.connection, &shape, subject).await?;
        let rows = concern::count(&mut reader.connection, &shape, &condition).await?;
        intact::check(&mut reader.connection).await?;
        self.links.finish(reader).await?;
        Ok(rows)
    }

    async fn splits(&self, origin: &Origin, key: &[String], parts: usize) -> Result<Vec<Position>> {
        let mut reader = self.links.reader().await?;
        let shape = shape::shape(&mut reader.connection, origin).await?;
        let bounds = split::splits(&mut reader.connection, &shape, key, parts).await?;
        self.links.finish(reader).await?;
        Ok(if bounds.is_empty() {
            Vec::new()
        } else {
            Position::between(&bounds)
        })
    }

    async fn pieces(&self, origin: &Origin, bytes: u64) -> Result<Option<Pieces>> {
        let mut reader = self.links.reader().await?;
        let pieces = piece::pieces(&mut reader.connection, origin, bytes).await?;
        self.links.finish(reader).await?;
        Ok(pieces)
    }

    async fn concerned(&self, origin: &Origin, concern: &Concern) -> Result<Option<u64>> {
        let mut reader = self.links.reader().await?;
        let shape = shape::shape(&mut reader.connection, origin).await?;
        let rows = concern::concerned(&mut reader.connection, &shape, concern).await?;
        self.links.finish(reader).await?;
        Ok(Some(rows))
    }

    async fn moment(&self) -> Result<String> {
        self.links
            .moment()
            .await
            .map_err(|error| error.during(format_args!("connection `{}`", self.name)))
    }

    async fn version(&self) -> Result<Option<String>> {
        let version = self.links.version().await;
        version
            .map(Some)
            .map_err(|error| error.during(format_args!("connection `{}`", self.name)))
    }

    async fn read(&self, request: ReadRequest) -> Result<Batches> {
        read::start(&self.links, request).await
    }
}
