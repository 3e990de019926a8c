//! Redis sink: rows become keys, on one server or on a cluster.
//!
//! The ledger is kept beside the rows, in keys that begin with `dbferry:{project}:`, all in one
//! slot. What a stream's keys are called and what they hold is in its
//! [layout](crate::data::keyed::Layout); `session.rs` says how a batch and its checkpoint become
//! durable together, `ordered.rs` how lists and streams grow.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::keys::KeyStore;
use super::{KeyRows, LeaseRequest, Session, Sink};
use crate::config::connection::RedisServer;
use crate::data::keyed::Pattern;
use crate::data::keyed::form::KeyFacts;
use crate::data::keyed::read::KeyRead;
use crate::data::table::{Table, TableName};
use crate::ledger::undo::Undoable;
use crate::ledger::{BackupNote, Checkpoint, RunRecord, StoredBatch, StoredReject};
use crate::{Error, ErrorKind, Result};
use behind::Last;
use command::Command;
use names::Names;
use server::Server;
use session::{Identity, RedisSession};

mod begin;
mod behind;
mod command;
mod commit;
mod contents;
mod count;
mod delete;
mod dump;
mod elements;
mod encoder;
mod fault;
mod fence;
mod fetched;
mod forget;
mod form;
mod held;
mod kept;
mod lease;
mod ledger_read;
mod link;
mod member;
mod moment;
mod names;
mod nodes;
mod ordered;
mod plain;
mod planned;
mod portion;
mod present;
mod publish;
mod queue;
mod reading;
mod rejects;
mod reply;
mod scan;
mod server;
mod session;
mod slot;
mod stream;
mod transact;
mod undo;

/// Sessions of one run that write at once: one server carries out one command after the other, and
/// a few connections keep it busy.
const SESSIONS_MAX: usize = 4;

/// Redis target.
pub(super) struct RedisSink {
    server: Arc<Server>,
}

impl RedisSink {
    pub(super) async fn open(name: &str, server: &RedisServer) -> Result<Self> {
        let server = Server::open(name, server).await?;
        Ok(Self {
            server: Arc::new(server),
        })
    }

    fn names(&self, project: &str) -> Names {
        Names::new(&self.server.prefix, project)
    }

    async fn session(&self, lease: &LeaseRequest, epoch: Option<i64>) -> Result<RedisSession> {
        let names = self.names(&lease.project);
        let (mut link, mut reader) = (self.server.link().await?, self.server.link().await?);
        let evicted = self.server.check_keeps(&mut reader).await?;
        dump::check_restored(&mut reader, &names, (&self.server.name, &lease.project)).await?;
        let mut held = None;
        let epoch = match epoch {
            Some(epoch) => epoch,
            None if lease.dry_run => {
                lease::check_free(&self.server, &mut reader, &names, &lease.project).await?;
                0
            }
            None => {
                let (epoch, taken) = lease::acquire(&self.server, &mut reader, &mut link, &names, lease).await?;
                held = Some(taken);
                let whose = (self.server.name.as_str(), lease.project.as_str());
                self.server.committed.check(&mut reader, &names, whose).await?;
                epoch
            }
        };
        Ok(RedisSession {
            server: Arc::clone(&self.server),
            identity: Identity {
                project: lease.project.clone(),
                run: lease.run,
                epoch,
                dry_run: lease.dry_run,
            },
            names,
            link,
            reader,
            held,
            stream: None,
            batch: None,
            last: Last::Proven,
            clock: None,
            evicted,
            rehearsed: Vec::new(),
            walk: None,
        })
    }
}

#[async_trait]
impl Sink for RedisSink {
    async fn tables(&self) -> Result<Vec<TableName>> {
        Ok(Vec::new())
    }

    async fn table(&self, _name: &TableName) -> Result<Option<Table>> {
        Ok(None)
    }

    async fn count(&self, name: &TableName) -> Result<u64> {
        let pattern = Pattern::parse(&name.name).map_err(|fault| {
            Error::new(
                ErrorKind::Internal,
                format!("`{}` is no pattern of keys: {}", name.name, fault.why),
            )
        })?;
        let mut link = self.server.link().await?;
        count::of_pattern(&mut link, &self.names(""), &pattern, true).await
    }

    async fn checkpoints(&self, project: &str) -> Result<Vec<Checkpoint>> {
        let mut link = self.server.link().await?;
        ledger_read::checkpoints(&mut link, &self.names(project), project).await
    }

