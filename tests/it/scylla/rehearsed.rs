//! A dry run writes nothing, and says what a run would do.

use super::toy::Toy;
use super::writing::figures;

#[test]
fn a_dry_run_writes_nothing_and_tells_the_same_figures() {
    let toy = Toy::of(500, "error");
    let dry = toy.project.run(&["run", "mappings/demo", "--dry-run", "--output", "json"]);
    dry.expect(4);
    for table in ["items", "notes", "pairs", "names"] {
        assert_eq!(toy.keyspace.count(table), 0, "{table}");
    }
    let tables = toy.keyspace.try_rows("SELECT project FROM dbferry_checkpoint");
    assert!(tables.is_err(), "no ledger was made");
    let run = toy.project.run(&["run", "mappings/demo", "--output", "json"]);
    run.expect(4);
    for stream in ["items", "notes", "pairs", "names"] {
        assert_eq!(figures(&dry, stream), figures(&run, stream), "{stream}");
    }
}

#[test]
fn a_plan_tells_the_largest_partition_and_what_one_replica_means() {
    let toy = Toy::of(500, "error");
    let mapping = toy.project.text("mappings/demo/streams.toml");
    let mapping = mapping.replacen("on_conflict", "consistency = \"one\"\non_conflict", 1);
    toy.project.write("mappings/demo/streams.toml", &mapping);
    let plan = toy.project.run(&["plan", "mappings/demo"]);
    plan.expect(0);
    assert!(
        plan.stdout.contains("largest partition (grp): about 250 rows"),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("may be lost with that one"), "{}", plan.stdout);
    let plan = toy.project.run(&["plan", "mappings/demo", "--output", "json"]).json();
    assert_eq!(plan["streams"][0]["partitions"]["largest_rows"].as_u64(), Some(250), "{plan}");
    assert_eq!(plan["streams"][0]["partitions"]["exact"], true);
}

/// A row whose moment nobody writes would never expire.
#[test]
fn a_column_of_expiry_is_one_that_is_written_and_a_moment() {
    let toy = Toy::of(1, "error");
    let mapping = toy.project.text("mappings/demo/streams.toml");
    let with = |column: &str| {
        let changed = mapping.replace("expires_at = \"until\"", &format!("expires_at = \"{column}\""));
        toy.project.write("mappings/demo/streams.toml", &changed);
        toy.project.run(&["plan", "mappings/demo"])
    };
    with("untl").expect(2).says("has no column `untl`").says("until");
    with("note").expect(2).says("is text, which is no moment");
    with("until").expect(0);
    let unwritten = mapping.replace("until = \"until\"\n", "");
    toy.project.write("mappings/demo/streams.toml", &unwritten);
    toy.project.run(&["plan", "mappings/demo"]).expect(2).says("is not written");
}

/// A partition over the limit is warned of before a row is moved.
#[test]
fn a_plan_warns_of_a_partition_that_is_too_large() {
    let toy = Toy::of(1, "error");
    toy.project.sqlite(
        "app.db",
        "delete from items;
         with recursive number (n) as (select 1 union all select n + 1 from number where n < 120)
         insert into items (id, grp, raw) select n, 'wide', zeroblob(1000000) from number;",
    );
    let plan = toy.project.run(&["plan", "mappings/demo"]);
    plan.expect(0);
    assert!(plan.stdout.contains("more than the 100 MB"), "{}", plan.stdout);
}
