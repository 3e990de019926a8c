//! Documents of kinds that no stream of the project takes: not moved, and so counted and listed.
//!
//! Every stream meets all documents of its source and leaves the others' to them. One stream that
//! reads a source speaks for all: the one that this run has moved furthest.

use std::collections::BTreeSet;

use super::report::{KindCount, NotCovered, StreamReport};
use crate::data::kinds::KindCounts;
use crate::mapping::stream::From;
use crate::mapping::{Project, Stream};

/// What a stream left to others, as far as batches with it are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftToOthers {
    /// `connection.table`.
    source: String,
    /// Where a document says of what kind it is.
    path: String,
    /// Kinds that streams of the project take.
    taken: BTreeSet<String>,
    /// All kinds that the stream met and does not take.
    pub(super) left: KindCounts,
}

impl LeftToOthers {
    /// Before anything is left; `None` where every document that is read is taken by some stream.
    pub(super) fn nothing(project: &Project, stream: &Stream, source: &str) -> Option<Self> {
        let path = &stream.document.as_ref()?.kinds.as_ref()?.path.value;
        let From::Table(from) = &stream.from else { return None };
        let same = |other: &&Stream| matches!(&other.from, From::Table(table) if table.value == from.value);
        let mut taken = BTreeSet::new();
        for other in project.streams.iter().filter(same) {
            // One that takes every document leaves none.
            let kinds = other.document.as_ref()?.kinds.as_ref()?;
            if kinds.path.value == *path {
                taken.extend(kinds.is.iter().map(|kind| kind.value.clone()));
            }
        }
        Some(Self {
            source: source.to_owned(),
            path: path.clone(),
            taken,
            left: KindCounts::default(),
        })
    }

    fn told(&self) -> Option<NotCovered> {
        let named = self.left.named().filter(|(kind, _)| !self.taken.contains(*kind));
        let mut kinds: Vec<_> = named
            .map(|(kind, documents)| KindCount {
                kind: Some(kind.to_owned()),
                documents,
            })
            .collect();
        if self.left.unnamed() > 0 {
            kinds.push(KindCount {
                kind: None,
                documents: self.left.unnamed(),
            });
        }
        let others = self.left.others();
        (!kinds.is_empty() || others > 0).then(|| NotCovered {
            source: self.source.clone(),
            path: self.path.clone(),
            kinds,
            others,
        })
    }
}

/// What the streams of a run left to others and no stream takes, once for each source.
pub(super) fn of(streams: &[StreamReport]) -> Vec<NotCovered> {
    let mut speakers: Vec<(u64, &LeftToOthers)> = Vec::new();
    for stream in streams {
        let Some(leaves) = &stream.leaves else { continue };
        let same = |(_, known): &&mut (u64, &LeftToOthers)| (&known.source, &known.path) == (&leaves.source, &leaves.path);
        match speakers.iter_mut().find(same) {
            Some(known) if known.0 < stream.read => *known = (stream.read, leaves),
            Some(_) => {}
            None => speakers.push((stream.read, leaves)),
        }
    }
    speakers.into_iter().filter_map(|(_, leaves)| leaves.told()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(read: u64, path: &str, left: &[(Option<&str>, u64)]) -> StreamReport {
        let mut counts = KindCounts::default();
        for (kind, documents) in left {
            counts.add(*kind, *documents);
        }
        let mut report = StreamReport::pending_at("s", "c.t", "d.t");
        report.read = read;
        report.leaves = Some(LeftToOthers {
            source: "c.t".to_owned(),
            path: path.to_owned(),
            taken: ["a", "b"].map(str::to_owned).into(),
            left: counts,
        });
        report
    }

    #[test]
    fn one_stream_speaks_for_all_that_read_a_source() {
        let streams = [
            report(5, "/type", &[(Some("b"), 1), (Some("x"), 1)]),
            report(9, "/type", &[(Some("a"), 4), (Some("x"), 3), (None, 2)]),
            StreamReport::pending_at("other", "c.u", "d.u"),
            report(0, "/kind", &[]),
        ];
        let kind = |kind: Option<&str>, documents| KindCount {
            kind: kind.map(str::to_owned),
            documents,
        };
        let told = of(&streams);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].kinds, [kind(Some("x"), 3), kind(None, 2)]);
        assert_eq!((told[0].path.as_str(), told[0].others), ("/type", 0));
    }
}
