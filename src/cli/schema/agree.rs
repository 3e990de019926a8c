//! What somebody has to agree to before schemas are changed.

use super::targets::Target;
use crate::cli::diagnostic;
use crate::cli::figures::counted;
use crate::cli::output::{Console, visible};
use crate::data::finding::{Finding, listed};
use crate::schema::Proposal;
use crate::{Error, ErrorKind, Result};

/// Names what the steps lose, and asks. `command`: the one that agrees beforehand.
pub(super) fn to_losses(proposals: &[Proposal], console: &Console, command: &str) -> Result<()> {
    let found = findings(proposals);
    if found.is_empty() {
        return Ok(());
    }
    console.note(&diagnostic::render(&found, console.note_color));
    let hint = format!("`{command} --allow-destructive` goes on without asking, `schema apply --dry-run` prints the SQL");
    let steps = counted(found.len() as u64, "step");
    let lose = if found.len() == 1 { "loses" } else { "lose" };
    let question = format!("{steps} of the migrations {lose} something: apply them all the same?");
    match console.ask(&visible(&question)) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Interrupted, "nothing was applied").hint(hint)),
        None => Err(Error::new(
            ErrorKind::Usage,
            format!("{steps} of the migrations {lose} something, and nobody is there to agree; nothing was applied"),
        )
        .hint(hint)),
    }
}

/// What the steps lose, at its places.
pub(super) fn findings(proposals: &[Proposal]) -> Vec<Finding> {
    let of = |proposal: &Proposal| {
        let connection = proposal.connection.clone();
        let finding = move |hazard: &crate::schema::Hazard| {
            Finding::warning("schema::destructive", Some(hazard.place.clone()), hazard.what.clone())
                .label(format!("migration {} of `{connection}`", hazard.version))
        };
        proposal.hazards.iter().map(finding).collect::<Vec<_>>()
    };
    proposals.iter().flat_map(of).collect()
}

/// Reverting loses rows: somebody has to agree.
pub(super) fn to_revert(targets: &[Target], to: Option<i64>, console: &Console) -> Result<()> {
    let names: Vec<_> = targets.iter().map(Target::name).collect();
    let what = to.map_or_else(
        || "the last migration".to_owned(),
        |version| format!("all migrations after version {version}"),
    );
    let question = format!("revert {what} of {}? what the tables hold is lost", listed(&names));
    match console.ask(&visible(&question)) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Interrupted, "nothing was reverted").hint("`--yes` reverts without asking")),
        None => Err(Error::new(
            ErrorKind::Usage,
            "reverting loses what the tables hold, and nobody is there to agree",
        )
        .hint("`--yes` reverts without asking")),
    }
}
