//! Reading the ledger, without a lease.

use redis::Value;

use super::command::Command;
use super::form::{self, RejectForm, bytes, number, parts};
use super::link::Link;
use super::names::Names;
use crate::Result;
use crate::ledger::{BackupNote, Checkpoint, RunRecord, StoredBatch, StoredReject};

/// A checkpoint as it is kept: with the one before, for as long as nobody has seen that the last
/// batch was written without an error.
pub(super) struct Kept {
    /// What is proven.
    pub(super) settled: Option<Checkpoint>,
    /// A batch beyond it that may be there in part.
    pub(super) unproven: bool,
    /// The batch that is not proven.
    pub(super) attempted: Option<Checkpoint>,
    /// Sequence number that the key shows.
    pub(super) sequence: i64,
    /// Rows up to this one, of all that the split reads, may have been written before.
    pub(super) replay: u64,
    /// The last batch is there, but keys do not have their names or their expiry yet.
    pub(super) unpublished: bool,
}

/// The checkpoint of a split; `None` where it never began.
pub(super) async fn kept(link: &mut Link, names: &Names, place: (&str, &str, i32)) -> Result<Option<Kept>> {
    let (_, stream, split) = place;
    let reply = link.ask(Command::of("HGETALL", &names.checkpoint(stream, split))).await?;
    read_kept(&parts(reply), place)
}

fn read_kept(fields: &[Value], place: (&str, &str, i32)) -> Result<Option<Kept>> {
    if fields.is_empty() {
        return Ok(None);
    }
    let field = |name: &str| {
        let at = fields.chunks_exact(2).find(|pair| bytes(&pair[0]) == Some(name.as_bytes()));
        at.map(|pair| &pair[1])
    };
    let figure = |name: &str| field(name).and_then(number);
    let read = |name: &str| match field(name).and_then(bytes) {
        None | Some(b"") => Ok(None),
        Some(text) => form::read_checkpoint(text, place).map(Some),
    };
    let sequence = figure("sequence").unwrap_or_default();
    let unproven = figure("proven").unwrap_or_default() < sequence;
    let settled = read(if unproven { "before" } else { "now" })?;
    let marked = u64::try_from(figure("replay").unwrap_or_default()).unwrap_or_default();
    let attempted = if unproven { read("now")? } else { None };
    Ok(Some(Kept {
        unpublished: !unproven && settled.as_ref().is_some_and(|settled| settled.complete) && figure("published") == Some(0),
        replay: attempted
            .as_ref()
            .map_or(marked, |attempted| marked.max(attempted.counts.read)),
        attempted,
        settled,
        unproven,
        sequence,
    }))
}

/// Splits that have a checkpoint, with their streams.
pub(super) async fn splits(link: &mut Link, names: &Names) -> Result<Vec<(i32, String)>> {
    let members = parts(link.ask(Command::of("SMEMBERS", &names.streams())).await?);
    let read = members.iter().map(|member| {
        let (split, stream) = std::str::from_utf8(bytes(member)?).ok()?.split_once(':')?;
        Some((split.parse().ok()?, stream.to_owned()))
    });
    read.collect::<Option<_>>().ok_or_else(form::unreadable)
}

/// All checkpoints of a project, as far as they are proven.
pub(super) async fn checkpoints(link: &mut Link, names: &Names, project: &str) -> Result<Vec<Checkpoint>> {
    let mut found = Vec::new();
    for (split, stream) in splits(link, names).await?.into_iter().filter(|(split, _)| *split >= 0) {
        let stream = stream.as_str();
        let Some(kept) = kept(link, names, (project, stream, split)).await? else {
            continue;
        };
        found.extend(kept.settled.map(|settled| Checkpoint {
            complete: settled.complete && !kept.unpublished,
            ..settled
        }));
    }
    found.sort_by(|one, other| (&one.stream, one.split).cmp(&(&other.stream, other.split)));
    Ok(found)
}

