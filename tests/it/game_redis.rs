//! The shipped game project with Redis beside its database: every key is what the sample's own SQL
//! says, on one server and on a cluster.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde_json::Value;

use crate::game::{Game, sqlite_query, uuid};
use crate::harness::text;
use crate::redis::cluster::Cluster;
use crate::redis::dump::{Content, Dump, Held, assert_same};
use crate::redis::server::Server;

/// Streams that write keys.
const STREAMS: [&str; 6] = [
    "game_states",
    "leaderboard",
    "matchmaking",
    "profiles",
    "rate_limits",
    "sessions",
];

/// Users whose figures are no whole numbers.
const NO_NUMBERS: &str = "'trapnumreal0125', 'trapnumnan00001', 'trapnumabc00001', 'trapnumempty001'";

/// Of tests that may take long themselves: the minute of a rate limit would be over.
const RATE_LIMIT_MINUTES: i64 = 120;

/// How much of its time to live a key may have lost when it is looked at.
const MINUTES_LOST_MAX: i64 = 3;

/// The game, into Postgres and into Redis, before anything is moved. One running game ends in a day.
fn game(url: &str) -> Game {
    let mut game = Game::new("development");
    game.project.set("REDIS_URL", url);
    let path = "mappings/game/rate_limits.toml";
    let shipped = game.project.text(path);
    let longer = shipped.replace("ttl = \"1m\"", &format!("ttl = \"{RATE_LIMIT_MINUTES}m\""));
    assert_ne!(shipped, longer);
    game.project.write(path, &longer);
    game.project.sqlite(
        "mappings/game/sample/pb_data/data.db",
        "update matches set start_time = strftime('%Y-%m-%d %H:%M:00.000Z', 'now')
         where id = (select min(id) from matches where status = 'in_progress' and id not like 'trap%')",
    );
    game
}

fn sample(game: &Game, file: &str) -> Connection {
    Connection::open(game.project.path(&format!("mappings/game/sample/{file}"))).expect("the sample")
}

/// A value as it stands within a key.
fn encoded(value: &str) -> String {
    value.replace('%', "%25").replace('{', "%7B").replace('}', "%7D")
}

/// Fields that have a value.
fn fields(fields: &[(&str, Option<String>)]) -> Content {
    let given: Vec<(&str, &str)> = fields
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
        .collect();
    Content::fields(&given)
}

fn held(kind: &str, content: Content, minutes: Option<i64>) -> Held {
    Held {
        kind: kind.to_owned(),
        content,
        minutes,
    }
}

/// What the sample's own SQL says of all keys; `user` tells whose.
fn expected(game: &Game, user: &str) -> Dump {
    let (pocketbase, live) = (sample(game, "pb_data/data.db"), sample(game, "live.db"));
    let mut keys = profiles(&pocketbase, user);
    keys.extend(leaderboards(&pocketbase, user));
    keys.extend(game_states(&pocketbase, user));
    keys.extend(sessions(&live, user));
    if user == "%" {
        keys.extend(rate_limits(&live));
        keys.insert(b"matchmaking:queue".to_vec(), queue(&live));
    }
    keys
}

fn profiles(source: &Connection, user: &str) -> Dump {
    let sql = format!(
        "select id, nullif(username, ''), nullif(display_name, ''), cast(level as text),
            '{{\"games_played\":' || total_games_played || ',\"wins\":' || total_wins
            || ',\"total_score\":' || cast(total_score as integer) || ',\"xp\":' || xp || '}}'
         from users where id not in ({NO_NUMBERS}) and id like '{user}'"
    );
    let rows = sqlite_query(source, &sql).into_iter().map(|row| {
        let [id, username, display_name, level, stats] = row.try_into().expect("five columns");
        let content = fields(&[
            ("username", username),
            ("display_name", display_name),
            ("level", level),
            ("stats", stats),
        ]);
        let key = format!("user:{}:profile", uuid("users", &id.expect("an id")));
        (key.into_bytes(), held("hash", content, Some(60)))
    });
    rows.collect()
}

