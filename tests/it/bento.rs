//! The shipped bento project, run as its user would: one shared Postgres, made by the seed script,
//! into seven databases. What has to arrive is asked of the source by SQL that dbferry has no part in.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection as _, Executor as _};

use crate::harness::{Ended, Project, copy, postgres_url, query, repository, text, value};

/// The connections that are written.
const SERVICES: [&str; 7] = [
    "auth_db",
    "user_db",
    "post_db",
    "topic_db",
    "comment_db",
    "notification_db",
    "interaction_db",
];

/// How often a run is killed.
const KILLS: u32 = 10;

/// The oldest of the users with one name: the others are refused where names are unique.
const FIRST: &str =
    "not exists (select 1 from users o where o.username = users.username and o.id collate \"C\" < users.id collate \"C\")";
/// Likewise topics.
const FIRST_TOPIC: &str =
    "not exists (select 1 from topics o where o.name = topics.name and o.id collate \"C\" < topics.id collate \"C\")";

/// A stream, and what it has to do in SQL: the columns of both ends in one order.
struct Stream {
    name: &'static str,
    service: &'static str,
    from: &'static str,
    wanted: &'static str,
    which: &'static str,
    key: &'static str,
    columns: &'static str,
}

const STREAMS: [Stream; 10] = [
    Stream {
        name: "auth_users",
        service: "auth_db",
        from: "users",
        wanted: "id, null, null, username, '', '', password, salt, role, null, null, 0, 0, coalesce(status, 'active'), created_at, updated_at",
        which: FIRST,
        key: "id",
        columns: "id, cover, avatar, username, first_name, last_name, password, salt, role, bio, website_url, follower_count, post_count, status, created_at, updated_at",
    },
    Stream {
        name: "users",
        service: "user_db",
        from: "users",
        wanted: "id, cover, avatar, username, first_name, last_name, password, salt, role, bio, website_url, follower_count, post_count, coalesce(status, 'active'), created_at, updated_at",
        which: FIRST,
        key: "id",
        columns: "id, cover, avatar, username, first_name, last_name, password, salt, role, bio, website_url, follower_count, post_count, status, created_at, updated_at",
    },
    Stream {
        name: "user_followers",
        service: "user_db",
        from: "followers",
        wanted: "following_id, follower_id, created_at",
        which: "true",
        key: "following_id || '|' || follower_id",
        columns: "following_id, follower_id, created_at",
    },
    Stream {
        name: "posts",
        service: "post_db",
        from: "posts",
        wanted: "id, content, image, author_id, topic_id, is_featured, comment_count, liked_count, type, created_at, updated_at",
        which: "true",
        key: "id",
        columns: "id, content, image, author_id, topic_id, is_featured, comment_count, liked_count, type, created_at, updated_at",
    },
    Stream {
        name: "topics",
        service: "topic_db",
        from: "topics",
        wanted: "id, name, color, coalesce(post_count, 0), 'active', created_at, updated_at",
        which: FIRST_TOPIC,
        key: "id",
        columns: "id, name, color, post_count, status, created_at, updated_at",
    },
    Stream {
        name: "comments",
        service: "comment_db",
        from: "comments",
        wanted: "id, user_id, post_id, parent_id, content, liked_count, reply_count, status, created_at::timestamp(0), updated_at::timestamp(0)",
        which: "true",
        key: "id",
        columns: "id, user_id, post_id, parent_id, content, liked_count, reply_count, status, created_at, updated_at",
    },
    Stream {
        name: "notifications",
        service: "notification_db",
        from: "notifications",
        wanted: "id, receiver_id, actor_id, content, action, is_sent, is_read, created_at, updated_at",
        which: "true",
        key: "id",
        columns: "id, receiver_id, actor_id, content, action, is_sent, is_read, created_at, updated_at",
    },
    Stream {
        name: "post_likes",
        service: "interaction_db",
        from: "post_likes",
        wanted: "post_id, user_id, created_at::timestamp(0)",
        which: "true",
        key: "post_id || '|' || user_id",
        columns: "post_id, user_id, created_at",
    },
    Stream {
        name: "post_saves",
        service: "interaction_db",
        from: "post_saves",
        wanted: "post_id, user_id, created_at::timestamp(0)",
        which: "true",
        key: "post_id || '|' || user_id",
        columns: "post_id, user_id, created_at",
    },
    Stream {
        name: "interaction_followers",
        service: "interaction_db",
        from: "followers",
        wanted: "following_id, follower_id, created_at::timestamp(0)",
        which: "true",
        key: "following_id || '|' || follower_id",
        columns: "following_id, follower_id, created_at",
    },
];

