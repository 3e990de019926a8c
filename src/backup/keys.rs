//! Keys of a store: walked over, written to a file one by one, and brought back from it.
//!
//! A store shows no moment: each key is as it was when it was read, and `one_moment` of the manifest
//! says so. Nobody of dbferry writes meanwhile; whether the application does is the operator's to know.
//! Bringing back removes the keys that are there, then writes those of the file. A note in the store
//! keeps runs away until all are there; killed in between, the next call does the rest.

use std::path::Path;

use tokio::sync::mpsc;

use super::key_file::{Reader, Writer};
use super::manifest::{Count, Form, Role, Saved, Selection};
use super::{Context, Step, clock, stopped};
use crate::config::connection::Connection;
use crate::data::keyed::pattern::escape_glob;
use crate::sink::keys::{KeyDump, KeyStore};
use crate::sink::{self, Sink};
use crate::{Error, ErrorKind, Result};

/// Name of the file.
const FILE: &str = "keys";
/// Keys on their way into the file.
const KEYS_IN_FLIGHT_MAX: usize = 16;
/// Keys and bytes that are written back together.
const KEYS_MAX: usize = 500;
const BYTES_MAX: usize = 4 << 20;
/// How scratch keys begin.
const SCRATCH: &str = "dbferry-verify:";

/// The ledger of a project, which goes with the keys.
#[must_use]
pub fn of_ledger(prefix: &str, project: &str) -> Selection {
    Selection {
        name: format!("dbferry:{{{project}}}:*"),
        glob: format!("{}dbferry:{{{}}}:*", escape_glob(prefix), escape_glob(project)),
    }
}

/// Keys that a stream is making, under names that nobody else sees.
#[must_use]
pub fn of_staged(prefix: &str, stream: &str) -> Selection {
    Selection {
        name: format!("dbferry:*:staged:{stream}:*"),
        glob: format!("{}dbferry:*:staged:{}:*", escape_glob(prefix), escape_glob(stream)),
    }
}

/// Keys by how they begin.
#[must_use]
pub fn of_prefix(prefix: &str, beginning: &str) -> Selection {
    Selection {
        name: format!("{beginning}*"),
        glob: format!("{}{}*", escape_glob(prefix), escape_glob(beginning)),
    }
}

async fn opened(connection: &Connection) -> Result<Box<dyn Sink>> {
    sink::open(connection).await
}

fn store<'a>(sink: &'a dyn Sink, name: &str) -> Result<&'a dyn KeyStore> {
    sink.key_store()
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("connection `{name}` is no store of keys")))
}

