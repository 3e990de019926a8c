//! Rows of which each has a key of its own: strings, JSON, counters and hashes.

use std::collections::HashSet;

use redis::Value;

use super::command::Command;
use super::form::bytes;
use super::link::Link;
use super::planned::{Expected, Planned, identity};
use super::portion::{Decision, Portion, decide, other_type};
use super::stream::Writing;
use crate::Result;
use crate::data::keyed::KeyType;
use crate::data::stream::OnConflict;

/// Writes a hash only where there is no key of its name.
const INSERT_HASH: &str = "\
if redis.call('EXISTS',KEYS[1])==1 then return 0 end \
redis.call('HSET',KEYS[1],unpack(ARGV,2)) \
if ARGV[1]~='' then redis.call('PEXPIREAT',KEYS[1],ARGV[1]) end \
return 1";
/// Bytes of a field or value, as a guess.
const ARGUMENT_BYTES: usize = 16;
/// Rows whose present values are looked at together.
const LOOKED_AT_MAX: usize = 256;

/// Plans the commands for a portion.
///
/// # Errors
/// A refusal where one of its rows cannot be written.
pub(super) async fn plan(writing: &Writing<'_>, reader: &mut Link, mut portion: Portion<'_>) -> Result<Planned> {
    let mut planned = Planned::default();
    let mut live = Vec::with_capacity(portion.rows());
    for row in 0..portion.rows() {
        if portion.expires(row, writing.now).is_some_and(|moment| moment <= writing.now) {
            planned.written.expired += 1;
        } else {
            live.push((row, portion.key(row)));
        }
    }
    let there = there(writing, reader, &portion, &live).await?;
    let mut decisions = vec![Decision::Insert; live.len()];
    let existing: Vec<usize> = (0..live.len()).filter(|at| there.contains(at)).collect();
    for some in existing.chunks(LOOKED_AT_MAX) {
        let equal = are_equal(reader, &mut portion, &live, some).await?;
        for (at, equal) in some.iter().zip(equal) {
            decisions[*at] = decide(writing.policy, equal, writing.replaying)?;
        }
    }
    let mut value = Vec::new();
    for ((row, key), decision) in live.iter().zip(decisions) {
        let own = writing.remembers.then(|| identity(key, &[]));
        // A row of this very batch went before it.
        let before = own.is_some_and(|own| writing.is_written(own) || planned_before(&planned, writing, own));
        let decision = if before { Decision::Update } else { decision };
        let expires = portion.expires(*row, writing.now);
        let mut of_row = Planned::default();
        match decision {
            Decision::Insert | Decision::Update => {
                // What is new for a script is not there when it begins.
                let policy = if writing.log.is_some() {
                    OnConflict::Update
                } else {
                    writing.policy
                };
                write(
                    &mut of_row,
                    &mut portion,
                    (*row, key, expires),
                    (decision, policy),
                    &mut value,
                )?;
            }
            Decision::Touch | Decision::Ours => of_row.push(expiry(key, expires), Expected::Any),
            Decision::Skip => {}
        }
        match &writing.log {
            Some(log) if decision != Decision::Skip => {
                let times = if decision == Decision::Touch {
                    0
                } else {
                    writing.times(&mut planned, own)
                };
                let new = decision == Decision::Insert && writing.policy != OnConflict::Update;
                log.write(&mut planned, (key, times), new, of_row)?;
            }
            _ => planned.append(of_row),
        }
        match decision {
            Decision::Insert | Decision::Ours => planned.written.inserted += 1,
            Decision::Update => planned.written.updated += 1,
            Decision::Touch | Decision::Skip => planned.written.skipped += 1,
        }
        planned.rows.extend(own);
    }
    Ok(planned)
}

/// The commands for a portion of which no row is there, or would be updated; the replies tell.
///
/// # Errors
/// A refusal where one of its rows cannot be written.
pub(super) fn all_new(mut portion: Portion<'_>, now: i64) -> Result<Planned> {
    let mut planned = Planned::roomy(portion.rows() * 2);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for row in 0..portion.rows() {
        let expires = portion.expires(row, now);
        if expires.is_some_and(|moment| moment <= now) {
            planned.written.expired += 1;
            continue;
        }
        portion.key_into(row, &mut key);
        let how = (Decision::Insert, OnConflict::Update);
        write(&mut planned, &mut portion, (row, &key, expires), how, &mut value)?;
        planned.written.inserted += 1;
    }
    Ok(planned)
}

/// The commands for one row.
fn write(
    planned: &mut Planned,
    portion: &mut Portion<'_>,
    (row, key, expires): (usize, &[u8], Option<i64>),
    (decision, policy): (Decision, OnConflict),
    value: &mut Vec<u8>,
) -> Result<()> {
    if portion.layout.key_type == KeyType::Hash {
        return hash(planned, portion, (row, key, expires), (decision, policy));
    }
    portion.value(row, value)?;
    string(planned, (key, value, expires), (decision, policy));
    Ok(())
}

