//! Reads a JSON text piece by piece: strictly RFC 8259, without recursion, allocation or loss.
//!
//! Strings and numbers are handed out as they are written, so that nothing is rounded or
//! respelled. What RFC 8259 allows and `jsonb` does not (`\u0000`, half a surrogate pair) is
//! told per string.

/// Containers within each other beyond this are refused (Invariant 7). Postgres stops at some
/// thousands, by the size of its stack.
pub(crate) const DEPTH_MAX: usize = 1_024;

/// The text is not one JSON value, or is nested too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Not JSON.
    Syntax,
    /// Deeper than [`DEPTH_MAX`].
    Deep,
}

/// A string as it is written, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quoted<'a> {
    /// What stands between the quotes.
    pub(crate) raw: &'a str,
    /// Whether it holds a backslash.
    pub(crate) escaped: bool,
}

/// A piece of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// `{` or `[`.
    Open {
        /// It is an object.
        object: bool,
    },
    /// `}` or `]`.
    Close {
        /// It is an object.
        object: bool,
    },
    /// A member's name, with its colon.
    Name(Quoted<'a>),
    /// A string value.
    Text(Quoted<'a>),
    /// A number as it is written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    CommaOrEnd,
    Nothing,
}

/// A document being read.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
    begin: usize,
    depth: usize,
    /// One bit per open container: set where it is an object.
    objects: [u64; DEPTH_MAX / 64],
    next: Next,
}

impl<'a> Scan<'a> {
    /// Begins to read.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            begin: 0,
            depth: 0,
            objects: [0; DEPTH_MAX / 64],
            next: Next::Value,
        }
    }

    /// Containers that are open.
    pub(crate) const fn depth(&self) -> usize {
        self.depth
    }

    /// Where the last piece begins.
    pub(crate) const fn begin(&self) -> usize {
        self.begin
    }

    /// Where the last piece ends.
    pub(crate) const fn end(&self) -> usize {
        self.at
    }

    /// The next piece; `None` after the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Piece<'a>>, Broken> {
        let mut byte = self.peek();
        if self.next == Next::CommaOrEnd && byte == Some(b',') {
            self.at += 1;
            self.next = if self.in_object() { Next::Name } else { Next::Value };
            byte = self.peek();
        }
        self.begin = self.at;
        let Some(byte) = byte else {
            return if self.next == Next::Nothing {
                Ok(None)
            } else {
                Err(Broken::Syntax)
            };
        };
        match (self.next, byte) {
            (Next::CommaOrEnd | Next::NameOrEnd, b'}') if self.in_object() => Ok(Some(self.close(true))),
            (Next::CommaOrEnd | Next::ValueOrEnd, b']') if !self.in_object() => Ok(Some(self.close(false))),
            (Next::Name | Next::NameOrEnd, b'"') => self.name().map(Some),
            (Next::Value | Next::ValueOrEnd, _) => self.value(byte).map(Some),
            _ => Err(Broken::Syntax),
        }
    }

    /// Reads on to the end.
    pub(crate) fn finish(&mut self) -> Result<(), Broken> {
        while self.next()?.is_some() {}
        Ok(())
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is not a blank.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects[(self.depth - 1) / 64] >> ((self.depth - 1) % 64) & 1 == 1
    }

    fn value(&mut self, first: u8) -> Result<Piece<'a>, Broken> {
        match first {
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            _ => {}
        }
        let piece = match first {
            b'"' => Piece::Text(self.quoted()?),
            b'-' | b'0'..=b'9' => Piece::Number(self.number()?),
            b't' => self.word("true", Piece::Bool(true))?,
            b'f' => self.word("false", Piece::Bool(false))?,
            b'n' => self.word("null", Piece::Null)?,
            _ => return Err(Broken::Syntax),
        };
        self.after_value();
        Ok(piece)
    }

    const fn after_value(&mut self) {
        self.next = if self.depth == 0 { Next::Nothing } else { Next::CommaOrEnd };
    }

    fn open(&mut self, object: bool) -> Result<Piece<'a>, Broken> {
        if self.depth == DEPTH_MAX {
            return Err(Broken::Deep);
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.objects[word] |= bit;
        } else {
            self.objects[word] &= !bit;
        }
        self.depth += 1;
        self.at += 1;
        self.next = if object { Next::NameOrEnd } else { Next::ValueOrEnd };
        Ok(Piece::Open { object })
    }

    const fn close(&mut self, object: bool) -> Piece<'a> {
        self.depth -= 1;
        self.at += 1;
        self.after_value();
        Piece::Close { object }
    }

    fn name(&mut self) -> Result<Piece<'a>, Broken> {
        let name = self.quoted()?;
        let end = self.at;
        if self.peek() != Some(b':') {
            return Err(Broken::Syntax);
        }
        self.at += 1;
        debug_assert!(end < self.at, "the colon was eaten");
        self.next = Next::Value;
        Ok(Piece::Name(name))
    }

    fn word(&mut self, word: &str, piece: Piece<'a>) -> Result<Piece<'a>, Broken> {
        if !self.bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Broken::Syntax);
        }
        self.at += word.len();
        Ok(piece)
    }

    fn quoted(&mut self) -> Result<Quoted<'a>, Broken> {
        let start = self.at + 1;
        let bytes = self.bytes();
        let mut at = start;
        let mut escaped = false;
        loop {
            at = stop(bytes, at).ok_or(Broken::Syntax)?;
            match bytes[at] {
                b'"' => break,
                b'\\' => escaped = true,
                _ => return Err(Broken::Syntax),
            }
            at += match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                Some(b'u') if hex(bytes, at + 2).is_some() => 6,
                _ => return Err(Broken::Syntax),
            };
        }
        self.at = at + 1;
        // Both ends are ASCII quotes, so that the cut is between characters.
        let raw = self.text.get(start..at).ok_or(Broken::Syntax)?;
        Ok(Quoted { raw, escaped })
    }

    fn number(&mut self) -> Result<&'a str, Broken> {
        let bytes = self.bytes();
        let start = self.at;
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = digits(bytes, at);
        if whole == 0 || (whole > 1 && bytes[at] == b'0') {
            return Err(Broken::Syntax);
        }
        at += whole;
        if bytes.get(at) == Some(&b'.') {
            let fraction = digits(bytes, at + 1);
            if fraction == 0 {
                return Err(Broken::Syntax);
            }
            at += 1 + fraction;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(bytes, at);
            if exponent == 0 {
                return Err(Broken::Syntax);
            }
            at += exponent;
        }
        self.at = at;
        self.text.get(start..at).ok_or(Broken::Syntax)
    }
}

