//! The text of the files.

use super::column::{Line, State};
use super::draft::{Draft, NO_NAMESAKE};
use super::{End, Ends, quote};
use crate::data::stream::OnConflict;
use crate::mapping::stream::TableRef;

/// Most characters of a line of comments above a stream.
const WIDTH: usize = 100;

/// `project.toml`.
pub(super) fn project(ends: &Ends, unread: &[TableRef]) -> String {
    let names = |ends: &[End]| ends.iter().map(|end| end.connection.clone()).collect::<Vec<_>>();
    let mut page = Page::new(&ends.schemas, "project");
    page.remark("A starter written by `dbferry introspect`: read it, choose where it says so, and change what you like.");
    page.line("");
    page.line(&format!("name = {}", quote::text(&ends.project)));
    page.line(&format!("sources = {}", quote::list(&names(&ends.sources))));
    page.line(&format!("sinks = {}", quote::list(&names(&ends.sinks))));
    page.line("");
    page.remark("A run stops at the first row that is rejected, unless it may go on with some:");
    page.line("# max_rejects = 100");
    if !unread.is_empty() {
        page.line("");
        page.remark("No stream reads these tables. The plan says so until each has a reason:");
        page.line("# [ignore.tables]");
        for table in unread {
            page.line(&format!("# {} = \"…\"", quote::text(&quote::table(table))));
        }
    }
    page.text
}

/// The streams into one target.
pub(super) fn streams(ends: &Ends, end: &End, drafts: &[Draft<'_>]) -> String {
    let mut page = Page::new(&ends.schemas, "mapping");
    page.remark(&format!(
        "Streams into `{}`, in the order of its foreign keys.",
        end.connection
    ));
    for found in &end.tables {
        if let Err(why) = &found.shape {
            page.line("");
            page.remark(&format!("Left out: {why}."));
        }
    }
    for draft in drafts {
        page.line("");
        page.stream(ends, draft);
    }
    page.text
}

/// A file in the making.
struct Page {
    text: String,
}

impl Page {
    fn new(schemas: &str, format: &str) -> Self {
        Self {
            text: format!("#:schema {}/{format}.schema.json\n", quote::comment(schemas)),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Words as comment lines.
    fn remark(&mut self, words: &str) {
        let mut line = String::from("#");
        for word in quote::comment(words).split(' ').filter(|word| !word.is_empty()) {
            if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    fn stream(&mut self, ends: &Ends, draft: &Draft<'_>) {
        for remark in &draft.remarks {
            self.remark(remark);
        }
        if let Some(why) = draft.blocked.as_deref().filter(|why| *why != NO_NAMESAKE) {
            self.remark(&format!("Commented out: {why}."));
        }
        let mut stream = Page { text: String::new() };
        stream.head(ends, draft);
        stream.columns(draft);
        if draft.blocked.is_none() {
            self.text.push_str(&stream.text);
            return;
        }
        for line in stream.text.lines() {
            self.line(
                if line.is_empty() {
                    "#".to_owned()
                } else {
                    format!("# {line}")
                }
                .as_str(),
            );
        }
    }

    fn head(&mut self, ends: &Ends, draft: &Draft<'_>) {
        let from = draft.from.as_ref().map_or_else(
            || format!("{}.…", ends.sources.first().map_or("source", |end| end.connection.as_str())),
            |origin| quote::table(&origin.from),
        );
        self.line("[[stream]]");
        self.line(&format!("name = {}", quote::text(&draft.name)));
        self.line(&format!("from = {}", quote::text(&from)));
        self.line(&format!("to = {}", quote::text(&quote::table(&draft.to))));
        self.line(&format!("key = {}", quote::list(&draft.key)));
        if let Some(key) = &draft.source_key {
            self.line(&format!("source_key = {}", quote::list(key)));
        }
        if draft.on_conflict == OnConflict::Update {
            self.line("on_conflict = \"update\"");
        }
        if !draft.losing.is_empty() {
            self.remark("To round instead of rejecting what does not fit:");
            self.line(&format!("# allow_precision_loss = {}", quote::list(&draft.losing)));
        }
    }

    fn columns(&mut self, draft: &Draft<'_>) {
        self.line("");
        self.line("[stream.columns]");
        for line in &draft.lines {
            self.column(line);
        }
        let Some(origin) = &draft.from else { return };
        let taken = |name: &str| {
            let mut lines = draft.lines.iter().filter(|line| line.is_mapped());
            lines.any(|line| line.source.is_some_and(|source| source.name == name))
        };
        let left: Vec<&str> = origin
            .table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| !taken(name))
            .collect();
        if !left.is_empty() {
            self.line("");
            self.remark("Source columns that this stream leaves out, each with its reason:");
            self.line("# [stream.ignore]");
            for name in left {
                self.line(&format!("# {} = \"…\"", quote::key(name)));
            }
        }
    }

    /// A line with its remarks: behind it where there is room, else above it.
    fn column(&mut self, line: &Line<'_>) {
        let name = quote::key(&line.column.name);
        let remarks = line.remarks.join("; ");
        let Some(expression) = &line.expression else {
            return self.remark(&format!("{name}: {remarks}"));
        };
        let out = if line.state == State::Out { "# " } else { "" };
        let text = format!("{out}{name} = {}", quote::text(expression));
        let whole = format!("{text}  # {}", quote::comment(&remarks));
        if remarks.is_empty() {
            self.line(&text);
        } else if whole.chars().count() <= WIDTH {
            self.line(&whole);
        } else {
            self.remark(&remarks);
            self.line(&text);
        }
    }
}
