//! Keys as the server writes them down (DUMP), and back (RESTORE), for backups.

use async_trait::async_trait;
use redis::Value;
use tokio::sync::mpsc;

use super::command::Command;
use super::count::Keys;
use super::form::{bytes, number};
use super::link::Link;
use super::names::Names;
use super::scan::{self, REMEMBERED_MAX};
use super::{RedisSink, fault, lease, moment};
use crate::sink::keys::{KeyDump, KeyStore};
use crate::{Error, ErrorKind, Result};

/// Pages of names on their way to whoever asks for what they hold.
const PAGES_MAX: usize = 2;
/// Most keys that are asked for together.
const KEYS_ASKED_MAX: usize = 64;
/// Where the keys asked for together hold more than this, fewer are asked for the next time.
const BYTES_ASKED_MAX: usize = 4 << 20;
/// Keys in one command.
const KEYS_REMOVED_MAX: usize = 500;
/// Names of keys that are told.
const NAMES_TOLD_MAX: usize = 5;
/// How long a key stays that is only tried out, where nobody is left to remove it.
const SCRATCH_MILLISECONDS: i64 = 120_000;
/// First version that tells when a key expires, and not only in how long.
const VERSION_EXPIRETIME: u32 = 7;

#[async_trait]
impl KeyStore for RedisSink {
    async fn dump(&self, project: &str, glob: &str, give: mpsc::Sender<KeyDump>) -> Result<()> {
        let mut lister = self.server.link().await?;
        let mut reader = self.server.link().await?;
        let told = self.server.facts(&mut reader, 0).await?;
        let major = told
            .get("redis_version")
            .and_then(|version| version.split('.').next()?.parse().ok());
        let exact = major.is_some_and(|major: u32| major >= VERSION_EXPIRETIME);
        let names = self.names(project);
        let (pages, mut names_read) = mpsc::channel::<Vec<Vec<u8>>>(PAGES_MAX);
        let live = [names.lease(), names.restoring()];
        let walking = async {
            let outcome = scan::keys(
                (&self.server, &mut lister),
                glob,
                REMEMBERED_MAX,
                |key| !live.iter().any(|other| other == key),
                &pages,
            )
            .await;
            drop(pages);
            outcome
        };
        // It owns what it reads from and gives to: the walk ends when nobody takes its pages any more.
        let reading = async move {
            let mut many = KEYS_ASKED_MAX;
            while let Some(page) = names_read.recv().await {
                let mut rest = page.as_slice();
                while !rest.is_empty() {
                    let (some, after) = rest.split_at(many.min(rest.len()));
                    rest = after;
                    let found = dumped(&mut reader, &names, some, exact).await?;
                    let size: usize = found.iter().map(KeyDump::bytes).sum();
                    many = if size > BYTES_ASKED_MAX {
                        (many / 4).max(1)
                    } else {
                        (many * 2).min(KEYS_ASKED_MAX)
                    };
                    for key in found {
                        if give.send(key).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
            Ok::<(), Error>(())
        };
        let (walked, read) = futures::future::join(walking, reading).await;
        read.and(walked)
    }

    async fn present(&self, project: &str, glob: &str) -> Result<(u64, Vec<String>)> {
        let mut link = self.server.link().await?;
        let names = self.names(project);
        let live = [names.lease(), names.restoring()];
        let (pages, mut found) = mpsc::channel::<Vec<Vec<u8>>>(PAGES_MAX);
        let walking = async {
            let not_live = |key: &[u8]| !live.iter().any(|other| other == key);
            let outcome = scan::keys((&self.server, &mut link), glob, REMEMBERED_MAX, not_live, &pages).await;
            drop(pages);
            outcome
        };
        let counting = async {
            let (mut count, mut told) = (0, Vec::new());
            while let Some(page) = found.recv().await {
                count += page.len() as u64;
                let more = NAMES_TOLD_MAX.saturating_sub(told.len());
                told.extend(page.iter().take(more).map(|key| String::from_utf8_lossy(key).into_owned()));
            }
            (count, told)
        };
        let (walked, counted) = futures::future::join(walking, counting).await;
        walked.map(|()| counted)
    }

    async fn put(&self, keys: &[KeyDump]) -> Result<()> {
        let mut link = self.server.link().await?;
        let commands = keys.iter().map(|dump| {
            Command::of("RESTORE", &dump.key)
                .number(dump.expires_at.unwrap_or_default())
                .arg(&dump.payload)
                .arg(b"REPLACE")
                .arg(b"ABSTTL")
        });
        for reply in link.write_all(commands.collect()).await? {
            self.restored(&link, reply)?;
        }
        Ok(())
    }

    async fn try_out(&self, scratch: &str, keys: &[KeyDump]) -> Result<()> {
        let mut link = self.server.link().await?;
        // A key that has a tag of its own stays in its slot; the others lie scattered as they do.
        let places: Vec<Vec<u8>> = keys.iter().map(|dump| [scratch.as_bytes(), &dump.key].concat()).collect();
        let commands = keys.iter().zip(&places).map(|(dump, place)| {
            Command::of("RESTORE", place)
                .number(SCRATCH_MILLISECONDS)
                .arg(&dump.payload)
                .arg(b"REPLACE")
        });
        let replies = link.ask_all(commands.collect()).await?;
        let outcome: Result<Vec<()>> = replies.into_iter().map(|reply| self.restored(&link, reply)).collect();
        let removed = link
            .ask_each(places.iter().map(|place| Command::of("UNLINK", place)).collect())
            .await?;
        outcome?;
        let there = removed.iter().filter(|reply| **reply == Value::Int(1)).count();
        if there == keys.len() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Validation,
            format!(
                "connection `{}`: of {} keys that were tried out {there} were there",
                self.server.name,
                keys.len()
            ),
        )
        .hint("find out who removes keys that begin with `dbferry-verify:`, then verify again"))
    }

    async fn remove(&self, project: &str, glob: &str) -> Result<()> {
        let mut link = self.server.link().await?;
        let names = self.names(project);
        let live = [names.lease(), names.restoring()];
        for node in 0..link.nodes() {
            let mut keys = Keys::new(node, glob);
            while let Some(mut page) = keys.next(&mut link).await? {
                page.retain(|key| !live.contains(key));
                for some in page.chunks(KEYS_REMOVED_MAX) {
                    link.ask_each(some.iter().map(|key| Command::of("UNLINK", key)).collect())
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn now(&self) -> Result<i64> {
        let mut link = self.server.link().await?;
        Ok(moment::now(&mut link, &self.names("")).await?.milliseconds)
    }

    async fn check_idle(&self, project: &str) -> Result<()> {
        let mut link = self.server.link().await?;
        self.server.check_keeps(&mut link).await?;
        lease::check_free(&self.server, &mut link, &self.names(project), project).await
    }

    async fn begin_restore(&self, project: &str) -> Result<bool> {
        let mut link = self.server.link().await?;
        let names = self.names(project);
        let epoch = link.ask(Command::of("GET", &names.epoch())).await?;
        let epoch = number(&epoch).unwrap_or_default().to_string();
        let noted = Command::of("SET", &names.restoring()).arg(epoch.as_bytes()).arg(b"NX");
        Ok(link.ask(noted).await? == Value::Nil)
    }

    async fn end_restore(&self, project: &str) -> Result<()> {
        let mut link = self.server.link().await?;
        let names = self.names(project);
        let before = number(&link.ask(Command::of("GET", &names.restoring())).await?).unwrap_or_default();
        let now = number(&link.ask(Command::of("GET", &names.epoch())).await?).unwrap_or_default();
        if before > now {
            let text = before.to_string();
            link.ask(Command::of("SET", &names.epoch()).arg(text.as_bytes())).await?;
        }
        link.ask(Command::of("DEL", &names.restoring())).await.map(drop)
    }
}

impl RedisSink {
    fn restored(&self, link: &Link, reply: Value) -> Result<()> {
        match &reply {
            Value::ServerError(error) if error.details().is_some_and(|told| told.contains("DUMP payload")) => Err(Error::new(
                ErrorKind::Unreadable,
                format!(
                    "connection `{}`: the server does not take a key back: what it holds is damaged, or was written by a newer server",
                    self.server.name
                ),
            )
            .hint("restore to a server that is not older than the one the backup is of")),
            _ => link.sound(reply, "RESTORE").map(drop),
        }
    }
}

/// What these keys hold, without those that are gone.
async fn dumped(link: &mut Link, names: &Names, keys: &[Vec<u8>], exact: bool) -> Result<Vec<KeyDump>> {
    let clock = if exact {
        0
    } else {
        moment::now(link, names).await?.milliseconds
    };
    let expiry = if exact { "PEXPIRETIME" } else { "PTTL" };
    let commands = keys
        .iter()
        .flat_map(|key| [Command::of(expiry, key), Command::of("DUMP", key)]);
    let replies = link.ask_each(commands.collect()).await?;
    let mut found = Vec::with_capacity(keys.len());
    for (key, pair) in keys.iter().zip(replies.chunks_exact(2)) {
        let left = number(&pair[0]).ok_or_else(|| fault::unexpected(link.name(), expiry))?;
        match &pair[1] {
            Value::Nil => {}
            told => found.push(KeyDump {
                key: key.clone(),
                payload: bytes(told).ok_or_else(|| fault::unexpected(link.name(), "DUMP"))?.to_vec(),
                expires_at: (left >= 0).then_some(clock + left),
            }),
        }
    }
    Ok(found)
}

/// Refuses to begin where keys are being brought back.
pub(super) async fn check_restored(link: &mut Link, names: &Names, (connection, project): (&str, &str)) -> Result<()> {
    if link.ask(Command::of("EXISTS", &names.restoring())).await? == Value::Int(0) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!(
            "connection `{connection}`: keys of project `{project}` were being brought back from a backup, and not all of them are"
        ),
    )
    .hint("call the same `dbferry restore FOLDER --replace` again: it brings back all of them"))
}
