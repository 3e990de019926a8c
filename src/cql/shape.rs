//! Shapes of a keyspace's tables, as mappings see them.

use scylla::cluster::metadata::{CollectionType, ColumnKind, ColumnType as CqlType, NativeType, Table as Described};

use super::connect::Keyspace;
use super::kind;
use crate::data::table::{Column, Fill, Table, TableName};
use crate::{Error, ErrorKind, Result};

/// What names of dbferry's own tables begin with.
pub(crate) const LEDGER: &str = "dbferry_";

/// A table as CQL has it.
pub(crate) struct CqlTable {
    /// Columns of the primary key, those of the partition first, in its order.
    pub(crate) key: Vec<String>,
    /// How many of them are the partition's.
    pub(crate) partition: usize,
    /// All columns with their types: the key's first, then the others by name.
    pub(crate) columns: Vec<CqlColumn>,
}

/// A column as CQL has it.
#[derive(Clone)]
pub(crate) struct CqlColumn {
    /// Name, as it is spelt.
    pub(crate) name: String,
    /// Type.
    pub(crate) ty: CqlType<'static>,
    /// One value for the whole partition.
    pub(crate) is_static: bool,
}

impl Keyspace {
    /// Names of the application's tables.
    pub(crate) fn table_names(&self) -> Vec<TableName> {
        let state = self.session.get_cluster_state();
        let Some(keyspace) = state.get_keyspace(&self.name) else {
            return Vec::new();
        };
        let own = keyspace.tables.keys().filter(|name| !name.starts_with(LEDGER));
        let mut names: Vec<_> = own.map(TableName::new).collect();
        names.sort();
        names
    }

    /// A table, as far as the session knows: see [`Keyspace::refresh`].
    pub(crate) fn described(&self, name: &TableName) -> Option<CqlTable> {
        let state = self.session.get_cluster_state();
        let keyspace = state.get_keyspace(name.schema.as_deref().unwrap_or(&self.name))?;
        keyspace.tables.get(&name.name).map(CqlTable::of)
    }

    /// Shape of a table; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] for a table of counters.
    pub(crate) fn table(&self, name: &TableName) -> Result<Option<Table>> {
        let Some(table) = self.described(name) else { return Ok(None) };
        let mut columns = Vec::new();
        for (at, column) in table.columns.iter().enumerate() {
            if matches!(column.ty, CqlType::Native(NativeType::Counter)) {
                return Err(Error::new(
                    ErrorKind::Mapping,
                    format!(
                        "connection `{}`: table `{name}` holds counters (column `{}`)",
                        self.connection, column.name
                    ),
                )
                .hint("a counter can only be added to, so that a batch which is repeated after a crash would count twice: move the numbers into a table of bigint"));
            }
            let Some(ty) = kind::column_type(&column.ty) else {
                return Err(Error::new(
                    ErrorKind::Mapping,
                    format!(
                        "connection `{}`: column `{}` of table `{name}` has the type {}, which dbferry does not know",
                        self.connection,
                        column.name,
                        kind::name(&column.ty)
                    ),
                )
                .hint("leave the column out of the table, or move it by other means"));
            };
            columns.push(Column {
                nullable: at >= table.key.len(),
                fill: Fill::Nothing,
                unordered: is_set(&column.ty),
                ..Column::new(&column.name, ty)
            });
        }
        let mut shape = Table::new(name.clone(), columns);
        let shared = table.columns.iter().filter(|column| column.is_static);
        let note = |column: &CqlColumn| format!("column `{}` is static: all rows of a partition share one value", column.name);
        shape.notes = shared.map(note).collect();
        shape.uniques = vec![table.key.clone()];
        shape.key = table.key;
        shape.text_holds_nul = true;
        Ok(Some(shape))
    }
}

impl CqlTable {
    fn of(table: &Described) -> Self {
        let key: Vec<String> = table.partition_key.iter().chain(&table.clustering_key).cloned().collect();
        let mut names: Vec<&String> = table.columns.keys().filter(|name| !key.contains(name)).collect();
        names.sort();
        let columns = key.iter().chain(names).filter_map(|name| {
            let column = table.columns.get(name)?;
            Some(CqlColumn {
                name: name.clone(),
                ty: column.typ.clone(),
                is_static: column.kind == ColumnKind::Static,
            })
        });
        Self {
            partition: table.partition_key.len(),
            columns: columns.collect(),
            key,
        }
    }

    /// The column of that name.
    pub(crate) fn column(&self, name: &str) -> Option<&CqlColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

const fn is_set(ty: &CqlType<'_>) -> bool {
    matches!(
        ty,
        CqlType::Collection {
            typ: CollectionType::Set(_),
            ..
        }
    )
}
