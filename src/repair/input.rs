//! The report that a verification has written, read back.

use serde::Deserialize;

use crate::verify::report::{FORMAT, VerifyReport};
use crate::{Error, ErrorKind, Result};

/// What every form of a report has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Reads a report; `name` is what its file is called.
///
/// # Errors
/// [`ErrorKind::Usage`] where it is none, or in a form that this version does not read.
pub fn parse(name: &str, text: &str) -> Result<VerifyReport> {
    if text.trim_start().starts_with('<') {
        return Err(Error::new(ErrorKind::Usage, format!("{name} is a page for people"))
            .hint("give the .json: `dbferry verify PROJECT --report verify.json` writes it"));
    }
    let none = |error: &serde_json::Error| {
        // What the error itself says may quote a value (Invariant 9).
        let what = match error.classify() {
            serde_json::error::Category::Data => "is no report of a verification",
            _ => "is not JSON",
        };
        let place = match (error.line(), error.column()) {
            (0, _) => String::new(),
            (line, column) => format!(", at line {line}, column {column}"),
        };
        Error::new(ErrorKind::Usage, format!("{name} {what}{place}"))
            .hint("give the file that `dbferry verify PROJECT --report verify.json` has written")
    };
    let head: Head = serde_json::from_str(text).map_err(|error| none(&error))?;
    if head.format != FORMAT {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "{name} is a report of form {}, and this version reads form {FORMAT}",
                head.format
            ),
        )
        .hint("verify again with this version, and repair by the new report"));
    }
    serde_json::from_str(text).map_err(|error| none(&error))
}

/// The hash that names a row of a report.
///
/// # Errors
/// [`ErrorKind::Usage`] where it is none.
pub(super) fn id(text: &str, stream: &str) -> Result<u128> {
    let hash = Some(text).filter(|text| text.len() == 32);
    hash.and_then(|text| u128::from_str_radix(text, 16).ok()).ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!("a difference of stream `{stream}` in the report has an `id` that is no hash of a key"),
        )
        .hint("verify again, and repair by the new report")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = parse("r.json", text).expect_err("no report");
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    }

    #[test]
    fn what_is_no_report_is_told_with_its_place_and_without_its_values() {
        assert_eq!(refused("<!doctype html>"), "r.json is a page for people");
        assert_eq!(refused("{\n  oops"), "r.json is not JSON, at line 2, column 3");
        assert_eq!(
            refused("{\"format\": \"canary\"}"),
            "r.json is no report of a verification, at line 1, column 19"
        );
        assert_eq!(
            refused("{\"format\": 1, \"id\": 7}"),
            "r.json is no report of a verification, at line 1, column 21"
        );
        assert_eq!(
            refused("{\"format\": 2}"),
            "r.json is a report of form 2, and this version reads form 1"
        );
        assert!(refused("").starts_with("r.json is not JSON"));
    }

    #[test]
    fn only_hashes_name_rows() {
        assert_eq!(id("000000000000000000000000000000ff", "s").expect("a hash"), 255);
        for other in [
            "ff",
            "",
            "+00000000000000000000000000000ff1",
            "zz0000000000000000000000000000ff",
        ] {
            assert!(id(other, "s").is_err(), "{other}");
        }
    }
}
