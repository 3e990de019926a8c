//! Accounts that only the SDK has touched: our own, and Cosmium, an emulator by other people, where
//! `scripts/services.sh` could start it.
//!
//! Of what the other tests look at Cosmium has no physical partitions but one, no hierarchical keys,
//! no request units, no digits beyond those of a double; none of them is asked of it.

use azure_data_cosmos::models::ContainerProperties;
use azure_data_cosmos::{CosmosClient, PartitionKey};
use serde_json::{Value, json};

use super::account::client;
use super::harness::{Cosmos, KEY};
use super::toy::{TOYS, Toy, seed_of};
use crate::harness::block_on;

/// Makes the container and writes the documents, as an application does.
async fn fill(url: String, documents: Vec<Value>) {
    let client: CosmosClient = client(&url, KEY, false).await.expect("a client");
    client.create_database(TOYS.0, None).await.expect("a database");
    let database = client.database_client(TOYS.0);
    let properties = ContainerProperties::new(TOYS.1, "/owner".into());
    Box::pin(database.create_container(properties, None))
        .await
        .expect("a container");
    let container = Box::pin(database.container_client(TOYS.1, None)).await.expect("a container");
    for document in documents {
        let owner = PartitionKey::from(document["owner"].as_str().expect("text").to_owned());
        let id = document["id"].as_str().expect("an id").to_owned();
        Box::pin(container.upsert_item(owner, &id, &document, None))
            .await
            .expect("a document");
    }
}

/// Copies whole containers and one user.
fn moves(url: &str) {
    let documents = (0..250).map(|number: u32| {
        json!({ "id": format!("toy {number} é"), "owner": format!("o'{}", number % 7), "number": number, "price": 0.25,
            "deep": { "list": [1, null, "two"] }, "type": if number.is_multiple_of(2) { "even" } else { "odd" } })
    });
    let documents: Vec<Value> = documents.collect();
    let (expected, _) = seed_of(documents.iter().cloned(), &["owner"]);
    block_on(fill(url.to_owned(), documents));
    for toy in [Toy::from_url_into_postgres(url), Toy::from_url_into_sqlite(url)] {
        assert_eq!(toy.run(&["--batch-size", "20"]), [250, 250, 0, 0, 0]);
        toy.expect(&expected);
        assert_eq!(toy.run(&[]), [0; 5]);
    }
    let toy = Toy::from_url_into_sqlite(url);
    let mapping = toy.project.text("mappings/demo/streams.toml");
    let with_subject = mapping.replace(
        "\n[stream.columns]",
        "subject = { owner = \"owner = $key\" }\n\n[stream.columns]",
    );
    toy.project.write("mappings/demo/streams.toml", &with_subject);
    let report = toy
        .project
        .run(&["run", "mappings/demo", "--for", "owner=o'3", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(report["streams"][0]["inserted"], 36);
    assert!(toy.documents().iter().all(|(key, document)| expected[key] == *document));
}

#[test]
fn an_account_that_only_the_sdk_has_touched_is_copied() {
    moves(Cosmos::start(&[]).url());
}

#[test]
fn so_is_cosmium_where_it_is_there() {
    match std::env::var("DBFERRY_TEST_COSMIUM_URL") {
        Ok(url) => moves(&url),
        Err(_) => eprintln!("left out: cosmium does not run here; `scripts/services.sh up` says why"),
    }
}
