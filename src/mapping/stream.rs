//! A project and its streams as read from the files: every value with its place.

use std::fmt;
use std::path::PathBuf;

use super::backfill::Backfill;
use super::document::{Document, Field};
use super::keyed::Keyed;
pub use crate::data::finding::Located;
use crate::data::finding::Place;
use crate::data::stream::{Consistency, DeferIndexes, OnConflict, Triggers};
use crate::data::table::TableName;

/// A table at a connection, `connection.table` or `connection.schema.table` in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableRef {
    /// Connection name.
    pub connection: String,
    /// Table.
    pub table: TableName,
}

impl TableRef {
    /// Reads `connection.table` or `connection.schema.table`. A part may be in double quotes,
    /// within which a double quote is doubled.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of_parts(parts(text)?)
    }

    fn of_parts(mut parts: Vec<String>) -> Option<Self> {
        let name = parts.pop()?;
        let (connection, schema) = match <[String; 1]>::try_from(parts) {
            Ok([connection]) => (connection, None),
            Err(parts) => {
                let [connection, schema] = <[String; 2]>::try_from(parts).ok()?;
                (connection, Some(schema))
            }
        };
        Some(Self {
            connection,
            table: TableName { schema, name },
        })
    }
}

/// `connection.table` as the mapping would write it.
impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.connection, self.table)
    }
}

/// A column of a table at a connection, `connection.table.column` or
/// `connection.schema.table.column` in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// Table.
    pub table: TableRef,
    /// Column.
    pub column: String,
}

impl ColumnRef {
    /// Reads `connection.table.column` or `connection.schema.table.column`, with parts in quotes
    /// as in a [`TableRef`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = parts(text)?;
        let column = parts.pop()?;
        Some(Self {
            table: TableRef::of_parts(parts)?,
            column,
        })
    }
}

impl fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

/// The parts of a dotted name; `None` where one of them is no name.
fn parts(text: &str) -> Option<Vec<String>> {
    let mut rest = text;
    let mut parts = Vec::new();
    loop {
        let (part, after) = first_part(rest)?;
        parts.push(part);
        if after.is_empty() {
            return Some(parts);
        }
        rest = after.strip_prefix('.')?;
    }
}

/// The connection that a text names, if it names nothing else.
#[must_use]
pub fn connection_alone(text: &str) -> Option<String> {
    let [connection] = <[String; 1]>::try_from(parts(text)?).ok()?;
    Some(connection)
}

/// The first part of a dotted name, and what follows it.
fn first_part(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        let (part, after) = text.split_at(end);
        let plain = !part.is_empty() && !part.contains(|c: char| c == '"' || c.is_whitespace() || c.is_control());
        return plain.then(|| (part.to_owned(), after));
    };
    let mut part = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return (!part.is_empty() && !part.contains('\0')).then_some((part, after)),
        }
    }
}

/// Where a stream reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// `from = "connection.table"`.
    Table(Located<TableRef>),
    /// `[stream.query]` with `connection` and `sql`.
    Query {
        /// Connection name.
        connection: Located<String>,
        /// The text in the source's SQL.
        sql: Located<String>,
    },
}

impl From {
    /// Name of the source connection.
    #[must_use]
    pub fn connection(&self) -> &str {
        match self {
            Self::Table(table) => &table.value.connection,
            Self::Query { connection, .. } => &connection.value,
        }
    }

    /// Where the connection is named.
    #[must_use]
    pub const fn connection_place(&self) -> &Place {
        match self {
            Self::Table(table) => &table.place,
            Self::Query { connection, .. } => &connection.place,
        }
    }

