//! The application goes on writing: every service shows the source as it was at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sqlx::{Connection as _, Executor as _};

use super::Bento;
use super::streams::STREAMS;
use crate::harness::until;

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
        until("writing of the application", || written.load(Ordering::Relaxed) >= 30);
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
