//! The only file that prints. stdout is the result, stderr is progress, messages and log.
//!
//! Whatever comes from a database or a file passes [`visible`] before it is shown, so that no
//! name or detail can move the cursor or hide text.

use std::io::{self, BufRead, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use super::arguments::{ColorChoice, OutputForm};
use super::diagnostic::is_invisible;
use crate::{Error, ErrorKind, Result};

/// Where the program shows itself. Clones share the terminal.
#[derive(Clone)]
pub(super) struct Console {
    form: OutputForm,
    /// Colours on stdout.
    pub(super) result_color: bool,
    /// Colours on stderr.
    pub(super) note_color: bool,
    note_terminal: bool,
    bars: MultiProgress,
}

/// How a piece of text is set off.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tone {
    /// What it is about.
    Strong,
    /// What stopped the command.
    Failure,
    /// What deserves a look.
    Caution,
    /// What to do.
    Advice,
}

impl Tone {
    /// The text in this tone, where colours are wanted.
    pub(super) fn paint(self, text: &str, color: bool) -> String {
        let code = match self {
            _ if !color => return text.to_owned(),
            Self::Strong => "1",
            Self::Failure => "1;31",
            Self::Caution => "1;33",
            Self::Advice => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl Console {
    pub(super) fn new(color: ColorChoice, form: OutputForm) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let wanted = |terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !no_color && !dumb,
        };
        let note_terminal = io::stderr().is_terminal() && !dumb;
        let target = if note_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            form,
            result_color: wanted(io::stdout().is_terminal()),
            note_color: wanted(io::stderr().is_terminal()),
            note_terminal,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Whether stdout gets one JSON document instead of text.
    pub(super) fn is_json(&self) -> bool {
        self.form == OutputForm::Json
    }

    /// Where bars are drawn, if stderr is a terminal that can.
    pub(super) fn bars(&self) -> Option<&MultiProgress> {
        self.note_terminal.then_some(&self.bars)
    }

    /// Prints a result. A reader that went away is no failure: what was to be done is done.
    ///
    /// # Errors
    /// Where stdout cannot be written for another reason, such as a full disk.
    pub(super) fn result(&self, text: &str) -> Result<()> {
        let mut text = text.to_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        match self.bars.suspend(write) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Error::new(ErrorKind::Full, "the result cannot be written to stdout")
                .because(error)
                .hint("what was moved is committed; `dbferry stats PROJECT` shows it again")),
            Ok(()) => Ok(()),
        }
    }

    /// Prints a result as one JSON document.
    ///
    /// # Errors
    /// As [`Self::result`].
    pub(super) fn document<T: Serialize>(&self, document: &T) -> Result<()> {
        self.result(&document_text(document)?)
    }

    /// Prints a message to stderr, above the bars. There is nobody to tell where that fails.
    pub(super) fn note(&self, text: &str) {
        self.bars.suspend(|| write_note(text));
    }

    /// Asks a question that `y` or `yes` agrees to; `None` where nobody is there to answer.
    pub(super) fn ask(&self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let mut answer = String::new();
        let ask = || {
            let mut err = io::stderr().lock();
            write!(err, "{question} [y/N] ")?;
            err.flush()?;
            io::stdin().lock().read_line(&mut answer)
        };
        self.bars.suspend(ask).ok()?;
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// Writes to stderr without a console, for what happens outside of one.
pub(super) fn write_note(text: &str) {
    let mut err = io::stderr().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = err.write_all(text.as_bytes()).and_then(|()| err.write_all(end.as_bytes()));
    // stderr itself is gone: nothing is left to say it with.
    drop(written);
}

/// The log goes to stderr, above the bars. Its lines come whole.
impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().lock().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// Text with every control and invisible character as an escape; one line stays one line.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A result as the text of one JSON document.
///
/// # Errors
/// Where it has no such form, which is a defect.
pub(super) fn document_text<T: Serialize>(document: &T) -> Result<String> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Error::new(ErrorKind::Internal, "a result has no JSON form").because(error))?;
    Ok(plain_json(&text))
}

/// The same document: control and invisible characters stand only within its texts, where JSON
/// has an escape for them.
fn plain_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && (c.is_control() || is_invisible(c)) {
            // All of them are in the basic plane: one escape each.
            out.extend(['\\', 'u']);
            out.extend(
                (0..4)
                    .rev()
                    .filter_map(|digit| char::from_digit(u32::from(c) >> (4 * digit) & 15, 16)),
            );
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_reaches_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\nc\u{202e}é"), r"a\u{1b}[2Jb\u{a}c\u{202e}é");
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({ "a\u{9b}": "\u{7f}\u{202e}\u{1b}\n" });
        let text = plain_json(&serde_json::to_string_pretty(&value).expect("JSON"));
        assert!(
            text.chars().all(|c| c == '\n' || !(c.is_control() || is_invisible(c))),
            "{text:?}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn tones_need_colour() {
        assert_eq!(Tone::Failure.paint("error", false), "error");
        assert_eq!(Tone::Failure.paint("error", true), "\u{1b}[1;31merror\u{1b}[0m");
    }
}
