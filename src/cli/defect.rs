//! A panic is a defect: one message without backtrace, and the process ends at once.
//!
//! At once, because a task that panicked must not look to its neighbours like one that came to
//! the end of its work. What was committed stays, what was not is rolled back, and the next run
//! goes on from the checkpoint. The panic's own message may quote a value, so that only its
//! place is told (Invariant 9).

use std::panic::{self, Location};
use std::sync::atomic::{AtomicBool, Ordering};

use super::output::write_note;
use crate::error;

/// Ends the process with a message on any panic of any thread.
pub(super) fn install() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    panic::set_hook(Box::new(|panic| {
        if !TOLD.swap(true, Ordering::SeqCst) {
            write_note(&message(panic.location()));
            std::process::exit(error::EXIT_FAILED.into());
        }
    }));
}

fn message(place: Option<&Location<'_>>) -> String {
    let place = place.map_or_else(
        || "an unknown place".to_owned(),
        |place| format!("{}:{}", place.file(), place.line()),
    );
    format!(
        "error: a defect in dbferry {} at {place}; what is committed is safe, the batch in flight is rolled back\n\
         hint: please report it with this line; the same command goes on after the last committed batch\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_names_its_place_and_what_is_safe() {
        let shown = message(Some(Location::caller()));
        assert!(shown.contains(&format!("at {}:", file!())), "{shown}");
        assert!(
            shown.contains("what is committed is safe") && shown.contains("hint: "),
            "{shown}"
        );
        assert!(message(None).contains("an unknown place"));
    }
}
