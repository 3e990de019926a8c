//! Finding a value within a JSON text: the walk along a path.

use super::super::cast::document;
use crate::document::pointer;
use crate::document::scan::{Piece, Quoted, Scan};

pub(super) use crate::document::pointer::{BAD_PATH, NAMED_TWICE, Pointer};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// The value as it is written.
    pub(super) text: &'a str,
    /// Its first piece.
    pub(super) piece: Piece<'a>,
}

/// Finds values; what it remembers is used again for the next document.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// The containers that are open and lead to the value.
    live: Vec<Live>,
    scratch: String,
}

#[derive(Debug, Clone, Copy)]
struct Live {
    object: bool,
    /// Members or elements that were the one asked for.
    hits: usize,
    /// Elements so far.
    elements: usize,
}

impl Finder {
    /// The value that `pointer` leads to; `None` where the document has none. The whole document
    /// is read: it has to be valid, and the answer must not depend on which of two equal keys
    /// counts.
    pub(super) fn find<'a>(&mut self, text: &'a str, pointer: &Pointer<'_>) -> Result<Option<Found<'a>>, &'static str> {
        self.live.clear();
        let mut scan = Scan::new(text);
        let mut found: Option<(Piece<'a>, usize)> = None;
        let mut end = None;
        // Steps that lead to the value that comes next; `None` where it lies aside.
        let mut taken = Some(0);
        while let Some(piece) = scan.next().map_err(document::broken)? {
            match piece {
                Piece::Name(name) => {
                    taken = self.name(&scan, name, pointer)?;
                    continue;
                }
                Piece::Close { .. } => {
                    self.live.truncate(scan.depth());
                    if found.is_some() && end.is_none() && scan.depth() == pointer.steps().len() {
                        end = Some(scan.end());
                    }
                    continue;
                }
                _ => {}
            }
            let open = usize::from(matches!(piece, Piece::Open { .. }));
            let depth = scan.depth() - open;
            let steps = taken.take().or_else(|| self.element(depth, pointer));
            let Some(steps) = steps else { continue };
            if steps == pointer.steps().len() {
                found = Some((piece, scan.begin()));
                end = (open == 0).then(|| scan.end());
            } else if let Piece::Open { object } = piece {
                self.live.push(Live {
                    object,
                    hits: 0,
                    elements: 0,
                });
            }
        }
        Ok(found.zip(end).map(|((piece, begin), end)| Found {
            text: &text[begin..end],
            piece,
        }))
    }

    /// Steps that lead to the next element of the array at `depth`, if it lies on the way.
    fn element(&mut self, depth: usize, pointer: &Pointer<'_>) -> Option<usize> {
        if depth != self.live.len() {
            return None;
        }
        let live = self.live.last_mut().filter(|live| !live.object)?;
        let at = live.elements;
        live.elements += 1;
        (pointer::index(&pointer.steps()[depth - 1]) == Some(at)).then_some(depth)
    }

    /// Steps that lead to the value of a member, if it lies on the way.
    fn name(&mut self, scan: &Scan<'_>, name: Quoted<'_>, pointer: &Pointer<'_>) -> Result<Option<usize>, &'static str> {
        let depth = scan.depth();
        if depth != self.live.len() {
            return Ok(None);
        }
        let wanted = &pointer.steps()[depth - 1];
        let same = if name.escaped {
            self.scratch.clear();
            // Half a surrogate pair is in no path.
            name.unescape(&mut self.scratch).is_ok() && self.scratch == *wanted
        } else {
            name.raw == wanted
        };
        let Some(live) = self.live.last_mut().filter(|_| same) else {
            return Ok(None);
        };
        live.hits += 1;
        if live.hits > 1 {
            return Err(NAMED_TWICE);
        }
        Ok(Some(depth))
    }
}
