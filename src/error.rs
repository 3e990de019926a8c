//! The one error type, and the one table from its kind to what the program does about it.
//!
//! A message is a lower-case fragment that fits after "failed to …:", names the thing it
//! concerns (file and line, stream, table, connection name), and never carries a cell value or
//! a secret (Invariant 9). The cause is in the chain; what to do next is the hint.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::data::finding::Finding;
use crate::data::reject::Reason;

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as the program's behaviour depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Arguments that cannot be meant: an unknown stream, a bad number.
    Usage,
    /// A configuration file, environment variable or `.env` that is wrong.
    Config,
    /// A mapping that is wrong, or does not fit source and target.
    Mapping,
    /// The server or file cannot be reached at all (refused, unknown host, no such file).
    Unreachable,
    /// Reached, and refused: password, permission, TLS.
    Unauthorised,
    /// No room left: disk full, quota.
    Full,
    /// Held by somebody else: a locked database, another run of the same project.
    Busy,
    /// A table, database or migration that has to be there is missing.
    Missing,
    /// The connection broke, the server restarts, a deadlock or serialisation failure: trying
    /// the whole batch again on a new connection may succeed.
    Lost,
    /// The target refused at least one of the rows just written (constraint, trigger, encoding):
    /// halving the rows finds which.
    Refused,
    /// Figures that must agree do not; nothing was committed.
    Validation,
    /// The checkpoint does not fit: another mapping, another run was here, sequence moved.
    Checkpoint,
    /// The place that reading stopped at is not accepted by the source any more (an expired or
    /// foreign token): the split has to be read from its beginning, over what is there.
    Void,
    /// Nothing belongs to the subject that was asked for.
    Absent,
    /// More rejects than allowed; everything up to here is committed and recorded.
    Rejects,
    /// The source holds something that cannot be read (not a database, damaged).
    Unreadable,
    /// Stopped on request after a finished batch.
    Interrupted,
    /// Anything else; a defect if it is ours.
    Internal,
}

/// Whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After a pause, on a new connection, from the checkpoint that the target holds.
    Backoff,
    /// With fewer rows, to find the one that is refused.
    Isolate,
    /// Not without a person.
    Never,
}

/// Behaviour by kind.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Whether and how to try again.
    pub retry: Retry,
    /// Process exit code.
    pub exit: u8,
    /// Advice where the place of the error gave none.
    pub hint: &'static str,
}

/// Everything done.
pub const EXIT_DONE: u8 = 0;
/// Failed for a reason that has no code of its own.
pub const EXIT_FAILED: u8 = 1;
/// Mapping, configuration or usage is wrong.
pub const EXIT_USAGE: u8 = 2;
/// The environment is wrong: unreachable, unauthorised, full, busy, missing.
pub const EXIT_ENVIRONMENT: u8 = 3;
/// Ended with rejects.
pub const EXIT_REJECTS: u8 = 4;
/// Source and target differ, or it was not shown that they are equal: rows did not settle, or not
/// everything was compared. Weighs more than [`EXIT_REJECTS`].
pub const EXIT_DIFFERENCES: u8 = 5;
/// Interrupted by Ctrl-C or a termination signal.
pub const EXIT_INTERRUPTED: u8 = 130;

