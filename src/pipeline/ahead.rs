//! What is read ahead of a batch's end: whether it is the last one depends on it.

use super::feed::{Feed, Portion};
use super::worker::{Job, next_portion};
use crate::Result;

/// What is known of the portion behind a batch: it, nothing at the end of the stream, or the error that
/// reading ended in. Where it takes longer than the batch may, it is late, and waited for with nothing open.
pub(super) struct Ahead(Option<Result<Option<Portion>>>);

impl Ahead {
    /// It is known.
    pub(super) const fn of(portion: Result<Option<Portion>>) -> Self {
        Self(Some(portion))
    }

    /// It is late.
    pub(super) const fn late() -> Self {
        Self(None)
    }

    pub(super) const fn is_late(&self) -> bool {
        self.0.is_none()
    }

    /// Whether there is none.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self.0, Some(Ok(None)))
    }

    pub(super) const fn is_failure(&self) -> bool {
        matches!(self.0, Some(Err(_)))
    }

    /// That portion, waited for where it is late.
    pub(super) async fn portion(self, job: &Job<'_>, feed: &mut Feed) -> Result<Option<Portion>> {
        match self.0 {
            Some(portion) => portion,
            None => next_portion(job, feed).await,
        }
    }
}
