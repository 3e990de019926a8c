//! The way to the server: one connection, or one to every node of a cluster.
//!
//! Commands go out together, in the order given for each node, and every reply is handed back. On
//! a cluster they are pipelined by the node that owns their slots; what has moved since is sent
//! again one by one, for which the driver follows MOVED and ASK. Commands that are sent here may
//! be sent twice: whoever makes them sees to it that the second time changes nothing.

use std::sync::Arc;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::RoutingInfo;
use redis::{Cmd, Pipeline, RedisError, Value};

use super::command::Command;
use super::fault;
use super::nodes::{Cluster, owners};
use crate::Result;

/// Most bytes of commands that are on their way to one node together.
pub(super) const BYTES_IN_FLIGHT_MAX: usize = 8 << 20;
/// Most commands of that kind.
pub(super) const COMMANDS_IN_FLIGHT_MAX: usize = 20_000;

/// A connection to whatever the server is.
#[derive(Clone)]
pub(super) struct Link {
    /// Of the connection in the configuration.
    name: Arc<str>,
    way: Way,
}

#[derive(Clone)]
enum Way {
    /// One server.
    Single(MultiplexedConnection),
    /// A cluster.
    Cluster(Box<Cluster>),
}

impl Link {
    /// A connection to one server.
    pub(super) fn single(name: &str, connection: MultiplexedConnection) -> Self {
        Self {
            name: name.into(),
            way: Way::Single(connection),
        }
    }

    /// A connection to a cluster, with its slots.
    pub(super) async fn cluster(name: &str, mut connection: ClusterConnection) -> Result<Self> {
        let owners = owners(&mut connection).await;
        let owners = owners.map_err(|error| fault::classify(&error, name, "CLUSTER SLOTS"))?;
        Ok(Self {
            name: name.into(),
            way: Way::Cluster(Box::new(Cluster { connection, owners })),
        })
    }

    /// One command.
    pub(super) async fn ask(&mut self, command: Command) -> Result<Value> {
        let name = command.name;
        let asked = match &mut self.way {
            Way::Single(connection) => connection.req_packed_command(&command.cmd).await,
            Way::Cluster(cluster) => cluster.single(command).await,
        };
        asked.and_then(fault::sound).map_err(|error| self.failed(&error, name))
    }

    /// Commands together; a reply for each, in their order, an error as a value.
    pub(super) async fn ask_all(&mut self, commands: Vec<Command>) -> Result<Vec<Value>> {
        self.all(commands, false).await
    }

    /// As [`Self::ask_all`], where every reply has to be sound.
    pub(super) async fn ask_each(&mut self, commands: Vec<Command>) -> Result<Vec<Value>> {
        let name = commands.first().map_or("", |command| command.name);
        let replies = self.all(commands, false).await?;
        replies.into_iter().map(|reply| self.sound(reply, name)).collect()
    }

    /// As [`Self::ask_all`], for writes: on a cluster every node's replicas have confirmed them
    /// when it returns.
    pub(super) async fn write_all(&mut self, commands: Vec<Command>) -> Result<Vec<Value>> {
        self.all(commands, true).await
    }

    /// A pipeline to one server, behind all of those that were polled before it for the first time; on
    /// a cluster nothing is sent this way.
    pub(super) fn send(&self, pipeline: Pipeline) -> impl Future<Output = Result<Vec<Value>>> + Send + use<> {
        let link = self.clone();
        // What is polled is sent: it is never put off to be fair to others.
        tokio::task::unconstrained(async move {
            let Way::Single(mut connection) = link.way.clone() else {
                return Err(fault::unexpected(&link.name, "MULTI"));
            };
            let count = pipeline.len();
            let sent = connection.req_packed_commands(&pipeline, 0, count).await;
            sent.map_err(|error| link.failed(&error, "MULTI"))
        })
    }

    /// Name of the connection in the configuration.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    async fn all(&mut self, commands: Vec<Command>, confirm: bool) -> Result<Vec<Value>> {
        let name = commands.first().map_or("", |command| command.name);
        let asked = match &mut self.way {
            Way::Single(connection) => single_all(connection, commands).await,
            Way::Cluster(cluster) => cluster.all(commands, confirm).await,
        };
        asked.map_err(|error| self.failed(&error, name))
    }

    /// A command for one of the nodes that have keys.
    pub(super) async fn ask_node(&mut self, node: usize, name: &'static str, cmd: Cmd) -> Result<Value> {
        let asked = match &mut self.way {
            Way::Single(connection) => connection.req_packed_command(&cmd).await,
            Way::Cluster(cluster) => {
                let route = cluster.route(node);
                cluster.connection.route_command(cmd, RoutingInfo::SingleNode(route)).await
            }
        };
        asked.and_then(fault::sound).map_err(|error| self.failed(&error, name))
    }

    /// The reply, if it is no error.
    pub(super) fn sound(&self, reply: Value, command: &str) -> Result<Value> {
        fault::sound(reply).map_err(|error| self.failed(&error, command))
    }

    fn failed(&self, error: &RedisError, command: &str) -> crate::Error {
        fault::classify(error, &self.name, command)
    }

    /// Asks again who owns which slots and has replicas, whose word is waited for.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        let Way::Cluster(cluster) = &mut self.way else { return Ok(()) };
        match owners(&mut cluster.connection).await {
            Ok(owners) => {
                cluster.owners = owners;
                Ok(())
            }
            Err(error) => Err(self.failed(&error, "CLUSTER SLOTS")),
        }
    }

    /// Slots of each node that has keys.
    pub(super) fn ranges(&self) -> Vec<String> {
        match &self.way {
            Way::Single(_) => Vec::new(),
            Way::Cluster(cluster) => cluster.owners.iter().map(super::nodes::Owner::told).collect(),
        }
    }

    /// Number of nodes that have keys.
    pub(super) fn nodes(&self) -> usize {
        match &self.way {
            Way::Single(_) => 1,
            Way::Cluster(cluster) => cluster.owners.len(),
        }
    }

    /// Whether it is a cluster.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(_))
    }
}

async fn single_all(connection: &mut MultiplexedConnection, commands: Vec<Command>) -> Result<Vec<Value>, RedisError> {
    let mut replies = Vec::with_capacity(commands.len());
    for (pipeline, _) in chunks(commands, COMMANDS_IN_FLIGHT_MAX) {
        let count = pipeline.len();
        replies.extend(connection.req_packed_commands(&pipeline, 0, count).await?);
    }
    Ok(replies)
}

/// Pipelines of bounded size, with their bytes.
pub(super) fn chunks(commands: Vec<Command>, commands_max: usize) -> impl Iterator<Item = (Pipeline, usize)> {
    let mut commands = commands.into_iter();
    std::iter::from_fn(move || {
        let mut pipeline = Pipeline::with_capacity(commands.len().min(commands_max));
        let mut bytes = 0;
        while bytes < BYTES_IN_FLIGHT_MAX && pipeline.len() < commands_max {
            let Some(command) = commands.next() else { break };
            bytes += command.bytes;
            pipeline.add_command(command.cmd);
        }
        if pipeline.is_empty() {
            return None;
        }
        Some((pipeline, bytes))
    })
}
