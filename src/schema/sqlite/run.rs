//! Running a script, and what is recorded of it, when no other process has the file.

use std::time::{Duration, Instant};

use rusqlite::ErrorCode;

use super::statement::{self, Stop};
use super::{BUSY_WAIT_MAX, SqliteDatabase};
use crate::schema::folder::{Script, ScriptFile};
use crate::schema::{Event, Watch, failure};
use crate::{Error, ErrorKind, Result};

/// How long another process is waited for.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// How long one attempt waits: between two it is asked whether to go on.
const ATTEMPT: Duration = Duration::from_millis(500);

/// How the records change with a script.
pub(super) struct Change<'a> {
    /// Whether the target has to have the script before.
    pub(super) applied: bool,
    /// In the transaction of the script.
    pub(super) record: &'a dyn Fn(Duration) -> rusqlite::Result<usize>,
    /// Before a script that allows no transaction.
    pub(super) begin: &'a dyn Fn() -> rusqlite::Result<usize>,
    /// After it.
    pub(super) finish: &'a dyn Fn(Duration) -> rusqlite::Result<usize>,
    /// Where it is refused.
    pub(super) take_back: &'a dyn Fn() -> rusqlite::Result<usize>,
}

impl SqliteDatabase {
    /// Runs a file and `record`, in one transaction where the file allows it. `applied`: whether the
    /// target has to have the script already; where another process was faster, nothing is done.
    pub(super) fn run(&self, script: &Script, file: &ScriptFile, change: &Change<'_>, watch: &dyn Watch) -> Result<bool> {
        if file.migration.no_tx {
            return self.run_alone(script, file, change, watch);
        }
        let started = Instant::now();
        self.begin(watch)?;
        let execute = || -> Result<bool, Stop> {
            // Between two scripts the file is not locked.
            if self.is_applied(script.version)? != change.applied {
                self.connection.execute_batch("rollback")?;
                return Ok(false);
            }
            statement::run(&self.connection, file.text())?;
            (change.record)(started.elapsed())?;
            self.connection.execute_batch("commit")?;
            Ok(true)
        };
        execute().or_else(|stop| {
            // A script may have ended the transaction itself.
            if !self.connection.is_autocommit() {
                self.batch("rollback")?;
            }
            Err(self.told(script, file, stop))
        })
    }

    /// Runs a file that allows no transaction. That it is begun is recorded first, so that one which
    /// was killed is known; sqlx reads such a record as unfinished, too.
    fn run_alone(&self, script: &Script, file: &ScriptFile, change: &Change<'_>, watch: &dyn Watch) -> Result<bool> {
        let started = Instant::now();
        self.begin(watch)?;
        let begun = || -> rusqlite::Result<bool> {
            let is_mine = self.is_applied(script.version)? == change.applied;
            if is_mine {
                (change.begin)()?;
            }
            self.connection.execute_batch("commit")?;
            Ok(is_mine)
        };
        match begun() {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                if !self.connection.is_autocommit() {
                    self.batch("rollback")?;
                }
                return Err(self.classify(&error));
            }
        }
        let run = statement::run(&self.connection, file.text());
        // A script may have begun a transaction and left it open.
        if !self.connection.is_autocommit() {
            self.batch(if run.is_ok() { "commit" } else { "rollback" })?;
        }
        let finish = match run {
            Ok(()) => (change.finish)(started.elapsed()),
            Err(stop) => {
                let told = self.told(script, file, stop);
                (change.take_back)().map_err(|error| self.classify(&error))?;
                return Err(told);
            }
        };
        finish.map(|_| true).map_err(|error| self.classify(&error))
    }

    fn told(&self, script: &Script, file: &ScriptFile, stop: Stop) -> Error {
        match stop {
            Stop::Script(at, what) => failure::refused(script, file, Some(at), &what),
            Stop::Driver(error) => self.classify(&error),
        }
    }

    fn batch(&self, text: &str) -> Result<()> {
        self.connection.execute_batch(text).map_err(|error| self.classify(&error))
    }

    /// Begins to write, when no other process does.
    fn begin(&self, watch: &dyn Watch) -> Result<()> {
        self.waiting("begin immediate", watch)
    }

    /// Runs a statement that needs the file for itself, when it is free.
    pub(super) fn waiting(&self, text: &str, watch: &dyn Watch) -> Result<()> {
        self.patience(ATTEMPT)?;
        let outcome = self.attempts(text, watch);
        self.patience(BUSY_WAIT_MAX)?;
        outcome
    }

    fn patience(&self, wait: Duration) -> Result<()> {
        self.connection.busy_timeout(wait).map_err(|error| self.classify(&error))
    }

    fn attempts(&self, text: &str, watch: &dyn Watch) -> Result<()> {
        let began = Instant::now();
        let mut told = false;
        loop {
            let error = match self.connection.execute_batch(text) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let is_busy = matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            );
            if !is_busy || began.elapsed() > WAIT_MAX {
                return Err(self.classify(&error));
            }
            if watch.is_over() {
                return Err(Error::new(
                    ErrorKind::Interrupted,
                    "stopped on request while another process has the file",
                )
                .hint("do it again when the other one has ended"));
            }
            if !told {
                told = true;
                watch.tell(&Event::Waiting {
                    connection: &self.name,
                    holder: None,
                });
            }
        }
    }
}
