//! Whether rows are there: of the few of a subject, one by one.

use arrow::record_batch::RecordBatch;
use redis::Value;

use super::command::Command;
use super::planned::identity;
use super::portion::Portion;
use super::session::RedisSession;
use super::stream::not_open;
use crate::Result;
use crate::data::keyed::KeyType;

/// Number of these rows whose keys (or members) are there, or are on their way in the batch; those
/// that have expired are where they ought to be, too.
pub(super) async fn present(session: &mut RedisSession, rows: &RecordBatch) -> Result<u64> {
    let open = session.stream.as_ref().ok_or_else(not_open)?;
    let batch = session.batch.as_ref();
    let limits = (session.names.prefix(), session.server.bytes_max);
    let mut portion = Portion::of(&open.target, &open.layout, limits, rows)?;
    let mut present = 0;
    let gathers = open.layout.key_type.gathers();
    let mut value = Vec::new();
    for row in 0..portion.rows() {
        let key = portion.key(row);
        if gathers && !open.layout.key_type.is_ordered() {
            portion.value(row, &mut value)?;
        }
        let own = identity(&key, &value);
        let written = batch.is_some_and(|batch| batch.rows.contains(&own)) || open.rehearsed.rows.contains(&own);
        let question = match open.layout.key_type {
            KeyType::Set => Command::of("SISMEMBER", &key).arg(&value),
            KeyType::Zset => Command::of("ZSCORE", &key).arg(&value),
            _ => Command::of("EXISTS", &key),
        };
        let is_there = written || !matches!(session.reader.ask(question).await?, Value::Nil | Value::Int(0));
        let expired = batch.is_some_and(|batch| portion.expires(row, batch.now).is_some_and(|moment| moment <= batch.now));
        present += u64::from(is_there || expired);
    }
    Ok(present)
}
