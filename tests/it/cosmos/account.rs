//! What the other tests rely on: the account of the tests, read through the unchanged SDK, hands
//! out every document exactly, and goes wrong where it is asked to, only there.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

use azure_core::credentials::Secret;
use azure_data_cosmos::feed::{ContinuationToken, FeedRange, FeedScope};
use azure_data_cosmos::options::{
    BinaryEncodingOptions, ChangeFeedOptions, ChangeFeedStartFrom, ConnectionPoolOptions, MaxItemCountHint,
    OperationOptionsBuilder, QueryOptions, ReadContainerOptions, ThrottlingRetryOptionsBuilder,
};
use azure_data_cosmos::{
    AccountReference, ContainerClient, CosmosClient, CosmosClientBuilder, CosmosError, CosmosRuntime, PartitionKey, RoutingStrategy,
};
use futures::StreamExt as _;
use serde_json::json;
use serde_json::value::RawValue;

use super::harness::{At, Cosmos, DOCUMENTS, KEY, fault, of_kind, status};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;
use crate::harness::block_on;

/// A client of the account, without more patience than a test has.
pub(super) async fn client(url: &str, key: &str, http2: bool) -> Result<CosmosClient, CosmosError> {
    // An error means that it is installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let pool = ConnectionPoolOptions::builder().with_is_http2_allowed(http2).build()?;
    let throttling = ThrottlingRetryOptionsBuilder::new()
        .with_max_retry_count(3)
        .with_max_retry_wait_time(Duration::from_secs(5))
        .build();
    let options = OperationOptionsBuilder::new()
        .with_throttling_retry_options(throttling)
        .build();
    let account = AccountReference::with_authentication_key(url.parse().expect("an endpoint"), Secret::new(key.to_owned()));
    let builder = CosmosClientBuilder::new()
        .with_runtime(CosmosRuntime::builder().with_connection_pool(pool).build().await?)
        .with_default_operation_options(options)
        .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false));
    Box::pin(builder.build(account, RoutingStrategy::PreferredRegions(Vec::new()))).await
}

async fn container(url: &str, at: At<'_>, http2: bool) -> ContainerClient {
    let client = client(url, KEY, http2).await.expect("a client");
    Box::pin(client.database_client(at.0).container_client(at.1, None))
        .await
        .expect("a container")
}

/// Pages read and where to go on.
#[derive(Default)]
struct Pages {
    documents: Vec<String>,
    token: Option<String>,
}

/// Reads up to so many pages of ten documents.
async fn read(container: &ContainerClient, scope: FeedScope, token: Option<String>, most: usize) -> Result<Pages, CosmosError> {
    let ten = NonZeroU32::new(10).expect("ten");
    let mut options = QueryOptions::default().with_max_item_count(MaxItemCountHint::Limit(ten));
    if let Some(token) = token.clone() {
        options = options.with_continuation_token(ContinuationToken::from_string(token));
    }
    let query = container.query_items::<Box<RawValue>>("SELECT * FROM c", scope, Some(options));
    let mut pages = Box::pin(query).await?.into_pages();
    let mut found = Pages {
        documents: Vec::new(),
        token,
    };
    for _ in 0..most {
        let Some(page) = pages.next().await else { break };
        found
            .documents
            .extend(page?.into_items().iter().map(|document| document.get().to_owned()));
        found.token = Some(pages.to_continuation_token()?.as_str().to_owned());
    }
    Ok(found)
}

fn everything() -> FeedScope {
    FeedScope::range(FeedRange::full())
}

/// Documents by id; one that came twice fails.
#[track_caller]
fn by_id(documents: &[String]) -> BTreeMap<String, &str> {
    let mut found = BTreeMap::new();
    for text in documents {
        let document: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let id = document["id"].as_str().expect("an id").to_owned();
        assert!(found.insert(id.clone(), text.as_str()).is_none(), "{id} came twice");
    }
    found
}

/// So many documents, five to a partition key.
fn documents(count: u32) -> String {
    let line = |number| json!({ "id": format!("doc-{number}"), "pubkey": format!("{:064x}", number / 5), "n": number }).to_string();
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn documents_come_back_digit_for_digit_over_both_versions_of_http() {
    let cosmos = Cosmos::nostria();
    let numbers = r#""numbers":[9007199254740993,18446744073709551615,0.1234567890123456789012345,123456789012345678901234567890]"#;
    let seeded = cosmos.seed(
        DOCUMENTS,
        &format!("{{\"id\":\"exact\",\"pubkey\":\"a\",{numbers}}}\n{}", documents(50)),
    );
    assert_eq!(seeded, 51);
    for (http2, version) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
        cosmos.clear_log();
        let url = cosmos.url().to_owned();
        let found = block_on(async move {
            let container = container(&url, DOCUMENTS, http2).await;
            read(&container, everything(), None, usize::MAX)
                .await
                .expect("pages")
                .documents
        });
        let found = by_id(&found);
        assert_eq!(found.len(), 51);
        assert!(found["exact"].contains(numbers), "{}", found["exact"]);
        let log = cosmos.log();
        let pages = of_kind(&log, Kind::Query);
        assert_eq!(pages.iter().filter_map(|page| page.documents).sum::<u64>(), 51);
        assert!(
            pages.iter().all(|page| page.version == version && page.charge > 0.0),
            "{pages:?}"
        );
        assert!(of_kind(&log, Kind::Plan).is_empty());
    }
}