/// Two rows of one portion with one key; only where keys may meet.
fn planned_before(planned: &Planned, writing: &Writing<'_>, own: u128) -> bool {
    writing.may_meet && planned.rows.contains(&own)
}

/// Keys that are there, by their places, all of the right type.
async fn there(
    writing: &Writing<'_>,
    reader: &mut Link,
    portion: &Portion<'_>,
    live: &[(usize, Vec<u8>)],
) -> Result<HashSet<usize>> {
    let mut there = HashSet::new();
    if live.is_empty() || writing.direct {
        return Ok(there);
    }
    if !reader.is_cluster() {
        // One question for all; that none is there is the common case.
        let mut exists = Command::of("EXISTS", &live[0].1);
        exists.extend(live[1..].iter().map(|(_, key)| key));
        if reader.ask(exists).await? == Value::Int(0) {
            return Ok(there);
        }
    }
    let asked = live.iter().map(|(_, key)| Command::of("TYPE", key)).collect();
    let wanted = portion.layout.key_type.stored();
    for (at, found) in reader.ask_each(asked).await?.iter().enumerate() {
        match bytes(found) {
            Some(b"none") => {}
            _ if writing.is_deleted(&live[at].1) => {}
            Some(found) if found == wanted.as_bytes() => drop(there.insert(at)),
            // A row of this batch that is not carried out yet cannot be of another type.
            found if !writing.is_written(identity(&live[at].1, &[])) => {
                return Err(other_type(found));
            }
            _ => {}
        }
    }
    Ok(there)
}

/// Whether what is there is what is to be written.
async fn are_equal(reader: &mut Link, portion: &mut Portion<'_>, live: &[(usize, Vec<u8>)], some: &[usize]) -> Result<Vec<bool>> {
    let is_hash = portion.layout.key_type == KeyType::Hash;
    let question = |at: &usize| {
        let key = &live[*at].1;
        if !is_hash {
            return Command::of("GET", key);
        }
        let mut question = Command::of("HMGET", key);
        question.extend(&portion.layout.values);
        question
    };
    let found = reader.ask_each(some.iter().map(question).collect()).await?;
    let mut equal = Vec::with_capacity(some.len());
    let mut value = Vec::new();
    for (at, found) in some.iter().zip(found) {
        let row = live[*at].0;
        if is_hash {
            let found = super::form::parts(found);
            let mut fields = found.iter();
            let mut is_equal = true;
            portion.fields(row, |_, wanted| is_equal &= fields.next().and_then(bytes) == wanted)?;
            equal.push(is_equal);
        } else {
            portion.value(row, &mut value)?;
            equal.push(bytes(&found) == Some(&value));
        }
    }
    Ok(equal)
}

fn hash(
    planned: &mut Planned,
    portion: &mut Portion<'_>,
    (row, key, expires): (usize, &[u8], Option<i64>),
    (decision, policy): (Decision, OnConflict),
) -> Result<()> {
    if decision == Decision::Insert && policy != OnConflict::Update {
        let expires_text = expires.map(|moment| moment.to_string()).unwrap_or_default();
        let mut script = Command::script(INSERT_HASH, &[key]).arg(expires_text.as_bytes());
        portion.fields(row, |name, value| {
            if let Some(value) = value {
                script.push(name);
                script.push(value);
            }
        })?;
        planned.push(script, Expected::Number(1));
        return Ok(());
    }
    let mut set = Command::roomy("HSET", key, portion.layout.values.len() * 2, ARGUMENT_BYTES);
    let mut absent: Option<Command> = None;
    let given = portion.fields(row, |name, value| match value {
        Some(value) => {
            set.push(name);
            set.push(value);
        }
        None if decision == Decision::Update => absent.get_or_insert_with(|| Command::of("HDEL", key)).push(name),
        None => {}
    })?;
    if decision == Decision::Insert {
        planned.push(set, Expected::Number(i64::try_from(given).unwrap_or(i64::MAX)));
    } else {
        planned.push(set, Expected::Any);
    }
    if let Some(absent) = absent {
        planned.push(absent, Expected::Any);
    }
    match (expires, decision) {
        (Some(_), _) => planned.push(expiry(key, expires), Expected::Number(1)),
        (None, Decision::Update) => planned.push(expiry(key, None), Expected::Any),
        (None, _) => {}
    }
    Ok(())
}

fn string(planned: &mut Planned, (key, value, expires): (&[u8], &[u8], Option<i64>), (decision, policy): (Decision, OnConflict)) {
    let mut set = Command::of("SET", key).arg(value);
    if decision == Decision::Insert && policy != OnConflict::Update {
        set.push(b"NX");
    }
    if let Some(moment) = expires {
        set = set.arg(b"PXAT").number(moment);
    }
    planned.push(set, Expected::Okay);
}

/// Sets the expiry of a key that is there, or takes it away.
pub(super) fn expiry(key: &[u8], expires: Option<i64>) -> Command {
    match expires {
        Some(moment) => Command::of("PEXPIREAT", key).number(moment),
        None => Command::of("PERSIST", key),
    }
}
