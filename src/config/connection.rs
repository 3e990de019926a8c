//! A resolved connection: what opening a source or sink needs. `Debug` prints no secret.

use std::path::PathBuf;

use secrecy::SecretString;

/// A connection whose variables were read.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Name in the configuration, used in messages instead of address or path.
    pub name: String,
    /// Kind with its settings.
    pub kind: ConnectionKind,
}

/// What is at the other end.
#[derive(Debug, Clone)]
pub enum ConnectionKind {
    /// An SQLite file.
    Sqlite {
        /// Path of the file.
        path: PathBuf,
        /// As a sink: create the file where it is missing.
        create_database: bool,
    },
    /// A PocketBase `data.db` (source only).
    Pocketbase {
        /// Path of `data.db`, or of the `pb_data` folder that holds it.
        path: PathBuf,
    },
    /// A Postgres database.
    Postgres {
        /// `postgres://user:password@host:port/database?sslmode=…`; may carry a password.
        url: SecretString,
        /// As a sink: create the database where it is missing.
        create_database: bool,
        /// What a database that is created is like.
        new_database: NewDatabase,
    },
}

/// What a database that is created is like, where that is not left to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewDatabase {
    /// Role that owns it.
    pub owner: Option<String>,
    /// Encoding of its text, as the server names it.
    pub encoding: Option<String>,
}

impl ConnectionKind {
    /// The kind's name as the configuration spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Pocketbase { .. } => "pocketbase",
            Self::Postgres { .. } => "postgres",
        }
    }
}
