//! Where on this machine it is kept how far a verification is.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::intent::VerifyIntent;
use crate::pipeline::plan::Plan;
use crate::verify::Keep;

/// `$XDG_STATE_HOME/dbferry/verify/PROJECT-ENVIRONMENT`, or the same below `~/.local/state`; `None`
/// where the system tells no such place.
pub(super) fn keep(plan: &Plan, intent: &VerifyIntent) -> Option<Keep> {
    let home = home(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?;
    let name = format!("{}-{}", plain(&plan.project), plain(&plan.environment));
    Some(Keep {
        folder: home.join("dbferry").join("verify").join(name),
        resume: intent.resume,
    })
}

/// A path that is not absolute says nothing, as its specification has it.
fn home(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    state
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".local").join("state")))
}

/// A name that is one part of a path.
fn plain(name: &str) -> String {
    let letter = |letter: char| {
        if letter.is_ascii_alphanumeric() || letter == '_' {
            letter
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_lies_where_the_user_keeps_it() {
        let of = |state: Option<&str>, user: Option<&str>| home(state.map(Into::into), user.map(Into::into));
        assert_eq!(of(Some("/s"), Some("/h")), Some("/s".into()));
        assert_eq!(of(Some("s"), Some("/h")), Some("/h/.local/state".into()));
        assert_eq!(of(Some(""), Some("/h")), Some("/h/.local/state".into()));
        assert_eq!(of(None, None), None);
        assert_eq!(plain("../a b"), "___a_b");
    }
}
