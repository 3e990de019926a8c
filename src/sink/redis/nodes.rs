//! The nodes of a cluster: who owns which slots, and commands on their way to each of them.

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Pipeline, RedisError, Value};

use super::command::Command;
use super::link::{BYTES_IN_FLIGHT_MAX, COMMANDS_IN_FLIGHT_MAX};

/// Most commands at once that are sent one by one.
const SINGLE_COMMANDS_MAX: usize = 64;
/// How long a replica may take to confirm what its master was told.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);

/// A connection to a cluster, and what was last heard of its nodes.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) connection: ClusterConnection,
    pub(super) owners: Vec<Owner>,
}

/// A node that owns slots.
#[derive(Clone)]
pub(super) struct Owner {
    ranges: Vec<(u16, u16)>,
    /// It has replicas that are not known to be down.
    replicated: bool,
}

impl Owner {
    /// The slot by which it is found: in the midst of its most, for single slots move, and whoever asks
    /// by one of these would ask the next owner.
    fn slot(&self) -> u16 {
        let longest = self.ranges.iter().max_by_key(|(from, to)| to.abs_diff(*from));
        longest.map_or(0, |(from, to)| from.midpoint(*to))
    }

    /// Its slots, in words.
    pub(super) fn told(&self) -> String {
        format!("{:?}", self.ranges)
    }
}

impl Cluster {
    pub(super) async fn single(&mut self, command: Command) -> Result<Value, RedisError> {
        let route = Route::new(command.slot(), SlotAddr::Master);
        let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
        self.connection.route_command(command.cmd, route).await
    }

    pub(super) fn route(&self, node: usize) -> SingleNodeRoutingInfo {
        SingleNodeRoutingInfo::SpecificNode(Route::new(self.owners[node].slot(), SlotAddr::Master))
    }

    fn owner(&self, slot: u16) -> Option<usize> {
        let owns = |owner: &Owner| owner.ranges.iter().any(|(from, to)| (*from..=*to).contains(&slot));
        self.owners.iter().position(owns)
    }

