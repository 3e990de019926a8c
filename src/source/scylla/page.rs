//! Pages of an answer, asked for again where a fault may pass: what came before is not read twice.

use std::time::{Duration, Instant};

use scylla::deserialize::row::ColumnIterator;
use scylla::errors::ExecutionError;
use scylla::response::query_result::QueryRowsResult;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use crate::cql::connect::Keyspace;
use crate::cql::fault::{Fault, expected, unexpected};
use crate::{Error, ErrorKind, Result};

pub(super) const READING: &str = "reading";

/// Rows of the first page, whose size nobody knows.
const ROWS_FIRST: i32 = 500;
/// Bytes that a page is to have about.
const PAGE_BYTES: usize = 1 << 20;
/// Longest wait between two attempts.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A statement whose answer is read page by page.
#[derive(Clone)]
pub(super) struct Pages {
    statement: PreparedStatement,
    rows_max: i32,
    patience: Duration,
}

impl Pages {
    /// `patience`: how long a server that does not answer is asked again.
    pub(super) async fn prepare(keyspace: &Keyspace, text: &str, rows_max: usize, patience: Duration) -> Result<Self> {
        let mut statement = keyspace.prepare(text, READING).await?;
        let rows_max = i32::try_from(rows_max).unwrap_or(i32::MAX).max(1);
        statement.set_page_size(ROWS_FIRST.min(rows_max));
        Ok(Self {
            statement,
            rows_max,
            patience,
        })
    }

    /// The page from a state on, and the state behind it, if there may be more.
    pub(super) async fn page(
        &mut self,
        keyspace: &Keyspace,
        values: &(impl SerializeRow + Sync),
        state: PagingState,
    ) -> Result<(QueryRowsResult, Option<PagingState>)> {
        let began = Instant::now();
        let mut wait = Duration::from_millis(50);
        let (answer, next) = loop {
            let asked = keyspace.session.execute_single_page(&self.statement, values, state.clone());
            match asked.await {
                Ok(answer) => break answer,
                Err(error) => {
                    let fault = Fault::of(&error);
                    if !passes(&fault, &error) || began.elapsed() >= self.patience {
                        return Err(fault.at(&keyspace.connection, READING).after_trying(began.elapsed()));
                    }
                    self.less(&fault);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
        };
        let answer = expected(answer.into_rows_result(), &keyspace.connection, READING)?;
        self.measure(&answer);
        let next = match next {
            PagingStateResponse::HasMorePages { state } => Some(state),
            PagingStateResponse::NoMorePages => None,
        };
        Ok((answer, next))
    }

    /// Fits the size of the next pages to that of the rows.
    fn measure(&mut self, answer: &QueryRowsResult) {
        let rows = answer.rows_num();
        if rows == 0 {
            return;
        }
        let each = (answer.rows_bytes_size() / rows).max(1);
        let most = i32::try_from(PAGE_BYTES / each).unwrap_or(i32::MAX);
        self.statement.set_page_size(most.clamp(1, self.rows_max));
    }

    /// A server that cannot read a page in its time is asked for a smaller one.
    fn less(&mut self, fault: &Fault<'_>) {
        if matches!(fault, Fault::Server(..) | Fault::Silent) {
            let rows = self.statement.get_page_size();
            self.statement.set_page_size((rows / 2).max(1));
        }
    }
}

/// With no node left to ask, the driver goes on looking for them.
fn passes(fault: &Fault<'_>, error: &ExecutionError) -> bool {
    fault.passes() || matches!(error, ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_)) && !is_final(fault)
}

const fn is_final(fault: &Fault<'_>) -> bool {
    matches!(fault, Fault::Tls | Fault::NoCredentials | Fault::Server(..))
}

/// Goes through the rows of a page; `fields` of them.
pub(super) fn each_row(
    keyspace: &Keyspace,
    answer: &QueryRowsResult,
    fields: usize,
    mut with: impl FnMut(&[Option<&[u8]>]) -> Result<()>,
) -> Result<()> {
    let damaged = || unexpected(&keyspace.connection, READING);
    let rows = expected(answer.rows::<ColumnIterator<'_, '_>>(), &keyspace.connection, READING)?;
    let mut row: Vec<Option<&[u8]>> = Vec::with_capacity(fields);
    for columns in rows {
        row.clear();
        for column in columns.map_err(|_| damaged())? {
            let column = column.map_err(|_| damaged())?;
            row.push(column.slice.map(|slice| slice.as_slice()));
        }
        if row.len() != fields {
            return Err(damaged());
        }
        with(&row)?;
    }
    Ok(())
}

/// Nobody waits for the rows any more.
pub(super) fn unwanted() -> Error {
    Error::new(ErrorKind::Interrupted, "nobody waits for the rows")
}
