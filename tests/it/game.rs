//! The shipped game project, run as its user would, on the sample: into SQLite and into Postgres.
//! Every trap that the sample's page lists ends as the page says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{Database, Ended, Project, copy, postgres_url, query, repository, text};

/// dbferry's namespace, written down a second time: a change would give every row a new id.
const NAMESPACE: Uuid = uuid::uuid!("fbceff3e-1ff2-46b3-bf3d-43f8241c5172");

/// Collection, stream and table; in the order of foreign keys.
const STREAMS: [(&str, &str); 4] = [
    ("users", "players"),
    ("matches", "games"),
    ("participants", "game_sessions"),
    ("user_stats", "player_stats"),
];

/// Columns that hold JSON.
const JSON: [&str; 4] = ["inventory", "achievements", "settings", "position"];

pub(crate) type Row = Vec<Option<String>>;

/// `tests/fixtures/game_traps.toml`.
#[derive(Deserialize)]
struct Details {
    rejected: BTreeMap<String, (String, String)>,
    moved: BTreeMap<String, BTreeMap<String, String>>,
    moved_into_sqlite: BTreeMap<String, BTreeMap<String, String>>,
    player: BTreeMap<String, String>,
}

/// A line of the sample's page.
struct Trap {
    collection: String,
    id: String,
    becomes: String,
}

enum Target {
    Sqlite(PathBuf),
    Postgres(Database),
}

/// The project in a folder of its own, and where it moves to.
pub(crate) struct Game {
    pub(crate) project: Project,
    environment: &'static str,
    target: Target,
}

fn details() -> Details {
    toml::from_str(&text("tests/fixtures/game_traps.toml")).expect("details of the traps")
}

/// The page's table of traps.
fn traps() -> Vec<Trap> {
    let traps: Vec<Trap> = text("mappings/game/sample/README.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [collection, id, _, becomes] = cells.as_slice() else {
                return None;
            };
            Some(Trap {
                collection: (*collection).to_owned(),
                id: id.strip_prefix('`')?.strip_suffix('`')?.to_owned(),
                becomes: (*becomes).to_owned(),
            })
        })
        .collect();
    assert_eq!(traps.len(), 84, "the page about the sample is read wrongly");
    traps
}

/// The UUID that a row of a collection gets.
pub(crate) fn uuid(collection: &str, id: &str) -> String {
    let namespace = Uuid::new_v5(&NAMESPACE, collection.as_bytes());
    Uuid::new_v5(&namespace, id.as_bytes()).to_string()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

impl Game {
    pub(crate) fn new(environment: &'static str) -> Self {
        let mut project = Project::new();
        copy(&repository("mappings/game"), &project.path("mappings/game"));
        let target = if environment == "embedded" {
            Target::Sqlite(project.path("game.db"))
        } else {
            // The program creates it.
            let database = Database::create();
            query(&postgres_url(), &format!("drop database {}", database.name));
            project.set("GAME_DATABASE_URL", &database.url);
            Target::Postgres(database)
        };
        let config = format!("config/{environment}.toml");
        project.write(&config, &text(&config));
        Self {
            project,
            environment,
            target,
        }
    }

    /// A game that has moved once, with its report.
    fn moved(environment: &'static str) -> (Self, Value) {
        let game = Self::new(environment);
        let report = game.run(&["run", "--apply-schema", "--output", "json"]).expect(4).json();
        (game, report)
    }

    fn both() -> [(Self, Value); 2] {
        ["embedded", "development"].map(Self::moved)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let (command, more) = args.split_at(if args[0] == "schema" { 2 } else { 1 });
        let args = [command, &["mappings/game", "--env", self.environment], more].concat();
        self.project.run(&args)
    }

    fn is_sqlite(&self) -> bool {
        matches!(self.target, Target::Sqlite(_))
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<Row> {
        match &self.target {
            Target::Postgres(database) => database.query(sql),
            Target::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).expect("an SQLite file");
                sqlite_query(&connection, sql)
            }
        }
    }

    /// A column of the row with this id as text; `None` where there is no such row.
    fn value(&self, table: &str, column: &str, id: &str) -> Option<Row> {
        let sql = format!("select cast({column} as text) from {table} where id = '{id}'");
        self.query(&sql).into_iter().next()
    }

    /// All rows of the target, by table and id, in a form that both targets can be compared in.
    pub(crate) fn rows(&self) -> BTreeMap<(String, String), Vec<String>> {
        let mut all = BTreeMap::new();
        for (_, table) in STREAMS {
            let columns = columns(table);
            let select: Vec<String> = columns.iter().map(|column| format!("cast({column} as text)")).collect();
            for row in self.query(&format!("select {} from {table}", select.join(", "))) {
                let id = row[0].clone().expect("an id");
                let values = columns.iter().zip(row).map(|(column, value)| comparable(column, value));
                all.insert((table.to_owned(), id), values.collect());
            }
        }
        all
    }

    /// Rejects that are not resolved: by stream and source key, the reason and all that is named.
    fn rejects(&self) -> BTreeMap<(String, String), (String, String)> {
        let table = if self.is_sqlite() {
            "dbferry_reject"
        } else {
            "dbferry.reject"
        };
        let sql =
            format!("select stream, source_key, reason, coalesce(column_name, ''), detail from {table} where resolved_at is null");
        let mut all = BTreeMap::new();
        for row in self.query(&sql) {
            let [stream, key, reason, column, detail] = row.map_all();
            let id = json(&key)[0]["text"].as_str().expect("a key of one text").to_owned();
            let before = all.insert((stream, id.clone()), (reason, format!("{column}: {detail}")));
            assert!(before.is_none(), "{id} was rejected twice");
        }
        all
    }
}

