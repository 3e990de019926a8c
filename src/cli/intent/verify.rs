//! What `verify` means: which rows are compared, how closely, and where the report goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Invocation, quoted};
use crate::cli::arguments::{EnvironmentArguments, VerifyArguments};
use crate::pipeline::plan;
use crate::pipeline::subject::SubjectKey;
use crate::verify::{Recheck, VerifyOptions};

/// Pause before each look again, where none is named.
const WAIT: Duration = Duration::from_secs(5);

/// `verify`.
#[derive(Debug, Clone)]
pub(in crate::cli) struct VerifyIntent {
    pub(in crate::cli) invocation: Invocation,
    pub(in crate::cli) plan: plan::Options,
    pub(in crate::cli) verify: VerifyOptions,
    /// Only the ledger's batches are looked at.
    pub(in crate::cli) ledger: bool,
    pub(in crate::cli) reports: Vec<ReportPath>,
    /// Go on from what an interrupted one has noted.
    pub(in crate::cli) resume: bool,
}

/// A file that a report is written into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct ReportPath {
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) form: ReportForm,
}

/// Form of a report in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum ReportForm {
    /// A page for people.
    Html,
    /// The document that `--output json` prints.
    Json,
}

impl ReportPath {
    /// The form by the name's ending.
    ///
    /// # Errors
    /// In words, for a name that ends otherwise.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .map(str::to_ascii_lowercase);
        let form = match ending.as_deref() {
            Some("html") => ReportForm::Html,
            Some("json") => ReportForm::Json,
            _ => return Err("the name of a report ends with .html or .json".to_owned()),
        };
        Ok(Self { path, form })
    }
}

impl VerifyIntent {
    pub(super) fn of(typed: VerifyArguments, environment: &EnvironmentArguments) -> Self {
        let wait = typed.wait.map_or(WAIT, Duration::from_secs);
        Self {
            invocation: Invocation::of(typed.project, environment),
            plan: plan::Options {
                only: typed.only.only,
                subject: typed.subject,
                memory_limit: typed.memory.memory_limit,
                ..plan::Options::default()
            },
            verify: VerifyOptions {
                max_differences: typed.max_differences,
                sample: typed.sample,
                recheck: typed.recheck.map(|times| Recheck { times, wait }),
                condition: typed.condition,
                ..VerifyOptions::default()
            },
            ledger: typed.ledger,
            reports: typed.report,
            resume: typed.resume,
        }
    }

    /// What follows a run: the same streams and the same subject, all rows of them.
    pub(in crate::cli) fn after_run(invocation: &Invocation, run: &plan::Options, reports: Vec<ReportPath>) -> Self {
        Self {
            invocation: invocation.clone(),
            plan: plan::Options {
                only: run.only.clone(),
                subject: run.subject.clone(),
                memory_limit: run.memory_limit,
                ..plan::Options::default()
            },
            verify: VerifyOptions::default(),
            ledger: false,
            reports,
            resume: false,
        }
    }

    /// The same verification as a command line; `more` is added at its end, and takes the place of
    /// what it names.
    pub(in crate::cli) fn again(&self, more: &[&str]) -> String {
        let mut words = Vec::new();
        let mut word = |name: &str, value: String| {
            if !more.contains(&name) {
                words.extend([name.to_owned(), value]);
            }
        };
        if !self.plan.only.is_empty() {
            word("--only", quoted(&self.plan.only.join(",")));
        }
        if let Some(SubjectKey { name, key }) = &self.plan.subject {
            word("--for", quoted(&format!("{name}={key}")));
        }
        if let Some(condition) = &self.verify.condition {
            word("--where", quoted(condition));
        }
        if let Some(rows) = self.verify.sample {
            word("--sample", rows.to_string());
        }
        if let Some(megabytes) = self.plan.memory_limit {
            word("--memory-limit", megabytes.to_string());
        }
        let listed = self.verify.max_differences;
        if listed != VerifyOptions::default().max_differences {
            word("--max-differences", listed.to_string());
        }
        if let Some(Recheck { times, wait }) = self.verify.recheck {
            word("--recheck", times.to_string());
            word("--wait", wait.as_secs().to_string());
        }
        for report in &self.reports {
            word("--report", quoted(&shown(&report.path)));
        }
        if self.ledger {
            words.push("--ledger".to_owned());
        }
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.invocation.command("verify", &words)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
