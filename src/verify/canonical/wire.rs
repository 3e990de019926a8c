//! Values that travel in Postgres' binary form: what of their bytes is no part of the value.
//!
//! Arrays and composites name the object ids of their database; `numeric` says how many digits it
//! is shown with, which is none of its value. Everything else is byte by byte what it is.

/// What a binary form is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wire {
    /// Bytes that all count.
    Plain,
    /// Groups of digits, with a scale to show them with.
    Numeric,
    /// An array.
    Array(Box<Wire>),
    /// A composite.
    Composite(Vec<Wire>),
    /// A range, whose bounds carry ids.
    Range(Box<Wire>),
    /// Several of them.
    Multirange(Box<Wire>),
}

impl Wire {
    /// Reads the identity of a form, as `postgres::wire_type` makes it.
    pub(super) fn read(form: &str) -> Self {
        if let Some(element) = form.strip_suffix("[]") {
            return Self::Array(Box::new(Self::read(element)));
        }
        if let Some(bound) = form.strip_prefix("range of ") {
            return Self::Range(Box::new(Self::read(bound)));
        }
        if let Some(bound) = form.strip_prefix("multirange of ") {
            return Self::Multirange(Box::new(Self::read(bound)));
        }
        if let Some(fields) = form.strip_prefix('(').and_then(|form| form.strip_suffix(')')) {
            return Self::Composite(split(fields).into_iter().map(|field| Self::read(unnamed(field))).collect());
        }
        match form.split('#').next() {
            Some("numeric") => Self::Numeric,
            _ => Self::Plain,
        }
    }

    /// The bytes of a value with those blanked that are no part of it. What is not of this form
    /// stays as it is.
    pub(super) fn blank(&self, value: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(value);
        if self.put(out).is_none() {
            out.clear();
            out.extend_from_slice(value);
        }
    }

    fn put(&self, value: &mut [u8]) -> Option<()> {
        match self {
            Self::Plain => Some(()),
            Self::Numeric => {
                value.get_mut(6..8)?.fill(0);
                Some(())
            }
            Self::Array(element) => {
                let (header, rest) = value.split_at_mut_checked(12)?;
                header[8..].fill(0);
                let dimensions = usize::try_from(word(header)?).ok()?;
                // Whether there may be NULLs is said even where there are none any more.
                header[4..8].fill(0);
                element.put_each(rest.get_mut(dimensions.checked_mul(8)?..)?)
            }
            Self::Composite(fields) => {
                let (count, mut rest) = value.split_at_mut_checked(4)?;
                if usize::try_from(word(count)?).ok()? != fields.len() {
                    return None;
                }
                for field in fields {
                    let (id, value) = rest.split_at_mut_checked(4)?;
                    id.fill(0);
                    rest = field.put_next(value)?;
                }
                Some(())
            }
            Self::Range(bound) => bound.put_each(value.get_mut(1..)?),
            Self::Multirange(bound) => {
                let mut rest = value.get_mut(4..)?;
                while !rest.is_empty() {
                    let (range, after) = cut(rest)?;
                    bound.put_each(range.get_mut(1..)?)?;
                    rest = after;
                }
                Some(())
            }
        }
    }

    fn put_each(&self, mut values: &mut [u8]) -> Option<()> {
        while !values.is_empty() {
            values = self.put_next(values)?;
        }
        Some(())
    }

    fn put_next<'a>(&self, values: &'a mut [u8]) -> Option<&'a mut [u8]> {
        if word(values)? == -1 {
            return values.get_mut(4..);
        }
        let (value, rest) = cut(values)?;
        self.put(value)?;
        Some(rest)
    }
}

fn word(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|word| i32::from_be_bytes(*word))
}

/// A value behind its length, and what follows.
fn cut(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let length = usize::try_from(word(bytes)?).ok()?;
    bytes.get_mut(4..)?.split_at_mut_checked(length)
}

/// Fields of a composite: cut at commas that are in no brackets and no quotes.
fn split(fields: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut from) = (0_usize, false, 0);
    for (at, c) in fields.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(fields[from..at].trim_start());
                from = at + 1;
            }
            _ => {}
        }
    }
    if !fields.is_empty() {
        parts.push(fields[from..].trim_start());
    }
    parts
}

/// The form of a field, without its name.
fn unnamed(field: &str) -> &str {
    let mut quoted = false;
    let end = field.find(|c| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    });
    end.map_or("", |end| &field[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(form: &str, hex: &str) -> String {
        let mut out = Vec::new();
        Wire::read(form).blank(&hex::decode(hex).expect("hex"), &mut out);
        hex::encode(out)
    }

    #[test]
    fn a_number_is_the_same_with_more_digits_shown() {
        assert_eq!(
            blank("numeric", "00010000000000000001"),
            blank("numeric", "00010000000000020001")
        );
        assert_ne!(
            blank("numeric", "00010000000000000001"),
            blank("numeric", "00010000400000000001")
        );
        let array = |oid: &str, scale: &str| format!("0000000100000000{oid}00000001000000010000000a00010000000000{scale}0001");
        assert_eq!(
            blank("numeric[]", &array("000006a4", "00")),
            blank("numeric[]", &array("000006a5", "03"))
        );
    }

    #[test]
    fn object_ids_are_blanked_however_deep_they_lie_and_values_are_not() {
        let form = "(a integer, \"b, (c\" text#14[], d enum)";
        assert_eq!(
            Wire::read(form),
            Wire::Composite(vec![Wire::Plain, Wire::Array(Box::new(Wire::Plain)), Wire::Plain])
        );
        let value = |ids: &str, number: &str| {
            format!(
                "00000003{ids}00000004{number}{ids}00000014000000000000000{}00000000000000000000000{}ffffffff",
                "0", "0"
            )
        };
        assert_eq!(
            blank("(a integer)", "000000010000001700000004aabbccdd"),
            "000000010000000000000004aabbccdd"
        );
        assert_ne!(
            blank("(a integer)", "000000010000001700000004aabbccdd"),
            blank("(a integer)", "000000010000001700000004aabbccde")
        );
        // Not of this form: as it is.
        let odd = value("00000017", "00000001");
        assert_eq!(blank("(a integer, b text)", &odd), odd);
        assert_eq!(blank("inet", "0220000401020304"), "0220000401020304");
        assert_eq!(blank("range of text[]", "02"), "02");
    }
}
