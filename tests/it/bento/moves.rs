//! Moves that nobody disturbs: everything, once and again; and one user before all others.

use serde_json::Value;

use super::Bento;
use super::streams::{STREAMS, Stream};
use crate::harness::{text, value};

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

#[test]
fn the_runbook_works_from_the_first_command_to_the_last() {
    let bento = Bento::seeded(40);
    crate::runbook::follow("bento", &bento.project);
}
