//! The way into an open transaction of one server: commands go out while the replies to those before
//! them are awaited, so that the server finds the next ones there when it has taken the last.

use std::collections::VecDeque;
use std::task::Poll;

use futures::stream::FuturesOrdered;
use futures::{StreamExt as _, poll};
use redis::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::command::Command;
use super::fault;
use super::link::{BYTES_IN_FLIGHT_MAX, Link, chunks};
use crate::{Error, ErrorKind, Result};

/// Commands that go out together: few, so that the server has the first of a portion while the others
/// are still made into bytes.
const COMMANDS_MAX: usize = 1_000;
/// Pipelines whose replies are awaited at once: as much as a batch, so that the server finds all of it there
/// when it has carried out the last one. The driver takes up to 50 before any is written, and keeps their
/// order; those of the last batch's end and of this one's beginning are among them.
const PIPELINES_IN_FLIGHT_MAX: usize = 40;

/// Commands on their way into a transaction, in the order in which they are given.
pub(super) struct Queue {
    portions: mpsc::Sender<Vec<Command>>,
    sending: JoinHandle<Result<()>>,
}

impl Queue {
    /// Opens the way, with the commands that go first.
    pub(super) fn open(link: Link) -> Self {
        let (portions, commands) = mpsc::channel(1);
        Self {
            portions,
            sending: tokio::spawn(send(link, commands)),
        }
    }

    /// Sends commands after those before them. Whether they have arrived, [`Self::close`] tells; `false`
    /// where it is known already that something has not.
    pub(super) async fn push(&self, commands: Vec<Command>) -> bool {
        self.portions.send(commands).await.is_ok()
    }

    /// Waits until everything that was sent is in the transaction.
    pub(super) async fn close(self) -> Result<()> {
        drop(self.portions);
        match self.sending.await {
            Ok(sent) => sent,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::new(ErrorKind::Lost, "sending a batch was given up")),
            },
        }
    }
}

async fn send(link: Link, mut portions: mpsc::Receiver<Vec<Command>>) -> Result<()> {
    // Each is polled for the first time when those before it were, and the driver puts it behind
    // them then.
    let mut in_flight = FuturesOrdered::new();
    let mut sizes = Sizes::default();
    let mut waiting = chunks(Vec::new(), COMMANDS_MAX);
    let mut is_open = true;
    loop {
        if sizes.have_room()
            && let Some((pipeline, bytes)) = waiting.next()
        {
            in_flight.push_back(link.send(pipeline));
            sizes.add(bytes);
            if let Poll::Ready(Some(replies)) = poll!(in_flight.next()) {
                queued(&link, replies?)?;
                sizes.remove_first();
            }
            // The driver is woken where this runs: it writes these commands while the next are made into bytes.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            biased;
            Some(replies) = in_flight.next() => {
                queued(&link, replies?)?;
                sizes.remove_first();
            }
            portion = portions.recv(), if is_open && sizes.have_room() => match portion {
                Some(commands) => waiting = chunks(commands, COMMANDS_MAX),
                None => is_open = false,
            },
            else => return Ok(()),
        }
    }
}

/// Bytes of the pipelines in flight, in their order.
#[derive(Default)]
struct Sizes {
    each: VecDeque<usize>,
    all: usize,
}

impl Sizes {
    fn have_room(&self) -> bool {
        self.each.len() < PIPELINES_IN_FLIGHT_MAX && self.all < BYTES_IN_FLIGHT_MAX
    }

    fn add(&mut self, bytes: usize) {
        self.each.push_back(bytes);
        self.all += bytes;
    }

    fn remove_first(&mut self) {
        self.all -= self.each.pop_front().unwrap_or_default();
    }
}

/// Every command is in the transaction, and none was carried out outside of it.
fn queued(link: &Link, replies: Vec<Value>) -> Result<()> {
    for reply in replies {
        match link.sound(reply, "MULTI")? {
            Value::Okay => {}
            Value::SimpleString(text) if text == "QUEUED" => {}
            _ => return Err(fault::unexpected(link.name(), "MULTI")),
        }
    }
    Ok(())
}
