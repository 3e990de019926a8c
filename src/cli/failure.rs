//! How an error is shown: what is wrong, with the quoted lines where it is about files, then
//! what to do.

use std::error::Error as _;

use serde::Serialize;

use super::diagnostic;
use super::intent::Invocation;
use super::output::{Tone, visible};
use crate::data::finding::{Finding, Severity};
use crate::pipeline::report::RunReport;
use crate::{Error, ErrorKind};

/// The message with its causes.
pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// An error for people.
pub(super) fn render(error: &Error, invocation: Option<&Invocation>, color: bool) -> String {
    let mut text = String::new();
    if !error.list().is_empty() {
        text.push_str(&findings(error.list(), invocation, color));
        text.push('\n');
    }
    text.push_str(&lines(&chain(error), &advice(error, invocation), color));
    text
}

/// `error: …` and `hint: …`.
pub(super) fn lines(message: &str, advice: &str, color: bool) -> String {
    let error = Tone::Failure.paint("error:", color);
    let hint = Tone::Advice.paint("hint:", color);
    format!("{error} {}\n{hint} {}\n", indented(message), indented(advice))
}

/// A database's message about SQL may have several lines.
fn indented(text: &str) -> String {
    text.trim_end().lines().map(visible).collect::<Vec<_>>().join("\n  ")
}

/// Findings for people, their help with the project's own name.
pub(super) fn findings(findings: &[Finding], invocation: Option<&Invocation>, color: bool) -> String {
    diagnostic::render(&filled_in(findings, invocation), color)
}

fn filled_in(findings: &[Finding], invocation: Option<&Invocation>) -> Vec<Finding> {
    let mut findings = findings.to_vec();
    if let Some(invocation) = invocation {
        for finding in &mut findings {
            finding.help = finding.help.as_deref().map(|help| invocation.fill_in(help));
        }
    }
    findings
}

/// What to do about an error.
pub(super) fn advice(error: &Error, invocation: Option<&Invocation>) -> String {
    invocation.map_or_else(|| error.advice().to_owned(), |invocation| invocation.fill_in(error.advice()))
}

/// An error for programs: what stands on stdout where a command has no result.
#[derive(Debug, Serialize)]
pub(super) struct FailureDocument {
    status: &'static str,
    error: ErrorDocument,
}

/// One error.
#[derive(Debug, Serialize)]
pub(super) struct ErrorDocument {
    kind: &'static str,
    message: String,
    hint: String,
    exit_code: u8,
    findings: Vec<FindingDocument>,
}

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct FindingDocument {
    severity: &'static str,
    code: &'static str,
    message: String,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    help: Option<String>,
}

impl FailureDocument {
    pub(super) fn of(error: &Error, invocation: Option<&Invocation>) -> Self {
        Self {
            status: "failed",
            error: ErrorDocument::of(error, invocation),
        }
    }
}

impl ErrorDocument {
    pub(super) fn of(error: &Error, invocation: Option<&Invocation>) -> Self {
        Self {
            kind: kind_name(error.kind()),
            message: chain(error),
            hint: advice(error, invocation),
            exit_code: error.kind().policy().exit,
            findings: FindingDocument::all(error.list(), invocation),
        }
    }

    /// What stopped a run, if anything did.
    pub(super) fn of_report(report: &RunReport, invocation: &Invocation) -> Option<Self> {
        Self::of_stopped(
            (report.error.as_ref(), report.hint.as_ref()),
            (report.error_kind, report.exit_code()),
            invocation,
        )
    }

    /// What stopped something that has a report, if anything did.
    pub(super) fn of_stopped(
        (message, hint): (Option<&String>, Option<&String>),
        (kind, exit_code): (Option<ErrorKind>, u8),
        invocation: &Invocation,
    ) -> Option<Self> {
        let kind = kind.unwrap_or(ErrorKind::Internal);
        let hint = hint.map_or(kind.policy().hint, String::as_str);
        Some(Self {
            kind: kind_name(kind),
            message: message?.clone(),
            hint: invocation.fill_in(hint),
            exit_code,
            findings: Vec::new(),
        })
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn hint(&self) -> &str {
        &self.hint
    }
}

impl FindingDocument {
    pub(super) fn all(findings: &[Finding], invocation: Option<&Invocation>) -> Vec<Self> {
        filled_in(findings, invocation).into_iter().map(Self::of).collect()
    }

    fn of(finding: Finding) -> Self {
        let place = finding.place.as_ref();
        let (line, column) = place.map(crate::data::finding::Place::line_column).unzip();
        Self {
            severity: match finding.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            },
            code: finding.code,
            message: finding.message,
            file: place.map(|place| place.file.path.clone()),
            line,
            column,
            help: finding.help,
        }
    }
}

/// Names in JSON: a promise, so that they are not left to `Debug`.
const fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Usage => "usage",
        ErrorKind::Config => "config",
        ErrorKind::Mapping => "mapping",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Unauthorised => "unauthorised",
        ErrorKind::Full => "full",
        ErrorKind::Busy => "busy",
        ErrorKind::Missing => "missing",
        ErrorKind::Lost => "lost",
        ErrorKind::Refused => "refused",
        ErrorKind::Validation => "validation",
        ErrorKind::Checkpoint => "checkpoint",
        ErrorKind::Rejects => "rejects",
        ErrorKind::Void => "void",
        ErrorKind::Absent => "absent",
        ErrorKind::Unreadable => "unreadable",
        ErrorKind::Interrupted => "interrupted",
        ErrorKind::Internal => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_the_message_and_names_cannot_hide_text() {
        let error = Error::new(ErrorKind::Missing, "no table `a\u{1b}[2K`")
            .because(std::io::Error::other("the cause"))
            .hint("run `dbferry schema apply PROJECT`");
        let invocation = Invocation {
            project: "mappings/game".into(),
            environment: "embedded".to_owned(),
            config_dir: "config".into(),
            key_prefix: None,
        };
        assert_eq!(
            render(&error, Some(&invocation), false),
            "error: no table `a\\u{1b}[2K`: the cause\nhint: run `dbferry schema apply mappings/game --env embedded`\n"
        );
    }

    #[test]
    fn findings_stand_before_the_error() {
        let findings = vec![Finding::error("mapping::x", None, "wrong").help("see `dbferry plan PROJECT`")];
        let error = Error::findings(ErrorKind::Mapping, findings);
        let text = render(&error, None, false);
        assert!(text.find("mapping::x") < text.find("error: 1 mistake found"), "{text}");
        let document = serde_json::to_value(FailureDocument::of(&error, None)).expect("JSON");
        assert_eq!(document["status"], "failed");
        assert_eq!(document["error"]["kind"], "mapping");
        assert_eq!(document["error"]["exit_code"], 2);
        assert_eq!(document["error"]["findings"][0]["code"], "mapping::x");
    }
}