/// Runs, newest first.
pub(super) async fn runs(link: &mut Link, names: &Names, rows_max: u32) -> Result<Vec<RunRecord>> {
    let values = parts(link.ask(Command::of("HVALS", &names.runs())).await?);
    let mut runs: Vec<RunRecord> = values
        .iter()
        .filter_map(|value| serde_json::from_slice(bytes(value)?).ok())
        .collect();
    runs.sort_by(|one, other| other.started_at.cmp(&one.started_at));
    runs.truncate(usize::try_from(rows_max).unwrap_or(usize::MAX));
    Ok(runs)
}

/// Backups that were made for runs.
pub(super) async fn backups(link: &mut Link, names: &Names) -> Result<Vec<BackupNote>> {
    let values = parts(link.ask(Command::of("HVALS", &names.backups())).await?);
    let read = |value| serde_json::from_slice(bytes(value)?).ok();
    values.iter().map(|value| read(value).ok_or_else(form::unreadable)).collect()
}

/// A run by its id.
pub(super) async fn run(link: &mut Link, names: &Names, run: uuid::Uuid) -> Result<Option<RunRecord>> {
    let reply = link
        .ask(Command::of("HGET", &names.runs()).arg(run.to_string().as_bytes()))
        .await?;
    Ok(bytes(&reply).and_then(|text| serde_json::from_slice(text).ok()))
}

/// Batches of a run, by stream, split and sequence.
pub(super) async fn batches(link: &mut Link, names: &Names, run: uuid::Uuid) -> Result<Vec<StoredBatch>> {
    let mut streams: Vec<String> = splits(link, names).await?.into_iter().map(|(_, stream)| stream).collect();
    streams.sort();
    streams.dedup();
    let mut found = Vec::new();
    for stream in streams {
        let mut of_stream = Vec::new();
        let of_run = format!(":{run}");
        scan(link, &names.batches(&stream), |field, record| {
            if field.ends_with(of_run.as_bytes()) {
                of_stream.push(form::read_batch(record, &stream)?);
            }
            Ok(())
        })
        .await?;
        let place = |batch: &StoredBatch| (batch.entry.split, batch.entry.sequence);
        of_stream.sort_by_key(place);
        // A scan may show one twice.
        of_stream.dedup_by_key(|batch| place(batch));
        found.extend(of_stream);
    }
    Ok(found)
}

/// Rejects that are not resolved, by id, those that `wanted` takes.
pub(super) async fn rejects(
    link: &mut Link,
    names: &Names,
    mut wanted: impl FnMut(i64, &RejectForm) -> bool,
) -> Result<Vec<(i64, RejectForm)>> {
    let mut found = Vec::new();
    scan(link, &names.rejects(), |field, record| {
        let id = std::str::from_utf8(field).ok().and_then(|id| id.parse().ok());
        let id: i64 = id.ok_or_else(form::unreadable)?;
        let reject = RejectForm::read(record)?;
        if reject.resolved_by.is_none() && wanted(id, &reject) {
            found.push((id, reject));
        }
        Ok(())
    })
    .await?;
    // A scan may show one twice.
    found.sort_by_key(|(id, _)| *id);
    found.dedup_by_key(|(id, _)| *id);
    Ok(found)
}

/// All fields of a hash with what they hold, a page at a time.
pub(super) async fn scan(link: &mut Link, key: &[u8], mut take: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
    let mut cursor = 0;
    loop {
        let scan = Command::of("HSCAN", key).number(cursor).arg(b"COUNT").number(1000);
        let mut reply = parts(link.ask(scan).await?);
        let page = parts(reply.pop().unwrap_or_default());
        for pair in page.chunks_exact(2) {
            take(bytes(&pair[0]).unwrap_or_default(), bytes(&pair[1]).unwrap_or_default())?;
        }
        cursor = reply.pop().as_ref().and_then(number).unwrap_or_default();
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// As [`rejects`], in the form that others read.
pub(super) async fn stored(
    link: &mut Link,
    names: &Names,
    stream: Option<&str>,
    after_id: i64,
    rows_max: u32,
) -> Result<Vec<StoredReject>> {
    let wanted = |id: i64, reject: &RejectForm| id > after_id && stream.is_none_or(|stream| stream == reject.stream);
    let found = rejects(link, names, wanted).await?;
    let first = found.into_iter().take(usize::try_from(rows_max).unwrap_or(usize::MAX));
    Ok(first.map(|(id, reject)| reject.stored(id)).collect())
}
