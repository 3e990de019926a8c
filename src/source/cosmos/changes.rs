//! The changes of a range: a token that pins where they begin, and following them from there.
//!
//! The record of changes tells created and replaced documents, each as it is now; deletions are not
//! in it. It has no end: it was followed far enough when every partition of the range has said that
//! there is nothing new.

use std::num::NonZeroU32;
use std::time::Duration;

use azure_core::base64::decode_url_safe;
use azure_data_cosmos::feed::{FeedRange, FeedScope};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::budget::Budget;
use super::container::Container;
use super::failure;
use super::query::{Page, Pages, Wanted};
use crate::{Error, ErrorKind, Result};

/// Makes a token after which all changes from now on come.
///
/// The first page has to be asked for: before it a token says "now" and would mean the moment at
/// which it is used.
///
/// # Errors
/// As [`Pages::next`].
pub(super) async fn pin(container: &Container, budget: &Budget, range: &FeedRange, patience: Duration) -> Result<String> {
    let wanted = (Wanted::Changes, FeedScope::range(range.clone()));
    let mut pages = Pages::new(container, budget, wanted, NonZeroU32::MIN, None, patience);
    let mut token = None;
    // Each partition of the range is asked once.
    for _ in 0..partitions(container, range).await? {
        token = Some(endless(pages.next().await?)?.token);
    }
    token.ok_or_else(|| Error::new(ErrorKind::Internal, "a range without partitions"))
}

/// Changes of a range since a token was made.
pub(super) struct Changes<'a> {
    container: &'a Container,
    range: FeedRange,
    pages: Pages<'a>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(
        container: &'a Container,
        budget: &'a Budget,
        range: FeedRange,
        size: NonZeroU32,
        token: String,
        patience: Duration,
    ) -> Self {
        let wanted = (Wanted::Changes, FeedScope::range(range.clone()));
        Self {
            container,
            range,
            pages: Pages::new(container, budget, wanted, size, Some(token), patience),
        }
    }

    /// The next changed documents; a page without any when there is nothing new in the whole range.
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub(super) async fn next(&mut self) -> Result<Page> {
        let mut quiet = 0;
        loop {
            let page = endless(self.pages.next().await?)?;
            quiet += 1;
            if !page.documents.is_empty() {
                return Ok(page);
            }
            // After a split the range has several partitions, and after a merge several places in
            // one: they take turns.
            let turns = partitions(self.container, &self.range).await?.max(places(&page.token));
            if quiet >= turns {
                return Ok(page);
            }
        }
    }

    /// Asks for pages of another size from here on.
    pub(super) fn resize(&mut self, size: NonZeroU32) {
        self.pages.resize(size);
    }
}

/// How many partitions hold documents of a range, as far as is known: that costs no request.
async fn partitions(container: &Container, range: &FeedRange) -> Result<usize> {
    let all = Box::pin(container.client.read_feed_ranges(None))
        .await
        .map_err(|error| failure::tell(&error, "asking for the ranges"))?;
    Ok(all.iter().filter(|partition| partition.overlaps(range)).count())
}

/// Turns taken where a token cannot be looked into: too many cost a request each, too few leave
/// changes for the next time.
const PLACES_UNKNOWN: usize = 8;

/// Number of places that a token holds, one for each that takes turns. The SDK, whose version is
/// pinned, tells it nowhere else.
fn places(token: &str) -> usize {
    #[derive(Deserialize)]
    struct Token {
        root: Root,
    }
    #[derive(Deserialize)]
    struct Root {
        #[serde(default)]
        active_tokens: Vec<IgnoredAny>,
    }
    let payload = token.split_once('.').map(|(_, payload)| decode_url_safe(payload));
    let token = payload.and_then(|bytes| serde_json::from_slice::<Token>(&bytes.ok()?).ok());
    token.map_or(PLACES_UNKNOWN, |token| token.root.active_tokens.len())
}

fn endless(page: Option<Page>) -> Result<Page> {
    page.ok_or_else(|| Error::new(ErrorKind::Internal, "the record of changes has ended, which has no end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_a_token_are_counted() {
        let token = |json: &str| format!("c1.{}", azure_core::base64::encode_url_safe(json));
        let two = r#"{"op":"ChangeFeed","rid":"x","root":{"kind":"unordered_merge","active_tokens":[{},{"a":1}],"start_from":{}}}"#;
        assert_eq!(places(&token(two)), 2);
        assert_eq!(places(&token(r#"{"root":{"kind":"drained"}}"#)), 0);
        assert_eq!(places("c1.?"), PLACES_UNKNOWN);
        assert_eq!(places("another"), PLACES_UNKNOWN);
    }
}
