//! Killed in between, a repair leaves whole batches, and the next one does the rest.

use std::time::{Duration, Instant};

use super::{repaired, reported};
use crate::harness::{Ended, Moments, until};
use crate::items;

const ROWS: u32 = 12_000;

#[test]
fn killed_at_random_moments_the_next_repair_does_the_rest() {
    let (project, target) = items::into_postgres(ROWS);
    project.run(&["run", "mappings/demo"]).expect(0);
    let moved = target.query(items::ALL_ROWS);
    target.query("delete from items where amount % 5 > 0; update items set flag = not flag");
    reported(&project, &["--max-differences", "1000000"]);
    let mut moments = Moments::seeded();
    let (mut killed, mut partly) = (0, 0);
    let count = || target.value("select count(*) from items").parse::<u32>().expect("a count");
    while killed < 6 && count() < ROWS {
        let before = count();
        let mut child = project.start_unheard(&["repair", "r.json", "--yes"]);
        let began = Instant::now();
        if moments.below(2) == 0 {
            // In the midst of its batches.
            until("it writes", || {
                count() > before || began.elapsed() > Duration::from_mins(1) || child.try_wait().expect("a state").is_some()
            });
        } else {
            std::thread::sleep(Duration::from_millis(moments.below(4_000)));
        }
        if child.try_wait().expect("the child's state").is_none() {
            child.kill().expect("SIGKILL");
            killed += 1;
        }
        let ended = Ended::of_child(child);
        assert!(matches!(ended.code, None | Some(0 | 3)), "{ended:?}");
        partly += u32::from(count() > before && count() < ROWS);
    }
    eprintln!("killed {killed} times, {partly} of the repairs had done a part");
    repaired(&project, &[], 0);
    assert!(target.query(items::ALL_ROWS) == moved, "the rows differ");
    project.run(&["verify", "mappings/demo"]).expect(0);
    let gaps = "select count(*) from (select sequence, row_number() over (order by sequence) as number
        from dbferry.batch where split = -2147483648) b where sequence <> number";
    assert_eq!(target.value(gaps), "0", "batches have no gaps");
}
