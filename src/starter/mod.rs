//! Starter projects: a first mapping, written from the shapes of both ends.
//!
//! What it writes loads and plans as it is, and hides nothing: whatever it could not decide
//! stands in the text as a comment that says why. It opens nothing and writes no file.

use crate::data::table::{Table, TableName};
use crate::mapping::stream::TableRef;
use crate::mapping::{Stream, order};

mod column;
mod draft;
mod name;
mod pair;
mod quote;
mod remark;
mod write;

use draft::Draft;
pub use name::usable;

/// One connection and what is there.
#[derive(Debug, Clone)]
pub struct End {
    /// Its name in the configuration.
    pub connection: String,
    /// Its tables.
    pub tables: Vec<Found>,
}

/// A table that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Name as a mapping writes it: without a schema that need not be written.
    pub name: TableName,
    /// Shape, or why it cannot be used.
    pub shape: Result<Table, String>,
}

/// What a starter is made from.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Name of the project.
    pub project: String,
    /// Folder of the JSON Schemas as the files of the project see it: `../../config/schema`.
    pub schemas: String,
    /// Connections to read from; the first that has a table of the name is taken.
    pub sources: Vec<End>,
    /// Connections to write to.
    pub sinks: Vec<End>,
    /// Pair tables of other names by their columns, too.
    pub guess: bool,
}

/// A starter project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// Its files, `project.toml` first.
    pub files: Vec<File>,
    /// Its streams, those that are commented out among them.
    pub streams: Vec<Outline>,
    /// Source tables that no stream reads.
    pub unread: Vec<TableRef>,
}

/// A file of a starter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Name within the project's folder.
    pub name: String,
    /// Text.
    pub text: String,
}

/// A stream in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Name.
    pub name: String,
    /// Table read, if one was found.
    pub from: Option<TableRef>,
    /// Table written.
    pub to: TableRef,
    /// Target columns that get a value.
    pub mapped: usize,
    /// Target columns in all.
    pub columns: usize,
    /// Columns whose value somebody has to choose: they are NOT NULL, and nothing fills them.
    pub choose: Vec<String>,
    /// Why it is commented out, if it is.
    pub commented: Option<String>,
}

/// Writes the starter.
#[must_use]
pub fn starter(ends: &Ends) -> Starter {
    let mut drafts = draft::all(ends);
    let mut files = Vec::new();
    let mut outlines = Vec::new();
    let mut streams = Vec::new();
    for sink in &ends.sinks {
        let own: Vec<Draft<'_>> = drafts
            .extract_if(.., |draft| draft.to.connection == sink.connection)
            .collect();
        let own = in_order(own);
        streams.push((sink, write::streams(ends, sink, &own)));
        outlines.extend(own.iter().map(Draft::outline));
    }
    let unread = unread(ends, &outlines);
    files.push(File {
        name: "project.toml".to_owned(),
        text: write::project(ends, &unread),
    });
    for (sink, text) in streams {
        files.push(File {
            name: file_name(&sink.connection),
            text,
        });
    }
    Starter {
        files,
        streams: outlines,
        unread,
    }
}

/// One file for each target; none of them may be taken for the project's own.
fn file_name(connection: &str) -> String {
    if connection.eq_ignore_ascii_case("project") {
        format!("{connection}-streams.toml")
    } else {
        format!("{connection}.toml")
    }
}

/// Streams that refer to others come after them; those that are commented out come last.
fn in_order(drafts: Vec<Draft<'_>>) -> Vec<Draft<'_>> {
    let (live, commented): (Vec<_>, Vec<_>) = drafts.into_iter().partition(|draft| draft.blocked.is_none());
    let streams: Vec<_> = live.iter().filter_map(Draft::stream).collect();
    // Foreign keys count even where nothing fills their columns yet.
    let all = |stream| Stream {
        same_name_columns: Some(draft::located(true)),
        ..stream
    };
    let streams: Vec<_> = streams.into_iter().map(all).collect();
    let targets: Vec<_> = live.iter().map(|draft| Some(draft.target.clone())).collect();
    // Tables that refer to each other in a circle have no order: theirs is as good as any.
    let sequence = order::order(&streams, &targets, &[]).map_or_else(|_| (0..live.len()).collect(), |order| order.sequence);
    let mut live: Vec<_> = live.into_iter().map(Some).collect();
    let ordered = sequence.into_iter().filter_map(|at| live.get_mut(at)?.take());
    let mut drafts: Vec<_> = ordered.collect();
    drafts.extend(commented);
    drafts
}

fn unread(ends: &Ends, outlines: &[Outline]) -> Vec<TableRef> {
    let read = |table: &TableRef| {
        let live = outlines.iter().filter(|outline| outline.commented.is_none());
        live.filter_map(|outline| outline.from.as_ref()).any(|from| from == table)
    };
    let tables = ends.sources.iter().flat_map(|end| {
        end.tables.iter().map(|found| TableRef {
            connection: end.connection.clone(),
            table: found.name.clone(),
        })
    });
    tables.filter(|table| !read(table)).collect()
}
