//! The form in which keys are compared: what a source says that they hold, and what they do hold, as
//! rows of the same columns.
//!
//! A row is a key, or an element of one where many rows share a key. Its columns: `key`, the
//! element's place (`member`, `position` or `entry`), what is kept there (`value`, or the fields by
//! their names, and `other fields` for those that no mapping writes), `score`, `type` and `ttl`.
//! A key that holds another type is one row with that type and nothing else.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{Expiry, KeyType, Layout};
use crate::data::column::ColumnType;
use crate::data::table::Column;
use crate::data::text;

/// Metadata of a field whose bytes are shown as text.
const SHOWN_KEY: &str = "dbferry.shown";

/// `ttl` of a key that stays for ever.
pub const TTL_NONE: &str = "none";
/// `ttl` of a key that expires, where its moment is not compared.
pub const TTL_SET: &str = "set";

/// How the expiry of a key is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TtlRule {
    /// By its moment, to the millisecond; a key without one stays for ever.
    Moment,
    /// Whether there is one.
    Presence,
    /// There is one, at most so many milliseconds away.
    Within(i64),
}

/// What a server can tell of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its clock, in milliseconds since 1970.
    pub now: i64,
    /// It tells the moment at which a key expires to the millisecond.
    pub exact_moments: bool,
    /// Milliseconds by which the clocks of its nodes may differ.
    pub clocks_apart_max: i64,
    /// Most bytes of a key or value.
    pub bytes_max: usize,
}

/// The columns of one stream's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// All columns, in order.
    pub columns: Vec<Column>,
    /// How many of them, from the first on, tell the rows apart.
    pub key_columns: usize,
    /// How expiry is compared.
    pub ttl: TtlRule,
    /// Values: `value`, or the fields of a hash or of an entry; none of sets.
    pub values: usize,
    /// Names of the fields, where it has any.
    pub fields: Vec<String>,
    schema: SchemaRef,
}

impl Form {
    /// The form of keys of this layout at such a server.
    #[must_use]
    pub fn of(layout: &Layout, facts: &KeyFacts) -> Self {
        let has_fields = matches!(layout.key_type, KeyType::Hash | KeyType::Stream);
        let fields = if has_fields { layout.values.clone() } else { Vec::new() };
        let own = |name: &str| {
            let mut name = name.to_owned();
            while fields.contains(&name) {
                name = format!("({name})");
            }
            name
        };
        let mut columns = vec![Column::new(own("key"), ColumnType::Bytes)];
        match layout.key_type {
            KeyType::Set | KeyType::Zset => columns.push(Column::new("member", ColumnType::Bytes)),
            KeyType::List => columns.push(Column::new("position", ColumnType::Int64)),
            KeyType::Stream => columns.push(Column::new(own("entry"), ColumnType::TEXT)),
            _ => {}
        }
        let key_columns = columns.len();
        let values = match layout.key_type {
            KeyType::Set | KeyType::Zset => 0,
            KeyType::Hash | KeyType::Stream => {
                columns.extend(fields.iter().map(|name| Column::new(name, ColumnType::Bytes)));
                fields.len()
            }
            _ => {
                columns.push(Column::new("value", ColumnType::Bytes));
                1
            }
        };
        if has_fields {
            columns.push(Column::new(own("other fields"), ColumnType::Bytes));
        }
        if layout.key_type == KeyType::Zset {
            columns.push(Column::new("score", ColumnType::Float64));
        }
        columns.push(Column::new(own("type"), ColumnType::TEXT));
        columns.push(Column::new(own("ttl"), ColumnType::TEXT));
        let schema: Vec<_> = columns.iter().map(field).collect();
        let ttl = match &layout.expiry {
            Some(Expiry::After(after)) => {
                let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
                TtlRule::Within(after.saturating_add(facts.clocks_apart_max))
            }
            _ if facts.exact_moments => TtlRule::Moment,
            _ => TtlRule::Presence,
        };
        Self {
            columns,
            key_columns,
            ttl,
            values,
            fields,
            schema: Arc::new(Schema::new(schema)),
        }
    }

