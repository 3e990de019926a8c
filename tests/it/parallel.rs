//! Side by side: a big table split by ranges of its key, read once for three databases, killed and
//! resumed, with rejects and foreign keys.

use std::process::Child;
use std::time::Duration;

use crate::harness::{Database, Project};
use crate::projects::{SAME_NAMES, postgres, stream};

const USERS: u32 = 12_000;
const POSTS: u32 = 6_000;
const KILLS: u32 = 12;
const TARGETS: [&str; 3] = ["auth", "user", "post"];

const SOURCE: &str = "
    create table users (id bigint primary key, name text not null, mail text, born date, score numeric(12,3), tags text[]);
    create table posts (id uuid primary key, author bigint not null references users, body text, made timestamptz not null);";

/// Users in three databases, posts in the last of them.
struct Social {
    project: Project,
    source: Database,
    targets: [Database; 3],
}

impl Social {
    fn new(limits: &str) -> Self {
        let source = Database::create();
        source.query(SOURCE);
        source.query(&format!(
            "insert into users select i * 7, 'Name ' || i, case when i % 9 > 0 then 'M' || i || '@x.org' end,
                 date '1970-01-01' + i % 20000, i / 8.0, array['a' || i % 3, null] from generate_series(1, {USERS}) i;
             insert into posts select md5(i::text)::uuid, (i % {USERS} + 1) * 7, repeat('x', i % 90), timestamptz '2024-01-01Z' + i * interval '1 s'
                 from generate_series(1, {POSTS}) i;
             analyze"
        ));
        let targets = [(); 3].map(|()| Database::create());
        let mut project = Project::new();
        let mut config = format!("[limits]\n{limits}\n{}", postgres(&mut project, "social", &source.url));
        let mut streams = String::new();
        for (name, target) in TARGETS.iter().zip(&targets) {
            target.query(SOURCE.split_inclusive(';').next().expect("users"));
            config.push_str(&postgres(&mut project, name, &target.url));
            let to = format!("{name}.users");
            streams.push_str(&stream(&format!("{name}_users"), "social.users", &to, SAME_NAMES));
        }
        targets[2].query(SOURCE.split_inclusive(';').nth(1).expect("posts"));
        streams.push_str(&stream("posts", "social.posts", "post.posts", SAME_NAMES));
        project.write("config/development.toml", &config);
        project.write(
            "mappings/demo/project.toml",
            "name = \"demo\"\nsources = [\"social\"]\nsinks = [\"auth\", \"user\", \"post\"]\n",
        );
        project.write("mappings/demo/streams.toml", &streams);
        Self {
            project,
            source,
            targets,
        }
    }

    fn start(&self) -> Child {
        self.project.start(&["run", "mappings/demo", "--batch-size", "100"])
    }

    /// Every row is there once, and the ledgers add up split by split.
    fn check(&self) {
        self.check_splits(3);
    }

    fn check_splits(&self, splits: u32) {
        let all = |table: &str| format!("select count(*)::text, md5(string_agg(t::text, '|' order by id)) from {table} t");
        for target in &self.targets {
            assert_eq!(self.source.query(&all("users")), target.query(&all("users")));
        }
        assert_eq!(self.source.query(&all("posts")), self.targets[2].query(&all("posts")));
        for target in &self.targets {
            let gaps = "select stream, split from dbferry.batch where not retry group by 1, 2 having count(*) <> max(sequence) or min(sequence) <> 1";
            assert_eq!(target.query(gaps).len(), 0, "batches are missing or doubled");
            // Rows that are retried were read before.
            let batches = "select stream, (sum(rows_read) filter (where not retry))::text, sum(rows_inserted)::text from dbferry.batch group by 1 order by 1";
            let checkpoints =
                "select stream, sum(rows_read)::text, sum(rows_inserted)::text from dbferry.checkpoint group by 1 order by 1";
            assert_eq!(target.query(batches), target.query(checkpoints));
            assert_eq!(
                target.value("select count(*) from dbferry.checkpoint where not complete"),
                "0"
            );
            let users = "select count(*)::text, sum(rows_read)::text from dbferry.checkpoint where stream like '%users'";
            assert_eq!(target.query(users)[0], [Some(splits.to_string()), Some(USERS.to_string())]);
        }
    }
}

const SPLIT: &str = "splits_max = 3\nsplit_rows_min = 1000";

