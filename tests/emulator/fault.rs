//! Faults: answers that a healthy account would not give, for the requests that a rule chooses.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::kind::Kind;
use super::log::Entry;

/// Longest time that a request is held or delayed.
const PAUSE_MAX: Duration = Duration::from_mins(2);

/// One rule. Rules are looked through in their order; the first that applies is used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fault {
    /// Kinds of requests; none given: pages of queries and of the change feed.
    pub(crate) on: Vec<Kind>,
    /// Only requests of this physical partition.
    pub(crate) partition: Option<String>,
    /// Only requests that go on after a page (true), or begin (false).
    pub(crate) continued: Option<bool>,
    /// Requests that are let through first.
    pub(crate) skip: u64,
    /// Requests that it applies to after those; none given: one.
    pub(crate) count: Option<u64>,
    /// What happens.
    pub(crate) what: What,
    /// Requests that it was applied to so far. Told, not taken.
    pub(crate) hits: u64,
}

/// What happens to a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum What {
    /// The connection is closed instead of an answer, and the request not looked at.
    #[default]
    Reset,
    /// The answer breaks off in the middle of its body, after it was made.
    Cut,
    /// The answer comes after so many milliseconds.
    Delay(u64),
    /// The answer waits until the faults are set anew.
    Hold,
    /// An answer with a status of its own; the request is not looked at.
    Status {
        /// Such as 429.
        status: u16,
        /// `x-ms-substatus`.
        #[serde(default)]
        substatus: Option<u32>,
        /// `x-ms-retry-after-ms`.
        #[serde(default)]
        retry_after_ms: Option<u64>,
    },
}

impl What {
    /// Its name in the log.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Reset => "reset".to_owned(),
            Self::Cut => "cut".to_owned(),
            Self::Delay(_) => "delay".to_owned(),
            Self::Hold => "hold".to_owned(),
            Self::Status { status, .. } => format!("status {status}"),
        }
    }
}

/// The rules in force.
pub(crate) struct Faults {
    rules: Mutex<Vec<Fault>>,
    /// Counts how often they were set: a held request waits for the next time.
    set: watch::Sender<u64>,
}

impl Faults {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            rules: Mutex::default(),
            set: watch::Sender::new(0),
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all rules, and lets go of the requests that are held.
    pub(crate) fn replace(&self, rules: Vec<Fault>) {
        *self.rules() = rules.into_iter().map(|rule| Fault { hits: 0, ..rule }).collect();
        self.set.send_modify(|times| *times += 1);
    }

    /// The rules with their hits.
    pub(crate) fn all(&self) -> Vec<Fault> {
        self.rules().clone()
    }

    /// What happens to a request, which counts as seen by the rules that it belongs to.
    pub(crate) fn take(&self, request: &Entry) -> Option<What> {
        for rule in self.rules().iter_mut().filter(|rule| rule.concerns(request)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.hits < rule.count.unwrap_or(1) {
                rule.hits += 1;
                return Some(rule.what.clone());
            }
        }
        None
    }

    /// Waits as the fault says; others do not wait.
    pub(crate) async fn pause(&self, what: Option<&What>) {
        match what {
            Some(What::Delay(milliseconds)) => tokio::time::sleep(Duration::from_millis(*milliseconds).min(PAUSE_MAX)).await,
            Some(What::Hold) => {
                let mut set = self.set.subscribe();
                // Past the longest time it is answered: a forgotten hold must not hang a test.
                drop(tokio::time::timeout(PAUSE_MAX, set.changed()).await);
            }
            _ => {}
        }
    }
}

impl Fault {
    fn concerns(&self, request: &Entry) -> bool {
        let kind = if self.on.is_empty() {
            request.kind.is_page()
        } else {
            self.on.contains(&request.kind)
        };
        kind && self
            .partition
            .as_ref()
            .is_none_or(|wanted| request.partition.as_ref() == Some(wanted))
            && self.continued.is_none_or(|wanted| wanted == request.continued)
    }
}