/// A row without NULLs.
trait Whole {
    fn map_all<const N: usize>(self) -> [String; N];
}

impl Whole for Row {
    fn map_all<const N: usize>(self) -> [String; N] {
        let values: Vec<String> = self.into_iter().map(|value| value.expect("no NULL")).collect();
        values.try_into().expect("as many columns")
    }
}

/// Rows of an SQLite query as text.
pub(crate) fn sqlite_query(connection: &rusqlite::Connection, sql: &str) -> Vec<Row> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8(bytes.to_vec()).expect("UTF-8")),
    };
    let rows = statement.query_map([], |row| (0..columns).map(|column| Ok(text(row.get_ref(column)?))).collect());
    rows.and_then(Iterator::collect)
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// All columns that the mapping fills, and those that are left to the target.
fn columns(table: &str) -> &'static [&'static str] {
    match table {
        "players" => &[
            "id",
            "username",
            "email",
            "password_hash",
            "skill_rating",
            "games_played",
            "wins",
            "losses",
            "draws",
            "total_score",
            "is_online",
            "last_seen",
            "region",
            "inventory",
            "achievements",
            "created_at",
            "updated_at",
        ],
        "games" => &[
            "id",
            "name",
            "game_mode",
            "max_players",
            "current_players",
            "status",
            "map_name",
            "host_id",
            "settings",
            "started_at",
            "finished_at",
            "created_at",
            "updated_at",
        ],
        "game_sessions" => &[
            "id",
            "game_id",
            "player_id",
            "position",
            "health",
            "score",
            "status",
            "joined_at",
            "left_at",
            "created_at",
            "updated_at",
        ],
        _ => &[
            "id",
            "player_id",
            "date",
            "games_played",
            "games_won",
            "total_score",
            "average_score",
            "playtime_minutes",
            "region",
            "created_at",
        ],
    }
}

/// Spellings in which the two databases differ, made one: JSON, booleans, ends of fractions.
fn comparable(column: &str, value: Option<String>) -> String {
    let Some(value) = value else {
        return "NULL".to_owned();
    };
    match column {
        column if JSON.contains(&column) => sorted(&json(&value)),
        "is_online" => value.replace("false", "0").replace("true", "1"),
        column if column.ends_with("_at") && value.contains('.') => value.trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => value,
    }
}

