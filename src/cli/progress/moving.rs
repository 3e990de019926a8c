//! A stream on its way: how far it is, how fast, and how it ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::figures;
use super::super::output::visible;
use super::meter::{Meter, Rate};

/// One stream on its way.
pub(super) struct Moving {
    pub(super) name: String,
    /// Rows that its source holds; 0 also where nobody knows.
    pub(super) rows: u64,
    /// Rows read by earlier runs.
    pub(super) before: u64,
    /// Rows read in committed batches of this run.
    pub(super) committed: u64,
    /// Rows read since.
    pub(super) in_flight: u64,
    pub(super) rejected: BTreeMap<&'static str, u64>,
    pub(super) began: Instant,
    pub(super) meter: Meter,
    pub(super) ended: bool,
}

impl Moving {
    pub(super) fn new(name: String, rows: u64, now: Instant) -> Self {
        Self {
            name,
            rows,
            before: 0,
            committed: 0,
            in_flight: 0,
            rejected: BTreeMap::new(),
            began: now,
            meter: Meter::new(now),
            ended: false,
        }
    }

    pub(super) fn position(&self) -> u64 {
        let position = self.before.saturating_add(self.committed).saturating_add(self.in_flight);
        if self.rows == 0 { position } else { position.min(self.rows) }
    }

    pub(super) fn rejects(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// `12,345 rows/s, 3.2 MB/s, 1m 20s left, 2 rejected`.
    pub(super) fn pace(&self, now: Instant) -> String {
        let mut parts = Vec::new();
        if let Some(rate) = self.meter.rate(now) {
            parts.push(format!("{} rows/s", figures::count(rate.rows)));
            // What is compared is not measured.
            parts.extend((rate.bytes > 0).then(|| format!("{}/s", figures::bytes(rate.bytes))));
            parts.extend(time_left(self.rows.saturating_sub(self.position()), rate));
        }
        if self.rejects() > 0 {
            parts.push(format!("{} rejected", figures::count(self.rejects())));
        }
        parts.join(", ")
    }

    /// That all of it was compared.
    pub(super) fn compared(&self, now: Instant) -> String {
        format!(
            "{}: compared, {} read in {}",
            visible(&self.name),
            figures::counted(self.in_flight, "row"),
            figures::duration(now - self.began)
        )
    }

    /// How it ended, for good.
    pub(super) fn outcome(&self, now: Instant) -> String {
        let took = now - self.began;
        let mut text = format!(
            "{}: complete, {} in {}",
            visible(&self.name),
            figures::counted(self.committed, "row"),
            figures::duration(took)
        );
        if self.before > 0 {
            text = format!("{text}, after {} of earlier runs", figures::count(self.before));
        }
        if self.rejects() > 0 {
            text = format!("{text}, {} rejected", figures::count(self.rejects()));
        }
        text
    }
}

/// `1m 20s left`, where there is something left and it moves.
pub(super) fn time_left(rows: u64, rate: Rate) -> Option<String> {
    let seconds = rows.checked_div(rate.rows).filter(|_| rows > 0)?;
    // An estimate has no fractions.
    Some(match seconds {
        0 => "less than 1 s left".to_owned(),
        1..60 => format!("{seconds} s left"),
        _ => format!("{} left", figures::duration(Duration::from_secs(seconds))),
    })
}
