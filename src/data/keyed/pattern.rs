//! Patterns of keys: `user:{id}:profile`.
//!
//! `{column}` stands for the column's value; `{{` and `}}` are braces as such, for the hash tags
//! of a cluster: `{{{user_id}}}:cart`. Within values `%`, `{` and `}` are written as `%25`, `%7B`
//! and `%7D`, so that data never makes a hash tag, and no two values are written alike.

use std::fmt;
use std::ops::Range;

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Itself.
    Literal(String),
    /// The value of a column.
    Column(String),
}

/// What is wrong with a pattern, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Lower-case fragment.
    pub why: &'static str,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |range: Range<usize>, why| Err(Fault { range, why });
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(letter) = text[at..].chars().next() {
            let rest = &text[at..];
            let next = at + letter.len_utf8();
            match letter {
                '{' | '}' if rest[1..].starts_with(letter) => {
                    literal.push(letter);
                    at += 2;
                }
                '{' => {
                    let Some(length) = rest.find('}') else {
                        return fault(at..text.len(), "this brace is not closed");
                    };
                    let name = &rest[1..length];
                    if name.is_empty() || name.trim() != name || name.contains('{') {
                        return fault(at..at + length + 1, "this is no name of a column");
                    }
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Column(name.to_owned()));
                    at += length + 1;
                }
                '}' => return fault(at..next, "this brace was not opened"),
                _ => {
                    literal.push(letter);
                    at = next;
                }
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        if pieces.is_empty() {
            return fault(0..text.len(), "it is empty");
        }
        let pattern = Self { pieces };
        if !pattern.has_sound_tag() {
            return fault(
                0..text.len(),
                "its literal braces make no hash tag: there is one pair, with something in between",
            );
        }
        Ok(pattern)
    }

    /// Its parts.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Columns of its placeholders, in order; one may stand there twice.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The keys as Redis's own patterns write them, every placeholder a `*`.
    #[must_use]
    pub fn glob(&self) -> String {
        let mut glob = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => glob.push_str(&escape_glob(text)),
                Piece::Column(_) => glob.push('*'),
            }
        }
        glob
    }

    /// Whether a pattern may give a key that another one gives too.
    #[must_use]
    pub fn may_meet(&self, other: &Self) -> bool {
        meet(&self.letters(), &other.letters())
    }

    /// Whether it may give a key that begins with these letters.
    #[must_use]
    pub fn may_begin_with(&self, beginning: &str) -> bool {
        let mut letters: Vec<Option<char>> = beginning.chars().map(Some).collect();
        letters.push(None);
        meet(&self.letters(), &letters)
    }

    /// Whether different values give different keys, when the columns that `closed` tells have
    /// values of digits, letters a to f and `-` alone.
    #[must_use]
    pub fn keeps_apart(&self, closed: impl Fn(&str) -> bool) -> bool {
        let open = |piece: &Piece| matches!(piece, Piece::Column(name) if !closed(name));
        if self.pieces.iter().filter(|piece| open(piece)).count() > 1 {
            return false;
        }
        let apart = |letter: Option<char>| letter.is_some_and(|letter| !letter.is_ascii_alphanumeric() && letter != '-');
        self.pieces.windows(3).all(|three| match three {
            [Piece::Column(_), Piece::Literal(text), Piece::Column(_)] => {
                apart(text.chars().next()) && apart(text.chars().next_back())
            }
            _ => true,
        }) && !self
            .pieces
            .windows(2)
            .any(|two| matches!(two, [Piece::Column(_), Piece::Column(_)]))
    }

    /// Letters, and nothing for each placeholder.
    fn letters(&self) -> Vec<Option<char>> {
        let of = |piece: &Piece| match piece {
            Piece::Literal(text) => text.chars().map(Some).collect::<Vec<_>>(),
            Piece::Column(_) => vec![None],
        };
        self.pieces.iter().flat_map(of).collect()
    }

    /// No literal brace at all, or one pair of them with something in between that is never empty.
    fn has_sound_tag(&self) -> bool {
        let letters = self.letters();
        let places = |brace| {
            let is = move |(_, letter): &(usize, &Option<char>)| **letter == Some(brace);
            letters.iter().enumerate().filter(is).map(|(at, _)| at).collect::<Vec<_>>()
        };
        match (places('{').as_slice(), places('}').as_slice()) {
            ([], []) => true,
            ([open], [close]) => open + 1 < *close,
            _ => false,
        }
    }
}

