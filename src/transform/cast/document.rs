//! JSON texts: whether they are valid, and whether `jsonb` would change more than spelling.

use super::decimal::{FRACTION_DIGITS_MAX, Literal, WHOLE_DIGITS_MAX};
use crate::document::scan::{Broken, HalfPair, Piece, Quoted, Scan};

/// Why a target refuses a text or would silently change it.
pub(in crate::transform) const INVALID: &str = "not valid JSON";
pub(in crate::transform) const DEEP: &str = "JSON nested more than 1024 deep";
/// As many names as are compared with each other rather than sorted.
const FEW_NAMES: usize = 12;
const DUPLICATE: &str = "JSON with a key twice in one object, of which jsonb keeps only the last";
const NUL: &str = "JSON with \\u0000, which jsonb cannot hold";
pub(in crate::transform) const HALF_PAIR: &str = "JSON with half a surrogate pair, which jsonb cannot hold";
const NUMBER: &str = "JSON with a number of more digits than jsonb can hold";

/// Whether the text is one JSON value.
pub(in crate::transform) fn check(text: &str) -> Result<(), &'static str> {
    Scan::new(text).finish().map_err(broken)
}

pub(in crate::transform) const fn broken(broken: Broken) -> &'static str {
    match broken {
        Broken::Syntax => INVALID,
        Broken::Deep => DEEP,
    }
}

/// Checks documents for `jsonb`; what it remembers is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Binary {
    /// Names of all open objects, the innermost object's last: where they stand in the text, or
    /// (escaped ones) in `unescaped`.
    names: Vec<Name>,
    /// For each open container, how many names there were before it.
    before: Vec<usize>,
    unescaped: String,
}

#[derive(Debug, Clone, Copy)]
struct Name {
    start: usize,
    end: usize,
    unescaped: bool,
}

impl Binary {
    /// Whether `jsonb` holds the document without a change.
    pub(super) fn check(&mut self, text: &str, duplicates_allowed: bool) -> Result<(), &'static str> {
        self.names.clear();
        self.before.clear();
        self.unescaped.clear();
        let mut scan = Scan::new(text);
        while let Some(piece) = scan.next().map_err(broken)? {
            match piece {
                Piece::Open { .. } => self.before.push(self.names.len()),
                Piece::Close { object } => {
                    let before = self.before.pop().unwrap_or(0);
                    if object && !duplicates_allowed && self.has_twin(text, before) {
                        return Err(DUPLICATE);
                    }
                    self.names.truncate(before);
                }
                Piece::Name(name) => self.name(&scan, name)?,
                Piece::Text(quoted) if quoted.escaped => {
                    let before = self.unescaped.len();
                    self.unescape(quoted)?;
                    self.unescaped.truncate(before);
                }
                Piece::Number(number) => check_number(number)?,
                Piece::Text(_) | Piece::Bool(_) | Piece::Null => {}
            }
        }
        Ok(())
    }

    fn name(&mut self, scan: &Scan<'_>, name: Quoted<'_>) -> Result<(), &'static str> {
        let (start, end) = if name.escaped {
            let start = self.unescaped.len();
            self.unescape(name)?;
            (start, self.unescaped.len())
        } else {
            // Past the quote.
            let start = scan.begin() + 1;
            (start, start + name.raw.len())
        };
        self.names.push(Name {
            start,
            end,
            unescaped: name.escaped,
        });
        Ok(())
    }

    fn unescape(&mut self, quoted: Quoted<'_>) -> Result<(), &'static str> {
        let before = self.unescaped.len();
        quoted.unescape(&mut self.unescaped).map_err(|HalfPair| HALF_PAIR)?;
        if self.unescaped[before..].contains('\0') {
            return Err(NUL);
        }
        Ok(())
    }

    /// Whether two names of the innermost object are the same.
    fn has_twin(&mut self, text: &str, from: usize) -> bool {
        let unescaped = &self.unescaped;
        let spelt = |name: &Name| {
            let text = if name.unescaped { unescaped } else { text };
            &text.as_bytes()[name.start..name.end]
        };
        let names = &mut self.names[from..];
        if names.len() <= FEW_NAMES {
            let twin = |(at, name): (usize, &Name)| {
                let length = name.end - name.start;
                let before = names[..at].iter();
                before
                    .into_iter()
                    .any(|one| one.end - one.start == length && spelt(one) == spelt(name))
            };
            return names.iter().enumerate().any(twin);
        }
        names.sort_unstable_by(|a, b| spelt(a).cmp(spelt(b)));
        names.windows(2).any(|pair| spelt(&pair[0]) == spelt(&pair[1]))
    }
}

/// Whether a Postgres numeric can hold the number.
fn check_number(text: &str) -> Result<(), &'static str> {
    // Nearly always: too short for any limit.
    if text.len() < 1_000 && !text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return Ok(());
    }
    let literal = Literal::parse(text).ok_or(INVALID)?;
    if literal.fraction_digits() > FRACTION_DIGITS_MAX || literal.whole_digits() > WHOLE_DIGITS_MAX {
        return Err(NUMBER);
    }
    Ok(())
}

/// Writes a text as a JSON string.
pub(in crate::transform) fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            continue;
        }
        // Such a byte is a character of its own.
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => super::kernel::put(out, format_args!("\\u{byte:04x}")),
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}