/// Whether a key matches a pattern of stars and letters, of which some are escaped.
fn matches(glob: &[u8], key: &[u8]) -> bool {
    // Where the last star stood, and how much of the key it has taken.
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < key.len() {
        let (letter, step) = match glob.get(at) {
            Some(b'\\') if at + 1 < glob.len() => (Some(glob[at + 1]), 2),
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
                continue;
            }
            other => (other.copied(), 1),
        };
        if letter == Some(key[seen]) {
            (at, seen) = (at + step, seen + 1);
        } else if let Some((behind, taken)) = star {
            star = Some((behind, taken + 1));
            (at, seen) = (behind, taken + 1);
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
}

/// Writes the keys of these selections to a file; one that belongs to several is written once.
pub(super) async fn dump(
    connection: &Connection,
    (project, selections): (&str, &[Selection]),
    folder: &Path,
    context: &Context<'_>,
) -> Result<Saved> {
    let sink = opened(connection).await?;
    let store = store(&*sink, &connection.name)?;
    store.check_idle(project).await?;
    let mut saved = Saved::of(&connection.name, connection.kind.name(), Role::Target);
    saved.form = Some(Form::Keys);
    saved.server_version = sink.version().await?;
    saved.taken_at = Some(clock::now());
    saved.one_moment = false;
    saved.keys = selections.to_vec();
    let mut file = Writer::create(&folder.join(FILE))?;
    for (at, selection) in selections.iter().enumerate() {
        context.tell(Step::Table {
            connection: &connection.name,
            table: &selection.name,
        });
        let number = u16::try_from(at).map_err(|_| Error::new(ErrorKind::Usage, "more patterns of keys than a backup can hold"))?;
        let (give, mut found) = mpsc::channel::<KeyDump>(KEYS_IN_FLIGHT_MAX);
        let walking = store.dump(project, &selection.glob, give);
        let file = &mut file;
        // It owns what it reads from: the walk ends when nobody takes its keys any more.
        let writing = async move {
            let mut rows = 0;
            while let Some(key) = found.recv().await {
                if context.shutdown.is_cancelled() {
                    return Err(stopped());
                }
                if selections[..at]
                    .iter()
                    .any(|earlier| matches(earlier.glob.as_bytes(), &key.key))
                {
                    continue;
                }
                file.key(number, &key)?;
                rows += 1;
                context.tell(Step::Bytes {
                    connection: &connection.name,
                    bytes: key.bytes() as u64,
                });
            }
            Ok::<u64, Error>(rows)
        };
        let (walked, written) = tokio::join!(walking, writing);
        let rows = written?;
        walked?;
        saved.tables.push(Count {
            name: selection.name.clone(),
            rows,
        });
    }
    file.finish()?;
    Ok(saved)
}

/// Keys of a file by selection, and how many of them have expired by a moment.
fn counted(folder: &Path, saved: &Saved, now: i64) -> Result<(Vec<Count>, u64)> {
    let mut reader = Reader::open(&folder.join(FILE))?;
    let mut counts: Vec<Count> = saved
        .keys
        .iter()
        .map(|selection| Count {
            name: selection.name.clone(),
            rows: 0,
        })
        .collect();
    let mut expired = 0;
    while let Some((selection, key)) = reader.next()? {
        let count = counts.get_mut(usize::from(selection)).ok_or_else(|| {
            Error::new(
                ErrorKind::Unreadable,
                "the file holds keys of a pattern that the manifest does not know",
            )
        })?;
        count.rows += 1;
        expired += u64::from(key.expires_at.is_some_and(|moment| moment <= now));
    }
    Ok((counts, expired))
}

/// Reads the file back: every record is sound, and there are as many as were written.
pub(super) fn check(folder: &Path, saved: &Saved) -> Result<()> {
    let (counts, _) = counted(folder, saved, 0)?;
    let differences = super::manifest::differences(&saved.tables, &counts);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!("the file of keys is not what was written: {}", differences.join("; ")),
    ))
}

/// Hands on the keys of a file, some at a time.
async fn each_portion<F>(folder: &Path, context: &Context<'_>, name: &str, mut take: impl FnMut(Vec<KeyDump>) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let mut reader = Reader::open(&folder.join(FILE))?;
    let (mut portion, mut bytes) = (Vec::new(), 0);
    loop {
        let next = reader.next()?;
        let ended = next.is_none();
        if let Some((_, key)) = next {
            bytes += key.bytes();
            portion.push(key);
        }
        if (ended && !portion.is_empty()) || portion.len() >= KEYS_MAX || bytes >= BYTES_MAX {
            take(std::mem::take(&mut portion)).await?;
            context.tell(Step::Bytes {
                connection: name,
                bytes: bytes as u64,
            });
            bytes = 0;
        }
        if ended {
            return Ok(());
        }
        if context.shutdown.is_cancelled() {
            return Err(stopped());
        }
    }
}

/// Restores all keys under names of their own, some at a time, and removes them again.
pub(super) async fn verify(connection: &Connection, saved: &Saved, folder: &Path, context: &Context<'_>) -> Result<Vec<String>> {
    let sink = opened(connection).await?;
    let store = store(&*sink, &connection.name)?;
    let (counts, _) = counted(folder, saved, 0)?;
    let differences = super::manifest::differences(&saved.tables, &counts);
    let scratch = format!("{SCRATCH}{}:", uuid::Uuid::new_v4().simple());
    let scratch = scratch.as_str();
    each_portion(folder, context, &connection.name, |keys| async move {
        store.try_out(scratch, &keys).await
    })
    .await?;
    Ok(differences)
}

