//! Streams that write keys.

use dbferry::data::finding::Severity;
use dbferry::data::keyed::{Collision, Expiry, KeyType, Moments};
use dbferry::mapping::{Project, check, file};
use tempfile::TempDir;

use super::{folder, shown, shown_findings};

const PROJECT: &str = "name = \"game\"\nsources = [\"pocketbase\"]\nsinks = [\"game\", \"redis\"]\n";

fn load(text: &str) -> (TempDir, dbferry::Result<Project>) {
    let folder = folder(&[("project.toml", PROJECT), ("streams.toml", text)]);
    let project = file::load(folder.path());
    (folder, project)
}

/// Streams that must be wrong in their form.
fn bad_form(text: &str) -> String {
    let (folder, project) = load(text);
    shown(&folder, &project.expect_err("a mistake"))
}

/// Streams of good form that must be wrong in themselves.
fn bad_alone(text: &str) -> String {
    let (folder, project) = load(text);
    shown_findings(
        &folder,
        check::alone(&project.expect("good form"), &["pocketbase", "game", "redis"]),
    )
}

/// A stream into Redis with `more` behind its first lines.
fn keyed(name: &str, key: &str, more: &str) -> String {
    format!("[[stream]]\nname = \"{name}\"\nfrom = \"pocketbase.users\"\nto = \"redis\"\nkey = \"{key}\"\n{more}\n")
}

const COLUMNS: &str = "[stream.columns]\nid = \"id\"\nusername = \"username\"\nlevel = \"level\"\n";

#[test]
fn keyed_a_stream_tells_how_its_rows_become_keys() {
    let text = keyed(
        "profiles",
        "user:{id}:profile",
        &format!("type = \"hash\"\nttl = \"1h\"\n{COLUMNS}"),
    ) + &keyed(
        "board",
        "board:{{{season}}}",
        "type = \"zset\"\nscore = \"score\"\nmoments = \"unix_seconds\"\non_collision = \"later_wins\"\non_conflict = \"update\"\n\
             [stream.columns]\nseason = \"season\"\nplayer = \"id\"\nscore = \"score\"\n",
    ) + &keyed(
        "sessions",
        "session:{token}",
        "type = \"json\"\nvalue = [\"token\", \"user\"]\nexpires_at = \"until\"\n\
             [stream.columns]\nuntil = \"until\"\nuser = \"id\"\ntoken = \"token\"\n",
    );
    let (_folder, project) = load(&text);
    let project = project.expect("good form");
    assert_eq!(check::alone(&project, &["pocketbase", "game", "redis"]), []);
    let layouts: Vec<_> = project
        .streams
        .iter()
        .map(|stream| stream.keyed.as_ref().expect("keys").layout.as_ref())
        .collect();
    assert_eq!(project.streams[0].target(), "redis user:{id}:profile");
    assert_eq!(layouts[0].values, ["username", "level"]);
    assert_eq!(layouts[0].expiry, Some(Expiry::After(std::time::Duration::from_hours(1))));
    assert_eq!(
        (layouts[1].key_type, layouts[1].moments),
        (KeyType::Zset, Moments::UnixSeconds)
    );
    assert_eq!(
        (layouts[1].collision, layouts[1].score.as_deref()),
        (Collision::LaterWins, Some("score"))
    );
    assert_eq!(layouts[1].values, ["player"]);
    let key: Vec<_> = project.streams[1]
        .key
        .iter()
        .map(|key| (key.value.as_str(), key.place.text()))
        .collect();
    assert_eq!(key, [("season", "{season}"), ("player", "player")]);
    assert_eq!(layouts[2].values, ["token", "user"]);
    assert_eq!(layouts[2].expiry, Some(Expiry::At("until".to_owned())));
}

#[test]
fn keyed_patterns_and_tables_are_not_mixed() {
    let table = "[[stream]]\nname = \"a\"\nfrom = \"pocketbase.users\"\nto = \"game.players\"\nkey = [\"id\"]\n\
                 type = \"hash\"\nvalue = [\"x\"]\nscore = \"x\"\nttl = \"1h\"\nexpires_at = \"x\"\nmoments = \"rfc3339\"\non_collision = \"reject\"\n";
    let of_a_table =
        "[[stream]]\nname = \"b\"\nfrom = \"pocketbase.users\"\nto = \"game.players\"\nkey = \"user:{id}\"\ntype = \"hash\"\n";
    let list = "[[stream]]\nname = \"c\"\nfrom = \"pocketbase.users\"\nto = \"redis\"\nkey = [\"id\"]\n";
    let no_name =
        "[[stream]]\nname = \"d\"\nfrom = \"pocketbase.users\"\nto = \"my redis\"\nkey = \"user:{id}\"\ntype = \"hash\"\n";
    let of_tables = keyed(
        "e",
        "user:{id}",
        "type = \"hash\"\ntriggers = \"on\"\nsame_name_columns = true\nallow_precision_loss = [\"level\"]\n",
    );
    let number = "[[stream]]\nname = \"f\"\nfrom = \"pocketbase.users\"\nto = \"redis\"\nkey = 5\n";
    insta::assert_snapshot!(bad_form(&[table, of_a_table, list, no_name, &of_tables, number].join("\n")));
}

