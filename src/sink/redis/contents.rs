//! What keys hold: asked for in pages of bounded size, many keys at once.
//!
//! First every key is asked for its expiry and its size, then for its contents. What large keys hold
//! comes in pages that are as long as the ones before them let expect to be about a megabyte.

use redis::Value;
use tokio::sync::mpsc;

use super::command::Command;
use super::elements::{entries, range, sscan};
use super::fault;
use super::form::{bytes, number, parts};
use super::held::{At, Rows, Whose};
use super::link::Link;
use super::reply::{is_of_another_type, pairs, weight};
use super::server::Server;
use crate::data::keyed::KeyType;
use crate::data::keyed::form::TtlRule;
use crate::data::keyed::read::KeyRead;
use crate::{Error, ErrorKind, Result};

/// Keys that are asked about together.
const KEYS_MAX: usize = 1_000;
/// Bytes that are asked for together, as far as they can be known.
pub(super) const BYTES_ASKED_MAX: u64 = 1 << 20;
/// Elements of one key that are asked for while nothing is known of their size.
pub(super) const ELEMENTS_FIRST: u64 = 64;
/// Bytes of an element while nothing is known of them.
const ELEMENT_BYTES_GUESSED: u64 = 16 << 10;
/// Most fields of a hash that are all looked at.
const FIELDS_MAX: u64 = 1_000;

/// Keys that are being read.
pub(super) struct Contents {
    pub(super) link: Link,
    pub(super) request: KeyRead,
    pub(super) rows: Rows,
    pub(super) prefix: String,
    pub(super) connection: String,
    give: mpsc::Sender<Result<arrow::record_batch::RecordBatch>>,
    /// Bytes of an element, as the last ones let expect.
    guess: u64,
}

/// A key of the right type.
pub(super) struct Found {
    /// With its prefix.
    pub(super) key: Vec<u8>,
    pub(super) ttl: String,
    /// Bytes of a string, fields of a hash, elements of anything else.
    pub(super) size: u64,
}

impl Contents {
    pub(super) fn new(
        link: Link,
        server: &Server,
        request: KeyRead,
        give: mpsc::Sender<Result<arrow::record_batch::RecordBatch>>,
    ) -> Self {
        Self {
            link,
            rows: Rows::new(std::sync::Arc::clone(&request.form), &request.layout),
            prefix: server.prefix.clone(),
            connection: server.name.clone(),
            give,
            guess: ELEMENT_BYTES_GUESSED,
            request,
        }
    }

    /// That these keys are there, and nothing else.
    pub(super) async fn bare(&mut self, keys: &[Vec<u8>]) -> Result<()> {
        for key in keys {
            let key = &key[self.prefix.len()..];
            self.rows.push_bare(Whose { key, kind: "", ttl: "" });
        }
        self.hand_on(false).await
    }

    /// What these keys hold.
    pub(super) async fn keys(&mut self, keys: &[Vec<u8>]) -> Result<()> {
        for some in keys.chunks(KEYS_MAX) {
            let found = self.look(some, |_| true).await?;
            let mut from = 0;
            while from < found.len() {
                let group = &found[from..from + self.group(&found[from..])];
                self.group_contents(group).await?;
                from += group.len();
            }
        }
        Ok(())
    }

    /// The last rows.
    pub(super) async fn end(mut self) -> Result<()> {
        self.hand_on(true).await
    }

    /// Keys that are there and of the right type. Others are rows of their own, where that is
    /// wanted; what has gone meanwhile is not there.
    pub(super) async fn look(&mut self, keys: &[Vec<u8>], wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<Found>> {
        let (ttl, size) = (self.ttl_command(), size_command(self.request.layout.key_type));
        let commands = keys.iter().flat_map(|key| [Command::of(ttl, key), Command::of(size, key)]);
        let mut replies = self.link.ask_all(commands.collect()).await?.into_iter();
        let (mut found, mut others) = (Vec::with_capacity(keys.len()), Vec::new());
        for key in keys {
            let left = self.link.sound(replies.next().unwrap_or_default(), ttl)?;
            let left = number(&left).ok_or_else(|| fault::unexpected(&self.connection, ttl))?;
            let told = replies.next().unwrap_or_default();
            if left == GONE {
                continue;
            }
            let ttl = self.request.form.ttl_found(left);
            if is_of_another_type(&told) {
                others.push((key, ttl));
                continue;
            }
            let told = number(&self.link.sound(told, size)?);
            let told = told.and_then(|told| u64::try_from(told).ok());
            found.push(Found {
                key: key.clone(),
                ttl,
                size: told.ok_or_else(|| fault::unexpected(&self.connection, size))?,
            });
        }
        others.retain(|(key, _)| wanted(key));
        let asked = others.iter().map(|(key, _)| Command::of("TYPE", key)).collect();
        for ((key, ttl), kind) in others.into_iter().zip(self.link.ask_each(asked).await?) {
            let kind = String::from_utf8_lossy(bytes(&kind).unwrap_or_default()).into_owned();
            if kind != "none" {
                self.push_other_type(key, &kind, &ttl);
            }
        }
        Ok(found)
    }

    fn push_other_type(&mut self, key: &[u8], kind: &str, ttl: &str) {
        let key = &key[self.prefix.len()..];
        self.rows.push_bare(Whose { key, kind, ttl });
    }

    fn ttl_command(&self) -> &'static str {
        match self.request.form.ttl {
            TtlRule::Moment => "PEXPIRETIME",
            TtlRule::Presence | TtlRule::Within(_) => "PTTL",
        }
    }

