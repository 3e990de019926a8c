//! A stream against the shapes of both its ends.

use dbferry::data::column::ColumnType;
use dbferry::data::table::{Column, Fill, Table, TableName};
use dbferry::mapping::check;

use super::{COLUMNS, load_streams, shown_findings, stream};

/// One stream that must not fit the shapes of `users` and `players`.
fn bad_shapes(text: &str) -> String {
    let (folder, project) = load_streams(text);
    let project = project.expect("good form");
    shown_findings(&folder, check::shapes(&project.streams[0], &users(), &players()))
}

fn table(name: &str, columns: &[(&str, &str, bool, Fill)], uniques: &[&[&str]]) -> Table {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let columns = columns.iter().map(|(name, ty, nullable, fill)| Column {
        nullable: *nullable,
        fill: *fill,
        ..Column::new(*name, ColumnType::parse(ty).expect("a type"))
    });
    Table {
        key: owned(uniques[0]),
        uniques: uniques.iter().map(|names| owned(names)).collect(),
        ..Table::new(TableName::new(name), columns.collect())
    }
}

fn users() -> Table {
    let columns = ["id", "email", "username", "region"].map(|name| (name, "text", false, Fill::Nothing));
    table("users", &columns, &[&["id"]])
}

pub(super) fn players() -> Table {
    let columns = [
        ("id", "uuid", false, Fill::Nothing),
        ("username", "varchar(50)", false, Fill::Nothing),
        ("email", "varchar(255)", false, Fill::Nothing),
        ("region", "varchar(50)", true, Fill::Nothing),
        ("created_at", "timestamp", false, Fill::Default),
        ("search", "text", true, Fill::Generated),
    ];
    table("players", &columns, &[&["id"], &["email"]])
}

#[test]
fn shapes_that_fit_have_no_findings() {
    let (_folder, project) = load_streams(&stream("players", COLUMNS));
    assert_eq!(
        check::shapes(&project.expect("good form").streams[0], &users(), &players()),
        []
    );
}

#[test]
fn shapes_unknown_columns() {
    insta::assert_snapshot!(bad_shapes(&stream(
        "players",
        "source_key = [\"ident\"]\nallow_precision_loss = [\"createdat\"]\n[stream.types]\nemial = \"text\"\n\
         [stream.columns]\nid = \"id\"\nusername = \"username\"\nemail = \"email\"\nregoin = \"region\"\nsearch = \"email\"\ncreated_at = \"null\"\n"
    )));
}

#[test]
fn shapes_values_that_are_missing() {
    insta::assert_snapshot!(bad_shapes(&stream(
        "players",
        "[stream.columns]\nid = \"id\"\nemail = \"email\"\n"
    )));
}

#[test]
fn shapes_key_that_is_not_unique() {
    let text = stream("players", COLUMNS).replace("key = [\"id\"]", "key = [\"username\"]\non_conflict = \"update\"");
    insta::assert_snapshot!(bad_shapes(&text));
}

#[test]
fn shapes_same_names() {
    let all = COLUMNS.to_owned() + "region = \"region\"\n";
    let (_folder, project) = load_streams(&stream("players", "same_name_columns = true"));
    let taken = project.expect("good form").streams[0].clone();
    assert_eq!(
        check::taken_over(&taken, &users(), &players()),
        ["id", "username", "email", "region"]
    );
    insta::assert_snapshot!(bad_shapes(&stream(
        "players",
        &format!("same_name_columns = true\npii = [\"region\", \"usrname\"]\n{all}")
    )));
}
