//! The path of a value within a document.

use std::borrow::Cow;

/// What is said of a text that is no path.
pub const BAD_PATH: &str = "a path that is neither a name nor a JSON pointer such as /a/0/b";

/// What is said of a document that has a name on the way to a value twice.
pub const NAMED_TWICE: &str = "JSON with the key asked for twice in one object";

/// A path into a document: one name, or a JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer<'a> {
    steps: Vec<Cow<'a, str>>,
}

impl<'a> Pointer<'a> {
    /// Reads `/a/0/b` (`~1` is `/`, `~0` is `~`), the empty text (the whole document), or a bare
    /// name.
    ///
    /// # Errors
    /// [`BAD_PATH`].
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else {
            let steps = if text.is_empty() {
                Vec::new()
            } else {
                vec![Cow::Borrowed(text)]
            };
            return Ok(Self { steps });
        };
        let steps = rest.split('/').map(step).collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }

    /// Names and numbers from the whole document to the value.
    #[must_use]
    pub fn steps(&self) -> &[Cow<'a, str>] {
        &self.steps
    }
}

fn step(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.contains('~') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        out.push(match char {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(BAD_PATH),
            },
            char => char,
        });
    }
    Ok(Cow::Owned(out))
}

/// An element's number as a pointer writes it: no sign, no leading zero.
#[must_use]
pub fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit()) && (step.len() == 1 || !step.starts_with('0'));
    plain.then(|| step.parse().ok()).flatten()
}
