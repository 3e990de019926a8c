//! Changes of the ledger: all of them, if what they rest on still holds, or none.
//!
//! On one server that is WATCH and MULTI/EXEC; on a cluster, where connections are replaced behind
//! our back, a script in the slot of the project's ledger.

use redis::Value;

use super::command::Command;
use super::form::bytes;
use super::link::Link;
use crate::Result;

/// Compares first, then carries commands out; a number below 0 tells which comparison failed.
const SCRIPT: &str = "\
local a,i=ARGV,2 \
for c=1,tonumber(a[1]) do \
 local v \
 if a[i+1]=='' then v=redis.call('GET',a[i]) else v=redis.call('HGET',a[i],a[i+1]) end \
 if (v or '')~=a[i+2] then return -c end \
 i=i+3 \
end \
local r={} \
while a[i] do \
 local n=tonumber(a[i]) \
 r[#r+1]=redis.call(unpack(a,i+1,i+n)) \
 i=i+n+1 \
end \
return r";

/// What has to hold: a key, or a field of one, has this value (nothing where there is none).
pub(super) struct Condition {
    pub(super) key: Vec<u8>,
    pub(super) field: &'static str,
    pub(super) value: Vec<u8>,
}

impl Condition {
    fn read(&self) -> Command {
        if self.field.is_empty() {
            return Command::of("GET", &self.key);
        }
        Command::of("HGET", &self.key).arg(self.field.as_bytes())
    }

    fn holds(&self, found: &Value) -> bool {
        bytes(found).unwrap_or_default() == self.value
    }
}

/// A command of the ledger: its words.
pub(super) type Words = Vec<Vec<u8>>;

/// Words of a command.
pub(super) fn words(name: &str, rest: &[&[u8]]) -> Words {
    let mut words = Vec::with_capacity(rest.len() + 1);
    words.push(name.as_bytes().to_vec());
    words.extend(rest.iter().map(|word| word.to_vec()));
    words
}

/// As it is sent by itself.
pub(super) fn command(words: &Words) -> Command {
    let mut cmd = redis::Cmd::new();
    for word in words {
        cmd.arg(word.as_slice());
    }
    Command::whole(
        "the ledger",
        cmd,
        words.get(1).map_or(&[][..], Vec::as_slice),
        words.iter().map(Vec::len).sum(),
    )
}

/// What came of it.
pub(super) enum Outcome {
    /// Everything was carried out.
    Done,
    /// Nothing was: this condition does not hold, as far as is known.
    Unmet(usize),
}

/// Carries commands out, if the conditions hold.
pub(super) async fn transact(link: &mut Link, conditions: &[Condition], commands: &[Words]) -> Result<Outcome> {
    if !link.is_cluster() {
        return watched(link, conditions, commands).await;
    }
    // All are named: while their slot moves to another node, some of them are here and some there,
    // and what is not here must not be taken for what is not there.
    let mut keys: Vec<&[u8]> = Vec::new();
    let named = commands.iter().filter_map(|words| words.get(1));
    for key in conditions.iter().map(|condition| &condition.key).chain(named) {
        if !keys.contains(&key.as_slice()) {
            keys.push(key);
        }
    }
    let mut script = Command::script(SCRIPT, &keys);
    script.push(conditions.len().to_string().as_bytes());
    for condition in conditions {
        script.push(&condition.key);
        script.push(condition.field.as_bytes());
        script.push(&condition.value);
    }
    for words in commands {
        script.push(words.len().to_string().as_bytes());
        script.extend(words);
    }
    // The slot's replicas have it too, where there are some.
    let reply = link.write_all(vec![script]).await?.pop().unwrap_or_default();
    match link.sound(reply, "EVAL")? {
        Value::Int(unmet @ ..0) => Ok(Outcome::Unmet(usize::try_from(-unmet - 1).unwrap_or_default())),
        _ => Ok(Outcome::Done),
    }
}

async fn watched(link: &mut Link, conditions: &[Condition], commands: &[Words]) -> Result<Outcome> {
    if let Some(unmet) = watch(link, conditions).await? {
        link.ask(Command::keyless("UNWATCH", &[])).await?;
        return Ok(Outcome::Unmet(unmet));
    }
    let mut together = vec![Command::keyless("MULTI", &[])];
    together.extend(commands.iter().map(command));
    together.push(Command::keyless("EXEC", &[]));
    let mut replies = link.ask_all(together).await?;
    let executed = replies.pop().unwrap_or_default();
    for queued in replies {
        link.sound(queued, "MULTI")?;
    }
    match link.sound(executed, "EXEC")? {
        Value::Nil => Ok(Outcome::Unmet(0)),
        Value::Array(replies) => {
            for reply in replies {
                link.sound(reply, "EXEC")?;
            }
            Ok(Outcome::Done)
        }
        _ => Ok(Outcome::Done),
    }
}

/// From here on a transaction of this connection happens only if nobody touches what the
/// conditions speak of; tells which of them does not hold already.
pub(super) async fn watch(link: &mut Link, conditions: &[Condition]) -> Result<Option<usize>> {
    let replies = link.ask_each(watching(conditions)).await?;
    Ok(unmet(conditions, &replies))
}

/// The commands for that.
pub(super) fn watching(conditions: &[Condition]) -> Vec<Command> {
    let mut together = Vec::with_capacity(conditions.len() * 2 + 1);
    for condition in conditions {
        together.push(Command::of("WATCH", &condition.key));
    }
    together.extend(conditions.iter().map(Condition::read));
    together
}

/// Which condition does not hold, by the replies to them.
pub(super) fn unmet(conditions: &[Condition], replies: &[Value]) -> Option<usize> {
    let found = |at: usize| replies.get(conditions.len() + at).unwrap_or(&Value::Nil);
    (0..conditions.len()).find(|at| !conditions[*at].holds(found(*at)))
}
