//! The shipped nostria project, run as its user would, on the sample: from an account of Cosmos DB
//! into Postgres. Every trap that the sample's page lists ends as the page says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::cosmos::harness::{Cosmos, DOCUMENTS, KEY};
use crate::harness::{Database, Ended, Project, copy, postgres_url, query, repository, text};

mod runs;
mod traps;
mod user;
mod verified;

const SAMPLE: &str = "mappings/nostria/sample";

/// How a column comes out of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A string, a number or a boolean as it is spelt; NULL where it is null or missing.
    Plain,
    /// Any JSON.
    Json,
}

use Form::{Json, Plain};

/// A type of documents and what becomes of it, written down a second time.
struct Kind {
    name: &'static str,
    table: &'static str,
    /// Column, and the property that it comes from.
    columns: &'static [(&'static str, &'static str, Form)],
    /// `modified` is there.
    modified: bool,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "account",
        table: "accounts",
        columns: &[
            ("pubkey", "pubkey", Plain),
            ("username", "username", Plain),
            ("tier", "tier", Plain),
            ("expires", "expires", Plain),
            ("created", "created", Plain),
            ("last_login_date", "lastLoginDate", Plain),
            ("subscription", "subscription", Json),
        ],
        modified: true,
    },
    Kind {
        name: "backup-job",
        table: "backup_jobs",
        columns: &[
            ("pubkey", "pubkey", Plain),
            ("status", "status", Plain),
            ("backup_type", "backupType", Plain),
            ("requested", "requested", Plain),
            ("scheduled", "scheduled", Plain),
            ("started", "started", Plain),
            ("completed", "completed", Plain),
            ("error_message", "errorMessage", Plain),
            ("result_url", "resultUrl", Plain),
            ("expires", "expires", Plain),
            ("metadata", "metadata", Json),
        ],
        modified: false,
    },
    Kind {
        name: "notification-log",
        table: "notification_logs",
        columns: &[
            ("pubkey", "pubkey", Plain),
            ("title", "title", Plain),
            ("body", "body", Plain),
            ("content", "content", Plain),
            ("template", "template", Plain),
            ("created", "created", Plain),
        ],
        modified: true,
    },
    Kind {
        name: "notification-settings",
        table: "notification_settings",
        columns: &[
            ("pubkey", "pubkey", Plain),
            ("enabled", "enabled", Plain),
            ("filters", "filters", Json),
            ("settings", "settings", Json),
            ("created", "created", Plain),
        ],
        modified: true,
    },
    Kind {
        name: "notification-subscription",
        table: "notification_subscriptions",
        columns: &[
            ("pubkey", "pubkey", Plain),
            ("subscription", "subscription", Json),
            ("device_key", "deviceKey", Plain),
            ("created", "created", Plain),
        ],
        modified: true,
    },
    Kind {
        name: "payment",
        table: "payments",
        columns: &[
            ("payment_type", "paymentType", Plain),
            ("ln_hash", "lnHash", Plain),
            ("ln_invoice", "lnInvoice", Plain),
            ("ln_amount_sat", "lnAmountSat", Plain),
            ("tier", "tier", Plain),
            ("billing_cycle", "billingCycle", Plain),
            ("price_cents", "priceCents", Plain),
            ("is_paid", "isPaid", Plain),
            ("paid", "paid", Plain),
            ("expires", "expires", Plain),
            ("pubkey", "pubkey", Plain),
            ("created", "created", Plain),
        ],
        modified: true,
    },
    Kind {
        name: "user-settings",
        table: "user_settings",
        columns: &[
            ("pubkey", "pubkey", Plain),
            ("release_channel", "releaseChannel", Plain),
            ("social_sharing", "socialSharing", Plain),
            ("created", "created", Plain),
        ],
        modified: true,
    },
];

fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

fn documents(file: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}: {line}"));
    text(&format!("{SAMPLE}/{file}")).lines().map(parse).collect()
}

fn id_of(document: &Value) -> &str {
    document["id"].as_str().expect("an id")
}

/// The project in a folder of its own, the account that it reads and where it moves to.
struct Nostria {
    project: Project,
    cosmos: Cosmos,
    database: Database,
}

