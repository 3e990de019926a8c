//! A finding: something wrong at a place in a file of the user, and what would be right.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::quoted;

/// A file of the user's, kept to quote from.
#[derive(PartialEq, Eq, Hash)]
pub struct SourceFile {
    /// Path as the user would type it.
    pub path: String,
    /// Whole text; of a configuration file with its passwords blanked out, byte for byte.
    pub text: String,
}

/// The path alone: whole files have no place in logs and errors.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceFile").field(&self.path).finish()
    }
}

/// Where in which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Byte range within its text.
    pub span: Range<usize>,
}

impl Place {
    /// The place of what no file holds.
    #[must_use]
    pub fn nowhere() -> Self {
        let (path, text) = (String::new(), String::new());
        Self {
            file: Arc::new(SourceFile { path, text }),
            span: 0..0,
        }
    }

    /// Line and column, both counted from 1; the column in characters.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.file.text.get(..self.span.start).unwrap_or(&self.file.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
        (line, column)
    }

    /// The same file, another range.
    #[must_use]
    pub fn at(&self, span: Range<usize>) -> Self {
        Self {
            file: Arc::clone(&self.file),
            span,
        }
    }

    /// The file's own text at this place.
    #[must_use]
    pub fn text(&self) -> &str {
        self.file.text.get(self.span.clone()).unwrap_or_default()
    }

    /// Where a byte range of `parsed`, the value of the TOML string at this place, stands in the
    /// file. Quotes, escapes and line continuations are accounted for; the whole string where
    /// the file does not spell `parsed`.
    #[must_use]
    pub fn inside(&self, parsed: &str, range: &Range<usize>) -> Self {
        match quoted::locate(self.text(), parsed, range) {
            Some(found) => self.at(self.span.start + found.start..self.span.start + found.end),
            None => self.clone(),
        }
    }
}

/// A value and where it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub place: Place,
}

impl Located<String> {
    /// The place of a byte range of the text.
    #[must_use]
    pub fn inside(&self, range: &Range<usize>) -> Place {
        self.place.inside(&self.value, range)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the run goes on.
    Warning,
    /// The run does not start.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Stable code such as `mapping::unknown_column`.
    pub code: &'static str,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What the caret says.
    pub label: String,
    /// Where; `None` for what has no place in a file.
    pub place: Option<Place>,
    /// What would be right.
    pub help: Option<String>,
}

impl Finding {
    /// An error at a place.
    pub fn error(code: &'static str, place: Option<Place>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            label: "here".to_owned(),
            place,
            help: None,
        }
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, place: Option<Place>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, place, message)
        }
    }

    /// What the caret says.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// "did you mean" the nearest of the candidates; all of them where none is near; nothing
    /// where there are none.
    #[must_use]
    pub fn help_nearest<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        match nearest(name, candidates.iter().copied()) {
            Some(candidate) => self.help(format!("did you mean `{candidate}`?")),
            None if candidates.is_empty() => self,
            None => self.help(format!("there are {}", listed(&candidates))),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            let (line, column) = place.line_column();
            write!(f, "{}:{line}:{column}: ", place.file.path)?;
        }
        write!(f, "{} [{}]", self.message, self.code)
    }
}

/// The candidate that `name` was probably meant to be: equal but for case, or at most a third of
/// its letters away. The first of several equally near ones.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let far = 1 + wanted.chars().count() / 3;
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names as a phrase: `a`, `b` and `c`. Cut after twenty.
#[must_use]
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN_MAX: usize = 20;
    let quote = |name: &S| format!("`{}`", name.as_ref());
    match names {
        [] => "none".to_owned(),
        [one] => quote(one),
        [rest @ .., last] if names.len() <= SHOWN_MAX => {
            format!(
                "{} and {}",
                rest.iter().map(quote).collect::<Vec<_>>().join(", "),
                quote(last)
            )
        }
        _ => format!(
            "{} and {} more",
            names[..SHOWN_MAX].iter().map(quote).collect::<Vec<_>>().join(", "),
            names.len() - SHOWN_MAX
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["username", "email", "emailVisibility", "id"];
        assert_eq!(nearest("emial", names), Some("email"));
        assert_eq!(nearest("EMAIL", names), Some("email"));
        assert_eq!(nearest("user_name", names), Some("username"));
        assert_eq!(nearest("colour", names), None);
    }

    #[test]
    fn names_are_listed_as_a_phrase() {
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }

    #[test]
    fn a_place_inside_a_string_is_found() {
        let text = "where = \"score > 0\"\n";
        let place = Place {
            file: Arc::new(SourceFile {
                path: "a.toml".to_owned(),
                text: text.to_owned(),
            }),
            span: 8..19,
        };
        let sql = Located {
            value: "score > 0".to_owned(),
            place,
        };
        assert_eq!(sql.inside(&(8..9)).text(), "0");
        assert_eq!(sql.inside(&(0..5)).line_column(), (1, 10));
    }
}