/// JSON with the keys of every object in alphabetical order and every digit as it is.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, String> = object.iter().map(|(key, value)| (key, sorted(value))).collect();
            format!("{sorted:?}")
        }
        Value::Array(array) => format!("{:?}", array.iter().map(sorted).collect::<Vec<_>>()),
        value => value.to_string(),
    }
}

#[track_caller]
fn check_values(game: &Game, trap: &Trap, table: &str, values: &BTreeMap<String, String>) {
    for (column, expected) in values {
        let found = game
            .value(table, column, &uuid(&trap.collection, &trap.id))
            .unwrap_or_else(|| panic!("{} is not in {table}", trap.id))
            .remove(0);
        let expected = Some(expected.clone()).filter(|expected| expected != "NULL");
        match (&expected, &found) {
            (Some(expected), Some(found)) if JSON.contains(&column.as_str()) && expected != found => {
                assert_eq!(sorted(&json(found)), sorted(&json(expected)), "{} {column}", trap.id);
            }
            _ => assert_eq!(found, expected, "{} {column}", trap.id),
        }
    }
}

#[test]
fn every_trap_ends_as_the_page_says() {
    let (traps, details) = (traps(), details());
    for (game, report) in Game::both() {
        let rejects = game.rejects();
        let mut expected = BTreeSet::new();
        for trap in &traps {
            let Some((_, table)) = STREAMS.iter().find(|(collection, _)| *collection == trap.collection) else {
                continue;
            };
            let key = ((*table).to_owned(), trap.id.clone());
            let kept = details.moved_into_sqlite.get(&trap.id).filter(|_| game.is_sqlite());
            if trap.becomes.starts_with("moved: ") || kept.is_some() {
                assert!(!rejects.contains_key(&key), "{}: {:?}", trap.id, rejects[&key]);
                let values = kept.or_else(|| details.moved.get(&trap.id));
                check_values(
                    &game,
                    trap,
                    table,
                    values.unwrap_or_else(|| panic!("no details of {}", trap.id)),
                );
            } else {
                assert!(trap.becomes.starts_with("rejected: "), "{}: {}", trap.id, trap.becomes);
                let (reason, names) = details
                    .rejected
                    .get(&trap.id)
                    .unwrap_or_else(|| panic!("no details of {}", trap.id));
                let (found, says) = rejects.get(&key).unwrap_or_else(|| panic!("{} was not rejected", trap.id));
                assert_eq!(found, reason, "{}: {says}", trap.id);
                assert!(says.contains(names), "{}: no `{names}` in `{says}`", trap.id);
                assert_eq!(
                    game.value(table, "id", &uuid(&trap.collection, &trap.id)),
                    None,
                    "{}",
                    trap.id
                );
                expected.insert(key);
            }
        }
        assert_eq!(
            rejects.keys().cloned().collect::<BTreeSet<_>>(),
            expected,
            "rejects that are no trap"
        );
        merged_traps(&game, &traps, &details);
        sums(&game, &report, rejects.len());
    }
}

/// Rows that have no target row of their own are found in their player, or nowhere.
fn merged_traps(game: &Game, traps: &[Trap], details: &Details) {
    for trap in traps {
        let Some(player) = details.player.get(&trap.id) else {
            let known = trap.collection == "showcase" || STREAMS.iter().any(|(collection, _)| *collection == trap.collection);
            assert!(known, "no details of {}", trap.id);
            continue;
        };
        let found = game.value("players", "username", &uuid("users", player)).is_some();
        let expected = match trap.becomes.as_str() {
            "its player is rejected" => game.is_sqlite() && details.moved_into_sqlite.contains_key(player),
            becomes => becomes.starts_with("moved: "),
        };
        assert_eq!(found, expected, "{}: {}", trap.id, trap.becomes);
    }
}