fn leaderboards(source: &Connection, user: &str) -> Dump {
    let sql = format!(
        "select season, user_id, score from leaderboard as l where id not in ('trapboardbig001', 'trapboardtwin03')
         and exists (select 1 from users where id = l.user_id) and user_id like '{user}'"
    );
    let mut seasons: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for row in sqlite_query(source, &sql) {
        let [season, player, score] = row.map(|value| value.expect("no NULL"));
        let score = score.parse().expect("a whole number");
        seasons.entry(season).or_default().push((score, uuid("users", &player)));
    }
    let keys = seasons.into_iter().map(|(season, mut players)| {
        players.sort();
        let scores = players
            .into_iter()
            .map(|(score, player)| (player.into_bytes(), score.to_string()));
        let key = format!("leaderboard:{season}:top");
        (key.into_bytes(), held("zset", Content::Scores(scores.collect()), Some(5)))
    });
    keys.collect()
}

fn game_states(source: &Connection, user: &str) -> Dump {
    let sql = format!(
        "select id, (select cast(count(*) as text) from participants where match_id = m.id and left_at = ''), status, settings,
            (unixepoch(nullif(start_time, ''), '+1 day') - unixepoch('now')) / 60 + 1
         from matches as m
         where status not in ('finished', 'cancelled') and id not in ('trapjsonbad0001', 'trapjsonscalar3', 'trapdatebad0001')
         and (start_time = '' or unixepoch(start_time, '+1 day') > unixepoch('now'))
         and ('{user}' = '%' or id in (select match_id from participants where user_id = '{user}'))"
    );
    let rows = sqlite_query(source, &sql).into_iter().map(|row| {
        let [id, current_players, status, settings, minutes] = row.try_into().expect("five columns");
        let content = fields(&[
            ("current_players", current_players),
            ("status", status),
            ("settings", settings),
        ]);
        let key = format!("game:{}:state", uuid("matches", &id.expect("an id")));
        (
            key.into_bytes(),
            held("hash", content, minutes.map(|minutes| minutes.parse().expect("a number"))),
        )
    });
    rows.collect()
}

fn sessions(source: &Connection, user: &str) -> Dump {
    let sql = format!(
        "select token, nullif(user_id, ''), replace(replace(coalesce(expires_at, '2099-05-05 08:00:00.000Z'), ' ', 'T'), '.000Z', 'Z'),
            metadata, (unixepoch(coalesce(expires_at, '2099-05-05 08:00:00.000Z')) - unixepoch('now')) / 60 + 1
         from sessions where token not in ('trap_expired', 'trap_day_over', 'trap_no_json', 'trap_no_moment') and user_id like '{user}'"
    );
    let rows = sqlite_query(source, &sql).into_iter().map(|row| {
        let [token, user, expires_at, metadata, minutes] = row.try_into().expect("five columns");
        let user = user.map(|user| uuid("users", &user));
        let content = fields(&[("user_id", user), ("expires_at", expires_at), ("metadata", metadata)]);
        let key = format!("session:{}", encoded(&token.expect("a token")));
        let minutes = minutes.map(|minutes| minutes.parse().expect("a number"));
        (key.into_bytes(), held("hash", content, minutes))
    });
    rows.collect()
}

fn rate_limits(source: &Connection) -> Dump {
    let sql = "select ip, action, hits from rate_limits where typeof(hits) = 'integer' and ip <> 'fe80::1:2'";
    let rows = sqlite_query(source, sql).into_iter().map(|row| {
        let [ip, action, hits] = row.map(|value| value.expect("no NULL"));
        let key = format!("ratelimit:{ip}:{}", encoded(&action));
        (
            key.into_bytes(),
            held("string", Content::bytes(&hits), Some(RATE_LIMIT_MINUTES)),
        )
    });
    rows.collect()
}

