//! Where a part of a TOML string's value stands between its quotes.

use std::ops::Range;

/// The range of `raw` (a TOML string with its quotes, or a bare key) that spells the byte range
/// `wanted` of its value `parsed`; `None` where `raw` does not spell `parsed` up to there.
pub(super) fn locate(raw: &str, parsed: &str, wanted: &Range<usize>) -> Option<Range<usize>> {
    let (open, close, escapes) = quotes(raw);
    let body = raw.get(..raw.len().checked_sub(close)?)?;
    let (mut at, mut done, mut start) = (open, 0, None);
    while at < body.len() {
        let piece = Piece::first(body.get(at..)?, parsed.get(done..)?, escapes)?;
        if start.is_none() && done + piece.value > wanted.start {
            start = Some(at);
        }
        at += piece.spelt;
        done += piece.value;
        if let Some(start) = start
            && done >= wanted.end
        {
            return Some(start..at);
        }
    }
    (done == wanted.end).then(|| start.unwrap_or(at)..at)
}

/// Bytes of the opening quotes (with the line break that TOML drops after them), bytes of the
/// closing ones, and whether backslashes mean something.
fn quotes(raw: &str) -> (usize, usize, bool) {
    for (quote, escapes) in [("\"\"\"", true), ("'''", false)] {
        if raw.starts_with(quote) && raw.len() >= 6 {
            let dropped = match &raw[3..] {
                rest if rest.starts_with("\r\n") => 2,
                rest if rest.starts_with('\n') => 1,
                _ => 0,
            };
            return (3 + dropped, 3, escapes);
        }
    }
    match raw.chars().next() {
        Some('"') => (1, 1, true),
        Some('\'') => (1, 1, false),
        _ => (0, 0, false),
    }
}

/// One character or escape: its bytes in the file, and in the value.
struct Piece {
    spelt: usize,
    value: usize,
}

impl Piece {
    fn first(raw: &str, parsed: &str, escapes: bool) -> Option<Self> {
        let first = raw.chars().next()?;
        if escapes && first == '\\' {
            return Self::escape(&raw[1..]);
        }
        // TOML readers may turn CR LF within a string into LF.
        if raw.starts_with("\r\n") && parsed.starts_with('\n') {
            return Some(Self { spelt: 2, value: 1 });
        }
        let length = first.len_utf8();
        parsed.starts_with(first).then_some(Self {
            spelt: length,
            value: length,
        })
    }

    fn escape(after: &str) -> Option<Self> {
        let digits = match after.chars().next()? {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            space if space.is_ascii_whitespace() => {
                let spelt = 1 + after.len() - after.trim_start().len();
                return Some(Self { spelt, value: 0 });
            }
            _ => return Some(Self { spelt: 2, value: 1 }),
        };
        let code = u32::from_str_radix(after.get(1..=digits)?, 16).ok()?;
        Some(Self {
            spelt: 2 + digits,
            value: char::from_u32(code)?.len_utf8(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses `raw` as a TOML value and returns what spells the first `part` of its value.
    fn spelling<'a>(raw: &'a str, part: &str) -> Option<&'a str> {
        let value = toml::de::DeValue::parse(raw).expect("valid TOML");
        let parsed = value.get_ref().as_str().expect("a string").to_owned();
        let start = parsed.find(part).expect("a part of the value");
        locate(raw, &parsed, &(start..start + part.len())).map(|range| &raw[range])
    }

    #[test]
    fn a_part_is_found_between_any_quotes() {
        for raw in [
            "\"a + b\"",
            "'a + b'",
            "\"\"\"a + b\"\"\"",
            "'''\na + b'''",
            "\"\"\"\r\na + b\n\"\"\"",
        ] {
            assert_eq!(spelling(raw, "b"), Some("b"), "{raw}");
            assert_eq!(spelling(raw, "a +"), Some("a +"), "{raw}");
        }
    }

    #[test]
    fn escapes_and_continuations_do_not_shift_it() {
        assert_eq!(spelling(r#""\"x\" \u00e9 + nope""#, "nope"), Some("nope"));
        assert_eq!(spelling(r#""\"x\" \u00e9 + nope""#, "é"), Some("\\u00e9"));
        assert_eq!(spelling("\"\"\"a \\\n     + nope\"\"\"", "nope"), Some("nope"));
        assert_eq!(spelling("'''\none\r\ntwo nope'''", "nope"), Some("nope"));
        assert_eq!(spelling("'emoji 🙂 nope'", "nope"), Some("nope"));
    }

    #[test]
    fn other_text_is_not_found() {
        assert_eq!(locate("'abc'", "xyz", &(1..2)), None);
        assert_eq!(locate("'abc'", "abc", &(2..9)), None);
    }
}
