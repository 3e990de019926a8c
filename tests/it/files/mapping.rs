//! The form of a mapping's files.

use dbferry::mapping::file;

use super::{PROJECT, bad_streams, folder, load_streams, shown, stream};

#[test]
fn a_mapping_keeps_file_order_and_places() {
    let text = stream(
        "players",
        "on_conflict = \"update\"\nrules = { z = \"1 = 1\", a = \"2 = 2\" }\n[stream.columns]\nid = \"id\"\nb = '''\nlower(\n  email)'''\na = \"1\"",
    );
    let (_folder, project) = load_streams(&text);
    let project = project.expect("good form");
    let stream = &project.streams[0];
    let names: Vec<_> = stream.columns.iter().map(|(name, _)| name.value.as_str()).collect();
    assert_eq!(names, ["id", "b", "a"]);
    assert_eq!(stream.rules[0].0.value, "z");
    assert_eq!(stream.from.connection(), "pocketbase");
    let expression = &stream.columns[1].1;
    assert_eq!(expression.value, "lower(\n  email)");
    let email = expression.inside(&(9..14));
    assert_eq!((email.text(), email.line_column()), ("email", (12, 3)));
}

#[test]
fn mapping_keys_and_types() {
    insta::assert_snapshot!(bad_streams(
        "[[stream]]\nname = \"a\"\nform = \"pocketbase.users\"\nto = [\"game.players\"]\nkey = \"id\"\non_conflict = \"upsert\"\n\
         [stream.columns]\nid = 5\n\n[[stream]]\nname = \"b\"\nfrom = \"users\"\ncolumns = \"all\"\n"
    ));
}

#[test]
fn mapping_one_bracket_too_few() {
    insta::assert_snapshot!(bad_streams("[stream]\nname = \"a\"\n"));
}

#[test]
fn mapping_from_both_and_neither() {
    insta::assert_snapshot!(bad_streams(
        "[[stream]]\nname = \"a\"\nto = \"game.a\"\nkey = [\"id\"]\n\n\
         [[stream]]\nname = \"b\"\nfrom = \"pocketbase.b\"\nto = \"game.b\"\nkey = [\"id\"]\n[stream.query]\nconnection = \"pocketbase\"\nsql = \"select 1\"\n\n\
         [[stream]]\nname = \"c\"\nto = \"game.c\"\nkey = [\"id\"]\n[stream.query]\nsql = \"select 1\"\n"
    ));
}

#[test]
fn mapping_syntax() {
    insta::assert_snapshot!(bad_streams(
        "[[stream]]\nname = players\nname = \"b\"\nkey = [\"id\"\n[stream.columns]\nid = \"a\nb\"\n"
    ));
}

#[test]
fn project_file_and_folder() {
    let folder = folder(&[
        (
            "mappings/game/project.toml",
            "name = \"the game\"\nsource = [\"a\"]\nsinks = [\"game\"]\n",
        ),
        ("mappings/empty/project.toml", PROJECT),
    ]);
    let load = |name: &str| shown(&folder, &file::load(&folder.path().join(name)).expect_err("a mistake"));
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        load("mappings/game"),
        load("mappings/empty"),
        load("mappings/gaem")
    ));
}

#[test]
fn mapping_of_documents() {
    insta::assert_snapshot!(bad_streams(&stream(
        "players",
        "document = { column = \"body\", is = [\"account\"] }\n[stream.fields]\n\
         nothing = {}\nuntyped = { path = \"/a\" }\n\
         both = { path = \"/a\", type = \"text\", present = true }\n\
         twice = { path = \"/a\", type = \"text\", required = true, null = \"reject\" }\n\
         never = { path = \"/a\", type = \"text\", missing = \"rejected\" }\n\
         words = \"/a\"\n"
    )));
}
