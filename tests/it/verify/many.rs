//! More differences than are fetched by their keys: hashes on disk, exact counts.

use dbferry::pipeline::plan::Options;
use dbferry::verify::VerifyOptions;
use dbferry::verify::report::VerifyReport;

use super::{figures, moved_into_postgres, moved_into_sqlite, only, try_verify, verified};
use crate::harness::Project;
use crate::items;

/// As if more than a few rows differed.
fn many(project: &Project) -> VerifyReport {
    let options = VerifyOptions {
        few_rows_max: 500,
        ..VerifyOptions::default()
    };
    try_verify(project, Options::default(), options).expect("a verification")
}

const MANY: &str = "delete from items where substr(id, 13, 1) = '3';
     update items set note = 'x' where substr(id, 13, 1) = '4';
     insert into items select id || 'x', amount, price, note, made, flag, doc from items where substr(id, 13, 1) in ('5', '6')";

#[test]
fn many_differences_are_counted_exactly() {
    let (project, database) = moved_into_postgres(20_000);
    database.query(MANY);
    let report = many(&project);
    let verdict = only(&report);
    assert_eq!(figures(verdict), (2_000, 4_000, 2_000));
    assert_eq!((verdict.differences.len(), verdict.not_listed), (100, 7_900));
    assert_eq!((verdict.source_rows, verdict.target_rows), (20_000, 22_000));
}

#[test]
fn tables_without_a_key_are_compared_as_sets_with_repetitions() {
    let project = Project::new();
    project.write(
        "config/development.toml",
        "[connection.app]\nkind = \"sqlite\"\npath = { value = \"app.db\" }\n\n[connection.target]\nkind = \"sqlite\"\npath = { value = \"out.db\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    let mapping = items::MAPPING.replace(
        "from = \"app.items\"",
        "[stream.query]\nconnection = \"app\"\nsql = \"select * from items\"\n[stream.columns]\nid = \"id\"\n",
    );
    let (head, query) = mapping.split_once("[stream.query]").expect("a query");
    let head = format!("{head}to = \"target.items\"\nkey = [\"id\"]\nsame_name_columns = true\n");
    let query = query.split("\nto =").next().expect("the query");
    project.write("mappings/demo/streams.toml", &format!("{head}\n[stream.query]{query}"));
    project.sqlite("out.db", &items::SQLITE_DDL.replace(" primary key", ""));
    items::fill(&project, 5_000);
    project.run(&["run", "mappings/demo"]).expect(0);
    super::is_equal(&verified(&project));
    project.sqlite(
        "out.db",
        "delete from items where id = 'item-00000003';
         update items set note = 'x' where id = 'item-00000004';
         insert into items select * from items where id in ('item-00000005', 'item-00000006')",
    );
    assert_eq!(figures(only(&verified(&project))), (1, 2, 1));
    project.sqlite("out.db", "insert into items select * from items");
    assert_eq!(figures(only(&verified(&project))).1, 5_003);
}

#[test]
fn rows_of_a_target_that_cannot_be_read_are_differences_however_many() {
    // Notes that were empty before, of rows that can be read.
    const EMPTY: u64 = 1_200;
    let project = moved_into_sqlite(12_000);
    project.sqlite("out.db", "update items set price = 'cheap' where substr(id, 13, 1) = '4'");
    let report = many(&project);
    assert_eq!(figures(only(&report)), (0, 0, 1_200));
    project.sqlite("out.db", "update items set note = '' where substr(id, 13, 1) <> '4'");
    assert_eq!(figures(only(&many(&project))), (0, 0, 12_000 - EMPTY));
}
