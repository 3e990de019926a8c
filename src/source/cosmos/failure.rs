//! What the service refused, by its status alone.
//!
//! The SDK's own texts carry bodies of the service and addresses: nothing of them is shown
//! (Invariants 9 and 15).

use std::time::Duration;

use azure_data_cosmos::CosmosError;

use crate::config::tls;
use crate::{Error, ErrorKind};

/// The status of a request that failed, and whether the service itself answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    status: u16,
    sub_status: Option<u32>,
    answered: bool,
    /// The two could not agree on a connection that nobody listens to.
    untrusted: bool,
    retry_after: Option<Duration>,
}

/// Sub-status of the SDK's own 500 while a partition is being split.
const SPLIT_GOES_ON: u32 = 20206;

/// Sub-status of 404 where a region has not seen yet what the session has.
const REGION_LAGS: u32 = 1002;

impl Failure {
    /// No answer came in time.
    pub(super) const TOO_SLOW: Self = Self {
        status: 408,
        sub_status: None,
        answered: false,
        untrusted: false,
        retry_after: None,
    };

    pub(super) fn of(error: &CosmosError) -> Self {
        let status = error.status();
        let retry_after = error.response().and_then(|response| response.headers().retry_after_ms);
        Self {
            status: status.status_code().into(),
            sub_status: status.sub_status().map(|sub| sub.value().into()),
            answered: error.is_from_wire(),
            untrusted: tls::is_behind(error),
            retry_after: retry_after.map(Duration::from_millis),
        }
    }

    /// Too many requests: nothing is wrong but the pace.
    pub(super) const fn is_throttled(self) -> bool {
        self.status == 429
    }

    /// The document asked for is not there; a region that lags behind, or a container that is gone,
    /// says the same with more.
    pub(super) const fn is_missing(self) -> bool {
        self.status == 404 && matches!(self.sub_status, None | Some(0))
    }

    /// How long the service asks to wait.
    pub(super) const fn retry_after(self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same request may succeed later.
    pub(super) const fn may_pass(self) -> bool {
        if self.untrusted {
            return false;
        }
        match self.status {
            408 | 410 | 429 | 449 | 503 => true,
            404 => matches!(self.sub_status, Some(REGION_LAGS)),
            500..=599 => self.answered || matches!(self.sub_status, Some(SPLIT_GOES_ON)),
            _ => false,
        }
    }

    /// Whether the token that a query began with is what was refused: by the SDK before anything is
    /// asked (`unasked`), or by the service with the first page.
    pub(super) const fn voids_token(self, unasked: bool) -> bool {
        if self.answered {
            self.status == 400
        } else {
            unasked && !self.may_pass() && matches!(self.status, 400 | 500)
        }
    }

    /// In words.
    pub(super) fn tell(self, doing: &str) -> Error {
        let told = |kind, what: &str| Error::new(kind, format!("{what} ({})", self.code())).during(doing);
        match self.status {
            401 => told(ErrorKind::Unauthorised, "the key or token is refused")
                .hint("check the key of the connection, and the clock of this machine"),
            403 => told(ErrorKind::Unauthorised, "access is forbidden")
                .hint("the role needs to read data and metadata of the account; its firewall has to let this machine in"),
            404 => told(ErrorKind::Missing, "there is no such database, container or document")
                .hint("check `database` and `containers` of the connection"),
            429 => told(ErrorKind::Lost, "too many requests for the throughput of the container").hint(
                "raise its throughput, or ask for less with `max_request_units_per_second` of the connection, then run again: it goes on after the last committed batch",
            ),
            _ if self.untrusted => told(ErrorKind::Unauthorised, "no encrypted connection that can be trusted comes about")
                .hint("check that the endpoint speaks TLS and that its certificate is trusted on this machine; for an emulator on this machine set `accept_emulator_certificate = true`"),
            503 if !self.answered => {
                told(ErrorKind::Unreachable, "nobody answers").hint("check the endpoint, and that this machine may reach it")
            }
            _ if self.may_pass() => told(ErrorKind::Lost, "the service cannot answer now"),
            _ => told(ErrorKind::Internal, "the service refused the request"),
        }
    }

    fn code(self) -> String {
        match self.sub_status {
            Some(sub) => format!("status {}/{sub}", self.status),
            None => format!("status {}", self.status),
        }
    }
}

/// Tells an error of the SDK by its status.
pub(super) fn tell(error: &CosmosError, doing: &str) -> Error {
    Failure::of(error).tell(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn failure(status: u16, sub_status: Option<u32>, answered: bool) -> Failure {
        Failure {
            status,
            sub_status,
            answered,
            untrusted: false,
            retry_after: None,
        }
    }

    #[test]
    fn what_may_pass_is_asked_again() {
        for (failure, passes) in [
            (failure(429, Some(3200), true), true),
            (failure(503, Some(20_010), false), true),
            (failure(500, Some(SPLIT_GOES_ON), false), true),
            (failure(500, None, true), true),
            (failure(500, Some(20_213), false), false),
            (failure(401, None, true), false),
            (failure(404, None, true), false),
            (failure(404, Some(REGION_LAGS), true), true),
            (failure(400, None, true), false),
        ] {
            assert_eq!(failure.may_pass(), passes, "{failure:?}");
        }
    }

    #[test]
    fn a_token_is_void_only_where_it_was_refused() {
        assert!(failure(400, None, true).voids_token(false), "by the service");
        assert!(failure(500, Some(20_213), false).voids_token(true), "of another range");
        assert!(failure(400, Some(20_116), false).voids_token(true), "not a token");
        assert!(!failure(500, Some(20_020), false).voids_token(false), "a page that is none");
        assert!(!failure(503, Some(20_010), false).voids_token(true), "nobody answered");
        assert!(!failure(401, None, true).voids_token(false));
    }
}
