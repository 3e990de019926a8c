//! Commands made ahead of their batch, where nothing has to be looked up for them: while the server
//! carries out one batch, the next one is made ready.

use std::sync::Arc;
use std::time::Instant;

use arrow::record_batch::RecordBatch;

use super::link::Link;
use super::names::Names;
use super::planned::Planned;
use super::portion::Portion;
use super::stream::{OpenStream, Writing};
use super::{member, moment, plain};
use crate::Result;
use crate::data::keyed::{KeyType, Layout};
use crate::data::stream::StreamTarget;
use crate::sink::{Encode, Encoded};

/// How far what was made ahead may be from its batch, in milliseconds: by so much a time to live may
/// be off.
pub(super) const AHEAD_MILLISECONDS_MAX: u64 = 5_000;

/// What it takes to make the commands of a stream.
pub(super) struct Encoder {
    stream: StreamTarget,
    layout: Arc<Layout>,
    prefix: String,
    bytes_max: usize,
    /// The server's clock, in milliseconds since 1970, and when it was asked.
    clock: (i64, Instant),
}

/// Commands that were made ahead.
pub(super) struct Ahead {
    pub(super) planned: Planned,
    /// The server's clock by which expired rows were left out, in milliseconds since 1970.
    now: i64,
}

impl Encoder {
    /// The encoder of a stream; none where its rows have to be looked up, or follow one another.
    pub(super) async fn of(
        open: &OpenStream,
        reader: &mut Link,
        names: &Names,
        bytes_max: usize,
    ) -> Result<Option<Arc<dyn Encode>>> {
        // An undo log has to know which batch it is.
        if open.layout.key_type.is_ordered() || open.split < 0 || open.log.is_some() || !Writing::may_be_direct(&open.target) {
            return Ok(None);
        }
        let asked = Instant::now();
        let now = moment::now(reader, names).await?;
        Ok(Some(Arc::new(Self {
            stream: open.target.clone(),
            layout: Arc::clone(&open.layout),
            prefix: names.prefix().to_owned(),
            bytes_max,
            clock: (now.milliseconds, asked),
        })))
    }

    fn now(&self) -> i64 {
        let (then, asked) = self.clock;
        then.saturating_add(i64::try_from(asked.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

impl Encode for Encoder {
    fn encode(&self, rows: &RecordBatch) -> Option<Encoded> {
        let now = self.now();
        let portion = Portion::of(&self.stream, &self.layout, (&self.prefix, self.bytes_max), rows).ok()?;
        let planned = match self.layout.key_type {
            KeyType::Set | KeyType::Zset => member::all_new(portion),
            _ => plain::all_new(portion, now),
        };
        Some(Encoded::new(Ahead {
            planned: planned.ok()?,
            now,
        }))
    }
}

impl Ahead {
    /// Whether it was made for about this moment.
    pub(super) const fn is_of(&self, now: i64) -> bool {
        self.now.abs_diff(now) <= AHEAD_MILLISECONDS_MAX
    }
}