/// As a mapping writes it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Column(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

/// The text with what Redis's patterns give a meaning escaped.
#[must_use]
pub fn escape_glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Appends a value as it stands within a key.
pub fn push_encoded(value: &[u8], key: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'%' => key.extend_from_slice(b"%25"),
            b'{' => key.extend_from_slice(b"%7B"),
            b'}' => key.extend_from_slice(b"%7D"),
            byte => key.push(*byte),
        }
    }
}

/// Whether two patterns, in which nothing stands for any letters, have a text in common.
fn meet(one: &[Option<char>], other: &[Option<char>]) -> bool {
    // reachable[j]: the letters of `one` so far and the first j of `other` have a text in common.
    let mut reachable = vec![false; other.len() + 1];
    reachable[0] = true;
    for (j, letter) in other.iter().enumerate() {
        reachable[j + 1] = reachable[j] && letter.is_none();
    }
    for letter in one {
        let mut next = vec![false; other.len() + 1];
        next[0] = reachable[0] && letter.is_none();
        for (j, beside) in other.iter().enumerate() {
            next[j + 1] = match (letter, beside) {
                (Some(letter), Some(beside)) => reachable[j] && letter == beside,
                (None, _) | (_, None) => {
                    reachable[j]
                        || (letter.is_none() && next[j])
                        || (letter.is_none() && reachable[j + 1])
                        || (beside.is_none() && (reachable[j + 1] || next[j]))
                }
            };
        }
        reachable = next;
    }
    reachable[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Pattern {
        Pattern::parse(text).expect("a good pattern")
    }

    #[test]
    fn a_pattern_reads_back_as_it_is_written() {
        for text in [
            "user:{id}:profile",
            "matchmaking:queue",
            "{{{id}}}:cart",
            "{a}{b}",
            "über:{id}",
            "a{{x}}",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
        assert_eq!(parsed("a:{x}:{y}:{x}").columns().collect::<Vec<_>>(), ["x", "y", "x"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, range, why) in [
            ("", 0..0, "it is empty"),
            ("user:{id", 5..8, "this brace is not closed"),
            ("user:id}", 7..8, "this brace was not opened"),
            ("user:{}", 5..7, "this is no name of a column"),
            ("user:{ id}", 5..10, "this is no name of a column"),
        ] {
            assert_eq!(Pattern::parse(text), Err(Fault { range, why }), "{text}");
        }
        for text in ["{{{{", "a{{b", "}}a{{", "{{}}a", "{{a}}{{b}}"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_glob_means_the_keys_alone() {
        assert_eq!(parsed("a*[b]:{id}:\\x").glob(), "a\\*\\[b\\]:*:\\\\x");
    }

    #[test]
    fn patterns_that_may_meet_are_known() {
        let meet = |one: &str, other: &str| {
            assert_eq!(parsed(one).may_meet(&parsed(other)), parsed(other).may_meet(&parsed(one)));
            parsed(one).may_meet(&parsed(other))
        };
        assert!(meet("user:{id}:profile", "user:{x}:{kind}"));
        assert!(meet("user:{id}", "user:{id}:profile"));
        assert!(meet("{a}", "x"));
        assert!(meet("queue", "queue"));
        assert!(!meet("user:{id}:profile", "user:{id}:cart"));
        assert!(!meet("queue", "queues"));
        assert!(!meet("session:{id}", "user:{id}"));
        assert!(parsed("{id}:x").may_begin_with("dbferry:"));
        assert!(!parsed("user:{id}").may_begin_with("dbferry:"));
        assert!(parsed("dbferry:{id}").may_begin_with("dbferry:"));
    }

    #[test]
    fn values_are_told_apart_where_they_can_be() {
        let closed = |name: &str| name.starts_with('n');
        assert!(parsed("user:{id}").keeps_apart(closed));
        assert!(parsed("user:{n1}:{n2}").keeps_apart(closed));
        assert!(parsed("user:{n1}:{id}").keeps_apart(closed));
        assert!(!parsed("user:{id}:{other}").keeps_apart(closed));
        assert!(!parsed("user:{n1}-{n2}").keeps_apart(closed));
        assert!(!parsed("user:{n1}{n2}").keeps_apart(closed));
    }

    #[test]
    fn values_make_no_hash_tag() {
        let mut key = Vec::new();
        push_encoded("a{b}%".as_bytes(), &mut key);
        assert_eq!(key, b"a%7Bb%7D%25");
    }
}
