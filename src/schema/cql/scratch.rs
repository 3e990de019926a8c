//! A keyspace to try migrations in: it goes when the trial ends.
//!
//! Whoever uses it holds the lock of those who migrate it, which expires. A keyspace of ours that has no
//! lock some time after the moment in its name belongs to a process that is gone.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use scylla::frame::types::Consistency;
use uuid::Uuid;

use super::{CqlDatabase, WHAT, lock};
use crate::config::connection::ScyllaCluster;
use crate::cql::connect::Keyspace;
use crate::cql::fault::expected;
use crate::cql::quote;
use crate::schema::rehearsal::PREFIX;
use crate::{ErrorKind, Result};

/// How long a keyspace may be there before its lock is.
const MAKING_MAX: Duration = Duration::from_mins(2);

/// A scratch keyspace.
pub(in crate::schema) struct Scratch {
    keyspace: Arc<Keyspace>,
}

/// Creates one. Also the names of those that were left behind and are gone now.
pub(in crate::schema) async fn make(connection: &str, cluster: &ScyllaCluster) -> Result<(Scratch, CqlDatabase, Vec<String>)> {
    let mut scratch = cluster.clone();
    scratch.keyspace = format!("{PREFIX}{:08x}_{}", now(), &Uuid::new_v4().simple().to_string()[..16]);
    scratch.create_database = true;
    if scratch.replication.is_empty() {
        scratch.replication = Keyspace::datacenters(connection, cluster)
            .await?
            .into_iter()
            .map(|name| (name, 1))
            .collect();
    }
    let database = CqlDatabase::create(connection, &scratch).await?;
    let scratch = Scratch {
        keyspace: Arc::clone(&database.keyspace),
    };
    let removed = scratch.remove_stale().await;
    match removed {
        Ok(removed) => Ok((scratch, database, removed)),
        Err(error) => {
            scratch.remove().await?;
            Err(error)
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whether a keyspace of ours was made so long ago that it has a lock unless its process is gone.
fn is_old(name: &str) -> bool {
    let made = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
    let made = made.and_then(|(made, _)| u64::from_str_radix(made, 16).ok());
    made.is_some_and(|made| now().saturating_sub(made) > MAKING_MAX.as_secs())
}

impl Scratch {
    async fn remove_stale(&self) -> Result<Vec<String>> {
        let keyspace = &*self.keyspace;
        let text = "SELECT keyspace_name FROM system_schema.keyspaces";
        let statement = keyspace.statement(text, Consistency::LocalQuorum, WHAT).await?;
        let answer = keyspace.ask(&statement, (), WHAT).await?;
        let rows = expected(answer.into_rows_result(), &keyspace.connection, WHAT)?;
        let mut removed = Vec::new();
        for row in expected(rows.rows::<(String,)>(), &keyspace.connection, WHAT)? {
            let (name,) = expected(row, &keyspace.connection, WHAT)?;
            if is_old(&name) && !self.is_locked(&name).await? {
                self.drop(&name).await?;
                removed.push(name);
            }
        }
        Ok(removed)
    }

    async fn is_locked(&self, name: &str) -> Result<bool> {
        let keyspace = &*self.keyspace;
        let text = format!("SELECT id FROM {}.{} WHERE id = 0", quote::ident(name)?, lock::TABLE);
        let statement = match keyspace.prepare(&text, WHAT).await {
            Ok(mut statement) => {
                statement.set_consistency(Consistency::Serial);
                statement
            }
            // It has no table of locks: its process ended before it made one.
            Err(error) if matches!(error.kind(), ErrorKind::Missing | ErrorKind::Mapping) => return Ok(false),
            Err(error) => return Err(error),
        };
        let answer = keyspace.ask(&statement, (), WHAT).await?;
        let rows = expected(answer.into_rows_result(), &keyspace.connection, WHAT)?;
        Ok(rows.rows_num() > 0)
    }

    async fn drop(&self, name: &str) -> Result<()> {
        let text = format!("DROP KEYSPACE IF EXISTS {}", quote::ident(name)?);
        self.keyspace.change(&text, "removing a scratch keyspace").await
    }

    pub(in crate::schema) async fn remove(self) -> Result<()> {
        let name = &self.keyspace.name;
        self.drop(name).await.map_err(|error| {
            let advice = error.advice().to_owned();
            error.hint(format!(
                "{advice}; the scratch keyspace `{name}` is still there: a later call removes it"
            ))
        })
    }
}
