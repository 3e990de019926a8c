//! Deleting keys, and members of sets, by what tells the rows of a stream apart.

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use redis::Value;

use super::command::Command;
use super::commit;
use super::planned::{Expected, Planned};
use super::session::RedisSession;
use super::stream::{no_batch, not_open};
use crate::data::keyed::KeyType;
use crate::ledger::Deletion;
use crate::{Error, ErrorKind, Result};

/// Deletes them within the batch; those that are gone are left.
pub(super) async fn delete(session: &mut RedisSession, keys: &RecordBatch) -> Result<Deletion> {
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let key_type = open.layout.key_type;
    let log = open.log.as_ref().map(|log| log.of_batch(open.split, open.batch()));
    if key_type.is_ordered() {
        return Err(Error::new(
            ErrorKind::Internal,
            "elements that have no key were to be deleted",
        ));
    }
    let (questions, commands) = commands(session.names.prefix().as_bytes(), key_type, keys)?;
    let there = session.reader.ask_each(questions).await?;
    let batch = session.batch.as_mut().ok_or_else(no_batch)?;
    let mut planned = Planned::default();
    let mut deleted = 0;
    for ((key, member, command), there) in commands.into_iter().zip(there) {
        if matches!(there, Value::Nil | Value::Int(0)) {
            continue;
        }
        if member.is_none() && !batch.deleted.insert(key.clone()) {
            continue;
        }
        deleted += 1;
        let mut own = Planned::default();
        own.push(command, Expected::Number(1));
        match (&log, &member) {
            (None, _) => planned.append(own),
            (Some(log), None) => log.write(&mut planned, (&key, 1), false, own)?,
            (Some(log), Some(member)) => {
                log.members(&mut planned, (&key, key_type == KeyType::Zset, false), &[(member, 1)], own)?;
            }
        }
    }
    if deleted > 0 {
        commit::take(session, planned).await?;
    }
    Ok(Deletion {
        deleted,
        referred: Vec::new(),
    })
}

/// A key, its member where not all of it goes, and what deletes it.
type Deleting = (Vec<u8>, Option<Vec<u8>>, Command);

/// For each row the question whether it is there, and the command that deletes it.
fn commands(prefix: &[u8], key_type: KeyType, rows: &RecordBatch) -> Result<(Vec<Command>, Vec<Deleting>)> {
    let unknown = || Error::new(ErrorKind::Internal, "a row was to be deleted by what is no key");
    let keys = rows
        .columns()
        .first()
        .and_then(|keys| keys.as_binary_opt::<i32>())
        .ok_or_else(unknown)?;
    let members = match rows.columns().get(1) {
        Some(members) => Some(members.as_binary_opt::<i32>().ok_or_else(unknown)?),
        None => None,
    };
    let (asks, deletes) = match key_type {
        KeyType::Zset => ("ZSCORE", "ZREM"),
        _ => ("SISMEMBER", "SREM"),
    };
    let mut questions = Vec::with_capacity(rows.num_rows());
    let mut deleting = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        let key = [prefix, keys.value(row)].concat();
        // Without a member the key holds another type.
        if let Some(members) = members.filter(|members| members.is_valid(row)) {
            let member = members.value(row);
            questions.push(Command::of(asks, &key).arg(member));
            let command = Command::of(deletes, &key).arg(member);
            deleting.push((key, Some(member.to_vec()), command));
        } else {
            questions.push(Command::of("EXISTS", &key));
            let command = Command::of("UNLINK", &key);
            deleting.push((key, None, command));
        }
    }
    Ok((questions, deleting))
}
