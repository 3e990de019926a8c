//! Forgetting what earlier runs left of a stream, and removing a rehearsal.

use super::command::Command;
use super::count::Keys;
use super::ledger_read;
use super::link::Link;
use super::names::Names;
use super::publish::Pages;
use super::transact::{Words, words};
use crate::Result;
use crate::data::keyed::pattern::escape_glob;
use crate::ledger::undo::UNDO_SPLIT;

/// Keys in one command.
const KEYS_MAX: usize = 500;

/// What makes a stream begin anew: its checkpoints, claims and open rejects go. What was staged of
/// it goes at once, for nobody else ever sees it.
pub(super) async fn stream(link: &mut Link, names: &Names, stream: &str) -> Result<Vec<Words>> {
    let mut pages = Pages::new(names.touched(stream, 0));
    while let Some(page) = pages.next(link).await? {
        let staged = page.iter().map(|(key, _)| Command::of("UNLINK", &names.staged(stream, key)));
        link.ask_each(staged.collect()).await?;
    }
    let mut commands = vec![
        words("DEL", &[&names.touched(stream, 0)]),
        words("DEL", &[&names.claims(stream)]),
    ];
    let splits = ledger_read::splits(link, names).await?;
    // How far runs were taken back is known by that number alone.
    for (split, _) in splits.iter().filter(|(split, of)| of == stream && *split != UNDO_SPLIT) {
        commands.push(words("DEL", &[&names.checkpoint(stream, *split)]));
        commands.push(words("SREM", &[&names.streams(), &Names::member(stream, *split)]));
    }
    let open = |_: i64, reject: &super::form::RejectForm| reject.stream == stream;
    for (id, _) in ledger_read::rejects(link, names, open).await? {
        commands.push(words("HDEL", &[&names.rejects(), id.to_string().as_bytes()]));
    }
    Ok(commands)
}

/// Removes the lists and streams that grow for a stream, those too that the ledger does not know because
/// a run was killed before it could say so.
pub(super) async fn staged(link: &mut Link, names: &Names, stream: &str) -> Result<()> {
    matching(link, &names.staged_glob(stream), |key| names.is_staged(stream, key)).await
}

/// Removes the keys that fit a pattern, as far as they are wanted.
pub(super) async fn matching(link: &mut Link, glob: &str, wanted: impl Fn(&[u8]) -> bool + Send + Sync) -> Result<()> {
    link.refresh().await?;
    for node in 0..link.nodes() {
        let mut keys = Keys::new(node, glob);
        while let Some(page) = keys.next(link).await? {
            let some = page.iter().filter(|key| wanted(key));
            link.ask_each(some.map(|key| Command::of("UNLINK", key)).collect()).await?;
        }
    }
    Ok(())
}

/// Removes every key that begins with a prefix, which is never empty; returns how many there were.
pub(super) async fn prefix(link: &mut Link, prefix: &str) -> Result<u64> {
    let mut removed = 0;
    let glob = format!("{}*", escape_glob(prefix));
    link.refresh().await?;
    for node in 0..link.nodes() {
        let mut keys = Keys::new(node, &glob);
        while let Some(page) = keys.next(link).await? {
            let own: Vec<Vec<u8>> = page.into_iter().filter(|key| key.starts_with(prefix.as_bytes())).collect();
            for some in own.chunks(KEYS_MAX) {
                let commands = some.iter().map(|key| Command::of("UNLINK", key)).collect();
                for reply in link.ask_each(commands).await? {
                    removed += u64::from(reply == redis::Value::Int(1));
                }
            }
        }
    }
    Ok(removed)
}
