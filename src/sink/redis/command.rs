//! Commands as they are sent: their words, where they go, and how much they are.

use redis::Cmd;

use super::slot;

/// A command and where it goes.
pub(super) struct Command {
    /// As the driver has it.
    pub(super) cmd: Cmd,
    /// Its first word.
    pub(super) name: &'static str,
    /// Slot of its key, where that is not its first argument.
    slot: Option<u16>,
    /// Roughly what it takes on the way.
    pub(super) bytes: usize,
}

impl Command {
    /// A command for a key; the key is its first argument.
    pub(super) fn of(name: &'static str, key: &[u8]) -> Self {
        let mut cmd = Cmd::with_capacity(8, 64 + key.len());
        cmd.arg(name).arg(key);
        Self {
            cmd,
            name,
            slot: None,
            bytes: name.len() + key.len() + 32,
        }
    }

    /// As [`Self::of`], with room for so many arguments of so many bytes each.
    pub(super) fn roomy(name: &'static str, key: &[u8], arguments: usize, bytes: usize) -> Self {
        let mut cmd = Cmd::with_capacity(2 + arguments, name.len() + key.len() + arguments * bytes);
        cmd.arg(name).arg(key);
        Self {
            cmd,
            name,
            slot: None,
            bytes: name.len() + key.len() + 32,
        }
    }

    /// A script over these keys, all of one slot.
    pub(super) fn script(text: &'static str, keys: &[&[u8]]) -> Self {
        let mut cmd = Cmd::with_capacity(8, text.len() + 128);
        cmd.arg("EVAL").arg(text).arg(keys.len());
        for key in keys {
            cmd.arg(*key);
        }
        Self {
            cmd,
            name: "EVAL",
            slot: Some(keys.first().map_or(0, |key| slot::of(key))),
            bytes: text.len() + keys.iter().map(|key| key.len() + 16).sum::<usize>(),
        }
    }

    /// A script that the server has by this hash, over these keys, all of one slot.
    pub(super) fn loaded(hash: &str, keys: &[&[u8]]) -> Self {
        let mut cmd = Cmd::with_capacity(16, hash.len() + 256);
        cmd.arg("EVALSHA").arg(hash).arg(keys.len());
        for key in keys {
            cmd.arg(*key);
        }
        Self {
            cmd,
            name: "EVALSHA",
            slot: Some(keys.first().map_or(0, |key| slot::of(key))),
            bytes: hash.len() + keys.iter().map(|key| key.len() + 16).sum::<usize>(),
        }
    }

    /// A command that names no key, for where this one is.
    pub(super) fn keyless(name: &'static str, key: &[u8]) -> Self {
        let mut cmd = Cmd::new();
        cmd.arg(name);
        Self::whole(name, cmd, key, name.len())
    }

    /// A command that is complete, for where this key is.
    pub(super) fn whole(name: &'static str, cmd: Cmd, key: &[u8], bytes: usize) -> Self {
        Self {
            cmd,
            name,
            slot: Some(slot::of(key)),
            bytes: bytes + 32,
        }
    }

    /// Slot of its key; only a cluster asks for it.
    pub(super) fn slot(&self) -> u16 {
        let of_key = || match self.cmd.args_iter().nth(1) {
            Some(redis::Arg::Simple(key)) => slot::of(key),
            _ => 0,
        };
        self.slot.unwrap_or_else(of_key)
    }

    /// One more argument.
    pub(super) fn arg(mut self, value: &[u8]) -> Self {
        self.push(value);
        self
    }

    /// One more argument, a number.
    pub(super) fn number(mut self, value: i64) -> Self {
        self.cmd.arg(value);
        self.bytes += 32;
        self
    }

    /// One more argument, a number in the shortest form that reads back as the same.
    pub(super) fn push_float(&mut self, value: f64) {
        self.cmd.arg(value);
        self.bytes += 32;
    }

    /// One more argument.
    pub(super) fn push(&mut self, value: &[u8]) {
        self.cmd.arg(value);
        self.bytes += value.len() + 16;
    }

    /// More arguments.
    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        for value in values {
            self.push(value.as_ref());
        }
    }
}
