//! Several streams into one table: their rows are united before any is called extra.

use dbferry::pipeline::plan::Options;
use dbferry::verify::VerifyOptions;

use super::{figures, is_equal, stream, try_verify, verified};
use crate::harness::Project;
use crate::items;

fn halves(columns: (&str, &str)) -> (Project, crate::harness::Database) {
    let (project, database) = items::into_postgres(1_000);
    database.query("alter table items alter amount drop not null, alter price drop not null, alter made drop not null, alter flag drop not null");
    let one = |name: &str, condition: &str, columns: &str| {
        format!(
            "[[stream]]\nname = \"{name}\"\nfrom = \"app.items\"\nto = \"target.items\"\nkey = [\"id\"]\nwhere = \"{condition}\"\n[stream.columns]\nid = \"id\"\n{columns}\n"
        )
    };
    let text = one("low", "id < 'item-00000500'", columns.0) + &one("high", "id >= 'item-00000500'", columns.1);
    project.write("mappings/demo/streams.toml", &text);
    project.run(&["run", "mappings/demo"]).expect(0);
    (project, database)
}

#[test]
fn rows_that_any_of_two_streams_covers_are_not_extra() {
    let (project, database) = halves(("note = \"note\"", "amount = \"amount\""));
    is_equal(&verified(&project));
    database.query("delete from items where id = 'item-00000700'; update items set note = 'x' where id = 'item-00000003'; insert into items (id) values ('x')");
    let report = verified(&project);
    assert_eq!(figures(stream(&report, "low")), (0, 1, 1));
    assert_eq!(figures(stream(&report, "high")), (1, 0, 0));
    let plan = Options {
        only: vec!["high".to_owned()],
        ..Options::default()
    };
    let report = try_verify(&project, plan, VerifyOptions::default()).expect("a verification");
    assert_eq!(figures(stream(&report, "high")), (1, 0, 0), "{report:#?}");
}
