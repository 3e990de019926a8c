//! A portion of rows, ready to become keys and values.

use arrow::record_batch::RecordBatch;

use crate::data::keyed::Keys;
use crate::data::keyed::text::Values;
use crate::data::keyed::{Expiry, KeyType, Layout};
use crate::data::reject::Reason;
use crate::data::stream::{OnConflict, StreamTarget};
use crate::error::Refusal;
use crate::{Error, ErrorKind, Result};

/// Bytes that the name of a staged key has besides its own name, twice.
const STAGED_BYTES: usize = 256;

/// Rows of one stream.
pub(super) struct Portion<'a> {
    pub(super) layout: &'a Layout,
    keys: Keys,
    prefix: &'a str,
    values: Vec<(&'a str, Values)>,
    score: Option<Values>,
    expiry: Option<Values>,
    rows: usize,
    /// Most bytes of one argument.
    bytes_max: usize,
    scratch: String,
}

/// What is to be done with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is new.
    Insert,
    /// It is there, and differs.
    Update,
    /// It is there, and stays.
    Skip,
    /// It is there, equal, and its expiry is set anew.
    Touch,
    /// As [`Self::Touch`], and it is this stream's own, written by an attempt that was cut short.
    Ours,
}

/// What to do with a row whose key is there already.
///
/// # Errors
/// Where the policy refuses it.
pub(super) fn decide(policy: OnConflict, equal: bool, replaying: bool) -> Result<Decision> {
    Ok(match (policy, equal) {
        (_, true) if replaying => Decision::Ours,
        (OnConflict::Update, true) => Decision::Touch,
        (OnConflict::Update, false) => Decision::Update,
        (OnConflict::Skip, _) | (OnConflict::ErrorUnlessEqual, true) => Decision::Skip,
        (OnConflict::Error, _) => return Err(duplicate("there is a key of this name already, or one with this member")),
        (OnConflict::ErrorUnlessEqual, false) => return Err(duplicate("a key of this name is there, and differs")),
    })
}

pub(super) fn duplicate(detail: &str) -> Error {
    Error::refused(Refusal {
        column: None,
        reason: Reason::Duplicate,
        detail: detail.to_owned(),
    })
}

/// The key holds something else.
pub(super) fn other_type(found: Option<&[u8]>) -> Error {
    let known = ["string", "hash", "set", "zset", "list", "stream"]
        .into_iter()
        .find(|known| Some(known.as_bytes()) == found);
    Error::refused(Refusal {
        column: None,
        reason: Reason::Refused,
        detail: format!(
            "a key of this name holds a value of another type ({})",
            known.unwrap_or("a module's")
        ),
    })
}

impl<'a> Portion<'a> {
    /// Takes rows apart.
    ///
    /// # Errors
    /// A refusal where a key cannot be made.
    pub(super) fn of(
        stream: &'a StreamTarget,
        layout: &'a Layout,
        (prefix, bytes_max): (&'a str, usize),
        rows: &RecordBatch,
    ) -> Result<Self> {
        let keys = Keys::render(layout, &stream.columns, rows).map_err(Error::refused)?;
        if (0..keys.len()).any(|row| keys.get(row).len() * 2 + STAGED_BYTES > bytes_max) {
            return Err(too_large(None, "a key", bytes_max));
        }
        let values = |name: &str| -> Result<Values> {
            let missing = || {
                Error::new(
                    ErrorKind::Internal,
                    format!("column `{name}` of stream `{}` is not what was planned", stream.stream),
                )
            };
            let at = stream
                .columns
                .iter()
                .position(|column| column.name == name)
                .ok_or_else(missing)?;
            Values::of(name, &stream.columns[at].ty, rows.column(at), layout.moments).ok_or_else(missing)
        };
        let fields = layout.values.iter().map(|name| Ok((name.as_str(), values(name)?)));
        let expiry = match &layout.expiry {
            Some(Expiry::At(name)) => Some(values(name)?),
            _ => None,
        };
        Ok(Self {
            values: fields.collect::<Result<_>>()?,
            score: layout.score.as_deref().map(values).transpose()?,
            expiry,
            layout,
            keys,
            prefix,
            bytes_max,
            rows: rows.num_rows(),
            scratch: String::new(),
        })
    }

    /// Number of rows.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// The key of a row, with the prefix of a rehearsal.
    pub(super) fn key(&self, row: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + self.keys.get(row).len());
        self.key_into(row, &mut key);
        key
    }

