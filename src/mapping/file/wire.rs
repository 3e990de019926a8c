//! Wire forms of `project.toml` and stream files. What they say of every key is what the JSON
//! Schemas say.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::backfill::BackfillEntry;
use super::fields::{DocumentEntry, FieldEntry};
use super::key::KeyEntry;
use crate::data::document::Marked;
use crate::data::keyed::{Collision, KeyType, Moments};
use crate::data::stream::{Consistency, DeferIndexes, OnConflict, Triggers};

/// A project of dbferry, `mappings/<project>/project.toml`: what its streams read and write.
/// The streams themselves are in the other TOML files of the folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dbferry project")]
pub(super) struct ProjectFile {
    /// Name of the project: `name = "game"`. It is kept with every checkpoint in the target, so
    /// that another name begins everything anew.
    #[schemars(required, example = &"game")]
    pub(super) name: Option<Marked<String>>,
    /// Connections that streams read from, as named in the configuration:
    /// `sources = ["pocketbase"]`.
    #[schemars(required, example = ["pocketbase"])]
    pub(super) sources: Option<Marked<Vec<Marked<String>>>>,
    /// Connections that streams write to: `sinks = ["game"]`.
    #[schemars(required, example = ["game"])]
    pub(super) sinks: Option<Marked<Vec<Marked<String>>>>,
    /// How many rows may be refused before a run stops; it stops at one more. Goes before the
    /// limit of the configuration, and behind `--max-rejects`: `max_rejects = 100`.
    #[schemars(example = 100)]
    pub(super) max_rejects: Option<u64>,
    /// Names of the subjects, such as users, whose rows can be asked for alone:
    /// `subjects = ["user"]`. Every stream says with its own `subject` how its rows belong to
    /// one, and the plan names those that do not.
    #[serde(default)]
    #[schemars(example = ["user"])]
    pub(super) subjects: Vec<Marked<String>>,
    /// Tables and columns of the sources that no stream is meant to move, with reasons.
    #[serde(default)]
    pub(super) ignore: IgnoreEntry,
}

/// Tables and columns of the sources that no stream is meant to move, with reasons: the plan does
/// not warn of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with the headers [ignore.tables] and [ignore.columns]"
)]
pub(super) struct IgnoreEntry {
    /// Table = reason, the name in quotes: `[ignore.tables]`,
    /// `"app.audit_log" = "stays with the old application"`.
    #[serde(default)]
    #[schemars(example = one_pair("app.audit_log", "stays with the old application"))]
    pub(super) tables: BTreeMap<Marked<String>, Marked<String>>,
    /// Column = reason, the name in quotes: `[ignore.columns]`,
    /// `"app.users.legacy_id" = "nothing refers to it any more"`.
    #[serde(default)]
    #[schemars(example = one_pair("app.users.legacy_id", "nothing refers to it any more"))]
    pub(super) columns: BTreeMap<Marked<String>, Marked<String>>,
}

/// Streams of a dbferry project, `mappings/<project>/<any name>.toml`: one file per stream, or a
/// few together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dbferry mapping")]
pub(super) struct StreamsFile {
    /// One named flow from a table or query to a target table: `[[stream]]`.
    #[serde(default)]
    pub(super) stream: Vec<Marked<StreamEntry>>,
    /// New values for columns of rows where they are, from expressions over the same row:
    /// `[[backfill]]`. `dbferry backfill` carries it out, and no other command.
    #[serde(default)]
    pub(super) backfill: Vec<Marked<BackfillEntry>>,
}

