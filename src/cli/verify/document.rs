//! A verification for programs, see docs/output.md: the report, in the form of all documents.

use serde::Serialize;

use crate::cli::failure::ErrorDocument;
use crate::verify::report::VerifyReport;

/// The report with the field that every document has.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct VerifyDocument<'a> {
    #[serde(flatten)]
    report: &'a VerifyReport,
    /// Null: a verification that fails has no report.
    error: Option<ErrorDocument>,
}

impl<'a> VerifyDocument<'a> {
    pub(in crate::cli) const fn of(report: &'a VerifyReport) -> Self {
        Self { report, error: None }
    }
}
