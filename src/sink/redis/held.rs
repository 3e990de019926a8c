//! What keys hold, gathered row by row into batches of the form in which it is compared.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::record_batch::RecordBatch;

use crate::data::keyed::{Form, KeyType, Layout, form};
use crate::{Error, ErrorKind, Result};

/// A key that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    /// Without the prefix of a rehearsal.
    pub(super) key: &'a [u8],
    /// Its type, as the server names it.
    pub(super) kind: &'a str,
    /// How its expiry is told.
    pub(super) ttl: &'a str,
}

/// Where in it a row is.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    Whole,
    Member(&'a [u8]),
    Position(i64),
    Entry(&'a str),
}

/// Rows of a form.
pub(super) struct Rows {
    form: Arc<Form>,
    key_type: KeyType,
    key: BinaryBuilder,
    member: BinaryBuilder,
    position: Int64Builder,
    entry: StringBuilder,
    values: Vec<BinaryBuilder>,
    others: BinaryBuilder,
    score: Float64Builder,
    kind: StringBuilder,
    ttl: StringBuilder,
    /// How many there are.
    pub(super) count: usize,
    /// Roughly what they take.
    pub(super) bytes: usize,
}

impl Rows {
    pub(super) fn new(form: Arc<Form>, layout: &Layout) -> Self {
        Self {
            key_type: layout.key_type,
            key: BinaryBuilder::new(),
            member: BinaryBuilder::new(),
            position: Int64Builder::new(),
            entry: StringBuilder::new(),
            values: (0..form.values).map(|_| BinaryBuilder::new()).collect(),
            others: BinaryBuilder::new(),
            score: Float64Builder::new(),
            kind: StringBuilder::new(),
            ttl: StringBuilder::new(),
            count: 0,
            bytes: 0,
            form,
        }
    }

    /// A key of which only that it is there is told, or that it holds another type.
    pub(super) fn push_bare(&mut self, whose: Whose<'_>) {
        self.begin(whose, At::Whole);
        for values in &mut self.values {
            values.append_null();
        }
        self.others.append_null();
        self.score.append_null();
    }

    /// A row with its one value.
    pub(super) fn push_value(&mut self, whose: Whose<'_>, at: At<'_>, value: &[u8]) {
        self.begin(whose, at);
        if let [values] = self.values.as_mut_slice() {
            values.append_value(value);
        }
        self.bytes += value.len();
        self.others.append_null();
        self.score.append_null();
    }

    /// A member, with its score where it has one.
    pub(super) fn push_member(&mut self, whose: Whose<'_>, member: &[u8], score: Option<f64>) {
        self.begin(whose, At::Member(member));
        self.others.append_null();
        self.score.append_option(score.map(form::score));
    }

    /// A row with fields by their names; one that comes twice is another the second time.
    pub(super) fn push_fields<'a>(&mut self, whose: Whose<'_>, at: At<'_>, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        self.begin(whose, at);
        let mut found: Vec<Option<&[u8]>> = vec![None; self.values.len()];
        let mut others = Vec::new();
        for (name, value) in fields {
            self.bytes += value.len();
            let place = self.form.fields.iter().position(|field| field.as_bytes() == name);
            match place {
                Some(place) if found[place].is_none() => found[place] = Some(value),
                _ => others.push((name, value)),
            }
        }
        for (values, found) in self.values.iter_mut().zip(found) {
            values.append_option(found);
        }
        self.others.append_option(form::other_fields(others));
        self.score.append_null();
    }

    /// A hash with more fields than are looked at: those that are mapped, and how many there are
    /// besides.
    pub(super) fn push_mapped(&mut self, whose: Whose<'_>, mapped: &[Option<&[u8]>], besides: u64) {
        self.begin(whose, At::Whole);
        for (values, found) in self.values.iter_mut().zip(mapped) {
            values.append_option(*found);
            self.bytes += found.map_or(0, <[u8]>::len);
        }
        self.others.append_option((besides > 0).then(|| format!("{besides} fields")));
        self.score.append_null();
    }

    fn begin(&mut self, whose: Whose<'_>, at: At<'_>) {
        self.key.append_value(whose.key);
        self.kind.append_value(whose.kind);
        self.ttl.append_value(whose.ttl);
        self.count += 1;
        self.bytes += whose.key.len() + 32;
        match self.key_type {
            KeyType::Set | KeyType::Zset => match at {
                At::Member(member) => {
                    self.bytes += member.len();
                    self.member.append_value(member);
                }
                _ => self.member.append_null(),
            },
            KeyType::List => self.position.append_option(match at {
                At::Position(position) => Some(position),
                _ => None,
            }),
            KeyType::Stream => self.entry.append_option(match at {
                At::Entry(entry) => Some(entry),
                _ => None,
            }),
            _ => {}
        }
    }

    /// The rows so far as a batch; it begins anew.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.key.finish())];
        match self.key_type {
            KeyType::Set | KeyType::Zset => columns.push(Arc::new(self.member.finish())),
            KeyType::List => columns.push(Arc::new(self.position.finish())),
            KeyType::Stream => columns.push(Arc::new(self.entry.finish())),
            _ => {}
        }
        for values in &mut self.values {
            columns.push(Arc::new(values.finish()));
        }
        let (others, score) = (self.others.finish(), self.score.finish());
        if self.form.has_fields() {
            columns.push(Arc::new(others));
        }
        if self.key_type == KeyType::Zset {
            columns.push(Arc::new(score));
        }
        columns.push(Arc::new(self.kind.finish()));
        columns.push(Arc::new(self.ttl.finish()));
        (self.count, self.bytes) = (0, 0);
        debug_assert!(columns.iter().all(|column| column.len() == columns[0].len()));
        RecordBatch::try_new(self.form.schema(), columns).map_err(|_| {
            Error::new(
                ErrorKind::Internal,
                "what keys hold does not fit the form that it is compared in",
            )
        })
    }
}
