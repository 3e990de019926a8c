//! What is kept of one group of streams.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::{Head, file};
use crate::data::piece::Pieces;
use crate::pipeline::event::{Event, Events};
use crate::verify::bucket::Buckets;
use crate::verify::pass::Read;
use crate::verify::report::{StreamVerdict, Verdict};

/// Which side of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verify) enum End {
    /// The source of its one stream.
    Source,
    /// The target.
    Target,
}

/// What was read of a side, up to the end of a piece.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::verify) struct Part {
    /// Pieces as they were cut, and the first moment that was read.
    pub(in crate::verify) pieces: Pieces,
    /// How many of them were read.
    pub(in crate::verify) done: usize,
    /// When the first of them was begun, RFC 3339 in UTC.
    pub(in crate::verify) began: String,
    /// In how many sittings they were read.
    pub(in crate::verify) sittings: u32,
    pub(in crate::verify) read: Read,
    pub(in crate::verify) unreadable: u64,
}

/// What is kept of a group.
pub(in crate::verify) struct GroupKept {
    /// Path of its files without their endings; `None` where nothing is kept.
    place: Option<PathBuf>,
    head: Head,
    events: Events,
    failed: AtomicBool,
    /// Sides of which an earlier sitting has read a part.
    gone_on: Mutex<Vec<(End, Part)>>,
}

const VERDICTS: &str = "verdicts";

const fn ending(end: End) -> &'static str {
    match end {
        End::Source => "source",
        End::Target => "target",
    }
}

impl GroupKept {
    pub(super) fn new(place: Option<PathBuf>, head: Head, events: Events) -> Self {
        Self {
            place,
            head,
            events,
            failed: AtomicBool::new(false),
            gone_on: Mutex::new(Vec::new()),
        }
    }

    /// Keeps nothing.
    pub(in crate::verify) fn nothing(events: Events) -> Self {
        Self::new(None, Head::default(), events)
    }

    /// Whether anything is kept, fit or not.
    pub(super) fn is_there(&self) -> bool {
        self.paths().iter().any(|path| path.exists())
    }

    /// Looks at what is there: what does not fit is told, and goes away.
    pub(super) fn begin(&self, resume: bool) {
        if !resume {
            return self.forget();
        }
        for path in self.paths() {
            let why = match file::read::<serde_json::Value>(&path) {
                Ok(None) => continue,
                Ok(Some((head, ..))) => self.head.differs(&head),
                Err(_) => Some("what was noted of it cannot be read".to_owned()),
            };
            if let Some(why) = why {
                self.anew(&why);
                return self.forget();
            }
        }
    }

    /// Whether anything is kept of this group at all.
    pub(in crate::verify) const fn is_on(&self) -> bool {
        self.place.is_some()
    }

    /// Verdicts that an earlier sitting came to, in the order of the streams.
    pub(in crate::verify) fn verdicts(&self) -> Option<Vec<StreamVerdict>> {
        let (_, mut verdicts, _) = file::read::<Vec<StreamVerdict>>(&self.path(VERDICTS)?).ok()??;
        for verdict in &mut verdicts {
            verdict
                .notes
                .push("compared by an earlier sitting of this verification, which was then interrupted".to_owned());
        }
        Some(verdicts).filter(|verdicts| verdicts.len() == self.head.streams.len())
    }

    /// What an earlier sitting has read of a side.
    pub(in crate::verify) fn part(&self, end: End) -> Option<(Part, Buckets)> {
        let (_, part, sums) = file::read::<Part>(&self.path(ending(end))?).ok()??;
        Some((part, Buckets::from_bytes(&sums)?))
    }

    /// This sitting goes on from there.
    pub(in crate::verify) fn goes_on(&self, end: End, part: &Part) {
        if let Ok(mut gone_on) = self.gone_on.lock() {
            gone_on.push((end, part.clone()));
        }
    }

    /// Keeps what was read of a side.
    pub(in crate::verify) fn keep(&self, end: End, part: &Part, buckets: &Buckets) {
        self.write(ending(end), part, &buckets.to_bytes());
    }

    /// The group was compared: what is equal is final. Of what differs only the sums stay, for a later
    /// sitting to look at it again.
    pub(in crate::verify) fn compared(&self, verdicts: &[StreamVerdict]) {
        if verdicts.iter().all(|verdict| verdict.status == Verdict::Equal) {
            self.write(VERDICTS, &verdicts, &[]);
            for end in [End::Source, End::Target] {
                self.remove(ending(end));
            }
        }
    }

    /// Nothing of it is kept any more.
    pub(in crate::verify) fn forget(&self) {
        for name in [VERDICTS, ending(End::Source), ending(End::Target)] {
            self.remove(name);
        }
        if let Some(folder) = self.place.as_deref().and_then(Path::parent) {
            // Goes away only where nothing is in it.
            drop(std::fs::remove_dir(folder));
        }
    }

    /// When a side was begun to be read, where an earlier sitting did that.
    pub(in crate::verify) fn began(&self, end: End) -> Option<String> {
        let gone_on = self.gone_on.lock().ok()?;
        let part = gone_on.iter().find(|(of, _)| *of == end);
        part.map(|(_, part)| part.began.clone())
    }

    /// Rows of both sides that earlier sittings have read.
    pub(in crate::verify) fn rows_before(&self) -> u64 {
        let gone_on = self
            .gone_on
            .lock()
            .map(|gone_on| gone_on.iter().map(|(_, part)| part.read.rows).sum());
        gone_on.unwrap_or_default()
    }

    /// What the reader of a report should know of it.
    pub(in crate::verify) fn told(&self) -> Vec<String> {
        let gone_on = self.gone_on.lock().map(|gone_on| gone_on.clone()).unwrap_or_default();
        let told = |(end, part): (End, Part)| {
            format!(
                "the {} was read in {} sittings, {} of {} pieces before this one: rows written in between were looked at \
                 as they are now, rows deleted in between may be counted as they were",
                ending(end),
                part.sittings + 1,
                part.done,
                part.pieces.count()
            )
        };
        gone_on.into_iter().map(told).collect()
    }

    /// Tells that nothing that was kept is used.
    pub(in crate::verify) fn anew(&self, why: &str) {
        self.warn(format!("compared anew: {why}"));
    }

    fn warn(&self, message: String) {
        (self.events)(Event::Warning {
            stream: self.head.streams.first().cloned(),
            message,
        });
    }

    fn write(&self, name: &str, body: &impl Serialize, sums: &[u8]) {
        let Some(path) = self.path(name) else { return };
        if let Err(error) = file::write(&path, &self.head, body, sums)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            self.warn(format!(
                "how far its verification is cannot be noted in {}: {}",
                path.parent().unwrap_or(&path).display(),
                error.kind()
            ));
        }
    }

    fn remove(&self, name: &str) {
        if let Some(path) = self.path(name) {
            // What is not there need not go; a folder that cannot be written keeps nothing new either.
            drop(std::fs::remove_file(file::beside(&path)));
            drop(std::fs::remove_file(path));
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.place.as_ref().map(|place| place.with_extension(name))
    }

    fn paths(&self) -> Vec<PathBuf> {
        let names = [VERDICTS, ending(End::Source), ending(End::Target)];
        names.iter().filter_map(|name| self.path(name)).collect()
    }
}
