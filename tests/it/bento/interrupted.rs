//! Runs that do not come to their end: a service is down, or they are killed.

use std::time::Duration;

use super::Bento;
use super::streams::{STREAMS, Stream};
use crate::harness::{Ended, text};

/// How often a run is killed.
const KILLS: u32 = 10;

#[test]
fn a_service_that_is_down_keeps_nobody_else_waiting_and_gets_its_rows_later() {
    let mut bento = Bento::seeded(20);
    bento.run(&["schema", "apply"]).expect(0);
    let config = text("config/development.toml") + "\n[limits]\nretry_seconds_max = 1\n";
    bento.project.write("config/development.toml", &config);
    bento
        .project
        .set("INTERACTION_DB_URL", "postgres://nobody:none@127.0.0.1:1/interaction");
    let ended = bento.run(&["run"]);
    ended
        .expect(3)
        .says("waits for `interaction_db`")
        .says("dbferry run mappings/bento");
    let (down, up): (Vec<&Stream>, _) = STREAMS.iter().partition(|stream| stream.service == "interaction_db");
    for stream in up {
        assert_eq!(bento.found(stream), bento.wanted(stream, "true"), "{}", stream.name);
    }
    assert!(down.iter().all(|stream| bento.found(stream).is_empty()));
    bento.project.set("INTERACTION_DB_URL", &bento.url("interaction_db"));
    bento.run(&["run"]).expect(4);
    bento.check_rows();
    bento.check_ledgers();
}

/// Lets a run begin, and kills it at that moment; its exit code, if it came to its end before.
fn killed_at(bento: &Bento, moment: Duration) -> Option<i32> {
    let mut child = bento.project.start(&["run", "mappings/bento", "--batch-size", "20"]);
    std::thread::sleep(moment);
    if child.try_wait().expect("the child's state").is_none() {
        child.kill().expect("SIGKILL");
    }
    let ended = Ended::of_child(child);
    assert!(matches!(ended.code, None | Some(3 | 4)), "{ended:?}");
    ended.code
}

#[test]
fn killed_at_random_moments_and_resumed_every_service_has_each_row_once() {
    let bento = Bento::seeded(150);
    bento.run(&["schema", "apply"]).expect(0);
    let seed = std::env::var("DBFERRY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random: u64 = seed.unwrap_or_else(|| std::process::id().into());
    eprintln!("DBFERRY_TEST_SEED={random}");
    let (mut killed, mut killed_at_work, mut rows, mut longest) = (0, 0, 0, 2_000);
    while killed < KILLS || killed_at_work < KILLS / 3 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let code = killed_at(&bento, Duration::from_millis((random >> 33) % longest));
        killed += u32::from(code.is_none());
        if code == Some(4) {
            // Complete before it was killed often enough: check, and begin again.
            bento.check_rows();
            bento.check_ledgers();
            bento.forget();
            rows = 0;
            continue;
        }
        let now: usize = STREAMS.iter().map(|stream| bento.found(stream).len()).sum();
        killed_at_work += u32::from(code.is_none() && now > rows);
        // On a busy machine all of it takes longer, the plan before the first row, too.
        longest += if now == rows { 500 } else { 0 };
        rows = now;
    }
    eprintln!("killed {killed} times, {killed_at_work} times after it had committed something");
    bento.run(&["run", "--batch-size", "20"]).expect(4);
    bento.check_rows();
    bento.check_ledgers();
    assert_eq!(bento.rejects().len(), 9);
}
