//! The pages of one range or one partition key, or of what has changed in it, asked for with
//! patience.
//!
//! Every page comes with the token after it. What fails and may pass (throttling, a partition that
//! is being split, a lost connection) is asked for again from the last token, with pauses that the
//! service names or that grow; nothing is lost or doubled by that.

use std::num::NonZeroU32;
use std::time::Duration;

use azure_data_cosmos::CosmosError;
use azure_data_cosmos::feed::{ChangeFeedPageIterator, ContinuationToken, FeedScope, QueryPageIterator};
use azure_data_cosmos::models::ChangeFeedItem;
use azure_data_cosmos::options::{
    ChangeFeedOptions, ChangeFeedStartFrom, MaxItemCountHint, OperationOptionsBuilder, QueryOptions, ThrottlingRetryOptionsBuilder,
};
use futures::StreamExt as _;
use serde_json::value::RawValue;

use super::budget::Budget;
use super::container::Container;
use super::failure::Failure;
use super::patience::Patience;
use crate::{Error, ErrorKind, Result};

/// Some documents, in the order of the service.
pub(super) struct Page {
    pub(super) documents: Vec<Box<RawValue>>,
    /// Where the next page begins.
    pub(super) token: String,
    /// What it has cost, in thousandths of request units.
    pub(super) milli_units: u64,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The documents.
    Documents,
    /// Those that have changed since the token was made; without one, from now on. There is no
    /// end: a page without documents says that there is no change yet.
    Changes,
}

/// Pages of one scope.
pub(super) struct Pages<'a> {
    container: &'a Container,
    budget: &'a Budget,
    scope: FeedScope,
    wanted: Wanted,
    /// Documents in a page, at most.
    size: NonZeroU32,
    token: Option<String>,
    /// The token was given by an earlier run and no page has come with it yet.
    untried: bool,
    /// Longest time without any page before reading is given up.
    patience: Duration,
    open: Option<Open>,
}

/// An iterator of the SDK.
enum Open {
    Documents(QueryPageIterator<Box<RawValue>>),
    Changes(ChangeFeedPageIterator<ChangeFeedItem<Box<RawValue>>>),
}

impl<'a> Pages<'a> {
    pub(super) fn new(
        container: &'a Container,
        budget: &'a Budget,
        (wanted, scope): (Wanted, FeedScope),
        size: NonZeroU32,
        token: Option<String>,
        patience: Duration,
    ) -> Self {
        Self {
            container,
            budget,
            scope,
            wanted,
            size,
            untried: token.is_some(),
            token,
            patience,
            open: None,
        }
    }

    /// Asks for pages of another size from here on; costs no request.
    pub(super) fn resize(&mut self, size: NonZeroU32) {
        if size != self.size {
            self.size = size;
            self.open = None;
        }
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Void`] where the token that reading began with is not accepted;
    /// [`ErrorKind::Lost`] after too long without any page; what the service refuses for good.
    pub(super) async fn next(&mut self) -> Result<Option<Page>> {
        let mut patience = Patience::new(self.patience);
        loop {
            let (failure, unasked) = {
                let _permit = self.budget.page().await?;
                match tokio::time::timeout(patience.answer(), self.attempt()).await {
                    Ok(Ok(page)) => {
                        self.untried = false;
                        return Ok(page);
                    }
                    Ok(Err(refused)) => refused,
                    Err(_) => (Failure::TOO_SLOW, false),
                }
            };
            // The iterator is of no use after an error.
            self.open = None;
            if self.untried && failure.voids_token(unasked) {
                return Err(Error::new(
                    ErrorKind::Void,
                    "the place that reading stopped at is not accepted any more",
                ));
            }
            if !unasked {
                self.budget.refused(failure.is_throttled());
            }
            patience.wait(failure, "reading a page").await?;
        }
    }

    /// An error comes with whether nothing was asked for at all.
    async fn attempt(&mut self) -> Result<Option<Page>, (Failure, bool)> {
        let mut pages = match self.open.take() {
            Some(pages) => pages,
            None => self.open().await.map_err(|error| (Failure::of(&error), true))?,
        };
        let failed = |error: CosmosError| (Failure::of(&error), false);
        let Some((documents, charge)) = pages.next().await.map_err(failed)? else {
            return Ok(None);
        };
        let milli_units = self.budget.charge(charge);
        // Only now: a token taken after an error would pass over the page that failed.
        let token = pages.token().map_err(failed)?.as_str().to_owned();
        self.token = Some(token.clone());
        self.open = Some(pages);
        Ok(Some(Page {
            documents,
            token,
            milli_units,
        }))
    }

    async fn open(&mut self) -> Result<Open, CosmosError> {
        let (client, scope) = (self.container.client.clone(), self.scope.clone());
        let size = MaxItemCountHint::Limit(self.size);
        // A page that came too soon is ours to ask for again: the wait is counted, shown, and can be ended.
        let throttling = ThrottlingRetryOptionsBuilder::new().with_max_retry_count(0).build();
        let ours = OperationOptionsBuilder::new()
            .with_throttling_retry_options(throttling)
            .build();
        let token = self.token.clone().map(ContinuationToken::from_string);
        match self.wanted {
            Wanted::Documents => {
                let mut options = QueryOptions::default().with_operation_options(ours).with_max_item_count(size);
                if let Some(token) = token {
                    options = options.with_continuation_token(token);
                }
                let query = client.query_items("SELECT * FROM c", scope, Some(options));
                Ok(Open::Documents(Box::pin(query).await?.into_pages()))
            }
            Wanted::Changes => {
                let mut options = ChangeFeedOptions::default()
                    .with_operation_options(ours)
                    .with_max_item_count(size);
                if let Some(token) = token {
                    options = options.with_continuation_token(token);
                }
                let feed = client.query_change_feed(scope, ChangeFeedStartFrom::Now, Some(options));
                Ok(Open::Changes(Box::pin(feed).await?))
            }
        }
    }
}

impl Open {
    /// Documents of the next page, and what it has cost.
    async fn next(&mut self) -> Result<Option<(Vec<Box<RawValue>>, f64)>, CosmosError> {
        Ok(match self {
            Self::Documents(pages) => pages.next().await.transpose()?.map(|page| {
                let charge = page.headers().request_charge().map_or(0.0, |charge| f64::from(*charge));
                (page.into_items(), charge)
            }),
            Self::Changes(pages) => pages.next().await.transpose()?.map(|page| {
                let charge = page.headers().request_charge().map_or(0.0, |charge| f64::from(*charge));
                // A change without a document is none that can be moved.
                let documents = page.items().iter().filter_map(|item| item.current().cloned());
                (documents.collect(), charge)
            }),
        })
    }

    fn token(&self) -> Result<ContinuationToken, CosmosError> {
        match self {
            Self::Documents(pages) => pages.to_continuation_token(),
            Self::Changes(pages) => pages.to_continuation_token(),
        }
    }
}