#[test]
fn another_key_is_refused() {
    let cosmos = Cosmos::nostria();
    let url = cosmos.url().to_owned();
    let refused = block_on(async move { client(&url, "YW5vdGhlciBrZXk=", true).await.err() }).expect("a refusal");
    assert!(refused.status().is_unauthorized(), "{:?}", refused.status());
    assert!(
        cosmos.log().iter().all(|entry| entry.status == Some(401)),
        "{:?}",
        cosmos.log()
    );
}

#[test]
fn one_partition_key_is_read_with_one_request() {
    let cosmos = Cosmos::start(&["shop/Tree:/tenant,/user:2"]);
    let tree = At("shop", "Tree");
    let lines = ["t1 u1", "t1 u2", "t2 u1"].map(|key| {
        let (tenant, user) = key.split_once(' ').expect("two words");
        json!({ "id": key, "tenant": tenant, "user": user }).to_string()
    });
    cosmos.seed(tree, &lines.join("\n"));
    block_on(async move {
        let container = container(cosmos.url(), tree, true).await;
        cosmos.clear_log();
        let scope = FeedScope::partition(PartitionKey::from(("t1", "u2")));
        let found = read(&container, scope, None, usize::MAX).await.expect("pages").documents;
        assert_eq!(by_id(&found).into_keys().collect::<Vec<_>>(), ["t1 u2"]);
        let log = cosmos.log();
        let seen: Vec<_> = log.iter().map(|entry| (entry.kind, entry.partition_key.as_deref())).collect();
        assert_eq!(seen, [(Kind::Query, Some(r#"["t1","u2"]"#))]);
    });
}

#[test]
fn faults_happen_to_the_requests_that_were_chosen() {
    let cosmos = Cosmos::nostria();
    cosmos.seed(DOCUMENTS, &documents(40));
    block_on(async move {
        let container = container(cosmos.url(), DOCUMENTS, true).await;
        for (fault, seen) in [
            (status(429, 2), "status 429"),
            (status(503, 1), "status 503"),
            (fault(What::Reset, 2), "reset"),
            (fault(What::Cut, 1), "cut"),
            (fault(What::Delay(50), 1), "delay"),
        ] {
            cosmos.clear_log();
            let times = fault.count.expect("a count");
            cosmos.faults(&[fault]);
            let found = read(&container, everything(), None, usize::MAX).await.expect(seen);
            assert_eq!(by_id(&found.documents).len(), 40, "{seen}");
            assert_eq!(cosmos.hits(), [times], "{seen}");
            let log = cosmos.log();
            let met = log.iter().filter(|entry| entry.fault.as_deref() == Some(seen));
            assert_eq!(met.count() as u64, times, "{log:?}");
        }
        cosmos.faults(&[status(429, 20)]);
        let refused = read(&container, everything(), None, 1).await.err();
        let refused = refused.expect("more than the SDK waits for").status();
        assert!(refused.is_throttled(), "{refused:?}");
    });
}

#[test]
fn more_request_units_than_are_sold_are_refused_for_as_long_as_is_told() {
    let cosmos = Cosmos::nostria();
    cosmos.seed(DOCUMENTS, &documents(100));
    block_on(async move {
        let container = container(cosmos.url(), DOCUMENTS, true).await;
        cosmos.throughput(Some(20.0));
        let found = read(&container, everything(), None, usize::MAX).await.expect("pages");
        assert_eq!(by_id(&found.documents).len(), 100);
        let log = cosmos.log();
        let refused = of_kind(&log, Kind::Query)
            .iter()
            .filter(|page| page.status == Some(429))
            .count();
        assert!(refused > 0, "{log:?}");
        cosmos.throughput(None);
        cosmos.clear_log();
        read(&container, everything(), None, usize::MAX).await.expect("pages");
        assert!(cosmos.log().iter().all(|page| page.status == Some(200)));
    });
}

#[test]
fn a_token_can_be_refused_and_a_beginning_not() {
    let cosmos = Cosmos::nostria();
    cosmos.seed(DOCUMENTS, &documents(100));
    cosmos.faults(&[Fault {
        continued: Some(true),
        ..status(400, 1)
    }]);
    block_on(async move {
        let container = container(cosmos.url(), DOCUMENTS, true).await;
        let first = read(&container, everything(), None, 1).await.expect("a first page");
        let refused = read(&container, everything(), first.token, 1).await.err().expect("a refusal");
        assert!(refused.status().is_bad_request(), "{:?}", refused.status());
    });
}

#[test]
fn a_request_is_held_until_the_faults_are_set_anew() {
    let cosmos = Cosmos::nostria();
    cosmos.seed(DOCUMENTS, &documents(10));
    cosmos.faults(&[fault(What::Hold, 1)]);
    let url = cosmos.url().to_owned();
    let reading = std::thread::spawn(|| {
        block_on(async move {
            let container = container(&url, DOCUMENTS, true).await;
            read(&container, everything(), None, usize::MAX)
                .await
                .expect("pages")
                .documents
        })
    });
    cosmos.wait_for_fault();
    // While it waits, the world goes on, and what is read is what there is then.
    cosmos.seed(DOCUMENTS, r#"{"id":"late","pubkey":"a"}"#);
    assert!(cosmos.remove(DOCUMENTS, "doc-0", &json!([format!("{:064x}", 0)])));
    assert!(!cosmos.remove(DOCUMENTS, "doc-0", &json!([format!("{:064x}", 0)])));
    assert!(!reading.is_finished());
    cosmos.faults(&[]);
    let found = reading.join().expect("the reader");
    let found = by_id(&found);
    assert_eq!(
        (found.len(), found.contains_key("late"), found.contains_key("doc-0")),
        (10, true, false)
    );
}

#[test]
fn a_split_and_a_merge_between_two_pages_lose_nothing() {
    let cosmos = Cosmos::nostria();
    cosmos.seed(DOCUMENTS, &documents(200));
    assert_eq!(cosmos.partitions(DOCUMENTS).len(), 4);
    block_on(async move {
        let container = container(cosmos.url(), DOCUMENTS, true).await;
        let first = read(&container, everything(), None, 2).await.expect("pages");
        assert_eq!(cosmos.split(DOCUMENTS, cosmos.partitions(DOCUMENTS)[0], 0).len(), 2);
        let partitions = cosmos.partitions(DOCUMENTS);
        assert_eq!(partitions.len(), 5);
        let second = read(&container, everything(), first.token, 4).await.expect("pages");
        let merged = cosmos.merge(DOCUMENTS, (partitions[3], partitions[4]), 0);
        assert_eq!(cosmos.partitions(DOCUMENTS)[3..], [merged]);
        let third = read(&container, everything(), second.token, usize::MAX).await.expect("pages");
        let all = [first.documents, second.documents, third.documents].concat();
        assert_eq!(by_id(&all).len(), 200);
    });
}

#[test]
fn a_container_tells_how_many_documents_it_has() {
    let cosmos = Cosmos::nostria();
    cosmos.seed(DOCUMENTS, &documents(123));
    let url = cosmos.url().to_owned();
    let usage = block_on(async move {
        let container = container(&url, DOCUMENTS, true).await;
        let headers = HashMap::from([("x-ms-documentdb-populatequotainfo".into(), "true".into())]);
        let options = OperationOptionsBuilder::new().with_custom_headers(headers).build();
        let options = ReadContainerOptions::default().with_operation_options(options);
        let answer = container.read(Some(options)).await.expect("a container");
        answer.headers().resource_usage().map(str::to_owned)
    });
    let usage = usage.expect("a usage");
    assert!(usage.contains("documentsCount=123;"), "{usage}");
}

#[test]
fn the_change_feed_tells_what_changed_since() {
    let cosmos = Cosmos::start(&["shop/Small:/pubkey"]);
    let small = At("shop", "Small");
    cosmos.seed(small, &documents(10));
    block_on(async move {
        let container = container(cosmos.url(), small, true).await;
        let (nothing, now) = changes(&container, None).await;
        assert!(nothing.is_empty(), "{nothing:?}");
        let changed = json!({ "id": "doc-3", "pubkey": format!("{:064x}", 0), "n": -1 });
        cosmos.seed(small, &format!("{changed}\n{{\"id\":\"new\",\"pubkey\":\"b\"}}"));
        let (changed, after) = changes(&container, Some(now)).await;
        assert_eq!(by_id(&changed).into_keys().collect::<Vec<_>>(), ["doc-3", "new"]);
        assert!(changes(&container, Some(after)).await.0.is_empty());
        assert!(of_kind(&cosmos.log(), Kind::Feed).iter().any(|entry| entry.continued));
    });
}

/// The next page of what changed since then, or from now on, and where to go on.
async fn changes(container: &ContainerClient, since: Option<String>) -> (Vec<String>, String) {
    let mut options = ChangeFeedOptions::default();
    if let Some(token) = since {
        options = options.with_continuation_token(ContinuationToken::from_string(token));
    }
    let feed = container.query_change_feed::<Box<RawValue>>(everything(), ChangeFeedStartFrom::Now, Some(options));
    let mut feed = Box::pin(feed).await.expect("a feed");
    let page = feed.next().await.expect("it never ends").expect("a page");
    let found = page.items().iter().filter_map(|item| item.current());
    let found = found.map(|text| text.get().to_owned()).collect();
    let token = feed.to_continuation_token().expect("a token");
    (found, token.as_str().to_owned())
}
