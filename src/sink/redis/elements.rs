//! Elements of keys that gather many, page by page.

use redis::Value;

use super::command::Command;
use super::contents::{BYTES_ASKED_MAX, Contents, ELEMENTS_FIRST, Found};
use super::fault;
use super::form::{bytes, parts};
use super::held::At;
use super::reply::{entry, pairs, score, weight};
use super::scan::{REMEMBERED_MAX, Seen, page};
use crate::Result;
use crate::data::keyed::KeyType;

/// Most elements that are asked for together.
const ELEMENTS_MAX: u64 = 5_000;

impl Contents {
    /// A sorted set, list or stream: this page and all after it.
    pub(super) async fn pages(&mut self, found: &Found, mut reply: Value) -> Result<()> {
        let key_type = self.request.layout.key_type;
        let (mut from, mut asked) = (0, ELEMENTS_FIRST);
        loop {
            let heavy = weight(&reply);
            let (count, last) = self.push_page(found, reply, from)?;
            from += count;
            self.hand_on(false).await?;
            if count < asked {
                return Ok(());
            }
            asked = next_page(heavy, count);
            let command = match key_type {
                KeyType::Zset => range("ZRANGE", &found.key, from, asked).arg(b"WITHSCORES"),
                KeyType::List => range("LRANGE", &found.key, from, asked),
                _ => entries(&found.key, last.as_deref(), asked),
            };
            reply = self.link.ask(command).await?;
        }
    }

    /// Returns how many elements the page has, and the id of the last entry.
    fn push_page(&mut self, found: &Found, reply: Value, from: u64) -> Result<(u64, Option<String>)> {
        let key_type = self.request.layout.key_type;
        let whose = found.whose(&self.prefix, key_type);
        let unexpected = || fault::unexpected(&self.connection, "reading keys back");
        let elements = parts(reply);
        match key_type {
            KeyType::Zset => {
                // In the newer protocol each member is a pair with its score.
                let flat: Vec<Value> = match elements.first() {
                    Some(Value::Array(_)) => elements.into_iter().flat_map(parts).collect(),
                    _ => elements,
                };
                for pair in flat.chunks(2) {
                    let [member, told] = pair else { return Err(unexpected()) };
                    let (Some(member), Some(told)) = (bytes(member), score(told)) else {
                        return Err(unexpected());
                    };
                    self.rows.push_member(whose, member, Some(told));
                }
                Ok((flat.len() as u64 / 2, None))
            }
            KeyType::List => {
                for (element, position) in elements.iter().zip(from..) {
                    let position = i64::try_from(position).map_err(|_| unexpected())?;
                    let element = bytes(element).ok_or_else(unexpected)?;
                    self.rows.push_value(whose, At::Position(position), element);
                }
                Ok((elements.len() as u64, None))
            }
            _ => {
                let (count, mut last) = (elements.len() as u64, None);
                for element in elements {
                    let (id, fields) = entry(element).ok_or_else(unexpected)?;
                    self.rows.push_fields(whose, At::Entry(&id), pairs(&fields));
                    last = Some(id);
                }
                Ok((count, last))
            }
        }
    }

    /// A set, of which the server may show a member twice while the set grows or shrinks.
    pub(super) async fn set(&mut self, found: &Found, reply: Value) -> Result<()> {
        let whose = found.whose(&self.prefix, KeyType::Set);
        let mut seen = Seen::of(found.size, REMEMBERED_MAX);
        let mut first = Some(reply);
        loop {
            let (mut cursor, mut asked) = (0, ELEMENTS_FIRST);
            loop {
                let reply = match first.take() {
                    Some(reply) => reply,
                    None => self.link.ask(sscan(&found.key, cursor, asked)).await?,
                };
                let heavy = weight(&reply);
                let (members, next) = page(reply).ok_or_else(|| fault::unexpected(&self.connection, "SSCAN"))?;
                for member in members.iter().filter_map(bytes) {
                    if seen.is_new(member) {
                        self.rows.push_member(whose, member, None);
                    }
                }
                self.hand_on(false).await?;
                if next == 0 {
                    break;
                }
                (cursor, asked) = (next, next_page(heavy, members.len() as u64));
            }
            if !seen.next_part() {
                return Ok(());
            }
        }
    }
}

pub(super) fn sscan(key: &[u8], cursor: u64, count: u64) -> Command {
    let cursor = cursor.to_string();
    Command::of("SSCAN", key)
        .arg(cursor.as_bytes())
        .arg(b"COUNT")
        .arg(count.to_string().as_bytes())
}

pub(super) fn range(name: &'static str, key: &[u8], from: u64, count: u64) -> Command {
    let last = from + count - 1;
    Command::of(name, key)
        .arg(from.to_string().as_bytes())
        .arg(last.to_string().as_bytes())
}

pub(super) fn entries(key: &[u8], after: Option<&str>, count: u64) -> Command {
    let from = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
    Command::of("XRANGE", key)
        .arg(from.as_bytes())
        .arg(b"+")
        .arg(b"COUNT")
        .arg(count.to_string().as_bytes())
}

/// How many elements to ask for after so many of that weight.
fn next_page(weight: u64, count: u64) -> u64 {
    let each = weight / count.max(1);
    (BYTES_ASKED_MAX / each.max(1)).clamp(1, ELEMENTS_MAX.min(count.max(ELEMENTS_FIRST) * 8))
}