impl ErrorKind {
    /// The table: kind → retry, exit code, hint.
    #[must_use]
    pub const fn policy(self) -> Policy {
        let (retry, exit, hint) = match self {
            Self::Usage => (Retry::Never, EXIT_USAGE, "see `dbferry --help`"),
            Self::Config => (Retry::Never, EXIT_USAGE, "see docs/configuration.md"),
            Self::Mapping => (Retry::Never, EXIT_USAGE, "see docs/mapping.md"),
            Self::Unreachable => (
                Retry::Backoff,
                EXIT_ENVIRONMENT,
                "check address and port, and that the server runs",
            ),
            Self::Unauthorised => (
                Retry::Never,
                EXIT_ENVIRONMENT,
                "check user, password, permissions and TLS settings",
            ),
            Self::Full => (
                Retry::Never,
                EXIT_ENVIRONMENT,
                "free some space, then run again: it goes on after the last committed batch",
            ),
            Self::Busy => (Retry::Never, EXIT_ENVIRONMENT, "wait until it is free, or stop the other one"),
            Self::Missing => (Retry::Never, EXIT_ENVIRONMENT, "create it, or run `dbferry schema apply`"),
            Self::Lost => (
                Retry::Backoff,
                EXIT_ENVIRONMENT,
                "run again: it goes on after the last committed batch",
            ),
            Self::Refused => (Retry::Isolate, EXIT_FAILED, "see the reject store"),
            Self::Validation => (
                Retry::Never,
                EXIT_FAILED,
                "the batch was rolled back; find out who else writes to the target, then run again",
            ),
            Self::Checkpoint | Self::Void => (Retry::Never, EXIT_FAILED, "`--restart` begins the stream again"),
            Self::Absent => (
                Retry::Never,
                EXIT_FAILED,
                "check the key: it is compared as the mapping's `subject` says",
            ),
            Self::Rejects => (
                Retry::Never,
                EXIT_REJECTS,
                "mend the rows or the mapping, then `run --retry-rejects`",
            ),
            Self::Unreadable => (
                Retry::Never,
                EXIT_FAILED,
                "check that the file or table is what the mapping says",
            ),
            Self::Interrupted => (
                Retry::Never,
                EXIT_INTERRUPTED,
                "run again: it goes on after the last committed batch",
            ),
            Self::Internal => (Retry::Never, EXIT_FAILED, "this is a defect in dbferry; please report it"),
        };
        Policy { retry, exit, hint }
    }
}

/// What happened, to what, and what to do next. One pointer wide.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    /// For [`ErrorKind::Refused`]: why a single row would be a reject.
    refusal: Option<Refusal>,
    /// Findings with file positions (configuration and mapping errors).
    findings: Vec<Finding>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    /// How long it was tried again already.
    tried_for: Duration,
}

/// Why a target refused a row: what becomes the reject's column and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Target column, where the target names one.
    pub column: Option<String>,
    /// Class of the reason.
    pub reason: Reason,
    /// In words, without cell values (constraint and column names are fine).
    pub detail: String,
}

impl Error {
    /// A new error of `kind`; `message` is a lower-case fragment without trailing full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            refusal: None,
            findings: Vec::new(),
            cause: None,
            tried_for: Duration::ZERO,
        }))
    }

    /// An error that stands for one or more findings in files.
    #[must_use]
    pub fn findings(kind: ErrorKind, findings: Vec<Finding>) -> Self {
        let n = findings.len();
        let mut error = Self::new(
            kind,
            if n == 1 {
                "1 mistake found".to_owned()
            } else {
                format!("{n} mistakes found")
            },
        );
        error.0.findings = findings;
        error
    }

    /// The target refused at least one row.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        let mut error = Self::new(ErrorKind::Refused, refusal.detail.clone());
        error.0.refusal = Some(refusal);
        error
    }

    /// What to do next, as a sentence fragment; replaces the kind's own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The cause. Only causes whose text carries no cell value and no secret (Invariant 15).
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// It was tried again for so long where it happened: that counts for whoever tries again.
    #[must_use]
    pub fn after_trying(mut self, time: Duration) -> Self {
        self.0.tried_for = time;
        self
    }

    /// Puts `context: ` before the message, to say what was being done.
    #[must_use]
    pub fn during(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// How long it was tried again where it happened.
    #[must_use]
    pub fn tried_for(&self) -> Duration {
        self.0.tried_for
    }

    /// The message alone, without causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next.
    #[must_use]
    pub fn advice(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.0.kind.policy().hint)
    }

    /// Why a row was refused, for [`ErrorKind::Refused`].
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.0.refusal.as_ref()
    }

    /// Findings with positions in files; empty for most errors.
    #[must_use]
    pub fn list(&self) -> &[Finding] {
        &self.0.findings
    }

    /// The same for another listener: its causes become part of the message.
    #[must_use]
    pub fn again(&self) -> Self {
        let mut message = self.0.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        let mut again = Self::new(self.0.kind, message);
        again.0.hint.clone_from(&self.0.hint);
        again.0.tried_for = self.0.tried_for;
        again.0.refusal.clone_from(&self.0.refusal);
        again.0.findings.clone_from(&self.0.findings);
        again
    }

    /// Takes the findings out, for a caller that collects more.
    #[must_use]
    pub fn into_findings(self) -> Vec<Finding> {
        self.0.findings
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        for finding in &self.0.findings {
            write!(f, "\n  {finding}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}
