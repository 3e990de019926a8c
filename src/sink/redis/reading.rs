//! Keys are read back, to be compared with what they should hold: with commands that change nothing.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::contents::Contents;
use super::fault;
use super::form::{number, parts};
use super::link::Link;
use super::names::LEDGER;
use super::scan::{self, REMEMBERED_MAX};
use super::server::Server;
use crate::Result;
use crate::data::keyed::form::KeyFacts;
use crate::data::keyed::owner::owns;
use crate::data::keyed::pattern::escape_glob;
use crate::data::keyed::read::{KeyRead, KeysWanted};
use crate::sink::KeyRows;

/// Batches that may wait for who takes them.
const BATCHES_IN_FLIGHT_MAX: usize = 2;
/// Pages of keys that may wait until their contents are read.
const PAGES_IN_FLIGHT_MAX: usize = 2;
/// First version that tells at what moment a key expires (PEXPIRETIME).
const EXACT_MOMENTS: u32 = 7;
/// How far the clocks of a cluster's nodes may be apart.
const CLOCKS_APART_MAX: i64 = 2_000;

/// What the server tells of itself.
pub(super) async fn facts(server: &Server, link: &mut Link) -> Result<KeyFacts> {
    let told = server.facts(link, 0).await?;
    let major = told.get("redis_version").and_then(|version| version.split('.').next());
    let time = parts(link.ask_node(0, "TIME", redis::cmd("TIME")).await?);
    let [seconds, micros] = time.as_slice() else {
        return Err(fault::unexpected(&server.name, "TIME"));
    };
    let (Some(seconds), Some(micros)) = (number(seconds), number(micros)) else {
        return Err(fault::unexpected(&server.name, "TIME"));
    };
    Ok(KeyFacts {
        now: seconds * 1_000 + micros / 1_000,
        exact_moments: major
            .and_then(|major| major.parse().ok())
            .is_some_and(|major: u32| major >= EXACT_MOMENTS),
        clocks_apart_max: if link.is_cluster() { CLOCKS_APART_MAX } else { 0 },
        bytes_max: server.bytes_max,
    })
}

/// Starts to read.
pub(super) fn start(server: Arc<Server>, link: Link, request: KeyRead) -> KeyRows {
    let (give, taken) = mpsc::channel(BATCHES_IN_FLIGHT_MAX);
    tokio::spawn(async move {
        let contents = Contents::new(link.clone(), &server, request.clone(), give.clone());
        if let Err(error) = read(&server, link, request, contents).await {
            // Nobody is there any more: then nobody misses it.
            drop(give.send(Err(error)).await);
        }
    });
    taken
}

async fn read(server: &Server, mut link: Link, request: KeyRead, mut contents: Contents) -> Result<()> {
    let bare = match request.wanted {
        KeysWanted::These(places) => {
            contents.these(places).await?;
            return contents.end().await;
        }
        KeysWanted::Keys => !request.layout.key_type.gathers(),
        KeysWanted::All => false,
    };
    let prefix = server.prefix.as_bytes();
    let accept = |key: &[u8]| {
        let own = key.strip_prefix(prefix).filter(|key| !key.starts_with(LEDGER.as_bytes()));
        own.is_some_and(|key| owns(&request.writer, &request.others, key))
    };
    let glob = format!("{}{}", escape_glob(&server.prefix), request.layout.pattern.glob());
    let (give, mut pages) = mpsc::channel(PAGES_IN_FLIGHT_MAX);
    let walk = async move {
        let walked = scan::keys((server, &mut link), &glob, REMEMBERED_MAX, accept, &give).await;
        drop(give);
        walked
    };
    let fetch = async {
        while let Some(page) = pages.recv().await {
            if bare {
                contents.bare(&page).await?;
            } else {
                contents.keys(&page).await?;
            }
        }
        Ok(contents)
    };
    let ((), contents) = futures::try_join!(walk, fetch)?;
    contents.end().await
}
