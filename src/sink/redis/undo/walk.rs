//! Walking over the logs of a run: which there are.

use std::collections::VecDeque;

use uuid::Uuid;

use super::super::command::Command;
use super::super::count::Keys;
use super::super::form::{bytes, number, parts};
use super::super::link::Link;
use super::super::names::Names;
use crate::Result;

/// A walk over the logs of a run and stream.
pub(in crate::sink::redis) struct Walk {
    glob: String,
    keys: Option<Keys>,
    node: usize,
    /// Logs that were found, and not looked at.
    pub(super) found: VecDeque<Vec<u8>>,
    /// The log of a key with members that is being walked over, and from where on.
    pub(super) inside: Option<(Vec<u8>, i64)>,
}

impl Walk {
    pub(super) fn new(names: &Names, run: Uuid, stream: &str) -> Self {
        Self {
            glob: names.undo_glob(run, stream),
            keys: None,
            node: 0,
            found: VecDeque::new(),
            inside: None,
        }
    }

    /// Names of logs; nothing where there are no more.
    pub(super) async fn page(&mut self, link: &mut Link) -> Result<Option<Vec<Vec<u8>>>> {
        if self.node == 0 && self.keys.is_none() {
            link.refresh().await?;
        }
        while self.node < link.nodes() {
            let keys = self.keys.get_or_insert_with(|| Keys::new(self.node, &self.glob));
            if let Some(page) = keys.next(link).await? {
                return Ok(Some(page));
            }
            self.keys = None;
            self.node += 1;
        }
        Ok(None)
    }

    /// Some logs; none where there are no more.
    pub(super) async fn some(&mut self, link: &mut Link, most: usize) -> Result<Vec<Vec<u8>>> {
        while self.found.is_empty() {
            match self.page(link).await? {
                Some(page) => self.found.extend(page),
                None => break,
            }
        }
        let most = most.min(self.found.len());
        Ok(self.found.drain(..most).collect())
    }
}

/// The members of a log from a place on, and the next place; 0 at the end.
pub(super) async fn members(link: &mut Link, log: &[u8], from: i64) -> Result<(Vec<Vec<u8>>, i64)> {
    let scan = Command::of("HSCAN", log)
        .number(from)
        .arg(b"MATCH")
        .arg(b"m*")
        .arg(b"COUNT")
        .number(1_000);
    let mut reply = parts(link.ask(scan).await?);
    let page = parts(reply.pop().unwrap_or_default());
    let next = reply.pop().as_ref().and_then(number).unwrap_or_default();
    let names = page.chunks_exact(2).filter_map(|pair| bytes(&pair[0]));
    Ok((names.map(|name| name[1..].to_vec()).collect(), next))
}