impl Nostria {
    /// With these files of the sample in the container.
    fn seeded(files: &[&str]) -> Self {
        let mut project = Project::new();
        copy(&repository("mappings/nostria"), &project.path("mappings/nostria"));
        project.write("config/development.toml", &text("config/development.toml"));
        let cosmos = Cosmos::nostria();
        for file in files {
            cosmos.seed(DOCUMENTS, &text(&format!("{SAMPLE}/{file}")));
        }
        cosmos.clear_log();
        project.set("COSMOS_ENDPOINT", cosmos.url());
        project.set("COSMOS_KEY", KEY);
        // The program creates it.
        let database = Database::create();
        query(&postgres_url(), &format!("drop database {}", database.name));
        project.set("NOSTRIA_DATABASE_URL", &database.url);
        Self {
            project,
            cosmos,
            database,
        }
    }

    fn run(&self, args: &[&str]) -> Ended {
        let (command, more) = args.split_at(if args[0] == "schema" { 2 } else { 1 });
        self.project.run(&[command, &["mappings/nostria"], more].concat())
    }

    /// Ids in a table.
    fn ids(&self, table: &str) -> BTreeSet<String> {
        let rows = self.database.query(&format!("select id from {table}"));
        rows.into_iter().filter_map(|mut row| row.remove(0)).collect()
    }

    /// A table's rows.
    fn rows(&self, kind: &Kind) -> Rows {
        let columns: Vec<String> = kind.columns.iter().map(|(column, ..)| format!("{column}::text")).collect();
        let rows = self
            .database
            .query(&format!("select id, {} from {}", columns.join(", "), kind.table));
        let by_id = rows.into_iter().map(|mut row| (row.remove(0).expect("an id"), row));
        Rows(by_id.collect())
    }

    /// Open rejects by id: stream, reason, column and the document as it was stored.
    fn rejects(&self) -> BTreeMap<String, Reject> {
        let rows = self.database.query(
            "select source_key, stream, reason, coalesce(column_name, ''), source_row from dbferry.reject where resolved_at is null",
        );
        let mut rejects = BTreeMap::new();
        for row in rows {
            let [key, stream, reason, column, row] = row
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect::<Vec<_>>()
                .try_into()
                .expect("five columns");
            let key: Value = serde_json::from_str(&key).expect("a key");
            let id = key[1]["text"].as_str().expect("partition and id").to_owned();
            let row: Value = serde_json::from_str(&row).expect("a row");
            let reject = Reject {
                stream,
                reason,
                column,
                document: row["document"].as_str().expect("a document").to_owned(),
            };
            assert!(rejects.insert(id.clone(), reject).is_none(), "{id} was rejected twice");
        }
        rejects
    }
}

/// Rows of a table by id: the columns of its [`Kind`] as text.
struct Rows(BTreeMap<String, Vec<Option<String>>>);

impl Rows {
    /// Checks that a document's row says what the document says, digit by digit, but for some
    /// columns.
    #[track_caller]
    fn holds(&self, kind: &Kind, document: &Value, otherwise: Option<&BTreeMap<String, String>>) {
        let id = id_of(document);
        let row = self.0.get(id).unwrap_or_else(|| panic!("{id} is not in {}", kind.table));
        for ((column, property, form), found) in kind.columns.iter().zip(row) {
            let value = document.get(property).filter(|value| !value.is_null());
            if let Some(value) = otherwise.and_then(|columns| columns.get(*column)) {
                assert_eq!(found.as_ref(), Some(value), "{id}: {column}");
            } else if *form == Json {
                let found: Option<Value> = found.as_deref().map(|text| serde_json::from_str(text).expect("JSON"));
                assert_eq!(found.as_ref(), value, "{id}: {column}");
            } else {
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                assert_eq!(*found, value.map(text), "{id}: {column}");
            }
        }
    }
}

/// What the reject store says of a document.
struct Reject {
    stream: String,
    reason: String,
    column: String,
    document: String,
}

/// `tests/fixtures/nostria_traps.toml`.
#[derive(Deserialize)]
struct Details {
    rejected: BTreeMap<String, (String, String)>,
    moved: BTreeMap<String, BTreeMap<String, String>>,
    digits: BTreeMap<String, (String, String)>,
}

fn details() -> Details {
    toml::from_str(&text("tests/fixtures/nostria_traps.toml")).expect("details of the traps")
}
