//! Rows that are elements of lists and streams: they grow beside their key, and take its place
//! when all of them are there.
//!
//! Adding an element twice would double it. So every command says how long the list is before it;
//! what a lost attempt has added is cut off again before the next one begins.

use super::command::Command;
use super::form::bytes;
use super::link::Link;
use super::member::by_key;
use super::names::Names;
use super::planned::{Expected, Planned, Touch, identity};
use super::portion::{Portion, duplicate, other_type};
use super::stream::Writing;
use crate::data::keyed::KeyType;
use crate::data::stream::OnConflict;
use crate::{Error, ErrorKind, Result};

/// Adds to a list of a known length, once.
const PUSH: &str = "\
local n,e=redis.call('LLEN',KEYS[1]),tonumber(ARGV[1]) \
local after=e+#ARGV-1 \
if n==after then return n end \
if n~=e then return -1 end \
for i=2,#ARGV do redis.call('RPUSH',KEYS[1],ARGV[i]) end \
return after";
/// Adds an entry to a stream of a known length, once.
const ADD: &str = "\
local n,e=redis.call('XLEN',KEYS[1]),tonumber(ARGV[1]) \
if n>=e then return e end \
if n~=e-1 then return -1 end \
redis.call('XADD',KEYS[1],'0-'..ARGV[1],unpack(ARGV,2)) \
return e";
/// Elements in one command.
const ELEMENTS_MAX: usize = 500;

/// Plans the commands for a portion.
///
/// # Errors
/// A refusal where one of its rows cannot be written.
pub(super) async fn plan(writing: &Writing<'_>, reader: &mut Link, names: &Names, mut portion: Portion<'_>) -> Result<Planned> {
    let mut planned = Planned::default();
    let keys = by_key(&portion);
    let lengths = lengths(writing, reader, names, &keys, portion.layout.key_type.stored()).await?;
    for ((key, rows), known) in keys.into_iter().zip(lengths) {
        let count = rows.len() as u64;
        let Some(known) = known else {
            // Its key is there, and nothing of this stream is beside it.
            match writing.policy {
                OnConflict::Skip => planned.written.skipped += count,
                _ => return Err(duplicate("a key of this name is there already")),
            }
            continue;
        };
        let staged = names.staged(&writing.stream.stream, &key);
        if super::slot::of(&staged) != super::slot::of(&key) {
            return Err(Error::refused(crate::error::Refusal {
                column: None,
                reason: crate::data::reject::Reason::Refused,
                detail: "the braces of this key have nothing in between, so that nothing else can be in its slot".to_owned(),
            }));
        }
        let grown = Touch {
            before: known.before,
            after: known.after + count,
        };
        let is_list = portion.layout.key_type == KeyType::List;
        for (some, from) in rows.chunks(ELEMENTS_MAX).zip((known.after..).step_by(ELEMENTS_MAX)) {
            if is_list {
                push(&mut planned, &mut portion, (&staged, some, from), reader.is_cluster())?;
            } else {
                add(&mut planned, &mut portion, (&staged, some, from), reader.is_cluster())?;
            }
        }
        planned.written.inserted += count;
        if writing.remembers {
            planned.rows.insert(identity(&key, &[]));
        }
        planned.touched.push((key, grown));
    }
    Ok(planned)
}

/// How long the lists beside these keys are; nothing where a key is in the way.
async fn lengths(
    writing: &Writing<'_>,
    reader: &mut Link,
    names: &Names,
    keys: &[(Vec<u8>, Vec<usize>)],
    wanted: &str,
) -> Result<Vec<Option<Touch>>> {
    let touched = names.touched(&writing.stream.stream, writing.split());
    let mut question = Command::of("HMGET", &touched);
    question.extend(keys.iter().map(|(key, _)| key));
    let kept = super::form::parts(reader.ask(question).await?);
    let mut lengths = Vec::with_capacity(keys.len());
    let mut new = Vec::new();
    for (at, ((key, _), kept)) in keys.iter().zip(&kept).enumerate() {
        let known = writing.touched(key).or_else(|| {
            let after = Grown::read(bytes(kept)?)?.after;
            Some(Touch { before: after, after })
        });
        if known.is_none() {
            new.push(at);
        }
        lengths.push(known);
    }
    if !new.is_empty() {
        let asked = new.iter().map(|at| Command::of("TYPE", &keys[*at].0)).collect();
        for (at, found) in new.into_iter().zip(reader.ask_each(asked).await?) {
            let free = match bytes(&found) {
                Some(b"none") => true,
                Some(found) if found == wanted.as_bytes() => writing.policy == OnConflict::Update,
                found => return Err(other_type(found)),
            };
            lengths[at] = free.then(Touch::default);
        }
    }
    Ok(lengths)
}

fn push(
    planned: &mut Planned,
    portion: &mut Portion<'_>,
    (staged, rows, from): (&[u8], &[usize], u64),
    is_cluster: bool,
) -> Result<()> {
    let mut command = if is_cluster {
        Command::script(PUSH, &[staged]).arg(from.to_string().as_bytes())
    } else {
        Command::of("RPUSH", staged)
    };
    let mut value = Vec::new();
    for row in rows {
        portion.value(*row, &mut value)?;
        command.push(&value);
    }
    planned.push(command, Expected::Number(number(from + rows.len() as u64)?));
    Ok(())
}

fn add(
    planned: &mut Planned,
    portion: &mut Portion<'_>,
    (staged, rows, from): (&[u8], &[usize], u64),
    is_cluster: bool,
) -> Result<()> {
    for (row, place) in rows.iter().zip(from + 1..) {
        let mut command = if is_cluster {
            Command::script(ADD, &[staged]).arg(place.to_string().as_bytes())
        } else {
            Command::of("XADD", staged).arg(format!("0-{place}").as_bytes())
        };
        portion.fields(*row, |name, value| {
            if let Some(value) = value {
                command.push(name);
                command.push(value);
            }
        })?;
        let expected = if is_cluster {
            Expected::Number(number(place)?)
        } else {
            Expected::Any
        };
        planned.push(command, expected);
    }
    Ok(())
}

fn number(length: u64) -> Result<i64> {
    i64::try_from(length).map_err(|_| Error::new(ErrorKind::Internal, "a list of more elements than there are numbers"))
}

/// How a list has grown in which batch: what the ledger keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grown {
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) sequence: i64,
}

impl Grown {
    pub(super) fn text(self) -> String {
        format!("{} {} {}", self.before, self.after, self.sequence)
    }

    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(text).ok()?.split(' ');
        Some(Self {
            before: parts.next()?.parse().ok()?,
            after: parts.next()?.parse().ok()?,
            sequence: parts.next()?.parse().ok()?,
        })
    }
}