impl Stream {
    /// The table's name, which is the same in source and target.
    fn table(&self) -> &'static str {
        self.from
    }
}

/// The project in a folder of its own, with eight databases of its own that the program and the
/// seed script create.
struct Bento {
    project: Project,
    server: String,
    prefix: String,
    /// A role that may only read the source.
    reader: String,
}

fn seed(url: &str, arguments: &[&str]) -> Ended {
    let output = Command::new(repository("scripts/seed-bento.sh"))
        .args(arguments)
        .env("BENTO_SOCIAL_URL", url)
        .stdin(Stdio::null())
        .output()
        .expect("the seed script starts");
    Ended::of(output)
}

impl Bento {
    /// With a source of as many users, and a role that may read it and nothing else.
    fn seeded(users: u32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t_bento_{}_{number}", std::process::id());
        let mut bento = Self {
            project: Project::new(),
            server: postgres_url(),
            reader: format!("{prefix}_reader"),
            prefix,
        };
        let Self { project, reader, .. } = &bento;
        copy(&repository("mappings/bento"), &project.path("mappings/bento"));
        project.write("config/development.toml", &text("config/development.toml"));
        let source = bento.url("source");
        seed(&source, &[&users.to_string()]).expect(0);
        query(
            &source,
            &format!(
                "create role {reader} login password 'reader';
                 grant connect on database {prefix}_source to {reader};
                 grant usage on schema public to {reader};
                 grant select on all tables in schema public to {reader};",
                prefix = bento.prefix
            ),
        );
        let (_, address) = source.rsplit_once('@').expect("a URL with a user");
        let source = format!("postgres://{reader}:reader@{address}");
        bento.project.set("BENTO_SOCIAL_URL", &source);
        for service in SERVICES {
            let url = bento.url(service);
            bento.project.set(&format!("{}_URL", service.to_uppercase()), &url);
        }
        bento
    }

    fn url(&self, name: &str) -> String {
        let (start, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{start}/{}_{name}", self.prefix)
    }

    fn run(&self, args: &[&str]) -> Ended {
        let (command, more) = args.split_at(if args[0] == "schema" { 2 } else { 1 });
        self.project.run(&[command, &["mappings/bento"], more].concat())
    }

    /// Rows of a query over the source, as text, in order.
    fn wanted(&self, stream: &Stream, condition: &str) -> Vec<String> {
        let Stream { wanted, from, which, .. } = stream;
        self.rows(
            "source",
            &format!("select row({wanted})::text from {from} where ({which}) and ({condition})"),
        )
    }

    /// What a service has of a stream.
    fn found(&self, stream: &Stream) -> Vec<String> {
        self.rows(
            stream.service,
            &format!("select row({})::text from {}", stream.columns, stream.table()),
        )
    }

    fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        let rows = query(&self.url(name), sql);
        let mut rows: Vec<String> = rows.into_iter().map(|mut row| row.remove(0).expect("not NULL")).collect();
        rows.sort_unstable();
        rows
    }

    /// Every service has exactly the rows that the source's own SQL makes of it.
    #[track_caller]
    fn check_rows(&self) {
        for stream in &STREAMS {
            let (wanted, found) = (self.wanted(stream, "true"), self.found(stream));
            assert_eq!(wanted.len(), found.len(), "rows of {}", stream.name);
            for (wanted, found) in wanted.iter().zip(&found) {
                assert_eq!(wanted, found, "{}", stream.name);
            }
        }
    }

    /// Open rejects: stream and key, with column and reason.
    fn rejects(&self) -> BTreeMap<(String, String), (String, String)> {
        let mut all = BTreeMap::new();
        for service in SERVICES {
            let sql = "select stream, source_key, column_name, reason from dbferry.reject where resolved_at is null";
            for row in query(&self.url(service), sql) {
                let mut cells = row.into_iter().map(|cell| cell.expect("not NULL"));
                let mut next = || cells.next().expect("four columns");
                let (stream, key) = (next(), plain_key(&next()));
                let before = all.insert((stream.clone(), key.clone()), (next(), next()));
                assert_eq!(before, None, "{stream} {key} was rejected twice");
            }
        }
        all
    }