    /// Where it is written.
    #[must_use]
    pub const fn place(&self) -> &Place {
        match self {
            Self::Table(table) => &table.place,
            Self::Query { sql, .. } => &sql.place,
        }
    }
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Name, unique within the project.
    pub name: Located<String>,
    /// Where it reads.
    pub from: From,
    /// Where it writes. Where that are keys, the table is named as their pattern.
    pub to: Located<TableRef>,
    /// Target key columns. Where keys are written: those that tell the rows apart, if any do.
    pub key: Vec<Located<String>>,
    /// How its rows become keys, where the target is no table.
    pub keyed: Option<Keyed>,
    /// Replicas that have to answer (`consistency`), where the mapping says it.
    pub consistency: Option<Located<Consistency>>,
    /// Column with the moment at which a row of a table expires (`expires_at`).
    pub expires_at: Option<Located<String>>,
    /// Source key columns, where the mapping names them (`source_key`).
    pub source_key: Option<Vec<Located<String>>>,
    /// What happens to rows that exist.
    pub on_conflict: OnConflict,
    /// Row triggers of the target.
    pub triggers: Triggers,
    /// What is written leaves an undo log (`undo`), where the mapping says it.
    pub undo: Option<Located<bool>>,
    /// Whether indexes are away for the load (`defer_indexes`), where the mapping says it.
    pub defer_indexes: Option<Located<DeferIndexes>>,
    /// Rows are changed where they are: it is the stream of a [`Backfill`](super::backfill::Backfill).
    pub in_place: bool,
    /// Streams that must be complete before this one, beside those that foreign keys demand.
    pub after: Vec<Located<String>>,
    /// `where`: rows for which it is not true are left out and counted as filtered.
    pub filter: Option<Located<String>>,
    /// Rules by name: a row for which the expression is false is a reject (NULL passes).
    pub rules: Vec<(Located<String>, Located<String>)>,
    /// Target column = expression, in file order.
    pub columns: Vec<(Located<String>, Located<String>)>,
    /// `same_name_columns = true`: target columns that are not mentioned take the source column
    /// of the same name, if its type is compatible.
    pub same_name_columns: Option<Located<bool>>,
    /// Which documents are taken, and the column that they are in (`[stream.document]`).
    pub document: Option<Document>,
    /// Values of the documents that become source columns (`[stream.fields]`), in file order.
    pub fields: Vec<Field>,
    /// Types that source columns are read as (`[stream.types]`).
    pub types: Vec<(Located<String>, Located<String>)>,
    /// Target columns whose value may lose fraction digits (`allow_precision_loss`).
    pub allow_precision_loss: Vec<Located<String>>,
    /// Target columns whose values are never shown (`pii`).
    pub pii: Vec<Located<String>>,
    /// Subjects: name and condition over source columns with `$key`.
    pub subjects: Vec<(Located<String>, Located<String>)>,
    /// Source columns that this stream leaves out on purpose, each with the reason (`ignore`).
    pub ignore: Vec<(Located<String>, Located<String>)>,
    /// The whole `[[stream]]` header.
    pub place: Place,
}

impl Stream {
    /// A stream of which only the ends are known: no key, no columns, everything else as where a
    /// mapping leaves it out.
    #[must_use]
    pub const fn new(name: Located<String>, from: From, to: Located<TableRef>, place: Place) -> Self {
        Self {
            name,
            from,
            to,
            key: Vec::new(),
            keyed: None,
            consistency: None,
            expires_at: None,
            source_key: None,
            on_conflict: OnConflict::Error,
            triggers: Triggers::Off,
            undo: None,
            defer_indexes: None,
            in_place: false,
            after: Vec::new(),
            filter: None,
            rules: Vec::new(),
            columns: Vec::new(),
            same_name_columns: None,
            document: None,
            fields: Vec::new(),
            types: Vec::new(),
            allow_precision_loss: Vec::new(),
            pii: Vec::new(),
            subjects: Vec::new(),
            ignore: Vec::new(),
            place,
        }
    }

    /// What it writes, for people: `connection.table`, or `connection pattern` of keys.
    #[must_use]
    pub fn target(&self) -> String {
        let to = &self.to.value;
        match &self.keyed {
            Some(_) => format!("{} {}", to.connection, to.table),
            None => to.to_string(),
        }
    }
}

/// What no stream is meant to move, each with the reason (`[ignore]` of the project).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    /// Whole tables of a source.
    pub tables: Vec<(Located<TableRef>, Located<String>)>,
    /// Columns of a source.
    pub columns: Vec<(Located<ColumnRef>, Located<String>)>,
}

/// A project folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Name (persisted in checkpoints).
    pub name: String,
    /// Folder.
    pub folder: PathBuf,
    /// Connections that streams read from.
    pub sources: Vec<Located<String>>,
    /// Connections that streams write to.
    pub sinks: Vec<Located<String>>,
    /// `max_rejects`, where the project sets it.
    pub max_rejects: Option<u64>,
    /// Names of the subjects that the streams are asked to tell of (`subjects`).
    pub subjects: Vec<Located<String>>,
    /// What is left out on purpose.
    pub ignore: Ignore,
    /// Streams in file order.
    pub streams: Vec<Stream>,
    /// Backfills in file order.
    pub backfills: Vec<Backfill>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Option<String>, String)> {
        TableRef::parse(text).map(|table| (table.connection, table.table.schema, table.table.name))
    }

    #[test]
    fn a_table_has_two_or_three_parts() {
        let part = |text: &str| text.to_owned();
        assert_eq!(parsed("game.players"), Some((part("game"), None, part("players"))));
        assert_eq!(parsed("g.public.t"), Some((part("g"), Some(part("public")), part("t"))));
        assert_eq!(
            parsed(r#"g."a.b"."c ""d""""#),
            Some((part("g"), Some(part("a.b")), part("c \"d\"")))
        );
        for text in [
            "", "players", "a.", ".a", "a..b", "a.b.c.d", "a.b c", "a.\"b", "a.\"\"", "a.b\"c", "a.\"b\"c",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_column_is_a_table_with_one_more_part() {
        let parsed = |text: &str| ColumnRef::parse(text).map(|column| (column.table.to_string(), column.column));
        let pair = |table: &str, column: &str| Some((table.to_owned(), column.to_owned()));
        assert_eq!(parsed("g.players.id"), pair("g.players", "id"));
        assert_eq!(parsed(r#"g.public."my players"."a.b""#), pair("g.public.my players", "a.b"));
        for text in ["players", "g.players", "g.a.b.c.d", "g.players."] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
