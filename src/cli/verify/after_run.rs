//! `run --verify`: what was moved is compared at once, with one summary and one exit code.

use super::{compared, exit_code, not_written, planned, write_all};
use crate::cli::files::Files;
use crate::cli::intent::{RunIntent, VerifyIntent};
use crate::cli::output::Console;
use crate::cli::signals::Said;
use crate::pipeline::report::{RunReport, RunStatus};
use crate::pipeline::shutdown::Shutdown;
use crate::verify::report::VerifyReport;
use crate::{Error, Result, error};

/// What became of the verification that was to follow a run.
pub(in crate::cli) enum Verified {
    /// Nobody asked for it.
    NotAsked,
    /// The run did not move everything: there is nothing to compare yet.
    NotReached,
    /// It took place.
    Report(Box<VerifyReport>),
    /// It failed, or its report could not be written.
    Failed(Error),
}

impl Verified {
    /// Compares what a complete run has moved, if that was asked for.
    pub(in crate::cli) async fn of(
        intent: &RunIntent,
        run: &RunReport,
        files: &Files,
        (shutdown, said): (&Shutdown, &Said),
        console: &Console,
    ) -> Self {
        let Some(verify) = &intent.verify else {
            return Self::NotAsked;
        };
        if !matches!(run.status, RunStatus::Done | RunStatus::Rejects) {
            return Self::NotReached;
        }
        said.replace(super::stopping());
        match Box::pin(after(verify, files, shutdown, console)).await {
            Ok(report) => Self::Report(Box::new(report)),
            Err(error) => Self::Failed(error),
        }
    }

    pub(in crate::cli) fn report(&self) -> Option<&VerifyReport> {
        match self {
            Self::Report(report) => Some(report),
            _ => None,
        }
    }

    pub(in crate::cli) const fn error(&self) -> Option<&Error> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Exit code of both: what differs weighs more than what was rejected, which is known and kept.
    pub(in crate::cli) fn exit_code(&self, run: &RunReport) -> u8 {
        match self {
            Self::NotAsked | Self::NotReached => run.exit_code(),
            Self::Report(report) => match exit_code(report) {
                error::EXIT_DONE => run.exit_code(),
                code => code,
            },
            Self::Failed(error) => error.kind().policy().exit,
        }
    }
}

/// Plans anew, from what the run has left, and compares. What the plan has to tell, the run's has told.
async fn after(verify: &VerifyIntent, files: &Files, shutdown: &Shutdown, console: &Console) -> Result<VerifyReport> {
    let report = match planned(verify, files).await {
        Ok(plan) => compared(plan, verify, files, shutdown, console).await,
        Err(error) => Err(error),
    };
    let report = report.map_err(|error| not_written(error, verify))?;
    write_all(&verify.reports, &report)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::cli::summary::tests::report;
    use crate::cli::verdict::tests as verdict;
    use crate::verify::report::Verdict;

    #[test]
    fn differences_weigh_more_than_rejects() {
        let mut run = report();
        let codes = |run: &RunReport| {
            let verified = |status| Verified::Report(Box::new(verdict::report(status, Vec::new())));
            [
                Verified::NotAsked,
                verified(Verdict::Equal),
                verified(Verdict::Different),
                verified(Verdict::Unsettled),
                verified(Verdict::Unchecked),
                Verified::Failed(Error::new(ErrorKind::Unreachable, "gone")),
            ]
            .map(|verified| verified.exit_code(run))
        };
        run.status = RunStatus::Done;
        assert_eq!(codes(&run), [0, 0, 5, 5, 5, 3]);
        run.status = RunStatus::Rejects;
        assert_eq!(codes(&run), [4, 4, 5, 5, 5, 3]);
        run.status = RunStatus::Interrupted;
        assert_eq!(Verified::NotReached.exit_code(&run), 130);
    }
}
