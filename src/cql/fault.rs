//! Errors of a CQL server by kind. What the server says stays here (Invariant 15), but for the
//! answers to statements of a migration, which are the user's own text.

use std::error::Error as StdError;

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError, NewSessionError,
    PrepareError, RequestAttemptError, UseKeyspaceError,
};

use crate::config::tls;
use crate::{Error, ErrorKind, Result};

/// What an error of the driver comes down to.
#[derive(Debug)]
pub(crate) enum Fault<'a> {
    /// The server said so, in these words.
    Server(&'a DbError, &'a str),
    /// It was not reached.
    Away,
    /// The connection broke.
    Broken,
    /// It did not answer in time.
    Silent,
    /// TLS was refused by one of both.
    Tls,
    /// It wants a user, and there is none.
    NoCredentials,
    /// None of the hosts is known.
    UnknownHost,
    /// No node of the wanted datacenter.
    NoNode,
    /// Something else, of the driver's.
    Driver,
}

impl<'a> Fault<'a> {
    /// Of a statement.
    pub(crate) fn of(error: &'a ExecutionError) -> Self {
        match error {
            ExecutionError::LastAttemptError(attempt) => Self::of_attempt(attempt),
            ExecutionError::PrepareError(error) => Self::of_prepare(error),
            ExecutionError::ConnectionPoolError(error) => Self::of_pool(error),
            ExecutionError::RequestTimeout(_) | ExecutionError::SchemaAgreementError(_) => Self::Silent,
            ExecutionError::UseKeyspaceError(error) => Self::of_use(error),
            ExecutionError::MetadataError(error) => Self::of_metadata(error),
            ExecutionError::EmptyPlan => Self::NoNode,
            _ => Self::Driver,
        }
    }

    /// Of preparing a statement.
    pub(crate) fn of_prepare(error: &'a PrepareError) -> Self {
        match error {
            PrepareError::ConnectionPoolError(error) => Self::of_pool(error),
            PrepareError::AllAttemptsFailed { first_attempt } => Self::of_attempt(first_attempt),
            _ => Self::Driver,
        }
    }

    /// Of connecting.
    pub(crate) fn of_session(error: &'a NewSessionError) -> Self {
        match error {
            NewSessionError::FailedToResolveAnyHostname(_) => Self::UnknownHost,
            NewSessionError::MetadataError(error) => Self::of_metadata(error),
            NewSessionError::UseKeyspaceError(error) => Self::of_use(error),
            _ => Self::Driver,
        }
    }

    fn of_attempt(error: &'a RequestAttemptError) -> Self {
        match error {
            RequestAttemptError::DbError(error, text) => Self::Server(error, text),
            RequestAttemptError::BrokenConnectionError(_) | RequestAttemptError::UnableToAllocStreamId => Self::Broken,
            _ => Self::Driver,
        }
    }

    fn of_pool(error: &'a ConnectionPoolError) -> Self {
        match error {
            ConnectionPoolError::Broken { last_connection_error } => Self::of_connection(last_connection_error),
            ConnectionPoolError::Initializing => Self::Broken,
            _ => Self::NoNode,
        }
    }

    fn of_connection(error: &'a ConnectionError) -> Self {
        match error {
            ConnectionError::IoError(error) if is_tls(&**error) => Self::Tls,
            ConnectionError::ConnectTimeout | ConnectionError::IoError(_) => Self::Away,
            ConnectionError::BrokenConnection(_) => Self::Broken,
            ConnectionError::UseKeyspaceError(error) => Self::of_use(error),
            ConnectionError::ConnectionSetupRequestError(error) => match error.get_error() {
                ConnectionSetupRequestErrorKind::DbError(error, text) => Self::Server(error, text),
                ConnectionSetupRequestErrorKind::MissingAuthentication => Self::NoCredentials,
                ConnectionSetupRequestErrorKind::BrokenConnection(_) => Self::Broken,
                _ => Self::Driver,
            },
            _ => Self::Driver,
        }
    }

    fn of_use(error: &'a UseKeyspaceError) -> Self {
        match error {
            UseKeyspaceError::RequestError(error) => Self::of_attempt(error),
            UseKeyspaceError::RequestTimeout(_) => Self::Silent,
            _ => Self::Driver,
        }
    }

    fn of_metadata(error: &'a MetadataError) -> Self {
        match error {
            MetadataError::ConnectionPoolError(error) => Self::of_pool(error),
            MetadataError::FetchError(_) => Self::Broken,
            _ => Self::Driver,
        }
    }

