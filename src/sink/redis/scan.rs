//! All keys of a pattern, each once, in bounded memory.
//!
//! SCAN shows every key that is there all the time, but may show one twice while the server's table
//! of keys grows or shrinks. So keys are remembered by their hashes. Where there are more of them
//! than may be remembered, the server is walked over several times, each time for a part of the
//! hashes. A node that is another one at the end than at the beginning has been walked over in two
//! halves that do not belong together: that is an error, not fewer keys.

use std::collections::HashSet;

use redis::Value;
use tokio::sync::mpsc;

use super::count::Keys;
use super::form::number;
use super::link::Link;
use super::server::Server;
use crate::{Error, ErrorKind, Result};

/// Most keys (or members of one set) that are remembered at once: 36 MB.
pub(super) const REMEMBERED_MAX: u64 = 1_800_000;

/// Hashes of what was seen in one walk, which is about a part of them alone.
pub(super) struct Seen {
    parts: u128,
    part: u128,
    hashes: HashSet<u128>,
}

impl Seen {
    /// Remembers nothing yet; about the first of so many parts that `count` of them can be
    /// remembered.
    pub(super) fn of(count: u64, most: u64) -> Self {
        Self {
            parts: u128::from(count.div_ceil(most.max(1)).max(1)),
            part: 0,
            hashes: HashSet::new(),
        }
    }

    /// Whether these bytes belong to this part, and come for the first time.
    pub(super) fn is_new(&mut self, bytes: &[u8]) -> bool {
        let hash = xxhash_rust::xxh3::xxh3_128(bytes);
        hash % self.parts == self.part && self.hashes.insert(hash)
    }

    /// Goes on to the next part; `false` where there is none.
    pub(super) fn next_part(&mut self) -> bool {
        self.hashes.clear();
        self.part += 1;
        self.part < self.parts
    }
}

/// Hands on all keys that match a pattern of Redis's own, page by page, each once; ends early when
/// nobody takes them any more.
pub(super) async fn keys(
    (server, link): (&Server, &mut Link),
    glob: &str,
    most: u64,
    accept: impl Fn(&[u8]) -> bool + Send,
    give: &mpsc::Sender<Vec<Vec<u8>>>,
) -> Result<()> {
    link.refresh().await?;
    let before = identities(server, link).await?;
    let mut seen = Seen::of(count(link, glob, most).await?, most);
    loop {
        let mut walk = Walk::new(link, glob);
        while let Some(mut page) = walk.next().await? {
            page.retain(|key| accept(key) && seen.is_new(key));
            if !page.is_empty() && give.send(page).await.is_err() {
                return Ok(());
            }
        }
        if !seen.next_part() {
            break;
        }
    }
    link.refresh().await?;
    if identities(server, link).await? == before {
        return Ok(());
    }
    Err(changed(server))
}

fn changed(server: &Server) -> Error {
    Error::new(
        ErrorKind::Lost,
        format!("connection `{}`: its nodes changed while their keys were read", server.name),
    )
    .hint("when the server or cluster is at rest, verify again")
}

/// At least how many keys there are to remember: all of the server's, or where that is too many to
/// be remembered, those that match.
async fn count(link: &mut Link, glob: &str, most: u64) -> Result<u64> {
    let mut all = 0;
    for node in 0..link.nodes() {
        let size = link.ask_node(node, "DBSIZE", redis::cmd("DBSIZE")).await?;
        all += number(&size).and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    }
    if all <= most {
        return Ok(all);
    }
    let mut matching = 0;
    let mut walk = Walk::new(link, glob);
    while let Some(page) = walk.next().await? {
        matching += page.len() as u64;
    }
    Ok(matching)
}

/// Who the nodes are and what they own. One that is met twice stands for another that was not met.
async fn identities(server: &Server, link: &mut Link) -> Result<Vec<String>> {
    let mut identities = link.ranges();
    for node in 0..link.nodes() {
        let facts = server.facts(link, node).await?;
        let identity = facts.get("run_id").unwrap_or_default().to_owned();
        if !identity.is_empty() && identities.contains(&identity) {
            return Err(changed(server));
        }
        identities.push(identity);
    }
    identities.sort();
    Ok(identities)
}

/// One walk over all nodes side by side.
struct Walk {
    nodes: Vec<(Link, Keys)>,
}

impl Walk {
    fn new(link: &Link, glob: &str) -> Self {
        let node = |node| (link.clone(), Keys::new(node, glob));
        Self {
            nodes: (0..link.nodes()).map(node).collect(),
        }
    }

    /// The next page of every node that has one; nothing where none has.
    async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        let pages = self.nodes.iter_mut().map(|(link, keys)| keys.next(link));
        let mut all = None;
        for page in futures::future::join_all(pages).await {
            if let Some(page) = page? {
                all.get_or_insert_with(Vec::new).extend(page);
            }
        }
        Ok(all)
    }
}

/// The members and the next cursor of a page of SSCAN.
pub(super) fn page(reply: Value) -> Option<(Vec<Value>, u64)> {
    let mut reply = super::form::parts(reply);
    let members = super::form::parts(reply.pop()?);
    let cursor = std::str::from_utf8(super::form::bytes(&reply.pop()?)?).ok()?.parse().ok()?;
    Some((members, cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_is_new_once_in_one_of_the_parts() {
        let all: Vec<[u8; 4]> = (0_u32..2_000).map(u32::to_le_bytes).collect();
        for most in [1, 7, 300, 1_999, 2_000, 5_000] {
            let mut seen = Seen::of(all.len() as u64, most);
            let mut found = Vec::new();
            let mut walks = 0;
            loop {
                walks += 1;
                found.extend(all.iter().chain(all.iter().rev()).filter(|key| seen.is_new(*key)).copied());
                if !seen.next_part() {
                    break;
                }
            }
            found.sort_unstable();
            let mut sorted = all.clone();
            sorted.sort_unstable();
            assert_eq!(found, sorted, "{most}");
            assert_eq!(walks, 2_000_u64.div_ceil(most), "{most}");
        }
    }

    #[test]
    fn an_empty_server_is_walked_over_once() {
        assert!(!Seen::of(0, REMEMBERED_MAX).next_part());
    }
}
