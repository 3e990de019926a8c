//! What is read of a table, and the statements that read it.

use scylla::cluster::metadata::ColumnType as CqlType;
use scylla::frame::response::result::ColumnSpec;
use scylla::response::query_result::QueryRowsResult;

use crate::cql::connect::Keyspace;
use crate::cql::shape::{CqlColumn, CqlTable};
use crate::cql::{kind, quote};
use crate::data::stream::{Origin, ReadRequest};
use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

/// Columns of a table that are read.
pub(super) struct Selection {
    pub(super) name: TableName,
    table: CqlTable,
    /// Those of the request first.
    pub(super) fields: Vec<CqlColumn>,
    /// Places of the key's parts among the fields.
    pub(super) key: Vec<usize>,
    /// Whether the key is the table's primary key, in whatever order.
    pub(super) finds: bool,
}

impl Selection {
    /// What a request is for.
    pub(super) fn of(keyspace: &Keyspace, request: &ReadRequest) -> Result<Self> {
        let columns: Vec<&str> = request.columns.iter().map(|column| column.name.as_str()).collect();
        Self::new(keyspace, &request.origin, &columns, &request.key)
    }

    /// The columns of these names and those of the key.
    pub(super) fn new(keyspace: &Keyspace, origin: &Origin, columns: &[&str], key: &[String]) -> Result<Self> {
        let fault = |what: String| Error::new(ErrorKind::Missing, format!("connection `{}`: {what}", keyspace.connection));
        let Origin::Table(name) = origin else {
            return Err(fault("a keyspace is read by its tables, not by queries".to_owned()));
        };
        let table = keyspace
            .described(name)
            .ok_or_else(|| fault(format!("there is no table `{name}`")))?;
        let mut fields: Vec<CqlColumn> = Vec::new();
        let mut names: Vec<&str> = columns.to_vec();
        names.extend(key.iter().map(String::as_str).filter(|part| !columns.contains(part)));
        if names.is_empty() {
            names.extend(table.key.first().map(String::as_str));
        }
        for column in &names {
            let found = table.column(column);
            fields.push(
                found
                    .cloned()
                    .ok_or_else(|| fault(format!("table `{name}` has no column `{column}`")))?,
            );
        }
        let places = key.iter().filter_map(|part| names.iter().position(|column| column == part));
        Ok(Self {
            name: name.clone(),
            key: places.collect(),
            finds: key.len() == table.key.len() && table.key.iter().all(|part| key.contains(part)),
            fields,
            table,
        })
    }

    fn select(&self, keyspace: &Keyspace) -> Result<String> {
        let columns = quote::idents(self.fields.iter().map(|field| field.name.as_str()))?;
        Ok(format!("SELECT {columns} FROM {}", quote::table(&keyspace.name, &self.name)?))
    }

    /// Reads a range of tokens.
    pub(super) fn of_range(&self, keyspace: &Keyspace) -> Result<String> {
        let partition = quote::idents(self.table.key.iter().take(self.table.partition).map(String::as_str))?;
        let select = self.select(keyspace)?;
        Ok(format!("{select} WHERE token({partition}) > ? AND token({partition}) <= ?"))
    }

    /// Reads the row of a key, whose parts are in the order of the request.
    pub(super) fn of_key(&self, keyspace: &Keyspace) -> Result<String> {
        let part = |place: &usize| quote::ident(&self.fields[*place].name).map(|name| format!("{name} = ?"));
        let parts: Vec<_> = self.key.iter().map(part).collect::<Result<_>>()?;
        Ok(format!("{} WHERE {}", self.select(keyspace)?, parts.join(" AND ")))
    }

    /// Whether a row is one of static columns alone, of a partition that has no rows.
    pub(super) fn is_static(&self, row: &[Option<&[u8]>]) -> bool {
        self.key.iter().any(|place| row[*place].is_none())
    }

    /// The answer must have the columns that were asked for, in the types that they were known in.
    pub(super) fn check(&self, keyspace: &Keyspace, answer: &QueryRowsResult) -> Result<()> {
        let specs = answer.column_specs();
        let same = |(field, ty): (&CqlColumn, &CqlType<'_>)| kind::name(&field.ty) == kind::name(ty);
        let types = specs.iter().map(ColumnSpec::typ);
        if specs.len() == self.fields.len() && self.fields.iter().zip(types).all(same) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Missing,
            format!(
                "connection `{}`: table `{}` was changed while it was read",
                keyspace.connection, self.name
            ),
        )
        .hint("start again"))
    }
}
