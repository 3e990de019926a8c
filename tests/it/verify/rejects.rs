//! Rows that are not in the target because they cannot be: neither missing nor equal.

use super::{figures, is_equal, only, shorts, verified};
use crate::items;

#[test]
fn refused_and_recorded_rows_are_rejected_and_filtered_ones_are_not_looked_for() {
    let (project, database) = items::into_postgres(1_000);
    database.query("alter table items add constraint few check (amount <> 9007199254740993 + 7919 * 3)");
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace(
            "same_name_columns = true",
            "same_name_columns = true\nwhere = \"id <> 'item-00000100'\"\nrules = { low = \"id < 'item-00000800'\" }",
        ),
    );
    project.run(&["run", "mappings/demo", "--max-rejects", "1000"]).expect(4);
    let report = verified(&project);
    is_equal(&report);
    let verdict = only(&report);
    // 800 to 1000 break the rule, the third is refused by the target, the hundredth is left out.
    assert_eq!((verdict.rejected, verdict.filtered, verdict.covered_rows), (202, 1, 797));
    database.query("delete from items where id = 'item-00000200'");
    assert_eq!(shorts(only(&verified(&project))), ["missing item-00000200"]);
    // Moved by hand after all: it is no reject any more, but a row like any other.
    database.query("alter table items drop constraint few");
    project.run(&["run", "mappings/demo", "--retry-rejects", "--max-rejects", "1000"]);
    let report = verified(&project);
    assert_eq!((only(&report).rejected, figures(only(&report))), (201, (1, 0, 0)));
}

#[test]
fn two_source_rows_with_one_target_key_are_one_row_and_one_reject() {
    let (project, database) = items::into_postgres(100);
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace(
            "id = \"id\"",
            "id = \"case when id = 'item-00000002' then 'item-00000001' else id end\"",
        ),
    );
    project.run(&["run", "mappings/demo", "--max-rejects", "1000"]).expect(4);
    assert_eq!(database.value("select count(*) from items"), "99");
    let report = verified(&project);
    is_equal(&report);
    assert_eq!((only(&report).rejected, only(&report).covered_rows), (1, 99));
}
