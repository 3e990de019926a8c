//! TOML documents of the user's: typed, every value with its place, every mistake collected.
//!
//! serde stops at the first mistake. [`Reader::read`] makes a finding of it, takes the offending
//! entry out of the document and tries again, so that one reading finds them all. No message
//! quotes a value: what stands in a file may be a secret (Invariant 9).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::finding::{Finding, Located, Place, SourceFile, listed, nearest};

/// Most bytes of a name: what PostgreSQL keeps of an identifier.
pub const NAME_BYTES_MAX: usize = 63;

/// Mistakes after which a file is not read on.
const FINDINGS_MAX: usize = 100;

/// What the TOML reader says of text without quotes.
const UNQUOTED: &str = "string values must be quoted";

/// A value of a wire form together with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Marked<T>(Spanned<T>);

impl<T> Marked<T> {
    /// Byte range within the text: of a table with a header, that header.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.0.span()
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        self.0.get_ref()
    }

    /// The value without its place.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

/// The schema does not tell: a place is nothing that a user writes.
impl<T: JsonSchema> JsonSchema for Marked<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A document being read: its file, and what was found wrong with it so far.
#[derive(Debug)]
pub struct Reader {
    /// The file, for places.
    pub file: Arc<SourceFile>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Tables that lost an entry: that something is missing in them is no second mistake.
    damaged: Vec<Range<usize>>,
}

impl Reader {
    /// Reads `text`, which has the same places as `file.text`. The value is there if there was
    /// no syntax error; without the entries that are named in the findings.
    #[must_use]
    pub fn read<T: DeserializeOwned>(file: SourceFile, text: &str) -> (Self, Option<T>) {
        let mut reader = Self {
            file: Arc::new(file),
            findings: Vec::new(),
            damaged: Vec::new(),
        };
        let (mut root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            reader.findings = reader.syntax_findings(&errors);
            return (reader, None);
        }
        loop {
            let document = Spanned::new(root.span(), DeValue::Table(root.get_ref().clone()));
            let error = match T::deserialize(ValueDeserializer::from(document)) {
                Ok(value) => return (reader, Some(value)),
                Err(error) => error,
            };
            let own = root.span();
            let taken = error.span().and_then(|span| take(root.get_mut(), &own, &span));
            let finding = reader.explain(&error, taken.as_ref());
            reader.findings.push(finding);
            match taken {
                Some(taken) if reader.findings.len() < FINDINGS_MAX => reader.damaged.push(taken.table),
                _ => return (reader, None),
            }
        }
    }

    /// Brings the findings into file order.
    pub fn sort(&mut self) {
        self.findings
            .sort_by_key(|finding| finding.place.as_ref().map_or(0, |place| place.span.start));
    }

    /// The place of a byte range.
    #[must_use]
    pub fn place(&self, span: Range<usize>) -> Place {
        Place {
            file: Arc::clone(&self.file),
            span,
        }
    }

    /// A value with its place.
    #[must_use]
    pub fn locate<T>(&self, marked: Marked<T>) -> Located<T> {
        Located {
            place: self.place(marked.span()),
            value: marked.into_inner(),
        }
    }

    /// The value of a key that must be there. `table` is the range of the table it must be in,
    /// `owner` names that table, `example` is what one could write, the key first.
    pub fn required<T>(
        &mut self,
        value: Option<Marked<T>>,
        table: &Range<usize>,
        owner: &str,
        example: &str,
    ) -> Option<Located<T>> {
        if value.is_none() && !self.damaged.contains(table) {
            let key = example.split(' ').next().unwrap_or(example);
            self.findings.push(
                Finding::error(
                    "file::missing_key",
                    Some(self.place(table.clone())),
                    format!("{owner} has no `{key}`"),
                )
                .label("needed here")
                .help(format!("such as: {example}")),
            );
        }
        value.map(|value| self.locate(value))
    }