    /// Its columns as Arrow has them.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether keys have fields by name, so that there may be others.
    #[must_use]
    pub const fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Columns of the mapping that a column of the form is made of.
    #[must_use]
    pub fn made_of<'a>(&self, layout: &'a Layout, column: usize) -> Vec<&'a str> {
        let values = || layout.values.iter().map(String::as_str).collect::<Vec<_>>();
        let last = self.columns.len() - 1;
        match column {
            0 => layout.pattern.columns().collect(),
            1 if matches!(layout.key_type, KeyType::Set | KeyType::Zset) => values(),
            at if at >= self.key_columns && at < self.key_columns + self.values => match self.fields.get(at - self.key_columns) {
                Some(_) => vec![layout.values[at - self.key_columns].as_str()],
                None => values(),
            },
            at if at == last => match &layout.expiry {
                Some(Expiry::At(moment)) => vec![moment.as_str()],
                _ => Vec::new(),
            },
            at if self.columns[at].name == "score" => layout.score.as_deref().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// `ttl` as a source has it: a key that expires at this moment, if at any.
    #[must_use]
    pub fn ttl_wanted(&self, moment: Option<i64>) -> String {
        match (self.ttl, moment) {
            (TtlRule::Within(_), _) | (TtlRule::Presence, Some(_)) => TTL_SET.to_owned(),
            (TtlRule::Moment, Some(moment)) => moment_text(moment),
            (_, None) => TTL_NONE.to_owned(),
        }
    }

    /// `ttl` as a server tells it: the moment, or the milliseconds that are left, or below 0 nothing.
    #[must_use]
    pub fn ttl_found(&self, told: i64) -> String {
        match self.ttl {
            _ if told < 0 => TTL_NONE.to_owned(),
            TtlRule::Moment => moment_text(told),
            TtlRule::Presence => TTL_SET.to_owned(),
            TtlRule::Within(most) if told <= most => TTL_SET.to_owned(),
            TtlRule::Within(most) => format!("{TTL_SET}, {told} ms left, more than {most}"),
        }
    }
}

/// A column as Arrow has it.
fn field(column: &Column) -> Field {
    let field = column.ty.field(&column.name, true);
    if column.ty != ColumnType::Bytes {
        return field;
    }
    let mut metadata = field.metadata().clone();
    metadata.insert(SHOWN_KEY.to_owned(), "text".to_owned());
    field.with_metadata(metadata)
}

/// Whether the bytes of a column are shown as text: what keys hold mostly is one.
#[must_use]
pub fn is_shown_as_text(field: &Field) -> bool {
    field.data_type() == &DataType::Binary && field.metadata().contains_key(SHOWN_KEY)
}

/// Bytes for people: text as it is, and anything else escaped.
#[must_use]
pub fn as_text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| shown(bytes), str::to_owned)
}

/// A moment in milliseconds since 1970 as text that no other one has.
fn moment_text(milliseconds: i64) -> String {
    let mut out = String::new();
    let fits = milliseconds
        .checked_mul(1_000)
        .is_some_and(|micros| text::timestamp(&mut out, micros, true));
    if fits {
        out.replace(' ', "T")
    } else {
        format!("{milliseconds} ms")
    }
}

/// A score as it is compared: Redis takes 0 and -0 for the same.
#[must_use]
pub fn score(score: f64) -> f64 {
    if score == 0.0 { 0.0 } else { score }
}

/// Names and values of fields that no mapping writes, in the order of their names, as one text that
/// no others have.
#[must_use]
pub fn other_fields(mut fields: Vec<(&[u8], &[u8])>) -> Option<String> {
    if fields.is_empty() {
        return None;
    }
    fields.sort_unstable();
    let written = fields
        .into_iter()
        .map(|(name, value)| format!("\"{}\": \"{}\"", shown(name), shown(value)));
    Some(written.collect::<Vec<_>>().join(", "))
}

