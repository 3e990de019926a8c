//! Renders findings: the quoted line of the file, a caret under the place, and what would be
//! right.
//!
//! Control and invisible characters of the file, which could move the cursor or hide text, are
//! written as escapes.

use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use crate::data::finding::{Finding, Severity};

/// Columns of the output, whatever the terminal: what is printed is the same everywhere.
const WIDTH: usize = 100;

/// All findings, one after another, with a blank line between them; ends with a line break.
/// Without colour there are no escape sequences in it.
#[must_use]
pub fn render(findings: &[Finding], color: bool) -> String {
    let theme = if color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
    let mut text = String::new();
    for (index, finding) in findings.iter().enumerate() {
        let before = text.len();
        if handler.render_report(&mut text, &Rendered::of(finding)).is_err() {
            // Writing into a string does not fail; a place outside its file would.
            text.truncate(before);
            text.push_str(&escaped(&format!("{finding}\n"), &(0..0)).0);
        }
        if index + 1 < findings.len() {
            text.push('\n');
        }
    }
    // The handler pads some lines.
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

/// A finding in the form that the handler draws.
struct Rendered {
    message: String,
    severity: miette::Severity,
    code: &'static str,
    help: Option<String>,
    label: Option<LabeledSpan>,
    source: Option<NamedSource<String>>,
}

impl Rendered {
    fn of(finding: &Finding) -> Self {
        let quoted = finding.place.as_ref().map(|place| {
            let (text, span) = escaped(&place.file.text, &place.span);
            (NamedSource::new(line(&place.file.path), text), span)
        });
        let (source, span) = quoted.unzip();
        Self {
            message: line(&finding.message),
            severity: match finding.severity {
                Severity::Warning => miette::Severity::Warning,
                Severity::Error => miette::Severity::Error,
            },
            code: finding.code,
            help: finding.help.as_deref().map(line),
            label: span.map(|span| LabeledSpan::new_primary_with_span(Some(line(&finding.label)), span)),
            source,
        }
    }
}

/// A text of our own, in which a name from a file may stand.
fn line(text: &str) -> String {
    escaped(text, &(0..0)).0
}

/// `text` with control and invisible characters as escapes, and where `span` is in it.
fn escaped(text: &str, span: &Range<usize>) -> (String, Range<usize>) {
    let mut out = String::with_capacity(text.len());
    let (mut start, mut end) = (None, None);
    for (at, c) in text.char_indices() {
        if at >= span.start && start.is_none() {
            start = Some(out.len());
        }
        if at >= span.end && end.is_none() {
            end = Some(out.len());
        }
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if text[at + 1..].starts_with('\n') => {}
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    let start = start.unwrap_or(out.len());
    let end = end.unwrap_or(out.len()).max(start);
    (out, start..end)
}

/// Characters that show nothing but change how their neighbours are shown.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Rendered {}

impl Diagnostic for Rendered {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.label.clone().into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::finding::{Place, SourceFile};

    #[test]
    fn control_characters_are_escaped_and_the_caret_stays() {
        let text = "a = \"\u{1b}[2J\u{202e}x\"\r\nb = 1\r\n";
        let place = Place {
            file: Arc::new(SourceFile {
                path: "x.toml".to_owned(),
                text: text.to_owned(),
            }),
            span: text.find('b').map(|at| at..at + 1).expect("a second line"),
        };
        let finding = Finding::error("test::code", Some(place), "bad \u{7} name")
            .label("this")
            .help("do that");
        let shown = render(&[finding], false);
        assert!(shown.contains(r"\u{1b}[2J\u{202e}x"), "{shown}");
        assert!(shown.contains(r"bad \u{7} name"), "{shown}");
        assert!(shown.contains("x.toml:2:1"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\r', '\u{7}']), "{shown}");
    }

    #[test]
    fn colour_only_where_wanted() {
        let finding = Finding::warning("test::code", None, "a warning");
        assert!(render(std::slice::from_ref(&finding), true).contains('\u{1b}'));
        assert!(!render(&[finding], false).contains('\u{1b}'));
    }
}
