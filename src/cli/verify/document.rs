//! A verification for programs, see docs/output.md: the report, in the form of all documents.

use serde::Serialize;

use crate::cli::failure::ErrorDocument;
use crate::verify::report::VerifyReport;

/// The report with the field that every document has.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct VerifyDocument<'a, R = VerifyReport> {
    #[serde(flatten)]
    report: &'a R,
    /// Null: a verification that fails has no report.
    error: Option<ErrorDocument>,
}

impl<'a, R> VerifyDocument<'a, R> {
    pub(in crate::cli) const fn of(report: &'a R) -> Self {
        Self { report, error: None }
    }
}