/// Read = inserted + updated + skipped + rejected + filtered, for the source's own count.
fn sums(game: &Game, report: &Value, rejects: usize) {
    let source = rusqlite::Connection::open(game.project.path("mappings/game/sample/pb_data/data.db")).expect("the sample");
    let streams = report["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), STREAMS.len(), "{report}");
    let mut rejected = 0;
    for stream in streams {
        let figure = |name: &str| stream[name].as_u64().unwrap_or_else(|| panic!("no {name} in {stream}"));
        let name = stream["name"].as_str().expect("a name");
        let (collection, table) = STREAMS
            .iter()
            .find(|(_, table)| *table == name)
            .expect("a stream of the project");
        let all = sqlite_query(&source, &format!("select count(*) from {collection}"));
        let [all] = all.into_iter().next().expect("a row").map_all();
        assert_eq!(figure("read").to_string(), all, "{name}");
        let sum = ["inserted", "updated", "skipped", "rejected", "filtered"]
            .map(figure)
            .iter()
            .sum::<u64>();
        assert_eq!(figure("read"), sum, "{stream}");
        let [there] = game.query(&format!("select cast(count(*) as text) from {table}"))[0]
            .clone()
            .map_all();
        assert_eq!(figure("inserted").to_string(), there, "{name}");
        rejected += figure("rejected");
    }
    assert_eq!(usize::try_from(rejected).expect("a few"), rejects, "{report}");
}

#[test]
fn both_targets_hold_the_same_rows() {
    let [(sqlite, _), (postgres, _)] = Game::both();
    let (mut in_sqlite, in_postgres) = (sqlite.rows(), postgres.rows());
    let traps = traps();
    for id in details().moved_into_sqlite.keys() {
        let trap = traps.iter().find(|trap| trap.id == *id).expect("a trap of the page");
        let (collection, table) = STREAMS
            .iter()
            .find(|(collection, _)| *collection == trap.collection)
            .expect("a stream");
        let removed = in_sqlite.remove(&((*table).to_owned(), uuid(collection, id)));
        assert!(removed.is_some(), "{id} is not in SQLite");
    }
    assert_eq!(in_sqlite.len(), in_postgres.len());
    for (key, row) in &in_postgres {
        assert_eq!(in_sqlite.get(key), Some(row), "{key:?}");
    }
}

/// The source's own SQL says what the good rows have to be; nothing of dbferry is asked.
#[test]
fn good_rows_hold_what_the_source_holds() {
    let (game, _) = Game::moved("embedded");
    let connection = rusqlite::Connection::open(game.project.path("game.db")).expect("the target");
    let source = game.project.path("mappings/game/sample/pb_data/data.db");
    connection
        .execute("attach ? as source", [source.to_str().expect("a path")])
        .expect("the sample");
    // Rows are paired by what is unique beside the id; each query counts pairs, and those that differ.
    for (good, sql) in [
        (
            200,
            "select count(*), count(*) filter (where
                p.email is not u.email or p.password_hash is not u.password or p.games_played is not u.total_games_played
                or p.wins is not u.total_wins or p.losses is not u.total_games_played - u.total_wins or p.draws is not 0
                or p.total_score is not u.total_score or p.created_at is not replace(rtrim(u.created, 'Z'), '.000', '')
                or p.updated_at is not replace(rtrim(u.updated, 'Z'), '.000', '')
                or p.skill_rating is not printf('%.2f', 1200 + 0.5 * u.total_wins - 0.25 * (u.total_games_played - u.total_wins)
                    + max(0, 101 - coalesce((select rank from source.leaderboard l where l.user_id = u.id), 101)))
                or json_array_length(p.inventory) is not (select count(*) from source.inventory i where i.user_id = u.id)
                or (select coalesce(group_concat(value ->> '$.item_id' || (value ->> '$.quantity') || (value -> '$.metadata')), '')
                        from json_each(p.inventory))
                    is not (select coalesce(group_concat(item_id || quantity || coalesce(json(metadata), 'null') order by id), '')
                        from source.inventory i where i.user_id = u.id)
                or (select coalesce(group_concat(value ->> '$.achievement_id' || (value ->> '$.progress') || coalesce(value ->> '$.unlocked_at', '')), '')
                        from json_each(p.achievements))
                    is not (select coalesce(group_concat(achievement_id || progress || unlocked_at order by id), '')
                        from source.achievements a where a.user_id = u.id))
             from source.users u join players p on p.username = u.username where u.id not like 'trap%' and u.id not like 'Player%'",
        ),
        (
            120,
            "select count(*), count(*) filter (where
                g.game_mode is not m.game_mode or g.max_players is not m.max_players or g.status is not m.status
                or g.map_name is not m.map_name or g.settings is not m.settings or g.current_players is not null
                or g.started_at is not replace(rtrim(nullif(m.start_time, ''), 'Z'), '.000', '') or g.finished_at is not replace(rtrim(nullif(m.end_time, ''), 'Z'), '.000', ''))
             from source.matches m join games g on g.name = m.room_id where m.id not like 'trap%'",
        ),
        (
            600,
            "select count(*), count(*) filter (where
                s.position is not cast(q.position as text) or s.score is not q.score or s.health is not null
                or s.status is not iif(q.left_at = '', 'active', 'left')
                or s.joined_at is not replace(rtrim(q.joined_at, 'Z'), '.000', '') or s.left_at is not replace(rtrim(nullif(q.left_at, ''), 'Z'), '.000', ''))
             from source.participants q join source.matches m on m.id = q.match_id join source.users u on u.id = q.user_id
             join games g on g.name = m.room_id join players p on p.username = u.username
             join game_sessions s on s.game_id = g.id and s.player_id = p.id where q.id not like 'trap%'",
        ),
        (
            500,
            "select count(*), count(*) filter (where
                s.games_played is not d.games_played or s.games_won is not d.games_won or s.total_score is not d.total_score
                or s.average_score is not iif(d.games_played = 0, null, printf('%.2f', 1.0 * d.total_score / d.games_played))
                or s.playtime_minutes is not d.playtime_minutes or s.region is not nullif(d.region, ''))
             from source.user_stats d join source.users u on u.id = d.user_id join players p on p.username = u.username
             join player_stats s on s.player_id = p.id and s.date = substr(d.date, 1, 10) where d.id not like 'trap%'",
        ),
    ] {
        let [pairs, different] = sqlite_query(&connection, sql).remove(0).map_all();
        assert_eq!((pairs, different), (good.to_string(), "0".to_owned()), "{sql}");
    }
}

