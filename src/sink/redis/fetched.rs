//! Given rows of keys, fetched one by one.

use std::collections::BTreeMap;

use redis::Value;

use super::command::Command;
use super::contents::{Contents, Found};
use super::form::{bytes, parts};
use super::held::At;
use super::reply::{entry, is_of_another_type, pairs, score};
use crate::Result;
use crate::data::keyed::KeyType;
use crate::data::keyed::read::{KeyPlace, Place};

/// Rows that are asked for together.
const ROWS_MAX: usize = 500;
/// Elements and entries, whose size nobody knows, that are asked for together.
const ELEMENTS_MAX: usize = 64;

impl Contents {
    /// These rows, as far as they are there.
    pub(super) async fn these(&mut self, places: Vec<KeyPlace>) -> Result<()> {
        let mut by_key: BTreeMap<Vec<u8>, Vec<Place>> = BTreeMap::new();
        for KeyPlace { key, place } in places {
            let key = [self.prefix.as_bytes(), &key].concat();
            by_key.entry(key).or_default().push(place);
        }
        let keys: Vec<Vec<u8>> = by_key.keys().cloned().collect();
        if !self.request.layout.key_type.gathers() {
            return self.keys(&keys).await;
        }
        for places in by_key.values_mut() {
            places.sort_unstable();
            places.dedup();
        }
        for some in keys.chunks(ROWS_MAX) {
            let whole = |key: &[u8]| by_key.get(key).is_some_and(|places| places.contains(&Place::Whole));
            let found = self.look(some, whole).await?;
            let wanted: Vec<(&Found, &Place)> = found
                .iter()
                .flat_map(|found| by_key[&found.key].iter().map(move |place| (found, place)))
                .filter(|(_, place)| **place != Place::Whole)
                .collect();
            let most = match self.request.layout.key_type {
                KeyType::List | KeyType::Stream => ELEMENTS_MAX,
                _ => ROWS_MAX,
            };
            for some in wanted.chunks(most) {
                let commands = some
                    .iter()
                    .map(|(found, place)| question(&found.key, place, self.request.layout.key_type));
                let replies = self.link.ask_all(commands.collect()).await?;
                for ((found, place), reply) in some.iter().zip(replies) {
                    self.push_one(found, place, reply)?;
                }
                self.hand_on(false).await?;
            }
        }
        Ok(())
    }

    fn push_one(&mut self, found: &Found, place: &Place, reply: Value) -> Result<()> {
        if is_of_another_type(&reply) {
            // It became another one just now, so that the row is not there.
            return Ok(());
        }
        let reply = self.link.sound(reply, "reading keys back")?;
        let whose = found.whose(&self.prefix, self.request.layout.key_type);
        match place {
            Place::Whole => {}
            Place::Member(member) if reply == Value::Int(1) => self.rows.push_member(whose, member, None),
            Place::Member(_) if matches!(reply, Value::Int(_) | Value::Nil) => {}
            Place::Member(member) => {
                let score = score(&reply).ok_or_else(|| self.failed("ZSCORE"))?;
                self.rows.push_member(whose, member, Some(score));
            }
            Place::Position(position) => {
                if let Some(element) = bytes(&reply) {
                    self.rows.push_value(whose, At::Position(*position), element);
                }
            }
            Place::Entry(_) => {
                for element in parts(reply) {
                    let (id, fields) = entry(element).ok_or_else(|| self.failed("XRANGE"))?;
                    self.rows.push_fields(whose, At::Entry(&id), pairs(&fields));
                }
            }
        }
        Ok(())
    }
}

fn question(key: &[u8], place: &Place, key_type: KeyType) -> Command {
    match place {
        Place::Member(member) if key_type == KeyType::Zset => Command::of("ZSCORE", key).arg(member),
        Place::Member(member) => Command::of("SISMEMBER", key).arg(member),
        Place::Position(position) => Command::of("LINDEX", key).number(*position),
        Place::Entry(id) => Command::of("XRANGE", key).arg(id.as_bytes()).arg(id.as_bytes()),
        Place::Whole => Command::of("TYPE", key),
    }
}
