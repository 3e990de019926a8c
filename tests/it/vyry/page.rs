//! The page about the sample, which lists every trap.

use crate::harness::text;

/// A line of the page.
pub(super) struct Trap {
    pub(super) table: String,
    pub(super) key: String,
    pub(super) becomes: String,
}

/// Every trap.
pub(super) fn traps() -> Vec<Trap> {
    let traps: Vec<Trap> = text("mappings/vyry/sample/README.md")
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
    assert_eq!(traps.len(), 99, "the page about the sample is read wrongly");
    traps
}
