//! What is kept of a verification while it goes on, so that another one can go on from there.
//!
//! It lies in a folder of this machine, never in a database (Invariant 10): for each group of
//! streams the verdicts that are final, and of big tables the sums of the pieces that were read. There
//! is no value of any row in it (Invariant 9): verdicts are kept only where nothing differs, and what
//! differed is looked at again.
//!
//! Whatever is wrong with it, a verification goes on without it: then everything is compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::VerifyOptions;
use crate::config::connection::Connection;
use crate::pipeline::event::{Event, Events};
use crate::pipeline::fingerprint::what_changed;
use crate::pipeline::plan::Plan;

mod ends;
mod file;
mod group;

pub(super) use group::{End, GroupKept, Part};

/// Version of the form of what is kept.
const FORM: u32 = 1;

/// Where a verification keeps how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Folder of the project and environment; made where it is missing.
    pub folder: PathBuf,
    /// Go on from what is kept there. Without it everything is compared.
    pub resume: bool,
}

impl Keep {
    /// Whether an unfinished verification has left anything.
    #[must_use]
    pub fn has_any(&self) -> bool {
        let entries = std::fs::read_dir(&self.folder);
        entries.is_ok_and(|entries| entries.flatten().any(|entry| file::is_kept(&entry.path())))
    }
}

/// What has to be the same for what is kept to be worth anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    form: u32,
    version: String,
    project: String,
    environment: String,
    streams: Vec<String>,
    /// Of the streams.
    fingerprints: Vec<String>,
    /// Hash of what is at both ends, without secrets.
    ends: String,
}

impl Head {
    /// Why what was kept under another head is worth nothing under this one.
    fn differs(&self, kept: &Self) -> Option<String> {
        if (kept.form, &kept.version) != (self.form, &self.version) {
            return Some("it was noted by another version of dbferry".to_owned());
        }
        if kept.ends != self.ends {
            return Some("its source or its target is another database now".to_owned());
        }
        let mut pairs = kept.fingerprints.iter().zip(&self.fingerprints);
        if let Some((before, now)) = pairs.find(|(before, now)| before != now) {
            return Some(format!("its {} has changed since", what_changed(before, now)));
        }
        (kept != self).then(|| "it was noted of something else".to_owned())
    }
}

/// What is kept of each group of a plan. Without `resume` nothing is, and nothing is left of it.
pub(super) fn groups(
    plan: &Plan,
    places: &[Vec<usize>],
    options: &VerifyOptions,
    connections: &BTreeMap<String, Connection>,
    events: &Events,
) -> Vec<Arc<GroupKept>> {
    let scope = scope(plan, options);
    let groups: Vec<_> = places
        .iter()
        .map(|places| {
            let streams = || places.iter().map(|place| &plan.streams[*place]);
            let named = |name: &String| connections.get(name);
            let of_group = streams().flat_map(|stream| [named(&stream.source_connection), named(&stream.sink_connection)]);
            let head = Head {
                form: FORM,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                project: plan.project.clone(),
                environment: plan.environment.clone(),
                streams: streams().map(|stream| stream.name.clone()).collect(),
                fingerprints: streams().map(|stream| stream.fingerprint.clone()).collect(),
                ends: ends::hash(of_group.flatten()),
            };
            let whose = [&head.project, &head.environment, &scope];
            let name = hash(head.streams.iter().chain(whose).map(String::as_bytes));
            let place = options.keep.as_ref().map(|keep| keep.folder.join(&name[..32]));
            GroupKept::new(place, head, Arc::clone(events))
        })
        .collect();
    if let Some(keep) = &options.keep {
        if keep.resume && !groups.iter().any(GroupKept::is_there) {
            events(Event::Warning {
                stream: None,
                message: "there is nothing to go on from: no verification of these streams with these options was \
                          interrupted; everything is compared"
                    .to_owned(),
            });
        }
        for group in &groups {
            group.begin(keep.resume);
        }
    }
    groups.into_iter().map(Arc::new).collect()
}

/// Which rows are compared: what is kept of some rows says nothing of others.
fn scope(plan: &Plan, options: &VerifyOptions) -> String {
    let subjects = plan.streams.iter().filter_map(|stream| stream.subject.as_ref());
    let key = subjects.map(|subject| subject.key.as_str()).next();
    let sample = options.sample.map(|rows| rows.to_string());
    let part = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
    let parts = [part(key), part(options.condition.as_deref()), part(sample.as_deref())];
    hash(parts.iter().map(String::as_bytes))
}

fn hash<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_fits_only_what_it_was_kept_of() {
        let head = Head {
            form: FORM,
            version: "1.0.0".to_owned(),
            project: "demo".to_owned(),
            environment: "development".to_owned(),
            streams: vec!["items".to_owned()],
            fingerprints: vec!["a-b".to_owned()],
            ends: "e".to_owned(),
        };
        let why = |change: fn(&mut Head)| {
            let mut kept = head.clone();
            change(&mut kept);
            head.differs(&kept).unwrap_or_default()
        };
        assert_eq!(why(|_| ()), "");
        assert!(why(|kept| kept.form += 1).contains("version"));
        assert!(why(|kept| kept.version.push('1')).contains("version"));
        assert!(why(|kept| kept.ends.clear()).contains("another database"));
        assert!(why(|kept| kept.fingerprints[0] = "x-b".to_owned()).contains("mapping"));
        assert!(why(|kept| kept.fingerprints[0] = "a-x".to_owned()).contains("source"));
        assert!(why(|kept| kept.environment.clear()).contains("something else"));
    }
}
