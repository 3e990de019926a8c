//! What the rows of a portion come to: commands, the replies that they must have, and the figures.

use std::collections::{HashMap, HashSet};

use redis::Value;

use super::command::Command;
use crate::data::counts::Written;

/// The reply that a command must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// Any that is no error.
    Any,
    /// OK.
    Okay,
    /// This number.
    Number(i64),
    /// This text.
    Text(String),
    /// A list of replies, each of which has to be one of these.
    Each(Vec<Self>),
}

impl Expected {
    /// Whether the reply is that.
    pub(super) fn is(&self, reply: &Value) -> bool {
        match self {
            Self::Any => !matches!(reply, Value::ServerError(_)),
            Self::Okay => matches!(reply, Value::Okay),
            Self::Number(number) => *reply == Value::Int(*number),
            Self::Text(text) => super::form::bytes(reply) == Some(text.as_bytes()),
            Self::Each(each) => match reply {
                Value::Array(replies) => {
                    replies.len() == each.len() && each.iter().zip(replies).all(|(expected, reply)| expected.is(reply))
                }
                _ => false,
            },
        }
    }
}

/// Commands with the replies they must have.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) commands: Vec<Command>,
    pub(super) expected: Vec<Expected>,
    pub(super) written: Written,
    /// Rows by the hashes of their keys (and members).
    pub(super) rows: HashSet<u128>,
    /// Keys whose name or expiry comes when the stream is complete.
    pub(super) touched: Vec<(Vec<u8>, Touch)>,
    /// How often rows were written, where an undo log has to know and one may be written twice.
    pub(super) times: HashMap<u128, u64>,
}

/// How a key has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Touch {
    /// Elements that it had before the batch.
    pub(super) before: u64,
    /// Elements that it has after it.
    pub(super) after: u64,
}

impl Planned {
    /// Room for so many commands.
    pub(super) fn roomy(commands: usize) -> Self {
        Self {
            commands: Vec::with_capacity(commands),
            expected: Vec::with_capacity(commands),
            ..Self::default()
        }
    }

    /// The commands of another one, behind these.
    pub(super) fn append(&mut self, other: Self) {
        self.commands.extend(other.commands);
        self.expected.extend(other.expected);
    }

    pub(super) fn push(&mut self, command: Command, expected: Expected) {
        self.commands.push(command);
        self.expected.push(expected);
    }
}

/// What tells a row apart: the hash of its key, and of its member where many rows share one.
pub(super) fn identity(key: &[u8], member: &[u8]) -> u128 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(&(key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(member);
    hash.digest128()
}