/// Where a string ends, or has something in it that is not simply itself: from `at` on the first quote,
/// backslash or control character. Eight bytes at once, for nearly all are none of these.
fn stop(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let eight = u64::from_le_bytes(*eight);
        // The top bit of a byte is set where it is below `limit`. A borrow may set it in later ones, too; the
        // first is right.
        let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
        let quote = below(eight ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(eight ^ (ONES * u64::from(b'\\')), 1);
        let found = (quote | backslash | below(eight, 0x20)) & TOPS;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
    stop.map(|stop| at + stop)
}

fn digits(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or(&[]);
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Four hexadecimal digits.
fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value * 16 + digit)
    })
}

/// Half a surrogate pair: no character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HalfPair;

impl Quoted<'_> {
    /// Writes the text that is meant.
    pub(crate) fn unescape(&self, out: &mut String) -> Result<(), HalfPair> {
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let bytes = rest.as_bytes();
            let (char, length) = match bytes.get(at + 1) {
                Some(b'u') => unicode(bytes, at)?,
                Some(b'b') => ('\u{8}', 2),
                Some(b'f') => ('\u{c}', 2),
                Some(b'n') => ('\n', 2),
                Some(b'r') => ('\r', 2),
                Some(b't') => ('\t', 2),
                Some(other) => (char::from(*other), 2),
                // The scanner lets no backslash stand alone.
                None => return Err(HalfPair),
            };
            out.push(char);
            rest = &rest[at + length..];
        }
        out.push_str(rest);
        Ok(())
    }
}

/// The character of `\uXXXX` or of a pair of them at `at`, and the length of it all.
fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), HalfPair> {
    let first = hex(bytes, at + 2).ok_or(HalfPair)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Ok((char::from_u32(first).ok_or(HalfPair)?, 6));
    }
    let second = match bytes.get(at + 6..at + 8) {
        Some(b"\\u") => hex(bytes, at + 8),
        _ => None,
    };
    let second = second.filter(|low| (0xdc00..0xe000).contains(low)).ok_or(HalfPair)?;
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Ok((char::from_u32(code).ok_or(HalfPair)?, 12))
}