    pub(super) async fn all(&mut self, commands: Vec<Command>, confirm: bool) -> Result<Vec<Value>, RedisError> {
        let mut replies: Vec<Option<Value>> = commands.iter().map(|_| None).collect();
        let mut by_owner: Vec<Vec<(usize, Command)>> = self.owners.iter().map(|_| Vec::new()).collect();
        let mut loose = Vec::new();
        for (at, command) in commands.into_iter().enumerate() {
            match self.owner(command.slot()) {
                Some(owner) => by_owner[owner].push((at, command)),
                None => loose.push((at, command)),
            }
        }
        let sent = by_owner
            .into_iter()
            .enumerate()
            .filter(|(_, commands)| !commands.is_empty())
            .map(|(owner, commands)| {
                let mut cluster = self.clone();
                async move { cluster.pipelined(owner, commands, confirm).await }
            });
        let mut moved = false;
        for outcome in futures::future::join_all(sent).await {
            match outcome {
                Outcome::Done(done) => {
                    for (at, value) in done {
                        replies[at] = Some(value);
                    }
                }
                Outcome::Moved(done, again) => {
                    moved = true;
                    for (at, value) in done {
                        replies[at] = Some(value);
                    }
                    loose.extend(again);
                }
                Outcome::Failed(error) => return Err(error),
            }
        }
        loose.sort_by_key(|(at, _)| *at);
        for (at, value) in self.one_by_one(loose).await? {
            replies[at] = Some(value);
        }
        if moved {
            self.owners = owners(&mut self.connection).await?;
        }
        Ok(replies.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// To one node, in order, and confirmed by its replicas where that is asked for.
    async fn pipelined(&mut self, owner: usize, commands: Vec<(usize, Command)>, confirm: bool) -> Outcome {
        let route = self.route(owner);
        let mut done = Vec::with_capacity(commands.len());
        let places: Vec<usize> = commands.iter().map(|(at, _)| *at).collect();
        let mut waiting: std::collections::VecDeque<_> = commands.into();
        let mut first = 0;
        while !waiting.is_empty() {
            let (mut bytes, mut count) = (0, 0);
            while count < waiting.len() && count < COMMANDS_IN_FLIGHT_MAX && (count == 0 || bytes < BYTES_IN_FLIGHT_MAX) {
                bytes += waiting[count].1.bytes;
                count += 1;
            }
            let mut pipeline = Pipeline::with_capacity(count + 1);
            for (_, command) in waiting.iter().take(count) {
                pipeline.add_command(command.cmd.clone());
            }
            let confirm = confirm && self.owners[owner].replicated;
            if confirm {
                let milliseconds = u64::try_from(CONFIRM_WAIT.as_millis()).unwrap_or(u64::MAX);
                pipeline.cmd("WAIT").arg(1).arg(milliseconds);
            }
            let length = pipeline.len();
            match self.connection.route_pipeline(pipeline, 0, length, route.clone()).await {
                Ok(mut values) => {
                    if confirm && !matches!(values.pop(), Some(Value::Int(1..))) {
                        return Outcome::Failed(unconfirmed());
                    }
                    done.extend(places[first..first + count].iter().copied().zip(values));
                    waiting.drain(..count);
                    first += count;
                }
                // Somebody else owns a slot of these by now; which one, the driver finds out for
                // each of them.
                Err(error) if error.is_cluster_error() || error.code() == Some("READONLY") => {
                    return Outcome::Moved(done, waiting.into());
                }
                Err(error) => return Outcome::Failed(error),
            }
        }
        Outcome::Done(done)
    }

    /// Each on its own way, those of one key in their order.
    async fn one_by_one(&self, commands: Vec<(usize, Command)>) -> Result<Vec<(usize, Value)>, RedisError> {
        let mut by_slot: std::collections::BTreeMap<u16, Vec<(usize, Command)>> = std::collections::BTreeMap::new();
        for (at, command) in commands {
            by_slot.entry(command.slot()).or_default().push((at, command));
        }
        let ways = by_slot.into_values().map(|commands| {
            let mut cluster = self.clone();
            async move {
                let mut values = Vec::with_capacity(commands.len());
                for (at, command) in commands {
                    values.push((at, cluster.single(command).await?));
                }
                Ok::<_, RedisError>(values)
            }
        });
        let found: Vec<Vec<_>> = stream::iter(ways).buffer_unordered(SINGLE_COMMANDS_MAX).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

enum Outcome {
    Done(Vec<(usize, Value)>),
    Moved(Vec<(usize, Value)>, Vec<(usize, Command)>),
    Failed(RedisError),
}

fn unconfirmed() -> RedisError {
    let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "no replica has confirmed the writes");
    error.into()
}

/// Who owns which slots, by the cluster's own word.
pub(super) async fn owners(connection: &mut ClusterConnection) -> Result<Vec<Owner>, RedisError> {
    let mut cmd = redis::cmd("CLUSTER");
    cmd.arg("SLOTS");
    let random = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
    let ranges: Vec<Vec<Value>> = redis::from_redis_value(connection.route_command(cmd, random).await?)?;
    let mut owners: std::collections::BTreeMap<String, Owner> = std::collections::BTreeMap::new();
    for range in ranges {
        let (Some(Value::Int(from)), Some(Value::Int(to)), Some(node)) = (range.first(), range.get(1), range.get(2)) else {
            continue;
        };
        let (Ok(from), Ok(to)) = (u16::try_from(*from), u16::try_from(*to)) else {
            continue;
        };
        // Address, port, id and more; together they name the node.
        let owner = owners.entry(format!("{node:?}")).or_insert_with(|| Owner {
            ranges: Vec::new(),
            replicated: range.len() > 3,
        });
        owner.ranges.push((from, to));
    }
    Ok(owners.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_a_slot_that_is_not_likely_to_move() {
        let owner = |ranges: &[(u16, u16)]| Owner {
            ranges: ranges.to_vec(),
            replicated: false,
        };
        assert_eq!(owner(&[(17, 17), (5_461, 10_922), (16_000, 16_001)]).slot(), 8_191);
        assert_eq!(owner(&[(0, 16_383)]).slot(), 8_191);
        assert_eq!(owner(&[(16_383, 16_383)]).slot(), 16_383);
    }
}
