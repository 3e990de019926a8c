//! Reads all documents of a container through the SDK and discards them: what scripts/bench.sh
//! compares dbferry with.
//!
//! ```sh
//! COSMOS_KEY=… cargo run --example cosmos-bare -- http://127.0.0.1:8081/ Bench/Documents 1000 4
//! ```
//!
//! The arguments are the endpoint, the container, documents in a page and ranges side by side. As
//! dbferry does, it asks for a small page first, whose documents tell how large they are. With
//! `changes` at the end it also asks each range once what has changed, as dbferry does to remember
//! where changes begin.

use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroU32;

use azure_core::credentials::Secret;
use azure_data_cosmos::feed::{ContinuationToken, FeedRange, FeedScope};
use azure_data_cosmos::options::{BinaryEncodingOptions, ChangeFeedOptions, ChangeFeedStartFrom, MaxItemCountHint, QueryOptions};
use azure_data_cosmos::{AccountReference, ContainerClient, CosmosClientBuilder, CosmosRuntime, RoutingStrategy};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;

type Failure = Box<dyn Error + Send + Sync>;

/// Documents of the first page of a range.
const FIRST_PAGE: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// What was read.
#[derive(Default)]
struct Read {
    documents: usize,
    bytes: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, container, page, side_by_side, more @ ..] = arguments.as_slice() else {
        return Err("wanted: ENDPOINT DATABASE/CONTAINER DOCUMENTS RANGES [changes]".into());
    };
    let changes = more.iter().any(|word| word == "changes");
    let (database, container) = container.split_once('/').ok_or("a container is DATABASE/CONTAINER")?;
    let (page, side_by_side): (NonZeroU32, usize) = (page.parse()?, side_by_side.parse()?);
    let container = open(endpoint, database, container).await?;
    let ranges = Box::pin(container.read_feed_ranges(None)).await?;
    let reading = ranges.into_iter().map(|range| {
        let container = container.clone();
        // Tasks of their own, as dbferry's readers are.
        async move { tokio::spawn(Box::pin(read(container, range, page, changes))).await? }
    });
    let all: Vec<Read> = futures::stream::iter(reading)
        .buffer_unordered(side_by_side)
        .try_collect()
        .await?;
    let documents: usize = all.iter().map(|read| read.documents).sum();
    let bytes: usize = all.iter().map(|read| read.bytes).sum();
    writeln!(std::io::stdout(), "{documents} documents, {bytes} bytes")?;
    Ok(())
}

async fn open(endpoint: &str, database: &str, container: &str) -> Result<ContainerClient, Failure> {
    // An error means that it is installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let key = Secret::new(std::env::var("COSMOS_KEY")?);
    let account = AccountReference::with_authentication_key(endpoint.parse()?, key);
    let builder = CosmosClientBuilder::new()
        .with_runtime(CosmosRuntime::builder().build().await?)
        .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false));
    let client = Box::pin(builder.build(account, RoutingStrategy::PreferredRegions(Vec::new()))).await?;
    Ok(Box::pin(client.database_client(database).container_client(container, None)).await?)
}

/// Reads one range, page by page.
async fn read(container: ContainerClient, range: FeedRange, page: NonZeroU32, changes: bool) -> Result<Read, Failure> {
    let mut found = Read::default();
    if changes {
        let options = ChangeFeedOptions::default().with_max_item_count(MaxItemCountHint::Limit(NonZeroU32::MIN));
        let from = (FeedScope::range(range.clone()), ChangeFeedStartFrom::Now);
        let feed = container.query_change_feed::<Box<RawValue>>(from.0, from.1, Some(options));
        Box::pin(feed).await?.next().await.transpose()?;
    }
    let mut token: Option<ContinuationToken> = None;
    for (size, pages_max) in [(FIRST_PAGE.min(page), 1), (page, usize::MAX)] {
        let mut options = QueryOptions::default().with_max_item_count(MaxItemCountHint::Limit(size));
        if let Some(token) = token.take() {
            options = options.with_continuation_token(token);
        }
        let query = container.query_items::<Box<RawValue>>("SELECT * FROM c", FeedScope::range(range.clone()), Some(options));
        let mut pages = Box::pin(query).await?.into_pages();
        for _ in 0..pages_max {
            let Some(page) = pages.next().await else { return Ok(found) };
            let documents = page?.into_items();
            found.documents += documents.len();
            found.bytes += documents.iter().map(|document| document.get().len()).sum::<usize>();
        }
        token = Some(pages.to_continuation_token()?);
    }
    Ok(found)
}
