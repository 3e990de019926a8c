//! A unit: streams that read the same rows, moved side by side, split by split.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::cut::{self, Bounds, Start};
use super::event::Event;
use super::lane::{self, Ended, Lane, Moving};
use super::retry::Patience;
use super::shared_read::Room;
use super::work::{Held, Run, Slot};
use crate::data::position::Position;
use crate::error::Retry;
use crate::ledger::Checkpoint;
use crate::{Error, ErrorKind};

/// Lanes that begin at the same position, and may share a reader.
type Track = Vec<(Arc<Moving>, i32, Option<Position>)>;

/// Moves the streams of a unit; each tells by itself when it has ended.
pub(super) async fn move_unit(run: Arc<Run>, members: Vec<usize>, told: UnboundedSender<Ended>) {
    let slot = Arc::new(Slot::new(&run.jobs));
    let mut tasks = JoinSet::new();
    let held = match slot.hold(&run.stop).await {
        Ok(held) => held,
        Err(error) => return members.iter().for_each(|index| not_begun(&run, *index, error.again(), &told)),
    };
    let mut bounds = Bounds::default();
    let mut ready = Vec::new();
    for index in members {
        match cut::start(&run, index, &mut bounds, false).await {
            Ok(start) => ready.push(moving(&run, index, start, Instant::now(), &told)),
            Err(error) => drop(tasks.spawn(begin_late(Arc::clone(&run), index, error, Arc::clone(&slot), told.clone()))),
        }
    }
    let mut tracks: BTreeMap<(i32, String), Track> = BTreeMap::new();
    for (moving, lanes) in ready {
        for (split, position) in lanes {
            let place = position.as_ref().map_or_else(String::new, Position::to_json);
            let track = tracks.entry((split, place)).or_default();
            track.push((Arc::clone(&moving), split, position));
        }
    }
    for track in tracks.into_values() {
        tasks.spawn(move_track(
            Arc::clone(&run),
            track,
            Arc::clone(&slot),
            Some(Arc::clone(&held)),
        ));
    }
    // From now on the job is held by those who work.
    drop(held);
    join(tasks).await;
}

/// A panic of a task is a panic of whoever waits for it.
async fn join(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn not_begun(run: &Run, index: usize, error: Error, told: &UnboundedSender<Ended>) {
    let outcome = Err(error);
    let ended = Ended {
        index,
        waits_for: lane::waits_for(run, index, &outcome, false),
        outcome,
        seconds: 0.0,
        progress: Vec::new(),
        found: Vec::new(),
    };
    drop(told.send(ended));
}

type Lanes = Vec<(i32, Option<Position>)>;

fn moving(run: &Run, index: usize, start: Start, began: Instant, told: &UnboundedSender<Ended>) -> (Arc<Moving>, Lanes) {
    let mut start = start;
    if run.options.retry_rejects {
        start.lanes.truncate(1);
    }
    begun(run, index, &start.found);
    let lanes = start.lanes.clone();
    let moving = Moving::new(index, start, began, told.clone());
    (Arc::new(moving), lanes)
}

fn begun(run: &Run, index: usize, found: &[Checkpoint]) {
    let stream = run.stream(index);
    let whole = Checkpoint::whole(found);
    if let Some(whole) = whole.as_ref().filter(|whole| whole.complete && !run.options.retry_rejects) {
        (run.events)(Event::StreamSkipped {
            stream: stream.name.clone(),
            counts: whole.counts,
        });
    } else {
        (run.events)(Event::StreamStarted {
            stream: stream.name.clone(),
            rows: run.rows_expected(index),
            resumed: whole.filter(|whole| whole.sequence > 0).map(|whole| whole.counts),
        });
    }
}

/// A stream that could not begin with the others tries again, and then goes its own way.
async fn begin_late(run: Arc<Run>, index: usize, error: Error, slot: Arc<Slot>, told: UnboundedSender<Ended>) {
    let began = Instant::now();
    let mut patience = Patience::new(Duration::from_secs(run.plan.limits.retry_seconds_max));
    let mut error = error;
    let start = loop {
        if run.options.dry_run || error.kind().policy().retry != Retry::Backoff {
            run.fail(error.again());
            return not_begun(&run, index, error, &told);
        }
        if let Err(error) = lane::wait(&run, index, &mut patience, error, false).await {
            return not_begun(&run, index, error, &told);
        }
        let started = async {
            let _held = slot.hold(&run.stop).await?;
            cut::start(&run, index, &mut Bounds::default(), true).await
        };
        match started.await {
            Ok(start) => break start,
            Err(again) => error = again,
        }
    };
    let (moving, lanes) = moving(&run, index, start, began, &told);
    let mut tasks = JoinSet::new();
    for (split, position) in lanes {
        tasks.spawn(move_track(
            Arc::clone(&run),
            vec![(Arc::clone(&moving), split, position)],
            Arc::clone(&slot),
            None,
        ));
    }
    join(tasks).await;
}

/// Takes what all lanes of a track need at once, in an order that all tracks keep, and lets
/// them go.
async fn move_track(run: Arc<Run>, track: Track, slot: Arc<Slot>, held: Option<Held>) {
    let mut seats = Vec::new();
    if track.len() > 1
        && let Some((moving, ..)) = track.first()
    {
        seats = Room::seats(run.source(moving.index), track.len());
    }
    let lanes: Vec<_> = track
        .into_iter()
        .map(|(moving, split, begin)| Lane {
            run: Arc::clone(&run),
            moving,
            split,
            begin,
            seat: seats.pop(),
            slot: Arc::clone(&slot),
        })
        .collect();
    let mut needed: BTreeMap<String, usize> = BTreeMap::new();
    for lane in &lanes {
        *needed
            .entry(run.stream(lane.moving.index).sink_connection.clone())
            .or_default() += 1;
    }
    let taken = async {
        let held = match held {
            Some(held) => held,
            None => slot.hold(&run.stop).await?,
        };
        let mut permits = BTreeMap::new();
        for (connection, count) in needed {
            let permit = run.pools[&connection].permits(count, &run.stop).await?;
            permits.insert(connection, permit);
        }
        Ok::<_, Error>((held, permits))
    };
    let (held, mut permits) = match taken.await {
        Ok(taken) => taken,
        Err(error) => return lanes.into_iter().for_each(|lane| lane.not_begun(error.again())),
    };
    let mut tasks = JoinSet::new();
    for lane in lanes {
        let connection = &run.stream(lane.moving.index).sink_connection;
        match permits.get_mut(connection).and_then(|permit| permit.split(1)) {
            Some(permit) => drop(tasks.spawn(lane.drive(Arc::clone(&held), permit))),
            None => lane.not_begun(Error::new(ErrorKind::Internal, "a stream without a session")),
        }
    }
    drop((held, permits));
    join(tasks).await;
}
