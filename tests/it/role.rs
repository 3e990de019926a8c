//! A role of its own on the test server, with no more privileges than a test gives it.

use crate::harness::Database;

/// A role that may only connect, dropped at the end.
pub(crate) struct Role<'a> {
    database: &'a Database,
    /// Its name.
    pub(crate) name: String,
    /// URL of the database for it.
    pub(crate) url: String,
}

impl<'a> Role<'a> {
    /// Creates one that may connect to the database.
    pub(crate) fn create(database: &'a Database) -> Self {
        let name = format!("role_{}", database.name);
        database.query(&format!(
            "drop role if exists {name}; create role {name} login password 'secret'"
        ));
        let (start, rest) = database.url.split_once("://").expect("a URL");
        let (_, host) = rest.split_once('@').expect("a URL with a user");
        let url = format!("{start}://{name}:secret@{host}");
        Self { database, name, url }
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.database.query(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{0}'; drop owned by {0}; drop role {0}",
            self.name
        ));
    }
}