#[test]
fn a_second_run_changes_nothing_nor_does_a_new_beginning() {
    for (game, first) in Game::both() {
        let (rows, rejects) = (game.rows(), game.rejects());
        game.run(&["run"]).expect(4);
        assert_eq!((&game.rows(), &game.rejects()), (&rows, &rejects));
        let again = game.run(&["run", "--restart", "--output", "json"]).expect(4).json();
        assert_eq!((&game.rows(), &game.rejects()), (&rows, &rejects));
        let streams = |report: &Value| report["streams"].as_array().expect("streams").clone();
        for (before, now) in streams(&first).iter().zip(&streams(&again)) {
            assert_eq!(
                (&now["inserted"], &now["updated"]),
                (&Value::from(0), &Value::from(0)),
                "{now}"
            );
            assert_eq!(
                (&now["skipped"], &now["rejected"]),
                (&before["inserted"], &before["rejected"]),
                "{now}"
            );
        }
    }
}

#[test]
fn the_tables_go_and_come_back() {
    for (game, _) in Game::both() {
        let (rows, rejects) = (game.rows(), game.rejects());
        game.run(&["schema", "revert", "--to", "0", "--yes"]).expect(0);
        let left = game.run(&["schema", "status", "--output", "json"]).expect(0).json();
        let migrations = left["migrations"].as_array().expect("migrations");
        assert!(migrations.iter().all(|migration| migration["state"] == "pending"), "{left}");
        game.run(&["plan"]).expect(3).says("--apply-schema");
        let again = game
            .run(&["run", "--apply-schema", "--restart", "--output", "json"])
            .expect(4)
            .json();
        sums(&game, &again, rejects.len());
        assert_eq!(game.rows(), rows);
    }
}
