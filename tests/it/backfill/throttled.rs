//! A rate is kept.

use super::{MAPPING, WRONG, filled, project};
use crate::harness::Database;

/// Rows in a second between the first batch and the last.
const RATE: &str = "select (sum(rows_read) filter (where sequence > 1))
        / extract(epoch from max(committed_at) - min(committed_at))
    from dbferry.batch where rows_read > 0";

#[test]
fn a_rate_is_exact_whoever_sets_it() {
    let limited = "max_rows_per_second = 250\n";
    let own = MAPPING.replace("pending", &format!("{limited}pending"));
    let ways: [(&str, &str, &[&str]); 3] = [
        (MAPPING, limited, &[]),
        (&own, "max_rows_per_second = 100000\n", &[]),
        (&own, "max_rows_per_second = 1\n", &["--max-rows-per-second", "250"]),
    ];
    std::thread::scope(|scope| {
        for (mapping, limits, arguments) in ways {
            scope.spawn(move || {
                let database = Database::create();
                filled(&database, 3_000);
                let project = project(&database.url, mapping, limits);
                let arguments: Vec<&str> = ["backfill", "mappings/demo"]
                    .into_iter()
                    .chain(arguments.iter().copied())
                    .collect();
                project.run(&arguments).expect(0);
                let rate: f64 = database.value(RATE).parse().expect("a rate");
                eprintln!("{rate} rows per second");
                assert!(rate < 262.5, "{rate} rows per second");
                let slowest: f64 = database
                    .value("select max(seconds) from dbferry.batch")
                    .parse()
                    .expect("seconds");
                // A machine that cannot keep the rate says nothing of how it is kept.
                assert!(rate > 237.5 || slowest > 0.2, "{rate} rows per second");
                assert_eq!(database.value(WRONG), "0");
            });
        }
    });
}
