//! CQL text, cut into its statements: a server takes one at a time.

use std::ops::Range;

use crate::schema::hazard::{Piece, PieceKind};

/// A statement: where its first word begins, and how it is spelt, without the semicolon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub(super) start: usize,
    pub(super) text: &'a str,
}

/// What is begun and has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schema) struct Unclosed {
    /// The byte where it begins.
    pub(super) start: usize,
    pub(super) what: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    /// A text in quotes, or between two `$$`.
    Text,
    Number,
    Semicolon,
    Other,
}

/// Cuts a text where statements end. `BEGIN BATCH … APPLY BATCH` is one.
pub(super) fn split(text: &str) -> Result<Vec<Statement<'_>>, Unclosed> {
    let mut statements = Vec::new();
    let mut open: Option<Open> = None;
    for token in Tokens::of(text) {
        let (kind, span) = token?;
        if kind == Kind::Semicolon {
            match open.take() {
                Some(batch) if batch.is_batch && !batch.is_applied => open = Some(batch),
                Some(statement) => statements.push(statement.of(text)),
                None => {}
            }
            continue;
        }
        let word = if kind == Kind::Word { &text[span.clone()] } else { "" };
        match &mut open {
            Some(statement) => statement.goes_on(word, span.end),
            None => open = Some(Open::begun(word, &span)),
        }
    }
    match open {
        Some(batch) if batch.is_batch && !batch.is_applied => Err(Unclosed {
            start: batch.span.start,
            what: "BEGIN BATCH has no APPLY BATCH",
        }),
        Some(statement) => {
            statements.push(statement.of(text));
            Ok(statements)
        }
        None => Ok(statements),
    }
}

/// The pieces of each statement, without semicolons. Statements of a batch are statements.
pub(in crate::schema) fn pieces(text: &str) -> Result<Vec<Vec<Piece<'_>>>, Unclosed> {
    let mut statements = vec![Vec::new()];
    for token in Tokens::of(text) {
        let (kind, span) = token?;
        let text = text.get(span.clone()).unwrap_or_default();
        let kind = match kind {
            Kind::Semicolon => {
                statements.push(Vec::new());
                continue;
            }
            Kind::Word => PieceKind::Word,
            Kind::Other if text.starts_with('"') => PieceKind::Name,
            Kind::Text | Kind::Number | Kind::Other => PieceKind::Other,
        };
        let start = span.start;
        if let Some(statement) = statements.last_mut() {
            statement.push(Piece { start, text, kind });
        }
    }
    Ok(statements)
}

/// Texts in quotes and numbers of a statement: values that no message may repeat.
pub(super) fn literals(statement: &str) -> Vec<&str> {
    let tokens = Tokens::of(statement).filter_map(Result::ok);
    let literal = |(kind, span): (Kind, Range<usize>)| {
        let text = statement.get(span)?;
        match kind {
            Kind::Number => Some(text),
            Kind::Text => text.strip_prefix("$$").or_else(|| text.strip_prefix('\'')).map(|rest| {
                let rest = rest.strip_suffix("$$").unwrap_or(rest);
                rest.strip_suffix('\'').unwrap_or(rest)
            }),
            _ => None,
        }
    };
    tokens.filter_map(literal).filter(|text| !text.is_empty()).collect()
}

/// Where a line and a column of a statement are in the text; the server counts lines from 1, and in
/// them units of UTF-16 from 0.
pub(super) fn byte_at(statement: Statement<'_>, line: usize, column: usize) -> usize {
    let begin: usize = statement
        .text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let rest = &statement.text[begin..];
    let mut units = 0;
    let within = rest.char_indices().find(|(_, c)| {
        let reached = units >= column;
        units += c.len_utf16();
        reached
    });
    statement.start + begin + within.map_or(rest.len(), |(at, _)| at)
}

/// A statement whose end has not come.
struct Open {
    span: Range<usize>,
    words: usize,
    begins: bool,
    is_batch: bool,
    is_applied: bool,
    after_apply: bool,
}

impl Open {
    fn begun(word: &str, span: &Range<usize>) -> Self {
        Self {
            span: span.clone(),
            words: 1,
            begins: word.eq_ignore_ascii_case("begin"),
            is_batch: false,
            is_applied: false,
            after_apply: false,
        }
    }

    /// `BEGIN BATCH`, or with one word between both; the last two words of a batch are `APPLY BATCH`.
    fn goes_on(&mut self, word: &str, end: usize) {
        self.span.end = end;
        self.words += 1;
        let is_batch = word.eq_ignore_ascii_case("batch");
        if self.begins && self.words <= 3 && is_batch {
            self.is_batch = true;
        } else {
            self.is_applied = self.after_apply && is_batch;
        }
        self.after_apply = word.eq_ignore_ascii_case("apply");
    }

    fn of<'a>(&self, text: &'a str) -> Statement<'a> {
        Statement {
            start: self.span.start,
            text: &text[self.span.clone()],
        }
    }
}