/// Bytes as text: what is UTF-8 as it is, anything else as `\xNN`. A backslash and a quote are
/// escaped, so that two byte strings are never shown alike.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if matches!(letter, '\\' | '"') {
                out.push('\\');
            }
            out.push(letter);
        }
        for byte in chunk.invalid() {
            out.push_str("\\x");
            out.push_str(&hex::encode([*byte]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::data::keyed::{Collision, Moments, Pattern};

    const FACTS: KeyFacts = KeyFacts {
        now: 0,
        exact_moments: true,
        clocks_apart_max: 0,
        bytes_max: 512 << 20,
    };

    fn layout(key_type: KeyType, values: &[&str], expiry: Option<Expiry>) -> Layout {
        Layout {
            pattern: Pattern::parse("u:{id}:{grp}").expect("a pattern"),
            key_type,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            score: (key_type == KeyType::Zset).then(|| "points".to_owned()),
            expiry,
            moments: Moments::Rfc3339,
            collision: Collision::Reject,
        }
    }

    fn names(key_type: KeyType, values: &[&str]) -> Vec<String> {
        let form = Form::of(&layout(key_type, values, None), &FACTS);
        form.columns.into_iter().map(|column| column.name).collect()
    }

    #[test]
    fn every_type_has_columns_of_its_own() {
        assert_eq!(names(KeyType::String, &["name"]), ["key", "value", "type", "ttl"]);
        assert_eq!(names(KeyType::Json, &["a", "b"]), ["key", "value", "type", "ttl"]);
        assert_eq!(
            names(KeyType::Hash, &["a", "b"]),
            ["key", "a", "b", "other fields", "type", "ttl"]
        );
        assert_eq!(names(KeyType::Set, &["a"]), ["key", "member", "type", "ttl"]);
        assert_eq!(names(KeyType::Zset, &["a"]), ["key", "member", "score", "type", "ttl"]);
        assert_eq!(names(KeyType::List, &["a"]), ["key", "position", "value", "type", "ttl"]);
        assert_eq!(
            names(KeyType::Stream, &["a"]),
            ["key", "entry", "a", "other fields", "type", "ttl"]
        );
    }

    #[test]
    fn fields_keep_their_names_and_the_forms_own_give_way() {
        assert_eq!(
            names(KeyType::Hash, &["key", "ttl", "(ttl)"]),
            ["(key)", "key", "ttl", "(ttl)", "other fields", "type", "((ttl))"]
        );
    }

    #[test]
    fn a_column_knows_what_it_is_made_of() {
        let made = |layout: &Layout| {
            let form = Form::of(layout, &FACTS);
            let of = |at| form.made_of(layout, at).join("+");
            (0..form.columns.len()).map(of).collect::<Vec<_>>()
        };
        let until = Some(Expiry::At("until".to_owned()));
        assert_eq!(
            made(&layout(KeyType::Hash, &["a", "b"], until)),
            ["id+grp", "a", "b", "", "", "until"]
        );
        assert_eq!(made(&layout(KeyType::Zset, &["a"], None)), ["id+grp", "a", "points", "", ""]);
        assert_eq!(made(&layout(KeyType::Json, &["a", "b"], None)), ["id+grp", "a+b", "", ""]);
        assert_eq!(made(&layout(KeyType::List, &["a"], None)), ["id+grp", "", "a", "", ""]);
    }

    #[test]
    fn expiry_is_compared_by_what_the_mapping_says() {
        let form = |expiry, exact_moments| {
            let facts = KeyFacts { exact_moments, ..FACTS };
            Form::of(&layout(KeyType::String, &["a"], expiry), &facts)
        };
        let at = form(Some(Expiry::At("until".to_owned())), true);
        assert_eq!(at.ttl_wanted(Some(1_500)), "1970-01-01T00:00:01.500Z");
        assert_eq!(at.ttl_found(1_500), "1970-01-01T00:00:01.500Z");
        assert_ne!(at.ttl_found(1_501), at.ttl_found(1_500));
        assert_eq!(
            (at.ttl_wanted(None), at.ttl_found(-1)),
            ("none".to_owned(), "none".to_owned())
        );
        assert_eq!(at.ttl_found(i64::MAX), "9223372036854775807 ms");
        let old = form(Some(Expiry::At("until".to_owned())), false);
        assert_eq!(
            (old.ttl_wanted(Some(7)), old.ttl_found(99)),
            ("set".to_owned(), "set".to_owned())
        );
        let after = form(Some(Expiry::After(Duration::from_mins(1))), true);
        assert_eq!(after.ttl_wanted(None), "set");
        assert_eq!(after.ttl_found(60_000), "set");
        assert_eq!(after.ttl_found(60_001), "set, 60001 ms left, more than 60000");
        assert_eq!(after.ttl_found(-1), "none");
        let never = form(None, true);
        assert_eq!(
            (never.ttl_wanted(None), never.ttl_found(-1)),
            ("none".to_owned(), "none".to_owned())
        );
        assert_ne!(never.ttl_found(5), "none");
    }

    #[test]
    fn fields_that_nobody_writes_are_told_apart() {
        assert_eq!(other_fields(Vec::new()), None);
        let told = |fields: Vec<(&[u8], &[u8])>| other_fields(fields).expect("fields");
        assert_eq!(
            told(vec![(b"b", b"2"), (b"a", b"\xff\"")]),
            "\"a\": \"\\xff\\\"\", \"b\": \"2\""
        );
        assert_ne!(told(vec![(b"a", b"1\", \"b\": \"2")]), told(vec![(b"a", b"1"), (b"b", b"2")]));
        assert_ne!(shown(b"\\xff"), shown(b"\xff"));
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the bits are meant")]
    fn scores_are_their_bits_but_for_the_sign_of_nothing() {
        assert_eq!(score(-0.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(score(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_ne!(score(1.0).to_bits(), score(1.0_f64.next_up()).to_bits());
    }
}