#[test]
fn keyed_what_is_no_pattern_and_no_time() {
    let text = [
        keyed("a", "user:{id", ""),
        keyed("b", "user:id}", "type = \"hsh\""),
        keyed("c", "user:{{{id}}", "type = \"hash\""),
        keyed("d", "user:{id}", "type = \"hash\"\nttl = \"1h30m\""),
        keyed("e", "user:{id}", "type = \"hash\"\nttl = \"0s\""),
        keyed("f", "user:{id}", "type = \"hash\"\nttl = \"1h\"\nexpires_at = \"at\""),
    ];
    insta::assert_snapshot!(bad_form(&text.join("\n")));
}

#[test]
fn keyed_columns_have_a_use() {
    let text = keyed(
        "a",
        "user:{idd}:{id}",
        &format!("type = \"hash\"\nvalue = [\"usrname\", \"id\", \"id\"]\nexpires_at = \"until\"\n{COLUMNS}"),
    ) + &keyed("b", "two:{id}", &format!("type = \"string\"\n{COLUMNS}"))
        + &keyed("c", "none:{id}", "type = \"hash\"\n[stream.columns]\nid = \"id\"\n")
        + &keyed(
            "d",
            "listed:{id}",
            &format!("type = \"set\"\nvalue = []\nscore = \"level\"\nexpires_at = \"username\"\n{COLUMNS}"),
        )
        + &keyed("e", "board", "type = \"zset\"\n[stream.columns]\nid = \"id\"\n")
        + &keyed(
            "f",
            "{id}:queue",
            "type = \"list\"\non_collision = \"later_wins\"\n[stream.columns]\nid = \"id\"\nticket = \"id\"\n",
        );
    insta::assert_snapshot!(bad_alone(&text));
}

#[test]
fn keyed_streams_keep_to_keys_of_their_own() {
    let hash = format!("type = \"hash\"\n{COLUMNS}");
    let other = "type = \"hash\"\n[stream.columns]\nuser = \"id\"\nkind = \"username\"\nlevel = \"level\"\n";
    let text = keyed("a", "user:{id}:profile", &hash)
        + &keyed(
            "b",
            "user:{user}:profile",
            "type = \"hash\"\n[stream.columns]\nuser = \"id\"\nlevel = \"level\"\n",
        )
        + &keyed("c", "user:{user}:{kind}", other)
        + &keyed("d", "player:{id}", &hash);
    insta::assert_snapshot!(bad_alone(&text));
}

#[test]
fn keyed_connections_are_of_the_right_kind() {
    let text = keyed("a", "user:{id}", &format!("type = \"hash\"\n{COLUMNS}"))
        + "[[stream]]\nname = \"b\"\nfrom = \"pocketbase.users\"\nto = \"game.players\"\nkey = [\"id\"]\n[stream.columns]\nid = \"id\"\n";
    let (folder, project) = load(&text);
    let project = project.expect("good form");
    let right = |name: &str| Some(if name == "redis" { "redis" } else { "postgres" });
    assert_eq!(check::kinds(&project, right), []);
    assert_eq!(
        check::kinds(&project, |_| None),
        [],
        "a name that is not there is told elsewhere"
    );
    let wrong = |name: &str| Some(if name == "redis" { "postgres" } else { "redis" });
    insta::assert_snapshot!(shown_findings(&folder, check::kinds(&project, wrong)));
}

#[test]
fn keyed_a_rehearsal_is_told_from_other_keys() {
    let text = keyed("a", "user:{id}", &format!("type = \"hash\"\n{COLUMNS}"));
    let (_folder, project) = load(&text);
    let project = project.expect("good form");
    assert_eq!(check::prefix(&project, "rehearsal:"), []);
    let found = check::prefix(&project, "user:");
    assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
}