fn queue(source: &Connection) -> Held {
    let sql = "select id, user_id, game_mode, coalesce(rating, 'null'), replace(replace(queued_at, ' ', 'T'), '.000Z', 'Z')
               from matchmaking_tickets where id <> 17002 order by id";
    let rows = sqlite_query(source, sql).into_iter().map(|row| {
        let [id, player, mode, rating, queued_at] = row.map(|value| value.expect("no NULL"));
        let player = uuid("users", &player);
        format!(r#"{{"ticket":{id},"player":"{player}","mode":"{mode}","rating":{rating},"queued_at":"{queued_at}"}}"#).into_bytes()
    });
    held("list", Content::Elements(rows.collect()), None)
}

/// As many values as there are columns.
trait Columns {
    fn map<const N: usize>(self, each: impl Fn(Option<String>) -> String) -> [String; N];
}

impl Columns for Vec<Option<String>> {
    fn map<const N: usize>(self, each: impl Fn(Option<String>) -> String) -> [String; N] {
        let values: Vec<String> = self.into_iter().map(each).collect();
        values.try_into().expect("as many columns")
    }
}

/// Some of their time to live may be over.
#[track_caller]
fn check(mut found: Dump, expected: &Dump) {
    for (key, held) in &mut found {
        if let (Some(left), Some(whole)) = (held.minutes, expected.get(key).and_then(|held| held.minutes))
            && (0..=MINUTES_LOST_MAX).contains(&(whole - left))
        {
            held.minutes = Some(whole);
        }
    }
    assert_same(&found, expected);
}

/// Of a stream: inserted, updated, skipped, expired and rejected.
fn figures(report: &Value, stream: &str) -> [u64; 5] {
    let streams = report["streams"].as_array().expect("streams");
    let found = streams.iter().find(|found| found["name"] == stream);
    let found = found.unwrap_or_else(|| panic!("no {stream} in {report}"));
    ["inserted", "updated", "skipped", "expired", "rejected"].map(|name| {
        found[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} of {stream} in {report}"))
    })
}

/// Moves everything, again, and anew; what is there stays what the sample says.
fn moves(game: &Game, dump: impl Fn() -> Dump) {
    let report = game.run(&["run", "--apply-schema", "--output", "json"]).expect(4).json();
    let expected = expected(game, "%");
    check(dump(), &expected);
    let numbers: Vec<_> = STREAMS.iter().map(|stream| figures(&report, stream)).collect();
    assert_eq!(
        numbers,
        [
            [58, 0, 0, 22, 0],
            [206, 0, 0, 0, 2],
            [46, 0, 0, 0, 1],
            [222, 0, 0, 0, 4],
            [35, 0, 0, 0, 3],
            [67, 0, 0, 2, 2]
        ],
        "{report}"
    );
    assert_eq!(
        reasons(&report),
        [
            ("leaderboard", "key_collision"),
            ("leaderboard", "out_of_range"),
            ("matchmaking", "unreadable"),
            ("profiles", "inexact"),
            ("profiles", "unreadable"),
            ("rate_limits", "key_collision"),
            ("rate_limits", "null_value"),
            ("rate_limits", "unreadable"),
            ("sessions", "json"),
            ("sessions", "unreadable"),
        ]
        .map(|(stream, reason)| (stream.to_owned(), reason.to_owned()))
        .into()
    );

    is_equal(game, &["--only", &STREAMS.join(",")], STREAMS.len());
    let rows = game.rows();
    game.run(&["run"]).expect(4);
    check(dump(), &expected);
    is_equal(game, &["--only", &STREAMS.join(",")], STREAMS.len());
    let again = game.run(&["run", "--restart", "--output", "json"]).expect(4).json();
    check(dump(), &expected);
    assert!(game.rows() == rows, "the database has not changed");
    for stream in STREAMS {
        let [inserted, updated, skipped, expired, rejected] = figures(&again, stream);
        let before = figures(&report, stream);
        assert_eq!((expired, rejected), (before[3], before[4]), "{stream}");
        // A list is made anew and takes the place of the one before.
        if stream != "matchmaking" {
            assert_eq!([inserted, updated, skipped], [0, 0, before[0]], "{stream}");
        }
    }
}

/// A verification finds no difference in any of so many streams.
#[track_caller]
fn is_equal(game: &Game, more: &[&str], streams: usize) {
    let report = game.run(&[&["verify", "--output", "json"], more].concat()).expect(0).json();
    assert_eq!(report["status"], "equal", "{report:#}");
    assert_eq!(report["streams"].as_array().expect("streams").len(), streams, "{report:#}");
}

/// Stream and reason of all rejects of streams that write keys.
fn reasons(report: &Value) -> BTreeSet<(String, String)> {
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let streams = report["streams"].as_array().expect("streams").iter();
    let streams = streams.filter(|stream| STREAMS.iter().any(|name| stream["name"] == **name));
    streams
        .flat_map(|stream| {
            let reasons = stream["reasons"].as_array().expect("reasons").iter();
            reasons.map(|reason| (word(&stream["name"]), word(&reason["reason"])))
        })
        .collect()
}

#[test]
fn the_game_moves_into_postgres_and_a_redis_server() {
    let server = Server::start(&[]);
    moves(&game(&server.url()), || server.dump());
}

#[test]
fn the_game_moves_into_postgres_and_a_redis_cluster() {
    let cluster = Cluster::start(false);
    moves(&game(&cluster.url()), || cluster.dump());
}

#[test]
fn one_users_keys_move_alone() {
    let server = Server::start(&[]);
    let game = game(&server.url());
    game.run(&["schema", "apply"]).expect(0);
    for user in ["trapplayer00001", "trapnamecomb001"] {
        server.query::<String>(&["SET", "session:another", "stays"]);
        let wanted = format!("user={user}");
        game.run(&["run", "--for", &wanted, "--dry-run"]);
        assert_eq!(server.dump().len(), 1, "a dry run writes nothing");
        let report = game.run(&["run", "--for", &wanted, "--output", "json"]).json();
        assert_eq!(report["for"]["key"], user, "{report}");
        let mut found = server.dump();
        assert!(found.remove(&b"session:another"[..]).is_some());
        let expected = expected(&game, user);
        assert!(expected.len() > 1, "a user with keys");
        check(found, &expected);
        is_equal(&game, &["--for", &wanted, "--only", "profiles,leaderboard,sessions"], 3);
        for key in expected.keys() {
            server.query::<()>(&[&b"DEL"[..], key]);
        }
    }
}

#[test]
fn without_redis_its_streams_are_left_out_and_the_plan_stays_clean() {
    for environment in ["embedded", "development"] {
        let game = Game::new(environment);
        game.run(&["schema", "apply"]).expect(0);
        let plan = game.run(&["plan", "--strict", "--count"]);
        plan.expect(0);
        assert!(plan.stderr.is_empty(), "{}", plan.stderr);
        let run = game.run(&["run"]);
        run.expect(4);
        for stream in STREAMS {
            assert!(
                plan.stdout
                    .lines()
                    .any(|line| line.starts_with("left out") && line.ends_with(stream)),
                "{}",
                plan.stdout
            );
            run.says(&format!("`{stream}`"));
        }
    }
}

#[test]
fn with_redis_the_plan_covers_everything() {
    let server = Server::start(&[]);
    let mut game = Game::new("development");
    game.project.set("REDIS_URL", &server.url());
    game.run(&["schema", "apply"]).expect(0);
    let plan = game.run(&["plan", "--strict", "--count"]);
    plan.expect(0);
    assert!(plan.stderr.is_empty(), "{}", plan.stderr);
    for (key, expiry) in [
        ("user:{id}:profile", "expires after 1h"),
        ("leaderboard:{season}:top", "expires after 5m"),
        ("game:{id}:state", "expires at `expires_at`"),
        ("session:{token}", "expires at `expires_at`"),
        ("ratelimit:{ip}:{action}", "expires after 1m"),
        ("matchmaking:queue", "matchmaking"),
    ] {
        assert!(plan.stdout.contains(key), "{key} in\n{}", plan.stdout);
        assert!(plan.stdout.contains(expiry), "{expiry} in\n{}", plan.stdout);
    }
}

/// The page about the second database names every trap that is in it, with the numbers of rows.
#[test]
fn the_page_about_the_live_database_is_right() {
    let page = text("mappings/game/sample/live.md");
    let source = Connection::open(crate::harness::repository("mappings/game/sample/live.db")).expect("the sample");
    for (table, key, traps) in [
        ("sessions", "token", "token like 'trap%'"),
        ("rate_limits", "ip || ' ' || action", "ip not like '198.51.100.%'"),
        ("matchmaking_tickets", "cast(id as text)", "id > 40"),
    ] {
        let found = sqlite_query(&source, &format!("select {key} from {table} where {traps}"));
        for row in &found {
            let [name] = row.clone().map(|value| value.expect("no NULL"));
            assert!(page.contains(&format!("| {table} | `{name}` |")), "{name}");
        }
        let [all] = sqlite_query(&source, &format!("select count(*) from {table}"))
            .remove(0)
            .map(|value| value.expect("no NULL"));
        let good = all.parse::<usize>().expect("a number") - found.len();
        assert!(page.contains(&format!("| {table} | {good} | {} |", found.len())), "{table}");
    }
}

#[test]
fn the_runbook_works_from_the_first_command_to_the_last() {
    let server = Server::start(&[]);
    let mut game = game(&server.url());
    let player = sample(&game, "pb_data/data.db")
        .query_row("select min(id) from users where id not like 'trap%'", [], |row| {
            row.get::<_, String>(0)
        })
        .expect("a user");
    game.project.set("PLAYER", &player);
    crate::runbook::follow("game", &game.project);
}