/// Keys that are there, in words.
pub(super) async fn standing(connection: &Connection, project: &str, saved: &Saved) -> Result<Vec<String>> {
    let sink = opened(connection).await?;
    let store = store(&*sink, &connection.name)?;
    let mut there = Vec::new();
    for selection in &saved.keys {
        let (count, names) = store.present(project, &selection.glob).await?;
        if count > 0 {
            there.push(format!("{count} keys {} (such as {})", selection.name, names.join(", ")));
        }
    }
    Ok(there)
}

/// Brings the keys back, in the place of those that are there.
pub(super) async fn restore(
    connection: &Connection,
    (project, saved): (&str, &Saved),
    folder: &Path,
    context: &Context<'_>,
) -> Result<()> {
    let sink = opened(connection).await?;
    let store = store(&*sink, &connection.name)?;
    // Nothing is removed for a file that turns out to be damaged, or that the server does not take.
    counted(folder, saved, 0)?;
    if let Some((_, first)) = Reader::open(&folder.join(FILE))?.next()? {
        let scratch = format!("{SCRATCH}{}:", uuid::Uuid::new_v4().simple());
        store.try_out(&scratch, &[first]).await?;
    }
    store.check_idle(project).await?;
    if store.begin_restore(project).await? {
        context.tell(Step::Remark("an interrupted restore of these keys is done anew"));
    }
    for selection in &saved.keys {
        store.remove(project, &selection.glob).await?;
    }
    each_portion(
        folder,
        context,
        &connection.name,
        |keys| async move { store.put(&keys).await },
    )
    .await
    .map_err(|error| {
        let stands = format!("connection `{}`: only some of the keys are back", connection.name);
        error
            .during(stands)
            .hint("call the same restore with --replace again: it brings back all of them; until then no run begins")
    })?;
    agree(store, (project, saved), folder).await?;
    store.end_restore(project).await
}

/// As many keys are there as the file has, but for those that have expired.
async fn agree(store: &dyn KeyStore, (project, saved): (&str, &Saved), folder: &Path) -> Result<()> {
    let before = store.now().await?;
    let (_, expired_before) = counted(folder, saved, before)?;
    let mut found = 0;
    for (at, selection) in saved.keys.iter().enumerate() {
        // What belongs to two patterns was counted with the first.
        if at == 0 || !saved.keys[..at].iter().any(|earlier| earlier.glob == selection.glob) {
            found += store.present(project, &selection.glob).await?.0;
        }
    }
    let after = store.now().await?;
    let (_, expired_after) = counted(folder, saved, after)?;
    let all = saved.rows();
    let overlapping = saved.keys.len() > 1 && found > all - expired_before;
    if found >= all - expired_after && (found <= all - expired_before || overlapping) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!("{found} keys are there after the restore, and the backup holds {all}, of which {expired_after} have expired"),
    )
    .hint("find out who else writes to these keys, then call the same restore with --replace again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_server() {
        let is = |glob: &str, key: &str| matches(glob.as_bytes(), key.as_bytes());
        for (glob, key) in [
            ("a*", "a"),
            ("a*", "abc"),
            ("*b*d", "abcbd"),
            (r"a\*b*", "a*bc"),
            ("*", ""),
            ("a*b*c", "aXbXbYc"),
        ] {
            assert!(is(glob, key), "{glob} {key}");
        }
        for (glob, key) in [("a*", "b"), ("a", "ab"), (r"a\*b*", "axbc"), ("*b", "abc"), ("", "a")] {
            assert!(!is(glob, key), "{glob} {key}");
        }
        let ledger = of_ledger("r*:", "demo");
        assert!(is(&ledger.glob, "r*:dbferry:{demo}:epoch") && !is(&ledger.glob, "rx:dbferry:{demo}:epoch"));
    }
}
