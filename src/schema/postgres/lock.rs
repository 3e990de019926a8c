//! The lock of whoever migrates a database: sqlx's own advisory lock, so that its command line and this
//! program wait for each other.

use std::time::{Duration, Instant};

use sqlx::{Executor as _, PgConnection, Row as _};

use crate::postgres::error::classify;
use crate::schema::{Event, Watch};
use crate::{Error, ErrorKind, Result};

/// How long another process is waited for.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until no other process migrates the database. The lock goes with the connection.
///
/// # Errors
/// [`ErrorKind::Busy`] naming who does, where that takes too long; [`ErrorKind::Interrupted`].
pub(super) async fn take(connection: &mut PgConnection, name: &str, watch: &dyn Watch) -> Result<()> {
    let about = |error: sqlx::Error| classify(&error).during(format_args!("migrating connection `{name}`"));
    let row = connection.fetch_one("select current_database()::text").await.map_err(about)?;
    let key = key(row.try_get(0).map_err(about)?);
    let began = Instant::now();
    let mut holder = None;
    loop {
        let taken = sqlx::query("select pg_catalog.pg_try_advisory_lock($1)")
            .bind(key)
            .fetch_one(&mut *connection)
            .await;
        if taken.and_then(|row| row.try_get(0)).map_err(about)? {
            return Ok(());
        }
        if holder.is_none() {
            holder = who(connection, key).await.map_err(about)?;
            watch.tell(&Event::Waiting {
                connection: name,
                holder: holder.as_deref(),
            });
        }
        if watch.is_over() {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "stopped on request while another process is migrating",
            )
            .hint("nothing was done; do it again when the other one has ended"));
        }
        if began.elapsed() > WAIT_MAX {
            let who = who(connection, key).await.map_err(about)?.or(holder);
            let who = who.unwrap_or_else(|| "another process".to_owned());
            return Err(Error::new(ErrorKind::Busy, format!("{who} is migrating connection `{name}`")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who holds the lock, as far as the server tells.
async fn who(connection: &mut PgConnection, key: i64) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query(
        "select a.pid, coalesce(a.application_name, ''), coalesce(host(a.client_addr), 'this machine')
         from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'advisory' and l.granted and l.objsubid = 1
             and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
             and l.classid::bigint = ($1 >> 32) & 4294967295 and l.objid::bigint = $1 & 4294967295",
    )
    .bind(key)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (pid, name, host): (i32, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let name = if name.is_empty() {
        "a session".to_owned()
    } else {
        format!("`{name}`")
    };
    Ok(Some(format!("{name} (server process {pid}, from {host})")))
}

/// The number that sqlx makes of a database's name.
fn key(database: &str) -> i64 {
    0x3d32_ad9e * i64::from(crc32(database.as_bytes()))
}

/// CRC-32 of ISO-HDLC. A name is short: no table is needed.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_one_that_sqlx_takes() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
