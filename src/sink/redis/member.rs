//! Rows that are members of sets and sorted sets.

use redis::Value;

use super::command::Command;
use super::form::{bytes, parts};
use super::link::Link;
use super::plain::expiry;
use super::planned::{Expected, Planned, Touch, identity};
use super::portion::{Decision, Portion, decide, other_type};
use super::stream::Writing;
use crate::Result;
use crate::data::keyed::KeyType;
use crate::data::stream::OnConflict;

/// Members in one command.
const MEMBERS_MAX: usize = 500;
/// Bytes of a member or score, as a guess.
const MEMBER_BYTES: usize = 24;

/// A row as a member.
pub(super) struct Member {
    value: Vec<u8>,
    score: f64,
}

/// Plans the commands for a portion.
///
/// # Errors
/// A refusal where one of its rows cannot be written.
pub(super) async fn plan(writing: &Writing<'_>, reader: &mut Link, mut portion: Portion<'_>) -> Result<Planned> {
    let scored = portion.layout.key_type == KeyType::Zset;
    let mut planned = Planned::default();
    for (key, rows) in by_key(&portion) {
        let mut members = Vec::with_capacity(rows.len());
        for row in rows {
            let mut value = Vec::new();
            portion.value(row, &mut value)?;
            let score = if scored { portion.score(row)? } else { 0.0 };
            members.push(Member { value, score });
        }
        let found = reader.ask(Command::of("TYPE", &key)).await?;
        let there = match bytes(&found) {
            Some(b"none") => false,
            Some(found) if found == portion.layout.key_type.stored().as_bytes() => true,
            found => return Err(other_type(found)),
        };
        for some in members.chunks(MEMBERS_MAX) {
            let present = present(reader, &key, some, (there && !writing.direct, scored)).await?;
            add(&mut planned, writing, &key, (some, &present), scored)?;
        }
        if portion.layout.expiry.is_some() {
            // It must not expire while it grows; it gets its time when the stream is complete.
            planned.touched.push((key.clone(), Touch::default()));
        }
        if there {
            let mut lives = Planned::default();
            lives.push(expiry(&key, None), Expected::Any);
            match &writing.log {
                Some(log) => log.members(&mut planned, (&key, scored, false), &[], lives)?,
                None => planned.append(lives),
            }
        }
    }
    Ok(planned)
}

/// The commands for a portion of which no member is there, or would be updated; the replies tell.
///
/// # Errors
/// A refusal where one of its rows cannot be written.
pub(super) fn all_new(mut portion: Portion<'_>) -> Result<Planned> {
    let scored = portion.layout.key_type == KeyType::Zset;
    let mut planned = Planned::default();
    let mut value = Vec::new();
    for (key, rows) in by_key(&portion) {
        for some in rows.chunks(MEMBERS_MAX) {
            let mut command = Command::roomy(if scored { "ZADD" } else { "SADD" }, &key, some.len() * 2, MEMBER_BYTES);
            for row in some {
                portion.value(*row, &mut value)?;
                if scored {
                    command.push_float(portion.score(*row)?);
                }
                command.push(&value);
            }
            planned.push(command, Expected::Number(i64::try_from(some.len()).unwrap_or(i64::MAX)));
        }
        planned.written.inserted += rows.len() as u64;
        if portion.layout.expiry.is_some() {
            // It must not expire while it grows; it gets its time when the stream is complete.
            planned.touched.push((key, Touch::default()));
        }
    }
    Ok(planned)
}

/// Rows by key, keys in the order in which they first come.
pub(super) fn by_key(portion: &Portion<'_>) -> Vec<(Vec<u8>, Vec<usize>)> {
    let mut places = std::collections::HashMap::new();
    let mut keys: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
    for row in 0..portion.rows() {
        let key = portion.key(row);
        // Mostly a row has the key of the one before it.
        if let Some((_, rows)) = keys.last_mut().filter(|(last, _)| *last == key) {
            rows.push(row);
            continue;
        }
        let place = *places.entry(key.clone()).or_insert_with(|| {
            keys.push((key, Vec::new()));
            keys.len() - 1
        });
        keys[place].1.push(row);
    }
    keys
}

/// For each member whether it is there, and whether it is the same.
async fn present(reader: &mut Link, key: &[u8], members: &[Member], (there, scored): (bool, bool)) -> Result<Vec<Option<bool>>> {
    if !there {
        return Ok(vec![None; members.len()]);
    }
    let mut question = Command::of(if scored { "ZMSCORE" } else { "SMISMEMBER" }, key);
    question.extend(members.iter().map(|member| &member.value));
    let found = parts(reader.ask(question).await?);
    let of = |(member, found): (&Member, &Value)| match found {
        Value::Int(is) => (*is == 1).then_some(true),
        Value::Double(score) => Some(same(*score, member.score)),
        found => {
            let score: f64 = std::str::from_utf8(bytes(found)?).ok()?.parse().ok()?;
            Some(same(score, member.score))
        }
    };
    Ok(members.iter().zip(&found).map(of).collect())
}

#[expect(clippy::float_cmp, reason = "scores are the same double or another one")]
fn same(one: f64, other: f64) -> bool {
    one == other
}

fn add(
    planned: &mut Planned,
    writing: &Writing<'_>,
    key: &[u8],
    (members, present): (&[Member], &[Option<bool>]),
    scored: bool,
) -> Result<()> {
    let mut command = Command::of(if scored { "ZADD" } else { "SADD" }, key);
    if scored && writing.policy != OnConflict::Update {
        command.push(b"NX");
    }
    let (mut new, mut any) = (0, false);
    let mut logged: Vec<(&[u8], u64)> = Vec::new();
    for (member, present) in members.iter().zip(present) {
        let own = writing.remembers.then(|| identity(key, &member.value));
        let before = own.is_some_and(|own| writing.is_written(own) || (writing.may_meet && planned.rows.contains(&own)));
        let decision = match present {
            _ if before => Decision::Update,
            None => Decision::Insert,
            Some(equal) => decide(writing.policy, *equal, writing.replaying)?,
        };
        match decision {
            Decision::Insert => {
                new += 1;
                planned.written.inserted += 1;
            }
            Decision::Ours => planned.written.inserted += 1,
            Decision::Update => planned.written.updated += 1,
            Decision::Touch | Decision::Skip => planned.written.skipped += 1,
        }
        if matches!(decision, Decision::Insert | Decision::Update) {
            any = true;
            if scored {
                command.push_float(member.score);
            }
            command.push(&member.value);
        }
        if writing.log.is_some() && matches!(decision, Decision::Insert | Decision::Update | Decision::Ours) {
            logged.push((&member.value, writing.times(planned, own)));
        }
        planned.rows.extend(own);
    }
    let mut written = Planned::default();
    if any {
        written.push(command, Expected::Number(new));
    }
    match &writing.log {
        Some(log) if !logged.is_empty() => log.members(planned, (key, scored, false), &logged, written)?,
        _ => planned.append(written),
    }
    Ok(())
}
