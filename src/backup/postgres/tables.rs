//! Tables of a database whose rows a dump holds, and how many rows they have.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::told;
use crate::backup::manifest::Count;
use crate::data::table::TableName;
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Tables of a database.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    /// Those with rows of their own, but for those of extensions; in the order of their names.
    pub(super) names: Vec<TableName>,
    /// Tables of extensions whose rows a dump holds, too.
    pub(super) of_extensions: u64,
    /// Foreign tables: their rows are another database's.
    pub(super) foreign: Vec<String>,
}

/// What there is, as the open transaction sees it.
pub(super) async fn all(connection: &mut PgConnection) -> Result<Tables> {
    let rows = connection
        .fetch_all(
            "select n.nspname::text, c.relname::text, c.relkind = 'f',
                 exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
                     and d.refclassid = 'pg_catalog.pg_extension'::regclass and d.deptype = 'e'),
                 exists (select from pg_catalog.pg_extension e where c.oid = any (e.extconfig)),
                 pg_catalog.row_security_active(c.oid)
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'f') and c.relpersistence <> 't'
                 and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp_)'
             order by n.nspname collate \"C\", c.relname collate \"C\"",
        )
        .await
        .map_err(|error| classify(&error).during("listing tables"))?;
    let mut tables = Tables::default();
    for row in rows {
        let name = TableName {
            schema: Some(get(&row, 0)?),
            name: get(&row, 1)?,
        };
        let (foreign, extension, configuration): (bool, bool, bool) = (get(&row, 2)?, get(&row, 3)?, get(&row, 4)?);
        if foreign {
            tables.foreign.push(name.to_string());
        } else if extension {
            tables.of_extensions += u64::from(configuration);
        } else if get(&row, 5)? {
            return Err(told::hidden_rows(&format!("table `{name}`")));
        } else {
            tables.names.push(name);
        }
    }
    Ok(tables)
}

/// Rows of each table, as the connection sees them.
pub(super) async fn counts(connection: &mut PgConnection, tables: &[TableName]) -> Result<Vec<Count>> {
    let mut counts = Vec::with_capacity(tables.len());
    for table in tables {
        let row = connection
            .fetch_one(AssertSqlSafe(format!("select count(*) from only {}", quote::table(table)?)))
            .await
            .map_err(|error| about(&error, table, "counting"))?;
        let rows: i64 = get(&row, 0)?;
        counts.push(Count {
            name: table.to_string(),
            rows: u64::try_from(rows).map_err(|_| Error::new(ErrorKind::Internal, "a negative number of rows"))?,
        });
    }
    Ok(counts)
}

/// Keeps tables as they are until the transaction ends: nobody empties or drops one between the
/// moment that is dumped and the dump.
pub(super) async fn lock(connection: &mut PgConnection, tables: &[TableName]) -> Result<()> {
    for table in tables {
        connection
            .execute(AssertSqlSafe(format!(
                "lock table only {} in access share mode",
                quote::table(table)?
            )))
            .await
            .map_err(|error| about(&error, table, "locking"))?;
    }
    Ok(())
}

fn about(error: &sqlx::Error, table: &TableName, doing: &str) -> Error {
    let failed = classify(error).during(format_args!("{doing} table `{table}`"));
    if failed.kind() == ErrorKind::Unauthorised {
        return failed
            .hint("a backup needs a role that may read everything: one that owns the tables, or is a member of pg_read_all_data");
    }
    failed
}
