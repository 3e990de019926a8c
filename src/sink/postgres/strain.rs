//! How the server bears what is asked of it: how far those that follow it are, and who waits for
//! locks on a table.

use sqlx::{Executor as _, PgConnection};

use crate::data::backfill::{Standby, Strain};
use crate::data::table::TableName;
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Of a role without `pg_monitor` everything but process and role is hidden.
const STANDBYS: &str = "
    select pid, coalesce(application_name, ''), coalesce((replay_lsn - '0/0'::pg_lsn)::int8, 0),
        (extract(epoch from replay_lag) * 1000)::int8, state is null
    from pg_catalog.pg_stat_replication
    where state is null or state in ('catchup', 'streaming')";

/// Who waits for a row of the table has a lock on the table itself, too. Sessions of ours that wait for each
/// other are no concern of others.
const LOG_AND_WAITS: &str = "
    select (pg_catalog.pg_current_wal_lsn() - '0/0'::pg_lsn)::int8, (
        select count(distinct w.pid) from pg_catalog.pg_locks w
        where not w.granted and exists (
            select from pg_catalog.pg_locks o join pg_catalog.pg_database d on d.oid = o.database
            where o.pid = w.pid and o.locktype = 'relation' and d.datname = pg_catalog.current_database()
                and o.relation = $1::text::regclass
        ) and not exists (
            select from pg_catalog.pg_stat_activity a where a.pid = w.pid and a.application_name like 'dbferry %'
        )
    )";

pub(super) async fn strain(connection: &mut PgConnection, table: &TableName) -> Result<Strain> {
    let rows = connection.fetch_all(STANDBYS).await.map_err(|error| classify(&error))?;
    let mut strain = Strain::default();
    for row in rows {
        if get::<bool>(&row, 4)? {
            strain.standbys_hidden = true;
            continue;
        }
        strain.standbys.push(Standby {
            process: get(&row, 0)?,
            name: get(&row, 1)?,
            replayed: number(get(&row, 2)?)?,
            lag_milliseconds: get::<Option<i64>>(&row, 3)?.map(number).transpose()?,
        });
    }
    let row = sqlx::query(LOG_AND_WAITS)
        .bind(quote::table(table)?)
        .fetch_one(connection)
        .await
        .map_err(|error| classify(&error))?;
    strain.log = number(get(&row, 0)?)?;
    strain.lock_waits = number(get(&row, 1)?)?;
    Ok(strain)
}

fn number(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::new(ErrorKind::Internal, "a negative figure of the server's"))
}