    /// As [`Self::key`], instead of what `out` holds.
    pub(super) fn key_into(&self, row: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.prefix.as_bytes());
        out.extend_from_slice(self.keys.get(row));
    }

    /// The moment at which a row's key expires, in milliseconds since 1970; `None` for never.
    pub(super) fn expires(&self, row: usize, now: i64) -> Option<i64> {
        match &self.layout.expiry {
            Some(Expiry::After(after)) => Some(now.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))),
            Some(Expiry::At(_)) => self.expiry.as_ref()?.milliseconds(row),
            None => None,
        }
    }

    /// Fields and values of a row that are not NULL, each handed to `give`.
    ///
    /// # Errors
    /// A refusal: a value without an exact form, or no field at all.
    pub(super) fn fields(&mut self, row: usize, mut give: impl FnMut(&[u8], Option<&[u8]>)) -> Result<usize> {
        let mut given = 0;
        for (name, values) in &mut self.values {
            if values.is_null(row) {
                give(name.as_bytes(), None);
                continue;
            }
            let bytes = values.bytes(row).map_err(Error::refused)?;
            check_size(&bytes, name, self.bytes_max)?;
            give(name.as_bytes(), Some(&bytes));
            given += 1;
        }
        if given == 0 {
            return Err(Error::refused(Refusal {
                column: None,
                reason: Reason::NullValue,
                detail: "all its values are NULL, and nothing would be left".to_owned(),
            }));
        }
        Ok(given)
    }

    /// The one value of a row: that of its column, or a JSON object.
    ///
    /// # Errors
    /// A refusal: a value without an exact form, or too large.
    pub(super) fn value(&mut self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        if self.layout.key_type == KeyType::Json {
            let mut text = std::mem::take(&mut self.scratch);
            text.clear();
            text.push('{');
            for (at, (name, values)) in self.values.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                crate::data::text::quoted(&mut text, name);
                text.push(':');
                values.push_json(row, &mut text).map_err(Error::refused)?;
            }
            text.push('}');
            out.extend_from_slice(text.as_bytes());
            self.scratch = text;
        } else if let Some((_, values)) = self.values.first_mut() {
            out.extend_from_slice(&values.bytes(row).map_err(Error::refused)?);
        }
        let name = self.values.first().map_or("", |(name, _)| name);
        check_size(out, name, self.bytes_max)
    }

    /// The score of a row.
    ///
    /// # Errors
    /// A refusal, where no double is it.
    pub(super) fn score(&mut self, row: usize) -> Result<f64> {
        match &mut self.score {
            Some(values) => values.score(row).map_err(Error::refused),
            None => Err(Error::new(ErrorKind::Internal, "a sorted set without a score")),
        }
    }
}

fn check_size(bytes: &[u8], column: &str, bytes_max: usize) -> Result<()> {
    if bytes.len() <= bytes_max {
        return Ok(());
    }
    Err(too_large(Some(column.to_owned()), "a value", bytes_max))
}

fn too_large(column: Option<String>, what: &str, bytes_max: usize) -> Error {
    let megabytes = bytes_max >> 20;
    Error::refused(Refusal {
        column,
        reason: Reason::TooLarge,
        detail: format!("{what} is larger than the {megabytes} MB that this server takes (`proto-max-bulk-len`)"),
    })
}