    /// Checks a name that the user gives to `what`: it appears in commands, in persisted state
    /// and before the dot of `connection.table`.
    pub fn check_name(&mut self, what: &str, name: &str, place: &Place) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || !name.chars().all(plain) || name.len() > NAME_BYTES_MAX {
            self.findings.push(
                Finding::error("file::name", Some(place.clone()), format!("this cannot be the name of {what}"))
                    .label("not a name")
                    .help(format!(
                        "a name begins with a letter, goes on with letters, digits, `_` or `-`, and has at most {NAME_BYTES_MAX} of them"
                    )),
            );
        }
    }

    /// Whether an entry of this table was taken out.
    #[must_use]
    pub fn is_damaged(&self, table: &Range<usize>) -> bool {
        self.damaged.contains(table)
    }

    /// The first error of each line, up to the first one that may be the cause of all after it.
    fn syntax_findings(&self, errors: &[toml::de::Error]) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        let line = |finding: &Finding| finding.place.as_ref().map(|place| place.line_column().0);
        let mut errors: Vec<_> = errors.iter().collect();
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        for error in errors.into_iter().take(FINDINGS_MAX) {
            let finding = self.syntax(error);
            let last = findings.last();
            if last.is_none() || last.and_then(line) != line(&finding) {
                findings.push(finding);
            }
            if !error.message().starts_with("duplicate key") && !error.message().starts_with(UNQUOTED) {
                break;
            }
        }
        findings
    }

    fn syntax(&self, error: &toml::de::Error) -> Finding {
        let (what, wanted) = match error.message().split_once(", expected ") {
            Some((what, wanted)) => (what, Some(wanted)),
            None => (error.message(), None),
        };
        let place = error.span().map(|span| self.place(span));
        let finding = Finding::error("file::syntax", place, format!("this is not TOML: {what}"));
        match wanted {
            Some(_) if what == UNQUOTED => finding.help("put quotes around it"),
            Some(wanted) => finding.help(format!("expected {wanted}")),
            None => finding,
        }
    }

    /// A finding for what serde says, without the value that serde quotes.
    fn explain(&self, error: &toml::de::Error, taken: Option<&Taken>) -> Finding {
        let place = error.span().map(|span| self.place(span));
        let message = error.message();
        let wanted = message.rsplit_once(", expected ").map(|(_, wanted)| wanted);
        let Some(taken) = taken else {
            return Finding::error("file::wrong_type", place, "this file cannot be read as what it should be");
        };
        let key = &taken.key;
        if message.starts_with("unknown field") {
            let known = backticked(message.rsplit_once(", expected ").map_or("", |(_, known)| known));
            return Finding::error("file::unknown_key", place, format!("unknown key `{key}`"))
                .label("not a key here")
                .help(choice(key, &known, "keys here are"));
        }
        if message.starts_with("unknown variant") {
            let written = place.as_ref().map_or("", Place::text).trim_matches(['"', '\'']).to_owned();
            let known = backticked(wanted.unwrap_or_default());
            return Finding::error("file::unknown_value", place, format!("`{key}` cannot be `{written}`"))
                .label("not a choice")
                .help(choice(&written, &known, "choices are"));
        }
        match wanted {
            Some(wanted) if message.starts_with("invalid") => {
                let what = if message.starts_with("invalid value") {
                    "a number out of range"
                } else {
                    taken.kind
                };
                let finding = Finding::error("file::wrong_type", place, format!("`{key}` is {what}")).label("of the wrong type");
                if wanted == "a sequence" && taken.kind == TABLE {
                    return finding.help(format!("a header with two brackets begins one of several: [[{key}]]"));
                }
                finding.help(format!("expected {}", plain_name(wanted)))
            }
            _ => Finding::error("file::wrong_value", place, format!("`{key}` {message}")).label("not possible"),
        }
    }
}

/// "did you mean", else all there are.
fn choice(written: &str, known: &[&str], all: &str) -> String {
    match nearest(written, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{all} {}", listed(known)),
    }
}

