//! What is known of the server that is asked.

use scylla::response::query_result::QueryRowsResult;

use crate::cql::connect::Keyspace;
use crate::cql::fault::expected;
use crate::{Error, ErrorKind, Result};

const ASKING: &str = "asking for its version";

/// Version and partitioner.
pub(super) struct Server {
    /// As it calls itself.
    pub(super) version: String,
    /// How it places partitions, by the name of a Java class.
    partitioner: String,
}

impl Server {
    pub(super) async fn ask(keyspace: &Keyspace) -> Result<Self> {
        let rows = ask(
            keyspace,
            "SELECT release_version, partitioner FROM system.local WHERE key = 'local'",
        )
        .await?;
        let (release, partitioner) = expected(
            rows.single_row::<(Option<String>, Option<String>)>(),
            &keyspace.connection,
            ASKING,
        )?;
        let release = release.unwrap_or_default();
        // Only ScyllaDB has such a table.
        let is_scylla = {
            let state = keyspace.session.get_cluster_state();
            let system = state.get_keyspace("system");
            system.is_some_and(|system| system.tables.contains_key("versions"))
        };
        let version = if is_scylla {
            let rows = ask(keyspace, "SELECT version FROM system.versions WHERE key = 'local'").await?;
            let (version,) = expected(rows.single_row::<(Option<String>,)>(), &keyspace.connection, ASKING)?;
            format!("ScyllaDB {}", version.unwrap_or_default())
        } else {
            format!("Cassandra {release}")
        };
        Ok(Self {
            version,
            partitioner: partitioner.unwrap_or_default(),
        })
    }

    /// Tokens are numbers of 64 bits only with Murmur3.
    pub(super) fn splits_by_token(&self, keyspace: &Keyspace) -> Result<()> {
        if self.partitioner.ends_with("Murmur3Partitioner") {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Mapping,
            format!(
                "connection `{}`: its cluster does not place partitions by Murmur3, and dbferry reads tables by ranges of such tokens alone",
                keyspace.connection
            ),
        ))
    }
}

async fn ask(keyspace: &Keyspace, text: &str) -> Result<QueryRowsResult> {
    let statement = keyspace.prepare(text, ASKING).await?;
    let answer = keyspace.ask(&statement, (), ASKING).await?;
    expected(answer.into_rows_result(), &keyspace.connection, ASKING)
}
