//! Indexes that are away for a load: a migration would not find them, and what it makes of the table
//! they would not fit any more.

use sqlx::{Executor as _, PgConnection, Row as _};

use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// A role that may not read it has not taken any away.
const IS_THERE: &str = "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'dbferry' and c.relname = 'deferred_index' and pg_catalog.has_schema_privilege(n.oid, 'usage')
        and pg_catalog.has_table_privilege(c.oid, 'select'))";
const AWAY: &str = "select pg_catalog.format('index `%s` of table %s is away for the load of stream `%s` of project `%s`',
        name, table_name, stream, project), project
    from dbferry.deferred_index order by table_name, place, name limit 1";

/// That none is.
///
/// # Errors
/// [`ErrorKind::Busy`] where one is.
pub(super) async fn none(connection: &mut PgConnection) -> Result<()> {
    let there = connection.fetch_one(IS_THERE).await.map_err(|error| classify(&error))?;
    if !there.try_get::<bool, _>(0).map_err(|error| classify(&error))? {
        return Ok(());
    }
    let Some(row) = connection.fetch_optional(AWAY).await.map_err(|error| classify(&error))? else {
        return Ok(());
    };
    let [what, project] = [0, 1].map(|column| row.try_get::<String, _>(column).map_err(|error| classify(&error)));
    let project = project?;
    Err(Error::new(ErrorKind::Busy, what?).hint(format!("a run of project `{project}` builds it first; then migrate")))
}