    /// Batches without gaps, whose sums are the checkpoint's.
    #[track_caller]
    fn check_ledgers(&self) {
        for service in SERVICES {
            let wrong = value(
                &self.url(service),
                "select string_agg(stream, ', ') from (
                     select c.stream from dbferry.checkpoint c left join dbferry.batch b using (project, stream, split)
                     group by c.project, c.stream, c.split
                     having not c.complete or count(b.sequence) <> c.sequence or max(b.sequence) <> c.sequence
                        or sum(b.rows_read) <> c.rows_read or sum(b.rows_inserted) <> c.rows_inserted
                 ) as wrong",
            );
            assert_eq!(wrong, "", "{service}");
        }
    }

    /// Empties the targets and their ledgers.
    fn forget(&self) {
        for service in SERVICES {
            query(&self.url(service), "drop schema dbferry cascade");
        }
        for stream in &STREAMS {
            query(&self.url(stream.service), &format!("truncate {}", stream.table()));
        }
    }
}

impl Drop for Bento {
    fn drop(&mut self) {
        let mut sql: Vec<String> = SERVICES
            .iter()
            .chain(&["source"])
            .map(|name| format!("drop database if exists {}_{name} with (force)", self.prefix))
            .collect();
        sql.push(format!("drop role if exists {}", self.reader));
        let server = self.server.clone();
        let dropped = std::thread::spawn(move || {
            for sql in sql {
                query(&server, &sql);
            }
        });
        drop(dropped.join());
    }
}

/// `[{"text":"a"},{"text":"b"}]` as `a|b`.
fn plain_key(key: &str) -> String {
    let key: Value = serde_json::from_str(key).expect("a key in JSON");
    let parts = key.as_array().expect("a list").iter();
    let parts: Vec<&str> = parts.map(|part| part["text"].as_str().expect("text")).collect();
    parts.join("|")
}

// ---- the traps

/// A line of the sample's page.
struct Trap {
    table: String,
    key: String,
    becomes: String,
}

fn traps() -> Vec<Trap> {
    let traps: Vec<Trap> = text("mappings/bento/sample/README.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [table, key, _, becomes] = cells.as_slice() else {
                return None;
            };
            Some(Trap {
                table: (*table).to_owned(),
                key: key.strip_prefix('`')?.strip_suffix('`')?.replace("\\|", "|"),
                becomes: (*becomes).to_owned(),
            })
        })
        .collect();
    assert_eq!(traps.len(), 87, "the page about the sample is read wrongly");
    traps
}

#[test]
fn every_trap_ends_as_the_page_says() {
    let bento = Bento::seeded(1);
    bento.run(&["run", "--apply-schema"]).expect(4);
    let rejects = bento.rejects();
    let mut expected = BTreeSet::new();
    for trap in traps() {
        let streams: Vec<&Stream> = STREAMS.iter().filter(|stream| stream.from == trap.table).collect();
        assert_eq!(trap.becomes.starts_with("left out"), streams.is_empty(), "{}", trap.key);
        for stream in streams {
            let key = (stream.name.to_owned(), trap.key.clone());
            let quoted = trap.key.replace('\'', "''");
            let there = value(
                &bento.url(stream.service),
                &format!("select count(*) from {} where {} = '{quoted}'", stream.table(), stream.key),
            );
            if let Some(why) = trap.becomes.strip_prefix("rejected: duplicate ") {
                let found = rejects.get(&key).unwrap_or_else(|| panic!("{key:?} was not rejected"));
                assert_eq!(*found, (why.to_owned(), "duplicate".to_owned()), "{key:?}");
                assert_eq!(there, "0", "{key:?}");
                expected.insert(key);
            } else {
                assert!(trap.becomes.starts_with("moved"), "{key:?}: {}", trap.becomes);
                assert_eq!(there, "1", "{key:?}");
                rounded(&bento, stream, &trap, &quoted);
            }
        }
    }
    let rejected: BTreeSet<_> = rejects.keys().cloned().collect();
    assert_eq!(rejected, expected, "rejects that are no trap");
    bento.check_rows();
}

