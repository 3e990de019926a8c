//! Typed values: `{ env = "NAME" }`, `{ file = "path" }`, `{ value = "text" }`.
//!
//! Nothing is ever substituted into the text of a file, and a value that was read is a
//! [`SecretString`], which does not print (Invariant 9).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, Located, Place, nearest};
use crate::{Error, ErrorKind, Result};

/// Largest secret file that is read.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Where a value comes from: exactly one of `env`, `file` and `value`. Secrets belong into a
/// variable or a file of their own, never into this one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { env = \"NAME\" }, { file = \"path\" } or { value = \"text\" }"
)]
#[schemars(transform = exactly_one)]
pub(super) struct ValueEntry {
    /// Name of an environment variable; `.env` in the current directory is read too, and never
    /// overrides a variable that is set: `{ env = "GAME_DATABASE_URL" }`.
    #[schemars(example = &"GAME_DATABASE_URL")]
    env: Option<Marked<String>>,
    /// What holds where the variable of `env` is not set:
    /// `{ env = "POCKETBASE_DB", default = "pb_data/data.db" }`.
    #[schemars(example = &"pb_data/data.db")]
    default: Option<Marked<String>>,
    /// Of `key` and `connection_string`: the variable of `env` may be unset or empty where another
    /// key of the connection says the same: `{ env = "COSMOS_KEY", optional = true }`. Of the
    /// `url` of `redis`: where it is, the connection is left out as if it were `disabled`.
    #[schemars(example = true)]
    optional: Option<Marked<bool>>,
    /// Path of a file, relative to the current directory, whose content is the value; a line
    /// break at its end is left out: `{ file = "/run/secrets/game_url" }`.
    #[schemars(example = &"/run/secrets/game_url")]
    file: Option<Marked<String>>,
    /// The value itself; refused for a URL with a password in it: `{ value = "game.db" }`.
    #[schemars(example = &"game.db")]
    value: Option<Marked<String>>,
}

fn exactly_one(schema: &mut schemars::Schema) {
    schema.insert(
        "oneOf".to_owned(),
        serde_json::json!([{ "required": ["env"] }, { "required": ["file"] }, { "required": ["value"] }]),
    );
    schema.insert(
        "dependencies".to_owned(),
        serde_json::json!({ "default": ["env"], "optional": ["env"] }),
    );
    schema.insert("not".to_owned(), serde_json::json!({ "required": ["default", "optional"] }));
}

/// A declared value, not looked up yet.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// An environment variable.
    Variable {
        name: Located<String>,
        default: Option<Located<String>>,
        /// It need not be set.
        optional: bool,
    },
    /// A file's content.
    File(Located<String>),
    /// The text itself; without a password.
    Text(Located<String>),
}

impl Value {
    /// Checks the form of `key`'s value.
    pub(super) fn check(reader: &mut Reader, key: &str, mut entry: Located<ValueEntry>) -> Option<Self> {
        if let Some(optional) = entry.value.optional.take() {
            reader.findings.push(
                Finding::error(
                    "config::optional",
                    Some(reader.place(optional.span())),
                    format!("`{key}` cannot be optional"),
                )
                .label("always needed")
                .help("leave `optional` out; `default` says what holds where the variable is not set"),
            );
        }
        Self::check_optional(reader, key, entry)
    }

    /// [`Self::check`] of a value that may be `optional`.
    pub(super) fn check_optional(reader: &mut Reader, key: &str, entry: Located<ValueEntry>) -> Option<Self> {
        let Located { value: entry, place } = entry;
        let damaged = reader.is_damaged(&place.span);
        let given = [&entry.env, &entry.file, &entry.value].into_iter().flatten().count();
        let of_variable = entry.default.is_some() || entry.optional.is_some();
        if given != 1 || (of_variable && entry.env.is_none()) {
            if !damaged {
                reader.findings.push(
                    Finding::error(
                        "config::value",
                        Some(place),
                        format!("`{key}` must have exactly one of `env`, `file` and `value`"),
                    )
                    .label("not one value")
                    .help("such as { env = \"NAME\" }; `default` and `optional` go with `env` only"),
                );
            }
            return None;
        }
        if let Some(name) = entry.env {
            let name = reader.locate(name);
            if name.value.is_empty() || name.value.contains(['=', '\0']) {
                reader.findings.push(
                    Finding::error(
                        "config::variable",
                        Some(name.place),
                        "no environment variable can have this name",
                    )
                    .label("not a name")
                    .help("such as { env = \"GAME_DATABASE_URL\" }"),
                );
                return None;
            }
            let optional = entry
                .optional
                .map(|optional| reader.locate(optional))
                .filter(|optional| optional.value);
            let default = entry.default.map(|text| reader.locate(text));
            if let (Some(optional), Some(_)) = (&optional, &default) {
                reader.findings.push(
                    Finding::error(
                        "config::optional",
                        Some(optional.place.clone()),
                        format!("`{key}` has a default, and so it is never left out"),
                    )
                    .label("means nothing")
                    .help("take `optional` or `default` out"),
                );
                return None;
            }
            return Some(Self::Variable {
                name,
                default,
                optional: optional.is_some(),
            });
        }
        let file = entry.file.map(|path| Self::File(reader.locate(path)));
        file.or_else(|| entry.value.map(|text| Self::Text(reader.locate(text))))
    }