    /// How many of the keys are asked for their contents together.
    fn group(&self, found: &[Found]) -> usize {
        let key_type = self.request.layout.key_type;
        let bytes = |found: &Found| match key_type {
            KeyType::String | KeyType::Json | KeyType::Counter => found.size,
            KeyType::Hash => self.guess,
            _ => self.guess.saturating_mul(found.size.min(ELEMENTS_FIRST)),
        };
        let mut asked = 0;
        let fits = |found: &&Found| {
            asked += bytes(found);
            asked <= BYTES_ASKED_MAX
        };
        found.iter().take_while(fits).count().max(1)
    }

    async fn group_contents(&mut self, group: &[Found]) -> Result<()> {
        let commands: Vec<Command> = group.iter().map(|found| self.first(found)).collect();
        let replies = self.link.ask_all(commands).await?;
        let weight: u64 = replies.iter().map(weight).sum();
        let mut taken = 0;
        for (found, reply) in group.iter().zip(replies) {
            taken += found.size.min(ELEMENTS_FIRST);
            self.take(found, reply).await?;
        }
        let elements = match self.request.layout.key_type {
            KeyType::Hash => group.len() as u64,
            _ => taken,
        };
        // It grows at once, and shrinks slowly.
        self.guess = (weight / elements.max(1)).max(self.guess / 4).max(1);
        Ok(())
    }

    /// Asks for what a key holds, or for the first page of it.
    fn first(&self, found: &Found) -> Command {
        let key = &found.key;
        match self.request.layout.key_type {
            KeyType::String | KeyType::Json | KeyType::Counter => Command::of("GET", key),
            KeyType::Hash if found.size > FIELDS_MAX => {
                let mut command = Command::of("HMGET", key);
                command.extend(&self.request.form.fields);
                command
            }
            KeyType::Hash => Command::of("HGETALL", key),
            KeyType::Set => sscan(key, 0, ELEMENTS_FIRST),
            KeyType::Zset => range("ZRANGE", key, 0, ELEMENTS_FIRST).arg(b"WITHSCORES"),
            KeyType::List => range("LRANGE", key, 0, ELEMENTS_FIRST),
            KeyType::Stream => entries(key, None, ELEMENTS_FIRST),
        }
    }

    async fn take(&mut self, found: &Found, reply: Value) -> Result<()> {
        let key_type = self.request.layout.key_type;
        if is_of_another_type(&reply) {
            // It became another one just now.
            let kind = self.link.ask(Command::of("TYPE", &found.key)).await?;
            let kind = String::from_utf8_lossy(bytes(&kind).unwrap_or_default()).into_owned();
            self.push_other_type(&found.key, &kind, &found.ttl);
            return self.hand_on(false).await;
        }
        let reply = self.link.sound(reply, "reading keys back")?;
        match key_type {
            KeyType::String | KeyType::Json | KeyType::Counter => {
                let whose = found.whose(&self.prefix, key_type);
                if let Some(value) = bytes(&reply) {
                    self.rows.push_value(whose, At::Whole, value);
                }
            }
            KeyType::Hash => {
                let told = parts(reply);
                let whose = found.whose(&self.prefix, key_type);
                if found.size > FIELDS_MAX {
                    let mapped: Vec<Option<&[u8]>> = told.iter().map(bytes).collect();
                    let there = mapped.iter().filter(|value| value.is_some()).count() as u64;
                    self.rows.push_mapped(whose, &mapped, found.size.saturating_sub(there));
                } else if !told.is_empty() {
                    self.rows.push_fields(whose, At::Whole, pairs(&told));
                }
            }
            KeyType::Set => self.set(found, reply).await?,
            KeyType::Zset | KeyType::List | KeyType::Stream => self.pages(found, reply).await?,
        }
        self.hand_on(false).await
    }

    /// Hands the rows on when they are enough for a batch, or all that are left.
    pub(super) async fn hand_on(&mut self, all: bool) -> Result<()> {
        let full = self.rows.count >= self.request.rows_max || self.rows.bytes >= self.request.bytes_max;
        if !(full || (all && self.rows.count > 0)) {
            return Ok(());
        }
        let mut batch = self.rows.finish()?;
        while batch.num_rows() > 0 {
            let some = batch.num_rows().min(self.request.rows_max.max(1));
            let first = batch.slice(0, some);
            batch = batch.slice(some, batch.num_rows() - some);
            if self.give.send(Ok(first)).await.is_err() {
                return Err(Error::new(ErrorKind::Interrupted, "nobody reads on"));
            }
        }
        Ok(())
    }

    pub(super) fn failed(&self, command: &str) -> Error {
        fault::unexpected(&self.connection, command)
    }
}

/// What PTTL and PEXPIRETIME say of a key that is not there.
const GONE: i64 = -2;

impl Found {
    pub(super) fn whose<'a>(&'a self, prefix: &str, key_type: KeyType) -> Whose<'a> {
        Whose {
            key: &self.key[prefix.len()..],
            kind: key_type.stored(),
            ttl: &self.ttl,
        }
    }
}

const fn size_command(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::String | KeyType::Json | KeyType::Counter => "STRLEN",
        KeyType::Hash => "HLEN",
        KeyType::Set => "SCARD",
        KeyType::Zset => "ZCARD",
        KeyType::List => "LLEN",
        KeyType::Stream => "XLEN",
    }
}
