//! Chunks: which rows of a portion go into one request.
//!
//! Rows of one partition go together, up to a limit: one request and one change of the partition
//! instead of many. Rows of different partitions never do, for then the node that is asked would have to
//! pass them on. A partition with many rows takes turns with the others, so that its replicas do not
//! hold up the rest.

use std::collections::HashMap;

use super::portion::Portion;

/// Most rows of one request.
pub(super) const ROWS_MAX: usize = 32;
/// Most bytes of one request with several rows.
const BYTES_MAX: usize = 32 << 10;

/// The rows that are `wanted`, cut into chunks of one partition each, in the order in which they are
/// to be sent.
pub(super) fn chunks(portion: &Portion, wanted: &[usize], several: bool) -> Vec<Vec<usize>> {
    if !several {
        return wanted.iter().map(|row| vec![*row]).collect();
    }
    // By partition the chunk that still has room, and how many were filled before.
    let mut open: HashMap<&[u8], (usize, usize, usize)> = HashMap::with_capacity(wanted.len());
    let mut chunks: Vec<(usize, Vec<usize>)> = Vec::new();
    for row in wanted {
        let bytes = portion.bytes(*row);
        let turn = match open.get_mut(portion.partition(*row)) {
            Some((chunk, size, _)) if chunks[*chunk].1.len() < ROWS_MAX && *size + bytes <= BYTES_MAX => {
                chunks[*chunk].1.push(*row);
                *size += bytes;
                continue;
            }
            Some((.., turn)) => *turn + 1,
            None => 0,
        };
        open.insert(portion.partition(*row), (chunks.len(), bytes, turn));
        chunks.push((turn, vec![*row]));
    }
    chunks.sort_by_key(|(turn, _)| *turn);
    chunks.into_iter().map(|(_, rows)| rows).collect()
}