/// What stands between backticks.
fn backticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// serde's name of a type in the user's words.
fn plain_name(wanted: &str) -> &str {
    match wanted {
        "u64" | "u32" | "usize" => "a whole number, 0 or more",
        "a string" => "text in quotes",
        "a boolean" => "true or false, without quotes",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// An entry that was taken out of a document.
struct Taken {
    /// Its key; of a list's element, the list's.
    key: String,
    /// Range of the table that it was in.
    table: Range<usize>,
    /// What kind of value it was.
    kind: &'static str,
}

/// Takes out the innermost entry whose key or value stands exactly at `wanted`.
fn take(table: &mut DeTable<'_>, own: &Range<usize>, wanted: &Range<usize>) -> Option<Taken> {
    for (key, value) in table.iter_mut() {
        let span = value.span();
        if let Some(taken) = take_within(value.get_mut(), &span, key.get_ref(), own, wanted) {
            return Some(taken);
        }
    }
    let (key, _) = table
        .iter()
        .find(|(key, value)| key.span() == *wanted || value.span() == *wanted)?;
    let key = key.get_ref().clone().into_owned();
    let value = table.remove(key.as_str())?;
    Some(Taken {
        key,
        table: own.clone(),
        kind: kind(value.get_ref()),
    })
}

fn take_within(
    value: &mut DeValue<'_>,
    span: &Range<usize>,
    key: &str,
    own: &Range<usize>,
    wanted: &Range<usize>,
) -> Option<Taken> {
    let array = match value {
        DeValue::Table(table) => return take(table, span, wanted),
        DeValue::Array(array) => array,
        _ => return None,
    };
    for element in array.iter_mut() {
        let span = element.span();
        if let Some(taken) = take_within(element.get_mut(), &span, key, own, wanted) {
            return Some(taken);
        }
    }
    let bad = array.iter().position(|element| element.span() == *wanted)?;
    let taken = Taken {
        key: key.to_owned(),
        table: own.clone(),
        kind: kind(array[bad].get_ref()),
    };
    let kept = array.iter().enumerate().filter(|(index, _)| *index != bad);
    *array = kept.map(|(_, element)| element.clone()).collect::<DeArray<'_>>();
    Some(taken)
}

const TABLE: &str = "a table";

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => TABLE,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire {
        name: Option<Marked<String>>,
        count: Option<Marked<u64>>,
        #[serde(default)]
        entry: Vec<Marked<Entry>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        to: Option<Marked<String>>,
        #[serde(default)]
        columns: BTreeMap<Marked<String>, Marked<String>>,
    }

    fn read(text: &str) -> (Vec<String>, Reader, Option<Wire>) {
        let file = SourceFile {
            path: "a.toml".to_owned(),
            text: text.to_owned(),
        };
        let (reader, wire) = Reader::read(file, text);
        let messages = reader.findings.iter().map(ToString::to_string).collect();
        (messages, reader, wire)
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let text = "naem = 'x'\ncount = -1\n[[entry]]\nto = 3\n[entry.columns]\na = 'one'\nb = 2\n[[entry]]\nfrom = 'x'\n";
        let (messages, reader, wire) = read(text);
        let mut sorted = messages;
        sorted.sort();
        assert_eq!(
            sorted,
            [
                "a.toml:1:1: unknown key `naem` [file::unknown_key]",
                "a.toml:2:9: `count` is a number out of range [file::wrong_type]",
                "a.toml:4:6: `to` is a whole number [file::wrong_type]",
                "a.toml:7:5: `b` is a whole number [file::wrong_type]",
                "a.toml:9:1: unknown key `from` [file::unknown_key]",
            ]
        );
        let wire = wire.expect("what is right is kept");
        assert!(wire.name.is_none() && wire.count.is_none() && wire.entry[1].get().to.is_none());
        assert_eq!(wire.entry[0].get().columns.len(), 1);
        assert!(reader.is_damaged(&wire.entry[0].span()));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_quoted() {
        let (messages, reader, _) = read("count = 'postgres://u:hunter2@h/d, expected nothing'");
        assert_eq!(messages, ["a.toml:1:9: `count` is text [file::wrong_type]"]);
        assert_eq!(reader.findings[0].help.as_deref(), Some("expected a whole number, 0 or more"));
    }

    #[test]
    fn syntax_errors_have_their_place() {
        let (messages, _, wire) = read("name = 'x'\ncount = = 2\n");
        assert!(wire.is_none());
        assert!(messages[0].starts_with("a.toml:2:"), "{messages:?}");
    }

    #[test]
    fn a_missing_key_is_not_reported_where_it_was_taken_out() {
        let (_, mut reader, wire) = read("[[entry]]\nto = 1\n[[entry]]\n");
        for entry in wire.expect("typed").entry {
            let span = entry.span();
            let _ = reader.required(entry.into_inner().to, &span, "the entry", "to = \"a.b\"");
        }
        assert_eq!(reader.findings.len(), 2);
        assert_eq!(
            reader.findings[1].to_string(),
            "a.toml:3:1: the entry has no `to` [file::missing_key]"
        );
    }
}
