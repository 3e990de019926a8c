//! Which older backups go once a new one is good: by number, by age, or by both.

use std::path::{Path, PathBuf};

use super::folder::{self, Kept};
use super::{clock, file};
use crate::Result;

const SECONDS_PER_DAY: i64 = 86_400;

/// How long backups are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest stay, the one just made among them; at least 1.
    pub count: Option<u32>,
    /// Those that are younger than so many days stay.
    pub days: Option<u32>,
}

impl Retention {
    /// Backups of the same project and environment in a folder that go when the newest is as new as
    /// this moment. What either rule keeps stays; without a rule everything does.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub(super) fn outdated(self, parent: &Path, (project, environment): (&str, &str), newest: Option<&Path>) -> Result<Vec<Kept>> {
        if self == Self::default() {
            return Ok(Vec::new());
        }
        let mut found = folder::kept(parent)?;
        found.retain(|kept| kept.manifest.project == project && kept.manifest.environment == environment);
        found.retain(|kept| newest.is_none_or(|newest| !is_same(&kept.folder, newest)));
        found.reverse();
        // The new one is there, or is going to be.
        let others = usize::try_from(self.count.unwrap_or(1).saturating_sub(1)).unwrap_or(usize::MAX);
        let youngest = self
            .days
            .map(|days| clock::text_of(clock::seconds_now() - i64::from(days) * SECONDS_PER_DAY));
        let stays = |(at, kept): &(usize, Kept)| {
            self.count.is_some() && *at < others || youngest.as_ref().is_some_and(|youngest| kept.manifest.ended_at > *youngest)
        };
        Ok(found
            .into_iter()
            .enumerate()
            .filter(|kept| !stays(kept))
            .map(|(_, kept)| kept)
            .collect())
    }
}

/// Removes them; returns which.
pub(super) fn remove(outdated: &[Kept]) -> Result<Vec<PathBuf>> {
    for kept in outdated {
        folder::remove(kept)?;
        file::sync_folder(kept.folder.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(outdated.iter().map(|kept| kept.folder.clone()).collect())
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{FORMAT, Manifest};
    use super::*;

    fn made(parent: &Path, name: &str, environment: &str, days_ago: i64) -> PathBuf {
        let moment = clock::text_of(clock::seconds_now() - days_ago * SECONDS_PER_DAY - 60);
        let folder = parent.join(name);
        file::make_folder(&folder).expect("a folder");
        let manifest = Manifest {
            format: FORMAT,
            dbferry: String::new(),
            project: "game".to_owned(),
            environment: environment.to_owned(),
            began_at: moment.clone(),
            ended_at: moment,
            key_prefix: String::new(),
            connections: Vec::new(),
        };
        manifest.write(&folder).expect("a manifest");
        folder
    }

    #[test]
    fn what_a_rule_keeps_stays_and_others_are_never_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        let parent = folder.path();
        for (name, days) in [("a", 9), ("b", 5), ("c", 3), ("d", 1)] {
            made(parent, name, "test", days);
        }
        made(parent, "e", "production", 9);
        made(parent, "f.failed", "test", 9);
        file::make_folder(&parent.join("g")).expect("a folder of somebody else");
        let newest = made(parent, "new", "test", 0);
        let outdated = |count, days| {
            let found = Retention { count, days }
                .outdated(parent, ("game", "test"), Some(&newest))
                .expect("read");
            let name = |kept: &Kept| {
                kept.folder
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default()
            };
            let mut names: Vec<String> = found.iter().map(name).collect();
            names.sort();
            names.concat()
        };
        assert_eq!(outdated(None, None), "");
        assert_eq!(outdated(Some(1), None), "abcd");
        assert_eq!(outdated(Some(3), None), "ab");
        assert_eq!(outdated(None, Some(4)), "ab");
        assert_eq!(outdated(Some(2), Some(4)), "ab");
        assert_eq!(outdated(Some(4), Some(2)), "a");
        assert_eq!(outdated(Some(9), None), "");
    }
}