    async fn runs(&self, project: &str, rows_max: u32) -> Result<Vec<RunRecord>> {
        let mut link = self.server.link().await?;
        ledger_read::runs(&mut link, &self.names(project), rows_max).await
    }

    async fn note_backup(&self, project: &str, note: &BackupNote) -> Result<()> {
        let mut link = self.server.link().await?;
        let text = form::json(note);
        let noted = Command::of("HSET", &self.names(project).backups()).arg(note.run.to_string().as_bytes());
        link.write_all(vec![noted.arg(text.as_bytes())]).await.map(drop)
    }

    async fn backups(&self, project: &str) -> Result<Vec<BackupNote>> {
        let mut link = self.server.link().await?;
        ledger_read::backups(&mut link, &self.names(project)).await
    }

    async fn batches(&self, project: &str, run: Uuid) -> Result<Vec<StoredBatch>> {
        let mut link = self.server.link().await?;
        ledger_read::batches(&mut link, &self.names(project), run).await
    }

    async fn rejects(&self, project: &str, stream: Option<&str>, after_id: i64, rows_max: u32) -> Result<Vec<StoredReject>> {
        let mut link = self.server.link().await?;
        ledger_read::stored(&mut link, &self.names(project), stream, after_id, rows_max).await
    }

    async fn reject_counts(&self, project: &str) -> Result<Vec<(String, u64)>> {
        let mut link = self.server.link().await?;
        let mut counts: Vec<(String, u64)> = Vec::new();
        for (_, reject) in ledger_read::rejects(&mut link, &self.names(project), |_, _| true).await? {
            match counts.iter_mut().find(|(stream, _)| *stream == reject.stream) {
                Some((_, count)) => *count += 1,
                None => counts.push((reject.stream, 1)),
            }
        }
        Ok(counts)
    }

    fn keeps_undo_log(&self) -> bool {
        true
    }

    async fn undoable(&self, project: &str, run: Uuid) -> Result<Vec<Undoable>> {
        let mut link = self.server.link().await?;
        undo::undoable(&mut link, &self.names(project), run).await
    }

    async fn acquire(&self, lease: &LeaseRequest) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.session(lease, None).await?))
    }

    /// Only what begins with the prefix, and only where a ledger of the project begins with it too.
    async fn clean(&self, project: &str) -> Result<u64> {
        let prefix = &self.server.prefix;
        let names = self.names(project);
        let mut link = self.server.link().await?;
        let is_ours = link.ask(Command::of("EXISTS", &names.epoch())).await? == redis::Value::Int(1);
        if prefix.is_empty() || !is_ours {
            return Err(Error::new(
                ErrorKind::Missing,
                format!(
                    "connection `{}`: project `{project}` has written nothing under the prefix `{prefix}`",
                    self.server.name
                ),
            )
            .hint("give the same `--key-prefix` as to the rehearsal; nothing was removed"));
        }
        lease::check_free(&self.server, &mut link, &names, project).await?;
        forget::prefix(&mut link, prefix).await
    }

    async fn version(&self) -> Result<Option<String>> {
        let mut link = self.server.link().await?;
        Ok(self.server.facts(&mut link, 0).await?.get("redis_version").map(str::to_owned))
    }

    fn key_store(&self) -> Option<&dyn KeyStore> {
        Some(self)
    }

    async fn key_facts(&self) -> Result<KeyFacts> {
        let mut link = self.server.link().await?;
        reading::facts(&self.server, &mut link).await
    }

    async fn read_keys(&self, request: KeyRead) -> Result<KeyRows> {
        let link = self.server.link().await?;
        Ok(reading::start(Arc::clone(&self.server), link, request))
    }

    fn sessions_max(&self) -> usize {
        SESSIONS_MAX
    }

    async fn join(&self, lease: &LeaseRequest, epoch: i64) -> Result<Box<dyn Session>> {
        let mut session = self.session(lease, Some(epoch)).await?;
        let found = session.reader.ask(Command::of("GET", &session.names.epoch())).await?;
        if form::number(&found) == Some(epoch) {
            return Ok(Box::new(session));
        }
        let whose = (lease.project.as_str(), lease.run);
        Err(lease::fenced_off(&mut session.reader, &session.names, whose).await)
    }
}
