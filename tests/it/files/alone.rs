//! A project alone, without looking at its databases.

use dbferry::mapping::check;

use super::{COLUMNS, load_streams, shown_findings, stream};

/// Streams of good form that must be wrong in themselves.
fn bad_alone(text: &str) -> String {
    let (folder, project) = load_streams(text);
    shown_findings(&folder, check::alone(&project.expect("good form"), &["pocketbase", "game"]))
}

#[test]
fn alone_a_good_project_has_no_findings() {
    let text = stream("players", COLUMNS) + &stream("more", "[stream.columns]\nid = \"id\"\nregion = \"region\"\n");
    let (_folder, project) = load_streams(&text);
    assert_eq!(check::alone(&project.expect("good form"), &["pocketbase", "game"]), []);
}

#[test]
fn alone_names_and_connections() {
    insta::assert_snapshot!(bad_alone(
        "[[stream]]\nname = \"a\"\nfrom = \"game.users\"\nto = \"pocketbase.players\"\nkey = [\"id\"]\nsame_name_columns = true\n\n\
         [[stream]]\nname = \"a\"\nfrom = \"pocktbase.users\"\nto = \"elsewhere.players\"\nkey = [\"id\"]\nsame_name_columns = true\n"
    ));
}

#[test]
fn alone_connections_of_the_project() {
    let (folder, project) = load_streams(&stream("players", COLUMNS));
    insta::assert_snapshot!(shown_findings(
        &folder,
        check::alone(&project.expect("good form"), &["pocketbase", "games"])
    ));
}

#[test]
fn alone_keys() {
    insta::assert_snapshot!(bad_alone(
        "[[stream]]\nname = \"a\"\nfrom = \"pocketbase.users\"\nto = \"game.a\"\nkey = []\nsource_key = []\n\n\
         [[stream]]\nname = \"b\"\nfrom = \"pocketbase.users\"\nto = \"game.b\"\nkey = [\"id\", \"game_id\", \"id\"]\n[stream.columns]\nid = \"id\"\ngameid = \"id\"\n"
    ));
}

#[test]
fn alone_two_streams_into_one_column() {
    let second = stream("more", "[stream.columns]\nid = \"id\"\nemail = \"lower(email)\"\n");
    insta::assert_snapshot!(bad_alone(&(stream("players", COLUMNS) + &second)));
}

#[test]
fn alone_what_is_hidden_must_be_written() {
    let keyed = "[[stream]]\nname = \"sessions\"\nfrom = \"pocketbase.sessions\"\nto = \"game\"\nkey = \"session:{token}\"\n\
                 type = \"string\"\npii = [\"token\", \"tokn\"]\n[stream.columns]\ntoken = \"token\"\nuser = \"user_id\"\n";
    insta::assert_snapshot!(bad_alone(
        &(stream("players", &format!("pii = [\"emial\", \"email\", \"email\"]\n{COLUMNS}")) + keyed)
    ));
}

#[test]
fn alone_texts() {
    let long = "a".repeat(64);
    insta::assert_snapshot!(bad_alone(&stream(
        "players",
        &format!(
            "where = \" \"\nsubject = {{ user = \"id = key\" }}\ntypes = {{ score = \"bigintt\" }}\n[stream.columns]\nid = \"id\"\n{long} = \"1\"\n"
        )
    )));
}

#[test]
fn alone_order() {
    let a = "after = [\"b\"]\n[stream.columns]\nid = \"id\"\n";
    let b = "after = [\"a\", \"plaers\"]\n[stream.columns]\nid = \"id\"\n";
    insta::assert_snapshot!(bad_alone(&(stream("players", COLUMNS) + &stream("a", a) + &stream("b", b))));
}

#[test]
fn alone_documents() {
    insta::assert_snapshot!(bad_alone(&stream(
        "players",
        "source_key = [\"a\"]\ndocument = { path = \"/~\", is = [] }\n[stream.fields]\n\
         a = { path = \"/a~2\", type = \"text\" }\nb = { path = \"/b\", type = \"bytea\" }\n\
         c = { path = \"/c\", type = \"bigintt\" }\nd = { path = \"/d\", type = \"text[][]\" }\n\
         [stream.columns]\nid = \"id\"\n"
    )));
}