    /// Whether the same statement may well succeed in a moment, over the same session.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Server(error, _) => matches!(
                error,
                DbError::Unavailable { .. }
                    | DbError::Overloaded
                    | DbError::IsBootstrapping
                    | DbError::ReadTimeout { .. }
                    | DbError::WriteTimeout { .. }
                    | DbError::ReadFailure { .. }
                    | DbError::WriteFailure { .. }
                    | DbError::RateLimitReached { .. }
                    | DbError::ServerError
                    | DbError::TruncateError
            ),
            Self::Away | Self::Broken | Self::Silent => true,
            _ => false,
        }
    }

    /// As an error of a connection, at what was being done.
    pub(crate) fn at(&self, connection: &str, what: &str) -> Error {
        let new = |kind: ErrorKind, told: &str| Error::new(kind, format!("connection `{connection}`, {what}: {told}"));
        match self {
            Self::Server(error, _) => of_server(error, &new),
            Self::Away => new(ErrorKind::Unreachable, "nobody answers"),
            Self::Broken => new(ErrorKind::Lost, "the connection broke"),
            Self::Silent => new(ErrorKind::Lost, "the server did not answer in time"),
            Self::Tls => new(ErrorKind::Unauthorised, "TLS failed: the certificate is not trusted, or the server speaks none")
                .hint("name the authorities of the server's certificate, `ca_file = \"…\"`; it has to be made out to the node's IP address"),
            Self::NoCredentials => new(ErrorKind::Unauthorised, "it lets nobody in without a user").hint(
                "put user and password into the connection's `url`",
            ),
            Self::UnknownHost => new(ErrorKind::Unreachable, "none of its hosts is known"),
            Self::NoNode => new(ErrorKind::Lost, "no node can be asked").hint("check `datacenter` of the connection, and that its nodes run"),
            Self::Driver => new(ErrorKind::Internal, "the driver gave up"),
        }
    }
}

fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    tls::is_behind(error)
}

fn of_server(error: &DbError, new: &dyn Fn(ErrorKind, &str) -> Error) -> Error {
    match error {
        DbError::AuthenticationError => {
            new(ErrorKind::Unauthorised, "user or password is wrong").hint("check the connection's `url`")
        }
        DbError::Unauthorized => new(ErrorKind::Unauthorised, "the user may not do that").hint(
            "it needs SELECT and MODIFY on the keyspace, and CREATE for the ledger's tables; docs/operations.md lists the rights",
        ),
        DbError::Unavailable {
            consistency,
            required,
            alive,
        } => new(
            ErrorKind::Lost,
            &format!("{alive} of {required} replicas that {consistency} needs are up"),
        ),
        DbError::WriteTimeout { received, required, .. } => new(
            ErrorKind::Lost,
            &format!("{received} of {required} replicas confirmed the write in time"),
        ),
        DbError::ReadTimeout { received, required, .. } => new(
            ErrorKind::Lost,
            &format!("{received} of {required} replicas answered in time"),
        ),
        DbError::WriteFailure { numfailures, .. } => new(ErrorKind::Lost, &format!("{numfailures} replicas failed to write")),
        DbError::ReadFailure { numfailures, .. } => new(ErrorKind::Lost, &format!("{numfailures} replicas failed to read")),
        DbError::Overloaded | DbError::RateLimitReached { .. } => new(ErrorKind::Lost, "the server is overloaded"),
        DbError::IsBootstrapping => new(ErrorKind::Lost, "the node is still joining its cluster"),
        DbError::ServerError | DbError::TruncateError => new(ErrorKind::Lost, "the server failed"),
        DbError::Unprepared { .. } => new(ErrorKind::Lost, "the server has forgotten a statement"),
        DbError::ConfigError => new(ErrorKind::Config, "the server's configuration stands in the way"),
        DbError::SyntaxError | DbError::Invalid => new(
            ErrorKind::Missing,
            "the server refuses the statement: a table or column is not as it was",
        )
        .hint("see `dbferry plan PROJECT` and `dbferry schema status PROJECT`"),
        _ => new(ErrorKind::Internal, "the server refuses the statement"),
    }
}

/// An answer of a form that no such statement has.
pub(crate) fn unexpected(connection: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("connection `{connection}`, {what}: the server's answer is not what was to be expected"),
    )
}

/// The rows or columns of an answer, or that it is none.
pub(crate) fn expected<T, E>(found: std::result::Result<T, E>, connection: &str, what: &str) -> Result<T> {
    found.map_err(|_| unexpected(connection, what))
}