    /// The text as far as it stands in the file itself.
    pub(super) fn written(&self) -> Option<&Located<String>> {
        match self {
            Self::Variable { default, .. } => default.as_ref(),
            Self::Text(text) => Some(text),
            Self::File(_) => None,
        }
    }

    /// Whether it may turn out to be left out.
    pub(super) const fn is_optional(&self) -> bool {
        matches!(self, Self::Variable { optional: true, .. })
    }

    /// The place of its text, or of the name of its variable or file.
    pub(super) const fn place(&self) -> &Place {
        match self {
            Self::Variable { name, .. } | Self::File(name) | Self::Text(name) => &name.place,
        }
    }

    /// Whether somebody said what it is: a default does not count, nor does an empty variable.
    pub(super) fn is_set(&self, environment: &Environment) -> bool {
        match self {
            Self::Variable { name, .. } => environment.get(&name.value).is_some_and(|value| !value.is_empty()),
            Self::File(_) | Self::Text(_) => true,
        }
    }

    /// Looks the value up. The place is that of the variable's or file's name.
    pub(super) fn resolve(&self, environment: &Environment) -> Result<Located<SecretString>, Finding> {
        let (place, text) = match self {
            Self::Text(text) => (&text.place, text.value.clone()),
            Self::File(path) => (&path.place, read_secret(path)?),
            Self::Variable { name, default, .. } => match (environment.get(&name.value), default) {
                (Some(value), _) => {
                    let text = value.to_str().ok_or_else(|| {
                        Finding::error(
                            "config::variable",
                            Some(name.place.clone()),
                            format!("the value of `{}` is not UTF-8", name.value),
                        )
                    })?;
                    (&name.place, text.to_owned())
                }
                (None, Some(default)) => (&default.place, default.value.clone()),
                (None, None) => return Err(environment.unset(name)),
            },
        };
        if text.trim().is_empty() {
            return Err(Finding::error("config::empty", Some(place.clone()), "this value is empty").label("nothing there"));
        }
        Ok(Located {
            value: SecretString::from(text),
            place: place.clone(),
        })
    }
}

fn read_secret(path: &Located<String>) -> Result<String, Finding> {
    let finding = |what: String| {
        Finding::error("config::file", Some(path.place.clone()), format!("this secret file {what}"))
            .label("named here")
            .help("paths are relative to the current directory")
    };
    let file = std::fs::File::open(Path::new(&path.value)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => finding("does not exist".to_owned()),
        kind => finding(format!("cannot be read: {kind}")),
    })?;
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| finding(format!("cannot be read: {}", error.kind())))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(finding("is larger than 64 KiB".to_owned()));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

/// Variables of the process and of `.env`. Has no `Debug`: values are secrets.
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The process's variables, and those of `.env` in the current directory that are not among
    /// them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a `.env` that cannot be read; its text is not quoted.
    pub fn read() -> Result<Self> {
        let mut environment: Self = std::env::vars_os().collect();
        environment.read_dotenv(Path::new(".env"))?;
        Ok(environment)
    }

    fn read_dotenv(&mut self, path: &Path) -> Result<()> {
        let failed = |what: String| {
            Error::new(ErrorKind::Config, format!("`.env` {what}"))
                .hint("a line is NAME=value; put a value with spaces, `$`, `#` or quotes into single quotes")
        };
        let entries = match dotenvy::from_path_iter(path) {
            Ok(entries) => entries,
            Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) => return Err(failed("cannot be read".to_owned())),
        };
        for entry in entries {
            let (name, value) = entry.map_err(|error| match error {
                dotenvy::Error::LineParse(line, _) => {
                    let text = std::fs::read_to_string(path).unwrap_or_default();
                    match text.lines().position(|other| other.trim_end() == line.trim_end()) {
                        Some(index) => failed(format!("line {} cannot be parsed", index + 1)),
                        None => failed("has a line that cannot be parsed".to_owned()),
                    }
                }
                _ => failed("cannot be read".to_owned()),
            })?;
            self.variables.entry(name.into()).or_insert_with(|| value.into());
        }
        Ok(())
    }

    /// A variable.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    fn unset(&self, name: &Located<String>) -> Finding {
        let names = self.variables.keys().filter_map(|key| key.to_str());
        let help = match nearest(&name.value, names) {
            Some(near) => format!(
                "`{near}` is set: is it meant? Else set `{}`, or write it into `.env`",
                name.value
            ),
            None => format!("set it, or write `{}=…` into `.env` in the current directory", name.value),
        };
        Finding::error(
            "config::unset_variable",
            Some(name.place.clone()),
            format!("the environment variable `{}` is not set", name.value),
        )
        .label("not set")
        .help(help)
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self {
            variables: variables.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_never_overrides_and_never_quotes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".env");
        std::fs::write(&path, "A=from_file\nB='x $y'\n").expect("written");
        let mut environment: Environment = [(OsString::from("A"), OsString::from("from_process"))].into_iter().collect();
        environment.read_dotenv(&path).expect("a good file");
        assert_eq!(environment.get("A"), Some(OsStr::new("from_process")));
        assert_eq!(environment.get("B"), Some(OsStr::new("x $y")));
        assert_eq!(environment.get("C"), None);

        std::fs::write(&path, "A=1\nhunter 2 'oops\n").expect("written");
        let error = environment.read_dotenv(&path).expect_err("a bad line");
        assert_eq!(error.message(), "`.env` line 2 cannot be parsed");
        environment
            .read_dotenv(&folder.path().join("none"))
            .expect("no file is no mistake");
    }
}
