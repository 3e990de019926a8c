//! Rejects as the command line shows them: how many for which reason, and where the rows are.
//! Never the rows: those stand in the reject store (Invariant 9). Keys are values of rows, too: a
//! few are named where that is asked for, and only in a result.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures;
use super::intent::quoted;
use super::output::visible;
use crate::config::connection::{Connection, ConnectionKind};
use crate::ledger::StoredReject;
use crate::pipeline::report::ReasonCount;

/// Kinds of rejects told apart; further ones are counted under "other".
const KINDS_MAX: usize = 200;
/// Keys named for each kind.
const KEYS_MAX: usize = 3;

/// Rejects of one stream with one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RejectGroup {
    pub(super) stream: String,
    pub(super) reason: String,
    pub(super) column: Option<String>,
    pub(super) detail: String,
    pub(super) rows: u64,
    /// Source keys of the first of them, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) keys: Vec<String>,
}

impl RejectGroup {
    pub(super) fn of_report(stream: &str, reason: &ReasonCount) -> Self {
        Self {
            stream: stream.to_owned(),
            reason: reason.reason.clone(),
            column: reason.column.clone(),
            detail: reason.detail.clone(),
            rows: reason.rows,
            keys: Vec::new(),
        }
    }

    /// `players: 2 × duplicate (email): the value exists`.
    pub(super) fn line(&self) -> String {
        let column = self.column.as_ref().map(|column| format!(" ({column})")).unwrap_or_default();
        let detail = if self.detail.is_empty() {
            String::new()
        } else {
            format!(": {}", self.detail)
        };
        let keys = match self.keys.as_slice() {
            [] => String::new(),
            keys => format!(" [{}]", keys.join("; ")),
        };
        visible(&format!(
            "{}: {} × {}{column}{detail}{keys}",
            self.stream,
            figures::count(self.rows),
            self.reason
        ))
    }
}

/// Stream, reason, column, and in words.
type Kind = (String, String, Option<String>, String);

/// Stored rejects, counted by stream, reason and column as they are read back.
pub(super) struct Groups {
    groups: BTreeMap<Kind, (u64, Vec<String>)>,
    show_keys: bool,
}

impl Groups {
    pub(super) const fn new(show_keys: bool) -> Self {
        Self {
            groups: BTreeMap::new(),
            show_keys,
        }
    }

    pub(super) fn add(&mut self, reject: StoredReject) {
        let mut kind = (reject.stream, reject.reason, reject.column, reject.detail);
        if self.groups.len() >= KINDS_MAX && !self.groups.contains_key(&kind) {
            kind = (kind.0, "other".to_owned(), None, String::new());
        }
        let (rows, keys) = self.groups.entry(kind).or_default();
        *rows += 1;
        if self.show_keys && keys.len() < KEYS_MAX {
            keys.push(reject.key.to_string());
        }
    }

    /// Most rows first within each stream.
    pub(super) fn finish(self) -> Vec<RejectGroup> {
        let mut groups: Vec<_> = self
            .groups
            .into_iter()
            .map(|((stream, reason, column, detail), (rows, keys))| RejectGroup {
                stream,
                reason,
                column,
                detail,
                rows,
                keys,
            })
            .collect();
        groups.sort_by(|a, b| (&a.stream, b.rows).cmp(&(&b.stream, a.rows)));
        groups
    }
}

/// How the rejected rows of a project are looked at in a target.
pub(super) fn where_to_look(connection: &Connection, project: &str) -> String {
    let query = |table: &str| {
        format!(
            "select stream, source_key, column_name, reason, detail, source_row from {table} \
             where project = '{}' and resolved_at is null order by id",
            project.replace('\'', "''")
        )
    };
    match &connection.kind {
        ConnectionKind::Sqlite { path, .. } | ConnectionKind::Pocketbase { path } => format!(
            "sqlite3 {} \"{}\"",
            quoted(&path.display().to_string()),
            query("dbferry_reject")
        ),
        ConnectionKind::Scylla(cluster) => format!(
            "SELECT record FROM {}.dbferry_reject WHERE project = '{}' ALLOW FILTERING;  -- in connection {}",
            cluster.keyspace,
            project.replace('\'', "''"),
            connection.name
        ),
        ConnectionKind::Redis(server) => format!(
            "redis-cli HVALS {}  # in connection {}",
            quoted(&format!("{}dbferry:{{{project}}}:rejects", server.key_prefix)),
            connection.name
        ),
        ConnectionKind::Postgres { .. } | ConnectionKind::Cosmos(_) => {
            format!("{};  -- in connection {}", query("dbferry.reject"), connection.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::position::{Key, KeyValue};

    #[test]
    fn rejects_are_grouped_and_keys_shown_on_request() {
        let reject = |id, stream: &str, reason: &str, column: Option<&str>| StoredReject {
            id,
            run: uuid::Uuid::nil(),
            stream: stream.to_owned(),
            key: Key(vec![KeyValue::Text("canary\u{1b}".to_owned())]),
            column: column.map(str::to_owned),
            reason: reason.to_owned(),
            detail: String::new(),
        };
        let rejects = [
            reject(1, "players", "too_long", Some("username")),
            reject(2, "players", "duplicate", None),
            reject(3, "players", "duplicate", None),
            reject(4, "games", "json", Some("settings")),
        ];
        let lines = |show_keys| {
            let mut groups = Groups::new(show_keys);
            for reject in rejects.clone() {
                groups.add(reject);
            }
            groups.finish().iter().map(RejectGroup::line).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(false),
            [
                "games: 1 × json (settings)",
                "players: 2 × duplicate",
                "players: 1 × too_long (username)"
            ]
        );
        assert_eq!(
            lines(true)[1..],
            [
                r"players: 2 × duplicate [canary\u{1b}; canary\u{1b}]",
                r"players: 1 × too_long (username) [canary\u{1b}]"
            ]
        );
    }

    #[test]
    fn the_way_to_the_rows_fits_the_target() {
        let sqlite = Connection {
            name: "game".to_owned(),
            kind: ConnectionKind::Sqlite {
                path: "my game.db".into(),
                create_database: true,
            },
        };
        let text = where_to_look(&sqlite, "game");
        assert!(text.starts_with("sqlite3 'my game.db' \"select stream"), "{text}");
        assert!(text.contains("from dbferry_reject where project = 'game'"), "{text}");
        let postgres = Connection {
            name: "game".to_owned(),
            kind: ConnectionKind::Postgres {
                url: "postgres://u:canary@h/d".to_owned().into(),
                create_database: false,
                new_database: crate::config::connection::NewDatabase::default(),
            },
        };
        let text = where_to_look(&postgres, "game");
        assert!(text.contains("dbferry.reject") && !text.contains("canary"), "{text}");
    }
}