#[test]
fn split_into_three_databases_and_killed_at_random_moments_every_row_arrives_once() {
    let social = Social::new(SPLIT);
    let seed = std::env::var("DBFERRY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("DBFERRY_TEST_SEED={random}");
    random ^= 0x9e37_79b9_7f4a_7c15;
    let rows = || -> u64 {
        let count = "select count(*) from users";
        social
            .targets
            .iter()
            .map(|target| target.value(count).parse::<u64>().expect("a count"))
            .sum()
    };
    let (mut killed, mut advanced, mut before) = (0, 0, 0);
    while killed < KILLS {
        let mut child = social.start();
        let mut alive = || child.try_wait().expect("its state").is_none();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if killed % 3 > 0 {
            // Where it hurts: soon after something was committed.
            while alive() && rows() == before {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        std::thread::sleep(Duration::from_millis(random % if killed % 3 > 0 { 60 } else { 400 }));
        if !alive() {
            break;
        }
        child.kill().expect("SIGKILL");
        drop(child.wait());
        killed += 1;
        let now = rows();
        advanced += u32::from(now > before);
        before = now;
        if killed == KILLS / 2 {
            let stats = social.project.run(&["stats", "mappings/demo", "--output", "json"]);
            let read = stats.expect(0).json()["streams"][0]["read"].as_u64().expect("a figure");
            assert!(read <= u64::from(USERS), "{read}");
        }
    }
    eprintln!("killed {killed} times, {advanced} of the runs had committed something");
    assert!(advanced > 1, "killed before anything was committed");
    let ended = social.project.run(&["run", "mappings/demo", "--output", "json"]);
    for stream in ended.expect(0).json()["streams"].as_array().expect("streams") {
        let status = stream["status"].as_str().expect("a status");
        assert!(matches!(status, "complete" | "already_complete"), "{stream}");
    }
    social.check();
    let stats = social.project.run(&["stats", "mappings/demo", "--output", "json"]);
    let stats = stats.expect(0).json();
    assert_eq!(stats["streams"][0]["read"].as_u64(), Some(USERS.into()));
    assert_eq!(stats["streams"][0]["status"], "complete");
}

#[test]
fn what_a_split_stream_rejects_is_moved_when_it_is_retried() {
    let social = Social::new(SPLIT);
    social.targets[1].query("alter table users add constraint few check (id % 1000 <> 0)");
    let run = |args: &[&str]| {
        social
            .project
            .run(&[&["run", "mappings/demo", "--output", "json"], args].concat())
    };
    let report = run(&["--max-rejects", "100"]).expect(4).json();
    let refused = u64::from(USERS) / 1000;
    let user = |report: &serde_json::Value| {
        let streams = report["streams"].as_array().expect("streams").clone();
        streams
            .into_iter()
            .find(|stream| stream["name"] == "user_users")
            .expect("the stream")
    };
    assert_eq!(user(&report)["rejects_open"].as_u64(), Some(refused), "{report}");
    assert_eq!(user(&report)["target_rows"].as_u64(), Some(u64::from(USERS) - refused));
    social.targets[1].query("alter table users drop constraint few");
    let report = run(&["--retry-rejects"]).expect(0).json();
    assert_eq!(user(&report)["inserted"].as_u64(), Some(refused), "{report}");
    assert_eq!(user(&report)["rejects_open"].as_u64(), Some(0));
    social.check();
}

#[test]
fn a_server_that_grants_few_connections_is_written_over_those() {
    let mut social = Social::new("jobs = 4\nsplits_max = 4\nsplit_rows_min = 1000\nretry_seconds_max = 1");
    let target = &social.targets[0];
    let role = format!("few_{}", target.name);
    target.query(&format!(
        "create role {role} login password 'few' connection limit 3; alter database {} owner to {role}; alter table users owner to {role}",
        target.name
    ));
    let (_, host) = target.url.split_once('@').expect("a user in the URL");
    social.project.set("AUTH_URL", &format!("postgres://{role}:few@{host}"));
    social.project.run(&["run", "mappings/demo", "--batch-size", "300"]).expect(0);
    social.check_splits(4);
    social.targets[0].query(&format!(
        "reassign owned by {role} to current_user; drop owned by {role}; drop role {role}"
    ));
}

#[test]
fn a_table_that_three_streams_move_is_read_once() {
    for limits in ["", SPLIT] {
        let social = Social::new(limits);
        let read = "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relname = 'users'";
        let count = || -> u64 {
            social.source.until_alone();
            social.source.value(read).parse().expect("a count")
        };
        let before = count();
        social.project.run(&["run", "mappings/demo", "--jobs", "3"]).expect(0);
        let rows = u64::from(USERS);
        let was_read = count() - before;
        // The count of all rows reads them once more, and so does the sample of a small table;
        // a reader for each stream would read them two times more.
        assert!(was_read >= rows, "the server did not count: {was_read}");
        assert!(was_read <= 3 * rows, "{was_read} rows were read for {rows} with `{limits}`");
    }
}
