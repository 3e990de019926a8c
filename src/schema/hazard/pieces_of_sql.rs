//! SQL text, cut into its statements and those into pieces, by the parser's own tokens.

use sqlparser::dialect::{Dialect as Syntax, PostgreSqlDialect, SQLiteDialect};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::{Dialect, Piece, PieceKind};

/// A statement: the parser's tokens, and the same as pieces of the text.
pub(super) struct Statement<'a> {
    pub(super) tokens: Vec<TokenWithSpan>,
    pub(super) pieces: Vec<Piece<'a>>,
}

/// Bytes of a text by line and column.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// The byte of a place that the tokenizer names: lines and columns from 1, columns in characters.
    pub(super) fn byte(&self, place: Location) -> usize {
        let line = usize::try_from(place.line).unwrap_or(usize::MAX);
        let column = usize::try_from(place.column).unwrap_or(usize::MAX);
        let Some(start) = line.checked_sub(1).and_then(|line| self.starts.get(line)) else {
            return self.text.len();
        };
        let rest = &self.text[*start..];
        start
            + rest
                .char_indices()
                .nth(column.saturating_sub(1))
                .map_or(rest.len(), |(at, _)| at)
    }
}

pub(super) fn syntax(dialect: Dialect) -> &'static dyn Syntax {
    match dialect {
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Postgres | Dialect::Cql => &PostgreSqlDialect {},
    }
}

/// Cuts a text; `None` where it is none that can be cut, such as one with a quote that is not closed.
pub(super) fn split(text: &str, dialect: Dialect) -> Option<Vec<Statement<'_>>> {
    let tokens = Tokenizer::new(syntax(dialect), text).tokenize_with_location().ok()?;
    let lines = Lines::of(text);
    let mut statements = Vec::new();
    let mut open = Statement::empty();
    let mut nesting = Nesting::default();
    for token in tokens {
        if matches!(token.token, Token::Whitespace(_) | Token::EOF) {
            continue;
        }
        if token.token == Token::SemiColon && !nesting.is_inside() {
            statements.push(std::mem::replace(&mut open, Statement::empty()));
            nesting = Nesting::default();
            continue;
        }
        let piece = piece(text, &lines, &token);
        nesting.goes_on(&piece);
        open.pieces.push(piece);
        open.tokens.push(token);
    }
    statements.push(open);
    statements.retain(|statement| !statement.pieces.is_empty());
    Some(statements)
}

impl Statement<'_> {
    const fn empty() -> Self {
        Self {
            tokens: Vec::new(),
            pieces: Vec::new(),
        }
    }
}

fn piece<'a>(text: &'a str, lines: &Lines<'_>, token: &TokenWithSpan) -> Piece<'a> {
    let (start, end) = (lines.byte(token.span.start), lines.byte(token.span.end));
    Piece {
        start,
        text: text.get(start..end).unwrap_or_default(),
        kind: match &token.token {
            Token::Word(word) if word.quote_style.is_none() => PieceKind::Word,
            Token::Word(_) => PieceKind::Name,
            _ => PieceKind::Other,
        },
    }
}

/// Whether semicolons belong to what a statement creates: the body of a trigger or of a function
/// stands between BEGIN and END.
#[derive(Default)]
struct Nesting {
    pieces: usize,
    creates: bool,
    depth: usize,
}

impl Nesting {
    fn goes_on(&mut self, piece: &Piece<'_>) {
        self.creates |= self.pieces == 0 && piece.is("create");
        self.pieces += 1;
        if !self.creates {
            return;
        }
        if piece.is("begin") || (self.depth > 0 && piece.is("case")) {
            self.depth += 1;
        } else if piece.is("end") {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    const fn is_inside(&self) -> bool {
        self.depth > 0
    }
}