/// One named flow from a table or query to a target table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with the header [[stream]]")]
#[schemars(transform = from_or_query)]
pub(super) struct StreamEntry {
    /// Name, unique within the project: `name = "players"`. It is kept with the checkpoint, so
    /// that another name begins the stream anew.
    #[schemars(required, example = &"players")]
    pub(super) name: Option<Marked<String>>,
    /// Table, view or collection that is read, `connection.table` or `connection.schema.table`:
    /// `from = "pocketbase.users"`. A part with a dot or a space in it is quoted:
    /// `from = 'old."user table"'`.
    #[schemars(example = &"pocketbase.users")]
    pub(super) from: Option<Marked<String>>,
    /// Instead of `from`: a query that the source runs, `[stream.query]`.
    pub(super) query: Option<Marked<QueryEntry>>,
    /// Table that is written, `connection.table` or `connection.schema.table`:
    /// `to = "game.players"`. Where keys are written, the connection alone: `to = "redis"`.
    #[schemars(required, example = &"game.players")]
    pub(super) to: Option<Marked<String>>,
    /// Columns of the target that tell its rows apart: `key = ["id"]`. Where keys are written, how
    /// they are called, as a text in which a column of `columns` in braces stands for its value:
    /// `key = "user:{id}:profile"`. Braces as such, for hash tags, are written twice.
    #[schemars(required, example = ["id"], example = &"user:{id}:profile")]
    pub(super) key: Option<Marked<KeyEntry>>,
    /// What a key holds: `type = "hash"`. Needed where keys are written.
    #[schemars(example = &"hash")]
    pub(super) r#type: Option<Marked<KeyType>>,
    /// Columns of `columns` whose values a key holds: `value = ["username", "level"]`. The default
    /// is every column that is not in `key`, `score` or `expires_at`. A string, counter, set, sorted
    /// set or list holds exactly one.
    #[schemars(example = ["username", "level"])]
    pub(super) value: Option<Marked<Vec<Marked<String>>>>,
    /// Column with the score of a member, of a sorted set: `score = "score"`.
    #[schemars(example = &"score")]
    pub(super) score: Option<Marked<String>>,
    /// How long a key lives after it was written, as one whole number of milliseconds (`ms`),
    /// seconds (`s`), minutes (`m`), hours (`h`) or days (`d`): `ttl = "24h"`. Without it, and
    /// without `expires_at`, it stays.
    #[schemars(example = &"24h", regex(pattern = r"^[0-9]+(ms|s|m|h|d)$"))]
    pub(super) ttl: Option<Marked<String>>,
    /// Instead of `ttl`: column with the moment at which a key, or a row of a CQL table, expires. A
    /// row whose moment has passed is counted as expired and not written:
    /// `expires_at = "expires_at"`.
    #[schemars(example = &"expires_at")]
    pub(super) expires_at: Option<Marked<String>>,
    /// How moments are written into keys and their values: `moments = "unix_seconds"`. The default
    /// is "rfc3339".
    #[schemars(example = &"unix_seconds")]
    pub(super) moments: Option<Marked<Moments>>,
    /// What happens to a row whose key (in a set: key and member) another row of the source has
    /// already: `on_collision = "later_wins"`. The default is "reject".
    #[schemars(example = &"later_wins")]
    pub(super) on_collision: Option<Marked<Collision>>,
    /// Columns of the source by which its rows are read in order, so that a stopped run goes on
    /// where it was: `source_key = ["id"]`. A table's own primary key is found without it; a
    /// query without it is moved as a whole, from its beginning.
    #[schemars(example = ["id"])]
    pub(super) source_key: Option<Marked<Vec<Marked<String>>>>,
    /// What happens to a row whose key the target already has: `on_conflict = "update"`. The
    /// default is "error".
    #[serde(default)]
    pub(super) on_conflict: OnConflict,
    /// Whether the target's own row triggers fire: `triggers = "on"`. The default is "off".
    #[schemars(extend("default" = "off"))]
    pub(super) triggers: Option<Marked<Triggers>>,
    /// How many replicas have to answer before a row counts as written, of a CQL table:
    /// `consistency = "quorum"`. Without it, most of the datacenter that is asked.
    #[schemars(extend("default" = "local_quorum"))]
    pub(super) consistency: Option<Marked<Consistency>>,
    /// Whether what a run writes of the stream leaves an undo log beside it, so that `dbferry rollback`
    /// can take the run back: `undo = true`. The default is false.
    #[schemars(example = true)]
    pub(super) undo: Option<Marked<bool>>,
    /// Whether indexes and keys of an empty table are taken away while it is loaded, and built again
    /// afterwards, which is faster: `defer_indexes = "never"`. The default is "auto": where many rows
    /// are expected and nothing else writes the table. Of Postgres tables alone.
    #[schemars(extend("default" = "auto"))]
    pub(super) defer_indexes: Option<Marked<DeferIndexes>>,
    /// Streams that must be complete before this one, beside those that foreign keys of the
    /// target demand: `after = ["players"]`.
    #[serde(default)]
    #[schemars(example = ["players"])]
    pub(super) after: Vec<Marked<String>>,
    /// SQL condition over source columns; rows for which it is not true are left out and counted
    /// as filtered: `where = "verified and level > 0"`.
    #[schemars(example = &"verified and level > 0")]
    pub(super) r#where: Option<Marked<String>>,
    /// Target columns that `columns` does not mention take the source column of the same name,
    /// where there is one: `same_name_columns = true`. The default is false.
    #[schemars(example = true)]
    pub(super) same_name_columns: Option<Marked<bool>>,
    /// Target columns whose values may lose fraction digits, which are then rounded; elsewhere a
    /// row that would lose some is a reject: `allow_precision_loss = ["created_at"]`.
    #[serde(default)]
    #[schemars(example = ["created_at"])]
    pub(super) allow_precision_loss: Vec<Marked<String>>,
    /// Target columns whose values are never shown, such as those that tell who somebody is: a report
    /// of `dbferry verify` says that they differ, not what they hold: `pii = ["email"]`.
    #[serde(default)]
    #[schemars(example = ["email"])]
    pub(super) pii: Vec<Marked<String>>,
    /// Named SQL conditions over source columns; a row that breaks one is a reject that names it
    /// (NULL breaks none): `rules = { positive_score = "score >= 0" }`.
    #[serde(default)]
    #[schemars(example = one_pair("positive_score", "score >= 0"))]
    pub(super) rules: BTreeMap<Marked<String>, Marked<String>>,
    /// How the rows of one subject are found, as a condition over source columns in which `$key`
    /// stands for the key that the user gives: `subject = { user = "id = $key" }`.
    #[serde(default)]
    #[schemars(example = one_pair("user", "id = $key"))]
    pub(super) subject: BTreeMap<Marked<String>, Marked<String>>,
    /// Source columns that this stream leaves out on purpose, each with the reason:
    /// `ignore = { bio = "belongs to the profile" }`.
    #[serde(default)]
    #[schemars(example = one_pair("bio", "belongs to the profile"))]
    pub(super) ignore: BTreeMap<Marked<String>, Marked<String>>,
    /// Which documents are taken, where the source's rows are documents of several kinds, and the
    /// column that they are in: `document = { path = "/type", is = ["account"] }`.
    pub(super) document: Option<Marked<DocumentEntry>>,
    /// Values of the documents that become source columns, each with its path and type:
    /// `fields = { created = { path = "/created", type = "bigint", required = true } }`.
    #[serde(default)]
    pub(super) fields: BTreeMap<Marked<String>, Marked<FieldEntry>>,
    /// Types that source columns are read as, where the source's own is not meant:
    /// `types = { total_score = "bigint" }`. A type is written as in PostgreSQL: `boolean`,
    /// `smallint`, `integer`, `bigint`, `real`, `double precision`, `numeric(7,2)`, `text`,
    /// `varchar(50)`, `bytea`, `date`, `time`, `timestamp(3)`, `timestamptz`, `interval`, `uuid`,
    /// `json`, `jsonb`, and `[]` behind any of them.
    #[serde(default)]
    #[schemars(example = one_pair("total_score", "bigint"))]
    pub(super) types: BTreeMap<Marked<String>, Marked<String>>,
    /// Target column = SQL expression over source columns: `columns = { email = "lower(email)" }`.
    /// The expression must give the same value for the same row, always.
    #[serde(default)]
    #[schemars(example = one_pair("email", "lower(email)"))]
    pub(super) columns: BTreeMap<Marked<String>, Marked<String>>,
}

/// A query that the source runs in its own SQL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with the header [stream.query]")]
pub(super) struct QueryEntry {
    /// Connection that runs it: `connection = "pocketbase"`.
    #[schemars(required, example = &"pocketbase")]
    pub(super) connection: Option<Marked<String>>,
    /// One read-only statement; joins and aggregations belong here:
    /// `sql = "select user_id, sum(score) as score from leaderboard group by user_id"`.
    #[schemars(required, example = &"select user_id, sum(score) as score from leaderboard group by user_id")]
    pub(super) sql: Option<Marked<String>>,
}

pub(super) fn one_pair(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

fn from_or_query(schema: &mut schemars::Schema) {
    schema.insert(
        "oneOf".to_owned(),
        serde_json::json!([{ "required": ["from"] }, { "required": ["query"] }]),
    );
}
