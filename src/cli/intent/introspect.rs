//! What `introspect` means: from where, to where, into which folder.

use std::path::PathBuf;

use super::Invocation;
use crate::cli::arguments::{EnvironmentArguments, IntrospectArguments};
use crate::data::document::NAME_BYTES_MAX;
use crate::starter;

/// Folder of the projects where none is named.
pub(super) const PROJECTS_DIR: &str = "mappings";

/// `introspect`.
pub(in crate::cli) struct IntrospectIntent {
    /// The project that is to be, in its environment.
    pub(in crate::cli) invocation: Invocation,
    pub(in crate::cli) name: String,
    pub(in crate::cli) from: Vec<String>,
    pub(in crate::cli) to: Vec<String>,
    pub(in crate::cli) guess: bool,
    pub(in crate::cli) force: bool,
    pub(in crate::cli) print: bool,
}

impl IntrospectIntent {
    pub(super) fn of(typed: IntrospectArguments, environment: &EnvironmentArguments) -> Self {
        let folder = typed.out.as_deref().and_then(|out| out.file_name());
        let given = typed
            .name
            .or_else(|| folder.map(|name| starter::usable(&name.to_string_lossy())));
        let name = given.unwrap_or_else(|| typed.from.first().map_or_else(String::new, |from| starter::usable(from)));
        Self {
            invocation: Invocation {
                project: typed.out.unwrap_or_else(|| PathBuf::from(PROJECTS_DIR).join(&name)),
                environment: environment.env.clone().unwrap_or_else(|| super::ENVIRONMENT.to_owned()),
                config_dir: environment.config_dir.clone(),
                key_prefix: None,
            },
            name,
            from: once_each(typed.from),
            to: once_each(typed.to),
            guess: typed.guess,
            force: typed.force,
            print: typed.print,
        }
    }
}

/// The names in their order, without those that come again.
fn once_each(names: Vec<String>) -> Vec<String> {
    let mut each: Vec<String> = Vec::new();
    for name in names {
        if !each.contains(&name) {
            each.push(name);
        }
    }
    each
}

/// A project's name, as the project's file would take it.
pub(in crate::cli) fn project_name(text: &str) -> Result<String, String> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if begins && text.chars().all(plain) && text.len() <= NAME_BYTES_MAX {
        Ok(text.to_owned())
    } else {
        Err("a name begins with a letter, goes on with letters, digits, `_` or `-`, and has at most 63 of them".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::intent::{Action, Intent};

    fn typed(line: &str) -> IntrospectIntent {
        match Intent::parse(line.split_whitespace().map(Into::into)).map(|intent| intent.action) {
            Ok(Action::Introspect(intent)) => intent,
            _ => panic!("no introspect: {line}"),
        }
    }

    #[test]
    fn folder_and_name_follow_from_each_other() {
        let both = |line: &str| {
            let intent = typed(line);
            (intent.invocation.project.display().to_string(), intent.name)
        };
        let pair = |folder: &str, name: &str| (folder.to_owned(), name.to_owned());
        assert_eq!(both("dbferry introspect --from a --to b"), pair("mappings/a", "a"));
        assert_eq!(both("dbferry introspect --from a --to b --name x"), pair("mappings/x", "x"));
        assert_eq!(
            both("dbferry introspect --from a --to b --out p/my.maps"),
            pair("p/my.maps", "my_maps")
        );
        assert_eq!(
            both("dbferry introspect --from a --to b --out p/q --name x"),
            pair("p/q", "x")
        );
    }

    #[test]
    fn connections_are_named_with_commas_and_by_repeating() {
        let intent = typed("dbferry introspect --from a,b --from c --to d --to e,d");
        assert_eq!(
            (intent.from, intent.to),
            (vec!["a".into(), "b".into(), "c".into()], vec!["d".into(), "e".into()])
        );
    }
}