/// The page says to which second a time goes.
fn rounded(bento: &Bento, stream: &Stream, trap: &Trap, key: &str) {
    let Some(becomes) = trap.becomes.strip_prefix("moved: ") else {
        return;
    };
    if !becomes.starts_with(|first: char| first.is_ascii_digit()) {
        return;
    }
    let found = value(
        &bento.url(stream.service),
        &format!("select created_at from {} where {} = '{key}'", stream.table(), stream.key),
    );
    assert_eq!(Some(found.as_str()), becomes.get(..19), "{} {}", stream.name, trap.key);
}

// ---- the whole move

#[test]
fn a_role_that_may_only_read_moves_every_row_and_a_second_run_changes_nothing() {
    let bento = Bento::seeded(40);
    bento.run(&["schema", "apply"]).expect(0);
    bento.run(&["check"]).expect(0);
    bento.run(&["plan", "--strict", "--count"]).expect(0);
    bento.run(&["run", "--dry-run"]).expect(4);
    for stream in &STREAMS {
        assert_eq!(
            bento.found(stream),
            Vec::<String>::new(),
            "{} after the rehearsal",
            stream.name
        );
    }

    let report = bento.run(&["run", "--output", "json"]).expect(4).json();
    bento.check_rows();
    bento.check_ledgers();
    let streams = report["streams"].as_array().expect("streams");
    for stream in &STREAMS {
        let figures = streams
            .iter()
            .find(|figures| figures["name"] == stream.name)
            .unwrap_or_else(|| panic!("no {} in {report}", stream.name));
        let figure = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("no {name} in {figures}"));
        let all = value(&bento.url("source"), &format!("select count(*) from {}", stream.from));
        assert_eq!(figure("read").to_string(), all, "{}", stream.name);
        assert_eq!(figure("read"), figure("inserted") + figure("rejected"), "{figures}");
        assert_eq!(figure("inserted"), bento.found(stream).len() as u64, "{}", stream.name);
    }

    let rejects = bento.rejects();
    bento.run(&["run"]).expect(4);
    let again = bento.run(&["run", "--restart", "--output", "json"]).expect(4).json();
    for figures in again["streams"].as_array().expect("streams") {
        assert_eq!(
            (&figures["inserted"], &figures["updated"]),
            (&Value::from(0), &Value::from(0)),
            "{figures}"
        );
    }
    bento.check_rows();
    assert_eq!(bento.rejects(), rejects);
}

#[test]
fn what_no_stream_moves_is_told_unless_a_reason_is_given() {
    let bento = Bento::seeded(1);
    bento.run(&["schema", "apply"]).expect(0);
    for (file, header) in [("project.toml", "[ignore.tables]"), ("auth_db.toml", "[stream.ignore]")] {
        let name = format!("mappings/bento/{file}");
        let shipped = text(&name);
        let (before, _) = shipped.split_once(header).unwrap_or_else(|| panic!("no {header} in {name}"));
        bento.project.write(&name, before);
    }
    let plan = bento.run(&["plan"]);
    plan.expect(0);
    for name in ["comment_likes", "bio", "cover", "website_url"] {
        assert!(plan.stdout.contains(name), "{name} is not told:\n{}", plan.stdout);
    }
    assert!(bento.run(&["plan", "--strict"]).code != Some(0), "--strict lets it pass");
}

// ---- one user

/// A user with everything: the condition on the source's columns, stream by stream.
fn belongs(stream: &Stream, user: &str) -> String {
    match stream.from {
        "users" => format!("id = '{user}'"),
        "posts" => format!("author_id = '{user}'"),
        "followers" => format!("'{user}' in (following_id, follower_id)"),
        "notifications" => format!("'{user}' in (receiver_id, actor_id)"),
        "topics" => "false".to_owned(),
        _ => format!("user_id = '{user}'"),
    }
}

#[test]
fn one_user_moves_with_all_that_belongs_to_them_and_the_others_follow_later() {
    let bento = Bento::seeded(40);
    bento.run(&["schema", "apply"]).expect(0);
    let writer = "select author_id from posts group by author_id order by count(*) desc, author_id limit 1";
    let writer = value(&bento.url("source"), writer);
    // The second one is the receiver and the cause of one notification: it must come once.
    let users = [writer.as_str(), "trap-user"];
    for user in users {
        bento.run(&["run", "--for", &format!("user={user}")]).expect(0);
    }
    for stream in &STREAMS {
        let condition = users.map(|user| belongs(stream, user)).join(" or ");
        assert_eq!(bento.found(stream), bento.wanted(stream, &condition), "{}", stream.name);
    }
    bento.run(&["run"]).expect(4);
    bento.check_rows();
}