/// Tokens of a text, comments and white space left out.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Goes behind white space and comments.
    fn skip(&mut self) -> Result<(), Unclosed> {
        loop {
            let rest = self.rest();
            let length = if rest.starts_with("--") || rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                self.closed(2, "*/", "a comment is not closed")?
            } else {
                rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len())
            };
            if length == 0 {
                return Ok(());
            }
            self.at += length;
        }
    }

    /// Length of what begins here with so many bytes and ends with `end`.
    fn closed(&self, begin: usize, end: &str, what: &'static str) -> Result<usize, Unclosed> {
        match self.rest()[begin..].find(end) {
            Some(found) => Ok(begin + found + end.len()),
            None => Err(Unclosed { start: self.at, what }),
        }
    }

    /// Length of what stands in quotes; a doubled quote within is one of its characters.
    fn quoted(&self, quote: char) -> Result<usize, Unclosed> {
        let mut quotes = 1;
        for (at, c) in self.rest().char_indices().skip(1) {
            if c == quote {
                quotes += 1;
            } else if quotes % 2 == 0 {
                return Ok(at);
            }
        }
        if quotes % 2 == 0 {
            return Ok(self.rest().len());
        }
        Err(Unclosed {
            start: self.at,
            what: "a quote is not closed",
        })
    }

    fn token(&self, first: char) -> Result<(Kind, usize), Unclosed> {
        let rest = self.rest();
        let run = |more: &str| {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || more.contains(c)));
            end.unwrap_or(rest.len())
        };
        Ok(match first {
            '\'' => (Kind::Text, self.quoted('\'')?),
            '"' => (Kind::Other, self.quoted('"')?),
            '$' if rest.starts_with("$$") => (Kind::Text, self.closed(2, "$$", "`$$` is not closed")?),
            ';' => (Kind::Semicolon, 1),
            c if c.is_ascii_digit() => (Kind::Number, run(".")),
            c if c.is_alphabetic() || c == '_' => (Kind::Word, run("")),
            c => (Kind::Other, c.len_utf8()),
        })
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<(Kind, Range<usize>), Unclosed>;

    fn next(&mut self) -> Option<Self::Item> {
        let token = self.skip().and_then(|()| {
            let Some(first) = self.rest().chars().next() else {
                return Ok(None);
            };
            self.token(first).map(Some)
        });
        match token {
            Ok(None) => None,
            Ok(Some((kind, length))) => {
                let span = self.at..self.at + length;
                self.at = span.end;
                Some(Ok((kind, span)))
            }
            Err(unclosed) => {
                self.at = self.text.len();
                Some(Err(unclosed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn texts(text: &str) -> Vec<&str> {
        let statements = split(text).expect("statements");
        for statement in &statements {
            assert!(text[statement.start..].starts_with(statement.text));
        }
        statements.iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn statements_end_at_semicolons_and_at_the_end() {
        assert_eq!(texts("a b; c ;\n;; d"), ["a b", "c", "d"]);
        assert!(texts(" \n;;\n-- nothing").is_empty());
    }

    #[test]
    fn comments_belong_to_no_end_of_a_statement() {
        assert_eq!(texts("-- a;\n/* ; */ x // y;\n y -- no line follows"), ["x // y;\n y"]);
        assert_eq!(texts("x /* a */; // b\n y /* c */"), ["x", "y"]);
        assert_eq!(texts("x--;\n;y"), ["x", "y"]);
    }

    #[test]
    fn semicolons_within_quotes_are_none() {
        assert_eq!(
            texts("insert 'a;''b;' \"c;\"\"d;\" $$ e; ' $$; 'f;'"),
            ["insert 'a;''b;' \"c;\"\"d;\" $$ e; ' $$", "'f;'"]
        );
        // No comment begins within quotes.
        assert_eq!(texts("'--';'/*';\"//\";$$--$$"), ["'--'", "'/*'", "\"//\"", "$$--$$"]);
    }

    #[test]
    fn a_batch_is_one_statement() {
        for begin in [
            "BEGIN BATCH",
            "begin unlogged batch",
            "Begin /* ; */ Counter\nBatch USING TIMESTAMP 1",
        ] {
            let batch = format!("{begin} insert x; update \"batch\" ; apply batch");
            assert_eq!(texts(&format!("{batch};y;")), [batch.as_str(), "y"]);
            assert_eq!(texts(&batch), [batch.as_str()]);
        }
        // A table may have that name.
        assert_eq!(
            texts("insert into batch; select apply; batch"),
            ["insert into batch", "select apply", "batch"]
        );
        assert_eq!(
            split("x; begin batch insert y;"),
            Err(Unclosed {
                start: 3,
                what: "BEGIN BATCH has no APPLY BATCH"
            })
        );
    }

    #[test]
    fn what_is_not_closed_is_told_where_it_begins() {
        for (text, start) in [("x 'a''b", 2), ("x; \"a", 3), ("/* a", 0), ("x $$ a $", 2), ("x /* ;", 2)] {
            assert_eq!(split(text).map_err(|unclosed| unclosed.start), Err(start), "{text}");
        }
    }

    #[test]
    fn values_are_known_from_names() {
        assert_eq!(
            literals("insert into t1 (\"a 5\", b) values ('x''y', 12.5, $$z$$, '', 0xff)"),
            ["x''y", "12.5", "z", "0xff"]
        );
    }

    #[test]
    fn the_server_s_places_are_bytes_of_the_text() {
        let text = "-- ü\ncreate ü😀 x\n  y z;";
        let statement = split(text).expect("one")[0];
        let at = |line, column| &text[byte_at(statement, line, column)..];
        assert_eq!(at(1, 0), &text[6..]);
        assert_eq!(at(1, 11), "x\n  y z;");
        assert_eq!(at(2, 4), "z;");
        // Behind all there is.
        assert_eq!(at(9, 9), ";");
    }

    proptest! {
        #[test]
        fn no_text_is_lost_but_blanks_and_semicolons(text in "[a-c ;'\"$/*\n-]{0,40}") {
            if let Ok(statements) = split(&text) {
                let mut at = 0;
                for statement in statements {
                    prop_assert!(statement.start >= at);
                    prop_assert!(!statement.text.is_empty());
                    at = statement.start + statement.text.len();
                }
                prop_assert!(at <= text.len());
            }
        }
    }
}
