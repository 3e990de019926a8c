//! What is asked of a server of keys when they are read back to be compared.

use std::sync::Arc;

use super::owner::Writer;
use super::{Form, Layout};

/// Which rows of a stream's keys are read.
#[derive(Clone)]
pub struct KeyRead {
    /// The stream.
    pub writer: Writer,
    /// Streams whose keys its pattern may fit, too: what is theirs is left out.
    pub others: Vec<Writer>,
    /// What its keys hold.
    pub layout: Arc<Layout>,
    /// What is told of them.
    pub form: Arc<Form>,
    /// Rows.
    pub wanted: KeysWanted,
    /// Most rows in one batch.
    pub rows_max: usize,
    /// Most bytes in one batch; one row may exceed it alone.
    pub bytes_max: usize,
}

/// Rows by what tells them apart.
#[derive(Clone)]
pub enum KeysWanted {
    /// All whole.
    All,
    /// All, with what tells them apart alone; all else is NULL.
    Keys,
    /// These whole, as far as they are there.
    These(Vec<KeyPlace>),
}

/// A key, and the place in it where many rows share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPlace {
    /// The key, without the prefix of a rehearsal.
    pub key: Vec<u8>,
    /// The place.
    pub place: Place,
}

/// Where in a key a row is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It is all of it. Of keys that gather rows: only that it holds another type.
    Whole,
    /// A member of a set.
    Member(Vec<u8>),
    /// A place in a list, from 0 on.
    Position(i64),
    /// Id of an entry of a stream.
    Entry(String),
}
