//! Counting: how many keys of a stream exist, or elements where many rows share a key.
//!
//! SCAN walks over all keys of the server, and may show one twice while the server's table of keys
//! grows or shrinks: keys are remembered by their hashes and counted once, up to a bound, beyond
//! which the figure may be too large.

use std::collections::HashSet;

use redis::Value;

use super::command::Command;
use super::form::{bytes, number, parts};
use super::link::Link;
use super::names::Names;
use super::publish::Pages;
use crate::data::keyed::pattern::escape_glob;
use crate::data::keyed::{Layout, Pattern};
use crate::{Error, ErrorKind, Result};

/// Keys that the server looks at for one page.
const PAGE: usize = 2_000;
/// Most keys that are remembered: 64 MiB of hashes at most.
const REMEMBERED_MAX: usize = 4 << 20;
/// How often they are counted, where slots have moved meanwhile.
const COUNTED_MAX: u32 = 5;

/// The keys of one node that match a pattern, page by page.
pub(super) struct Keys {
    node: usize,
    glob: String,
    cursor: Option<u64>,
}

impl Keys {
    pub(super) fn new(node: usize, glob: &str) -> Self {
        Self {
            node,
            glob: glob.to_owned(),
            cursor: Some(0),
        }
    }

    /// Nothing where there are no more.
    pub(super) async fn next(&mut self, link: &mut Link) -> Result<Option<Vec<Vec<u8>>>> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&self.glob).arg("COUNT").arg(PAGE);
        let mut reply = parts(link.ask_node(self.node, "SCAN", scan).await?);
        let page = parts(reply.pop().unwrap_or_default());
        let next = reply.pop();
        let next = next
            .as_ref()
            .and_then(bytes)
            .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        self.cursor = next.filter(|cursor| *cursor != 0);
        Ok(Some(page.iter().filter_map(|key| bytes(key).map(<[u8]>::to_vec)).collect()))
    }
}

fn glob(names: &Names, pattern: &Pattern) -> String {
    format!("{}{}", escape_glob(names.prefix()), pattern.glob())
}

/// Whether no key of a stream is there.
pub(super) async fn is_empty(link: &mut Link, names: &Names, layout: &Layout) -> Result<bool> {
    let glob = glob(names, &layout.pattern);
    link.refresh().await?;
    for node in 0..link.nodes() {
        let mut keys = Keys::new(node, &glob);
        while let Some(page) = keys.next(link).await? {
            if !page.is_empty() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Rows of a stream: those that are staged, if any are, or else what its keys hold.
pub(super) async fn of_stream(link: &mut Link, names: &Names, stream: &str, layout: &Layout) -> Result<u64> {
    if layout.key_type.is_ordered() {
        let mut staged = None;
        let mut pages = Pages::new(names.touched(stream, 0));
        while let Some(page) = pages.next(link).await? {
            for (_, grown) in page {
                *staged.get_or_insert(0) += grown.after;
            }
        }
        if let Some(staged) = staged {
            return Ok(staged);
        }
    }
    of_pattern(link, names, &layout.pattern, layout.key_type.gathers()).await
}

/// Keys of a pattern; with `gathers` the elements of those that are collections.
///
/// # Errors
/// [`ErrorKind::Lost`] where slots go from node to node all the while.
pub(super) async fn of_pattern(link: &mut Link, names: &Names, pattern: &Pattern, gathers: bool) -> Result<u64> {
    let glob = glob(names, pattern);
    link.refresh().await?;
    for _ in 0..COUNTED_MAX {
        let before = link.ranges();
        let count = of_nodes(link, &glob, gathers).await?;
        link.refresh().await?;
        if link.ranges() == before {
            return Ok(count);
        }
    }
    Err(Error::new(
        ErrorKind::Lost,
        format!("connection `{}`: slots were moved while its keys were counted", link.name()),
    )
    .hint("wait until the cluster is at rest"))
}

/// The same at the nodes that are known.
async fn of_nodes(link: &mut Link, glob: &str, gathers: bool) -> Result<u64> {
    let mut seen: HashSet<u64> = HashSet::new();
    let mut count = 0;
    for node in 0..link.nodes() {
        let mut keys = Keys::new(node, glob);
        while let Some(mut page) = keys.next(link).await? {
            page.retain(|key| seen.len() >= REMEMBERED_MAX || seen.insert(xxhash_rust::xxh3::xxh3_64(key)));
            count += if gathers {
                elements(link, &page).await?
            } else {
                page.len() as u64
            };
        }
    }
    Ok(count)
}

async fn elements(link: &mut Link, keys: &[Vec<u8>]) -> Result<u64> {
    let asked = keys.iter().map(|key| Command::of("TYPE", key)).collect();
    let types = link.ask_each(asked).await?;
    let sizes = keys.iter().zip(&types).map(|(key, found)| {
        let name = match bytes(found) {
            Some(b"set") => "SCARD",
            Some(b"zset") => "ZCARD",
            Some(b"list") => "LLEN",
            Some(b"stream") => "XLEN",
            _ => "EXISTS",
        };
        Command::of(name, key)
    });
    let sizes = link.ask_each(sizes.collect()).await?;
    let size = |reply: &Value| number(reply).and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    Ok(sizes.iter().map(size).sum())
}
