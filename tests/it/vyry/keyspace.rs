//! What is in the keyspace, asked by a client of its own.

use std::time::{Duration, Instant};

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use serde_json::Value;

use crate::harness::block_on;

/// Longest wait for a server that has much else to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// URL of the test server without a keyspace.
pub(super) fn server() -> String {
    std::env::var("DBFERRY_TEST_SCYLLA_URL")
        .expect("DBFERRY_TEST_SCYLLA_URL is not set: start the servers with `scripts/services.sh up`, or run `scripts/test.sh`")
}

/// Rows of a `select json`.
pub(super) fn documents(cql: &str) -> Vec<Value> {
    let cql = cql.to_owned();
    block_on(async move {
        let (address, user, password) = login();
        let profile = ExecutionProfile::builder().request_timeout(Some(PATIENCE)).build();
        let builder = SessionBuilder::new()
            .known_node(address)
            .user(user, password)
            .connection_timeout(PATIENCE)
            .default_execution_profile_handle(profile.into_handle());
        let session = builder.build().await.expect("the server lets us in");
        let began = Instant::now();
        loop {
            match session.query_unpaged(cql.as_str(), ()).await {
                Ok(result) if !result.is_rows() => return Vec::new(),
                Ok(result) => {
                    let rows = result.into_rows_result().expect("rows");
                    let rows = rows.rows::<(String,)>().expect("one column of text");
                    return rows
                        .map(|row| serde_json::from_str(&row.expect("a row").0).expect("JSON"))
                        .collect();
                }
                Err(error) if is_busy(&error) && began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(200)).await,
                Err(error) => panic!("{cql}: {error}"),
            }
        }
    })
}

/// Whether the server has too much to do just now.
const fn is_busy(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::RequestTimeout(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. } | DbError::Unavailable { .. } | DbError::Overloaded,
                _
            ))
    )
}

/// Changes something.
pub(super) fn change(cql: &str) {
    assert_eq!(documents(cql), Vec::<Value>::new());
}

fn login() -> (String, String, String) {
    let server = server();
    let parts = server.strip_prefix("scylla://").and_then(|rest| rest.split_once('@'));
    let (login, address) = parts.expect("a URL with a user");
    let (user, password) = login.split_once(':').expect("a password");
    (address.to_owned(), user.to_owned(), password.to_owned())
}
