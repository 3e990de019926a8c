//! A finding: something wrong at a place in a file of the user, and what would be right.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file of the user's, kept to quote from.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SourceFile {
    /// Path as the user would type it.
    pub path: String,
    /// Whole text.
    pub text: String,
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
    /// Line and column, both counted from 1; the column in characters.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.file.text[..self.span.start.min(self.file.text.len())];
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
