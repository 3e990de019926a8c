//! A migration that fails: named with its file, and the line where its database says which.

use super::folder::{Script, ScriptFile};
use crate::data::finding::Finding;
use crate::{Error, ErrorKind};

/// The database refuses what `file` says. `at`: byte of its text, where that is known. `what`
/// must not hold a cell value (Invariant 15): texts about the user's own statements only.
pub(super) fn refused(script: &Script, file: &ScriptFile, at: Option<usize>, what: &str) -> Error {
    let kept = if file.migration.no_tx {
        "it does not run in a transaction: undo by hand what it did before it failed, mend the file, then apply again"
    } else {
        "nothing of it was kept: mend the file, then apply again"
    };
    match at {
        Some(at) => Error::findings(
            ErrorKind::Mapping,
            vec![Finding::error("schema::refused", Some(file.place(at)), what.to_owned())],
        )
        .during(format_args!("migration {} ({})", script.version, script.description)),
        None => Error::new(ErrorKind::Mapping, format!("{}: {what}", file.file.path)),
    }
    .hint(kept)
}
