//! Rows with something odd about them end as the page about the sample says.

use std::collections::BTreeSet;

use super::Bento;
use super::streams::{STREAMS, Stream};
use crate::harness::{text, value};

/// A line of the sample's page.
struct Trap {
    table: String,
    key: String,
    becomes: String,
}

fn traps() -> Vec<Trap> {
    let traps: Vec<Trap> = text("mappings/bento/sample/README.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [table, key, _, becomes] = cells.as_slice() else {
                return None;
            };
            Some(Trap {
                table: (*table).to_owned(),
                key: key.strip_prefix('`')?.strip_suffix('`')?.replace("\\|", "|"),
                becomes: (*becomes).to_owned(),
            })
        })
        .collect();
    assert_eq!(traps.len(), 87, "the page about the sample is read wrongly");
    traps
}

#[test]
fn every_trap_ends_as_the_page_says() {
    let bento = Bento::seeded(1);
    bento.run(&["run", "--apply-schema"]).expect(4);
    let rejects = bento.rejects();
    let mut expected = BTreeSet::new();
    for trap in traps() {
        let streams: Vec<&Stream> = STREAMS.iter().filter(|stream| stream.from == trap.table).collect();
        assert_eq!(trap.becomes.starts_with("left out"), streams.is_empty(), "{}", trap.key);
        for stream in streams {
            let key = (stream.name.to_owned(), trap.key.clone());
            let quoted = trap.key.replace('\'', "''");
            let there = value(
                &bento.url(stream.service),
                &format!("select count(*) from {} where {} = '{quoted}'", stream.table(), stream.key),
            );
            if let Some(why) = trap.becomes.strip_prefix("rejected: duplicate ") {
                let found = rejects.get(&key).unwrap_or_else(|| panic!("{key:?} was not rejected"));
                assert_eq!(*found, (why.to_owned(), "duplicate".to_owned()), "{key:?}");
                assert_eq!(there, "0", "{key:?}");
                expected.insert(key);
            } else {
                assert!(trap.becomes.starts_with("moved"), "{key:?}: {}", trap.becomes);
                assert_eq!(there, "1", "{key:?}");
                rounded(&bento, stream, &trap, &quoted);
            }
        }
    }
    let rejected: BTreeSet<_> = rejects.keys().cloned().collect();
    assert_eq!(rejected, expected, "rejects that are no trap");
    bento.check_rows();
}

/// The page says to which second a time goes.
fn rounded(bento: &Bento, stream: &Stream, trap: &Trap, key: &str) {
    let Some(becomes) = trap.becomes.strip_prefix("moved: ") else {
        return;
    };
    if !becomes.starts_with(|first: char| first.is_ascii_digit()) {
        return;
    }
    let found = value(
        &bento.url(stream.service),
        &format!("select created_at from {} where {} = '{key}'", stream.table(), stream.key),
    );
    assert_eq!(Some(found.as_str()), becomes.get(..19), "{} {}", stream.name, trap.key);
}
