//! Some rows only: of a subject, of a condition, a sample; and looking again at what differs.

use std::time::Duration;

use dbferry::pipeline::plan::Options;
use dbferry::pipeline::subject::SubjectKey;
use dbferry::verify::report::Verdict;
use dbferry::verify::{Recheck, VerifyOptions};

use super::{figures, is_equal, moved_into_postgres, moved_into_sqlite, only, shorts, try_verify};
use crate::items;

fn of_one(project: &crate::harness::Project, key: &str) -> dbferry::verify::report::VerifyReport {
    project.write(
        "mappings/demo/streams.toml",
        &items::MAPPING.replace(
            "same_name_columns = true",
            "same_name_columns = true\nsubject = { note = \"note = $key\" }",
        ),
    );
    let plan = Options {
        subject: Some(SubjectKey {
            name: "note".to_owned(),
            key: key.to_owned(),
        }),
        ..Options::default()
    };
    try_verify(project, plan, VerifyOptions::default()).expect("a verification")
}

#[test]
fn the_rows_of_one_subject_are_compared_and_its_extra_rows_found() {
    let (project, database) = moved_into_postgres(2_000);
    is_equal(&of_one(&project, "note 11"));
    database.query("update items set flag = not flag where note in ('note 11', 'note 12')");
    assert_eq!(
        shorts(only(&of_one(&project, "note 11"))),
        ["different item-00000011 flag: true / false"]
    );
    database.query("update items set note = 'note 13' where id = 'item-00000016'");
    let report = of_one(&project, "note 13");
    assert_eq!(shorts(only(&report)), ["extra item-00000016"]);
    assert_eq!(only(&report).source_rows, 1);
    database.query("delete from items where id = 'item-00000017'");
    assert_eq!(shorts(only(&of_one(&project, "note 17"))), ["missing item-00000017"]);
}

#[test]
fn the_rows_of_one_subject_are_compared_in_sqlite() {
    let project = moved_into_sqlite(2_000);
    is_equal(&of_one(&project, "note 11"));
    project.sqlite(
        "out.db",
        "update items set note = 'note 13' where id = 'item-00000016'; delete from items where id = 'item-00000011'",
    );
    assert_eq!(shorts(only(&of_one(&project, "note 13"))), ["extra item-00000016"]);
    assert_eq!(shorts(only(&of_one(&project, "note 11"))), ["missing item-00000011"]);
}

#[test]
fn the_rows_of_a_condition_are_compared_and_no_others() {
    let (project, database) = moved_into_postgres(2_000);
    database.query("update items set flag = not flag where id in ('item-00000011', 'item-00000012'); delete from items where id = 'item-00000013'");
    let options = VerifyOptions {
        condition: Some("id in ('item-00000012', 'item-00000013') -- these".to_owned()),
        ..VerifyOptions::default()
    };
    let report = try_verify(&project, Options::default(), options).expect("a verification");
    assert_eq!(figures(only(&report)), (1, 0, 1));
    assert_eq!(only(&report).source_rows, 2);
    assert_eq!(report.restrictions.len(), 1);
}

#[test]
fn a_sample_is_never_called_equal() {
    let (project, database) = moved_into_postgres(5_000);
    let sample = || VerifyOptions {
        sample: Some(500),
        ..VerifyOptions::default()
    };
    let report = try_verify(&project, Options::default(), sample()).expect("a verification");
    assert_eq!(report.status, Verdict::Unchecked);
    let compared = only(&report).sampled.expect("a sample");
    assert!((350..650).contains(&compared), "{compared}");
    database.query("update items set flag = not flag");
    let report = try_verify(&project, Options::default(), sample()).expect("a verification");
    assert_eq!((report.status, only(&report).different), (Verdict::Different, compared));
}

#[test]
fn what_settles_while_it_is_looked_at_again_is_equal() {
    let (project, database) = moved_into_postgres(500);
    database.query("update items set flag = not flag where id in ('item-00000011', 'item-00000012')");
    let url = database.url.clone();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_500));
        crate::harness::query(&url, "update items set flag = not flag where id = 'item-00000011'");
    });
    let options = VerifyOptions {
        recheck: Some(Recheck {
            times: 2,
            wait: Duration::from_secs(4),
        }),
        ..VerifyOptions::default()
    };
    let report = try_verify(&project, Options::default(), options).expect("a verification");
    writer.join().expect("a writer");
    assert_eq!(shorts(only(&report)), ["different item-00000012 flag: false / true"]);
    assert_eq!(figures(only(&report)), (0, 0, 1));
}
