//! Reports in files: whole or not at all. A reader of the name sees the old report or the new one,
//! never a part of either.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::document::VerifyDocument;
use crate::cli::intent::{ReportForm, ReportPath};
use crate::cli::output::document_text;
use crate::cli::page;
use crate::verify::report::VerifyReport;
use crate::{Error, ErrorKind, Result};

/// Values of rows are in it: for its owner alone, as long as nobody widens it.
const MODE: u32 = 0o600;

/// Finds out whether all of them can be written, before hours of work.
///
/// # Errors
/// [`ErrorKind::Missing`] for the first that cannot.
pub(in crate::cli) fn check_writable<'a>(reports: impl IntoIterator<Item = &'a ReportPath>) -> Result<()> {
    for ReportPath { path, .. } in reports {
        if path.is_dir() {
            return Err(refused(path, io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let beside = beside(path);
        let file = create(&beside).map_err(|error| refused(path, error))?;
        drop(file);
        std::fs::remove_file(&beside).map_err(|error| refused(path, error))?;
    }
    Ok(())
}

/// Writes the report into all of them.
///
/// # Errors
/// [`ErrorKind::Missing`] where one cannot be written any more.
pub(in crate::cli) fn write_all(reports: &[ReportPath], report: &VerifyReport) -> Result<()> {
    for ReportPath { path, form } in reports {
        let text = match form {
            ReportForm::Html => page::render(report)?,
            ReportForm::Json => document_text(&VerifyDocument::of(report))? + "\n",
        };
        replace(path, &text).map_err(|error| refused(path, error))?;
    }
    Ok(())
}

/// Puts a file with this text in the place of whatever is there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    let written = create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    });
    if written.is_err() {
        // The first failure is the one to tell of.
        drop(std::fs::remove_file(&beside));
    }
    written
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// A name that nobody else has, in the same folder, so that renaming moves nothing.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".dbferry-{}.part", uuid::Uuid::new_v4()))
}

fn refused(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Missing,
    };
    Error::new(kind, format!("the report {} cannot be written", path.display()))
        .because(error)
        .hint("check that its folder is there and can be written to")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verdict::tests::different;

    fn reports(folder: &Path, names: &[&str]) -> Vec<ReportPath> {
        let path = |name: &&str| folder.join(name).display().to_string();
        names
            .iter()
            .map(|name| ReportPath::parse(&path(name)).expect("a report"))
            .collect()
    }

    #[test]
    fn a_report_takes_the_place_of_another_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let reports = reports(folder.path(), &["a.html", "b.JSON"]);
        std::fs::write(&reports[1].path, "old").expect("an old report");
        check_writable(&reports).expect("a place to write to");
        assert_eq!(std::fs::read_to_string(&reports[1].path).expect("readable"), "old");
        write_all(&reports, &different()).expect("written");
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.html", "b.JSON"]);
        let text = std::fs::read_to_string(&reports[1].path).expect("readable");
        let read: VerifyReport = serde_json::from_str(&text).expect("a report");
        assert_eq!(read, different(), "what repair reads is what was found");
        assert!(text.contains("\"error\": null"), "{text}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("taken.html")).expect("a folder");
        for name in ["none/a.html", "taken.html"] {
            let error = check_writable(&reports(folder.path(), &[name])).expect_err("no such place");
            assert_eq!(error.kind(), ErrorKind::Missing, "{name}");
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn the_ending_says_the_form() {
        assert_eq!(ReportPath::parse("a.b.html").map(|report| report.form), Ok(ReportForm::Html));
        assert_eq!(ReportPath::parse("x/y.JSON").map(|report| report.form), Ok(ReportForm::Json));
        for name in ["report", "report.htm", "html", ".html", "a.html/"] {
            assert!(ReportPath::parse(name).is_err() || name == "a.html/", "{name}");
        }
    }
}
