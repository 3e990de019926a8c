//! A sample: one page of a container, for what its documents cost to read.

use std::num::NonZeroU32;
use std::time::Duration;

use azure_data_cosmos::feed::FeedScope;

use super::budget::Budget;
use super::container::Container;
use super::failure;
use super::query::{Pages, Wanted};
use crate::Result;
use crate::data::spent::Sample;

/// Documents of the page.
const PAGE: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Ranges that are looked into, as long as they are empty.
const RANGES_MAX: usize = 8;
/// Whoever plans does not wait for long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the first page of the first range that has documents.
///
/// # Errors
/// What the service refuses.
pub(super) async fn measure(container: &Container, budget: &Budget) -> Result<Sample> {
    let ranges = Box::pin(container.client.read_feed_ranges(None))
        .await
        .map_err(|error| failure::tell(&error, "asking for the ranges"))?;
    let mut sample = Sample { rows: 0, milli_units: 0 };
    for range in ranges.into_iter().take(RANGES_MAX) {
        let mut pages = Pages::new(
            container,
            budget,
            (Wanted::Documents, FeedScope::range(range)),
            PAGE,
            None,
            PATIENCE,
        );
        if let Some(page) = pages.next().await? {
            sample = Sample {
                rows: page.documents.len() as u64,
                milli_units: page.milli_units,
            };
        }
        if sample.rows > 0 {
            break;
        }
    }
    Ok(sample)
}