// ---- one moment

/// Everything that one transaction of the application writes: a user with a row in each table; and
/// the user of twenty transactions ago leaves with all rows. At any moment twenty are there.
const APPLICATION: &str = "
    begin;
    insert into users (id, username, first_name, last_name, password, salt) values ('w$', 'writer.$', 'x', 'x', 'x', 'x');
    insert into topics (id, name, color) values ('w$', 'writer $', 'x');
    insert into posts (id, content, author_id, topic_id) values ('w$', 'x', 'w$', 'w$');
    insert into comments (id, user_id, post_id, content) values ('w$', 'w$', 'w$', 'x');
    insert into followers (following_id, follower_id) values ('w$', 'w$');
    insert into notifications (id, receiver_id) values ('w$', 'w$');
    insert into post_likes (post_id, user_id) values ('w$', 'w$');
    insert into post_saves (post_id, user_id) values ('w$', 'w$');
    delete from users where id = 'w#';
    delete from topics where id = 'w#';
    delete from posts where id = 'w#';
    delete from comments where id = 'w#';
    delete from followers where following_id = 'w#';
    delete from notifications where id = 'w#';
    delete from post_likes where post_id = 'w#';
    delete from post_saves where post_id = 'w#';
    commit;";

/// Writes until it is told to stop; how often it has written.
fn write_on(url: String, stop: &AtomicBool, written: &AtomicU32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async move {
        let mut connection = sqlx::PgConnection::connect(&url).await.expect("the source");
        while !stop.load(Ordering::Relaxed) {
            let number = written.load(Ordering::Relaxed) + 1;
            let sql = APPLICATION
                .replace('$', &number.to_string())
                .replace('#', &(i64::from(number) - 20).to_string());
            connection
                .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)))
                .await
                .expect("the application writes");
            written.store(number, Ordering::Relaxed);
        }
    });
}

#[test]
fn while_the_application_writes_all_seven_services_show_one_moment() {
    let bento = Bento::seeded(300);
    bento.run(&["schema", "apply"]).expect(0);
    let (stop, written) = (AtomicBool::new(false), AtomicU32::new(0));
    let (before, after) = std::thread::scope(|scope| {
        let url = bento.url("source");
        scope.spawn(|| write_on(url, &stop, &written));
        let began = Instant::now();
        while written.load(Ordering::Relaxed) < 30 {
            assert!(began.elapsed() < Duration::from_mins(1), "the application does not write");
            std::thread::sleep(Duration::from_millis(10));
        }
        let before = written.load(Ordering::Relaxed);
        let ended = bento.run(&["run", "--batch-size", "100"]);
        let after = written.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        ended.expect(4);
        (before, after)
    });
    assert!(
        after > before + 20,
        "the application wrote only {} times during the run",
        after - before
    );

    let mut moments = BTreeMap::new();
    for stream in &STREAMS {
        let column = stream.columns.split(',').next().expect("a column");
        let sql = format!("select {column} from {} where {column} ~ '^w[0-9]+$'", stream.table());
        let rows: BTreeSet<String> = bento.rows(stream.service, &sql).into_iter().collect();
        assert_eq!(rows.len(), 20, "{}", stream.name);
        moments.insert(rows, stream.name);
    }
    assert_eq!(moments.len(), 1, "more than one moment: {moments:?}");

    let ids = |service: &str, sql: &str| bento.rows(service, sql).into_iter().collect::<BTreeSet<_>>();
    let users = ids("user_db", "select id from users");
    for (service, sql) in [
        ("auth_db", "select id from users"),
        ("post_db", "select author_id from posts"),
        ("comment_db", "select user_id from comments"),
        (
            "user_db",
            "select follower_id from followers union select following_id from followers",
        ),
        (
            "interaction_db",
            "select user_id from post_likes union select user_id from post_saves",
        ),
    ] {
        let unknown: Vec<_> = ids(service, sql).difference(&users).cloned().collect();
        assert!(
            unknown.is_empty(),
            "{service} refers to users that user_db has not: {unknown:?}"
        );
    }
}

