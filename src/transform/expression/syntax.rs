//! The text of an expression: its tokens, its tree, and where in the file a part of it stands.

use std::ops::Range;

use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::dialect::MappingDialect;
use crate::data::finding::{Finding, Located};

/// Most tokens of one expression (Invariant 7).
const TOKENS_MAX: usize = 4_000;

/// Deepest nesting of brackets, `case` and signs. The parser tries several readings of what it
/// gives up at its own limit, at every level anew.
const NESTING_MAX: usize = 32;

/// An expression's text, cut into tokens.
pub(super) struct Text<'a> {
    sql: &'a Located<String>,
    lines: Vec<usize>,
    /// All but blanks and comments.
    tokens: Vec<(Token, Range<usize>)>,
}

impl<'a> Text<'a> {
    /// Reads the text as one expression.
    ///
    /// # Errors
    /// The finding, with the caret on what cannot be read.
    pub(super) fn parse(sql: &'a Located<String>) -> Result<(Self, Expr), Finding> {
        let lines = std::iter::once(0).chain(sql.value.match_indices('\n').map(|(at, _)| at + 1));
        let mut text = Self {
            sql,
            lines: lines.collect(),
            tokens: Vec::new(),
        };
        let dialect = MappingDialect;
        let tokens = match Tokenizer::new(&dialect, &sql.value).tokenize_with_location() {
            Ok(tokens) => tokens,
            Err(error) => {
                let start = text.offset(error.location);
                let message = error.message.to_lowercase();
                return Err(text.finding("mapping::syntax", &(start..sql.value.len()), message));
            }
        };
        let meant: Vec<TokenWithSpan> = tokens
            .into_iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_)))
            .collect();
        if meant.len() > TOKENS_MAX {
            return Err(text.too_large());
        }
        text.tokens = meant
            .iter()
            .map(|token| (token.token.clone(), text.bytes(token.span)))
            .collect();
        if nesting(&text.tokens) > NESTING_MAX {
            return Err(text.too_large());
        }
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(meant);
        let tree = parser.parse_expr().map_err(|error| text.syntax(&error))?;
        let next = parser.peek_token();
        if next.token != Token::EOF {
            let range = text.bytes(next.span);
            let found = &sql.value[range.clone()];
            return Err(text
                .finding(
                    "mapping::syntax",
                    &range,
                    format!("expected the end of the expression, found {found}"),
                )
                .label("does not belong to the expression before it"));
        }
        Ok((text, tree))
    }

    fn syntax(&self, error: &ParserError) -> Finding {
        let (ParserError::ParserError(message) | ParserError::TokenizerError(message)) = error else {
            return self.too_large();
        };
        let (message, location) = match message.rsplit_once(" at Line: ") {
            Some((message, place)) => (message, location(place)),
            None => (message.as_str(), None),
        };
        let last = self.tokens.last().map_or(0..0, |(_, range)| range.clone());
        let range = location.map_or(last.clone(), |location| {
            let start = self.offset(location);
            let at = self.tokens.iter().find(|(_, range)| range.start == start);
            at.map_or(last, |(_, range)| range.clone())
        });
        let message = message
            .replace("Expected: ", "expected ")
            .replace(", found: EOF", ", found the end");
        self.finding("mapping::syntax", &range, message.replace(", found: ", ", found "))
    }

    /// A finding about an expression beyond all measure.
    pub(super) fn too_large(&self) -> Finding {
        self.finding(
            "mapping::too_large",
            &(0..self.sql.value.len()),
            "this expression is too large or too deeply nested",
        )
        .help("compute it in the query that the source runs: [stream.query]")
    }

    /// An error at a byte range of the text.
    pub(super) fn finding(&self, code: &'static str, range: &Range<usize>, message: impl Into<String>) -> Finding {
        Finding::error(code, Some(self.sql.inside(range)), message)
    }

    fn offset(&self, location: Location) -> usize {
        let text = &self.sql.value;
        let line = usize::try_from(location.line).unwrap_or(1).max(1) - 1;
        let column = usize::try_from(location.column).unwrap_or(1).max(1) - 1;
        let start = self.lines.get(line).copied().unwrap_or(text.len());
        if text.is_ascii() {
            return (start + column).min(text.len());
        }
        text[start..]
            .char_indices()
            .nth(column)
            .map_or(text.len(), |(at, _)| start + at)
    }

    /// The byte range of a span, as it is.
    pub(super) fn bytes(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start);
        start..self.offset(span.end).max(start)
    }

    /// The byte range of a part of the tree. The tree does not know its brackets: those
    /// that the part needs are added. The whole text for a part that the tree has no place of.
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        if span == Span::empty() {
            return 0..self.sql.value.len();
        }
        let mut range = self.bytes(span);
        let (mut open, mut unopened) = (0_i32, 0_i32);
        for (token, at) in self.tokens.iter().filter(|(_, at)| at.start >= range.start) {
            if at.start >= range.end && open <= 0 {
                break;
            }
            match token {
                Token::LParen | Token::LBracket => open += 1,
                Token::RParen | Token::RBracket => open -= 1,
                _ => {}
            }
            unopened = unopened.max(-open);
            range.end = range.end.max(at.end);
        }
        let first = self.tokens.iter().position(|(_, at)| at.start >= range.start).unwrap_or(0);
        for (token, at) in self.tokens[..first].iter().rev() {
            if unopened <= 0 || !matches!(token, Token::LParen) {
                break;
            }
            range.start = at.start;
            unopened -= 1;
        }
        range
    }

    /// The range of the type that a cast of the part at `operand` names, and of the whole cast.
    pub(super) fn cast_type(&self, operand: &Range<usize>) -> Range<usize> {
        let mut after = self.tokens.iter().filter(|(_, at)| at.start >= operand.end);
        let found = after
            .by_ref()
            .find(|(token, _)| !matches!(token, Token::RParen))
            .and_then(|_| after.next());
        found.map_or_else(|| operand.clone(), |(_, at)| at.clone())
    }

    /// The token before a place.
    pub(super) fn before(&self, start: usize) -> Range<usize> {
        let found = self.tokens.iter().rev().find(|(_, at)| at.end <= start);
        found.map_or(0..start, |(_, at)| at.clone())
    }
}

/// How deep the parser will have to recurse.
fn nesting(tokens: &[(Token, Range<usize>)]) -> usize {
    let (mut open, mut signs, mut deepest) = (Vec::new(), 0, 0);
    let mut depth = 0;
    for (token, _) in tokens {
        let keyword = match token {
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        };
        match (token, keyword) {
            (Token::Minus | Token::Plus | Token::Tilde, _) | (_, Keyword::NOT) => signs += 1,
            (Token::LParen | Token::LBracket, _) | (_, Keyword::CASE) => {
                open.push(signs + 1);
                depth += signs + 1;
                signs = 0;
            }
            (Token::RParen | Token::RBracket, _) | (_, Keyword::END) => {
                depth -= open.pop().unwrap_or(0);
                signs = 0;
            }
            _ => signs = 0,
        }
        deepest = deepest.max(depth + signs);
    }
    deepest
}

/// `1, Column: 5`
fn location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location {
        line: line.trim().parse().ok()?,
        column: column.trim().parse().ok()?,
    })
}