// ---- a service that is down

#[test]
fn a_service_that_is_down_keeps_nobody_else_waiting_and_gets_its_rows_later() {
    let mut bento = Bento::seeded(20);
    bento.run(&["schema", "apply"]).expect(0);
    let config = text("config/development.toml") + "\n[limits]\nretry_seconds_max = 1\n";
    bento.project.write("config/development.toml", &config);
    bento
        .project
        .set("INTERACTION_DB_URL", "postgres://nobody:none@127.0.0.1:1/interaction");
    let ended = bento.run(&["run"]);
    ended
        .expect(3)
        .says("waits for `interaction_db`")
        .says("dbferry run mappings/bento");
    let (down, up): (Vec<&Stream>, _) = STREAMS.iter().partition(|stream| stream.service == "interaction_db");
    for stream in up {
        assert_eq!(bento.found(stream), bento.wanted(stream, "true"), "{}", stream.name);
    }
    assert!(down.iter().all(|stream| bento.found(stream).is_empty()));
    bento.project.set("INTERACTION_DB_URL", &bento.url("interaction_db"));
    bento.run(&["run"]).expect(4);
    bento.check_rows();
    bento.check_ledgers();
}

// ---- killed

/// Lets a run begin, and kills it at that moment; its exit code, if it came to its end before.
fn killed_at(bento: &Bento, moment: Duration) -> Option<i32> {
    let mut child = bento
        .project
        .command(&["run", "mappings/bento", "--batch-size", "20"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(moment);
    if child.try_wait().expect("the child's state").is_none() {
        child.kill().expect("SIGKILL");
    }
    let ended = Ended::of(child.wait_with_output().expect("the child ends"));
    assert!(matches!(ended.code, None | Some(3 | 4)), "{ended:?}");
    ended.code
}

#[test]
fn killed_at_random_moments_and_resumed_every_service_has_each_row_once() {
    let bento = Bento::seeded(150);
    bento.run(&["schema", "apply"]).expect(0);
    let seed = std::env::var("DBFERRY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random: u64 = seed.unwrap_or_else(|| std::process::id().into());
    eprintln!("DBFERRY_TEST_SEED={random}");
    let (mut killed, mut killed_at_work, mut rows, mut longest) = (0, 0, 0, 2_000);
    while killed < KILLS || killed_at_work < KILLS / 3 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let code = killed_at(&bento, Duration::from_millis((random >> 33) % longest));
        killed += u32::from(code.is_none());
        if code == Some(4) {
            // Complete before it was killed often enough: check, and begin again.
            bento.check_rows();
            bento.check_ledgers();
            bento.forget();
            rows = 0;
            continue;
        }
        let now: usize = STREAMS.iter().map(|stream| bento.found(stream).len()).sum();
        killed_at_work += u32::from(code.is_none() && now > rows);
        // On a busy machine all of it takes longer, the plan before the first row, too.
        longest += if now == rows { 500 } else { 0 };
        rows = now;
    }
    eprintln!("killed {killed} times, {killed_at_work} times after it had committed something");
    bento.run(&["run", "--batch-size", "20"]).expect(4);
    bento.check_rows();
    bento.check_ledgers();
    assert_eq!(bento.rejects().len(), 9);
}

// ---- the seed script

#[test]
fn the_same_number_seeds_the_same_rows_and_nothing_is_replaced_unasked() {
    let bento = Bento::seeded(3);
    let url = bento.url("source");
    let rows = || {
        [
            "users",
            "topics",
            "posts",
            "comments",
            "comment_likes",
            "followers",
            "notifications",
            "post_likes",
            "post_saves",
        ]
        .map(|table| {
            value(
                &url,
                &format!("select md5(string_agg(t::text, '|' order by t::text)) from {table} t"),
            )
        })
    };
    let first = rows();
    query(&url, "update users set bio = 'mine' where id = 'trap-user'");
    let mine = rows();
    seed(&url, &["5"]).expect(1).says("--replace");
    assert_eq!(rows(), mine, "something was changed");
    seed(&url, &["3", "--replace"]).expect(0);
    assert_eq!(rows(), first);
    seed(&url, &["none"]).expect(2);
    seed(&url, &[]).expect(2);
}
