//! Documents by their meaning, as `jsonb` keeps it: members in any order, the last of those with
//! one name, numbers by value, texts by their characters however escaped.

use super::hash::{START, chain, tagged};
use super::number;
use crate::document::scan::{Piece, Quoted, Scan};

/// Hashes documents; what it needs for one is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Documents {
    open: Vec<Open>,
    /// Members of all open objects, the innermost one's last: hashes of name and value.
    members: Vec<(u128, u128)>,
    text: String,
    number: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    /// Hash of the items of an array so far.
    items: u128,
    /// Where the members of an object begin.
    members: usize,
    /// Name of the member whose value comes next.
    name: u128,
    object: bool,
}

impl Documents {
    /// Hash of a document; of a text that is none, that of the text.
    pub(super) fn hash(&mut self, text: &str) -> u128 {
        self.open.clear();
        self.members.clear();
        self.meaning(text).unwrap_or_else(|| tagged(b'?', text.as_bytes()))
    }

    fn meaning(&mut self, text: &str) -> Option<u128> {
        let mut scan = Scan::new(text);
        let mut whole = None;
        while let Some(piece) = scan.next().ok()? {
            let value = match piece {
                Piece::Open { object } => {
                    self.open.push(Open {
                        items: START,
                        members: self.members.len(),
                        name: 0,
                        object,
                    });
                    continue;
                }
                Piece::Name(name) => {
                    let name = self.text(name)?;
                    self.open.last_mut()?.name = name;
                    continue;
                }
                Piece::Close { .. } => self.close()?,
                Piece::Text(text) => self.text(text)?,
                Piece::Number(text) => {
                    number::canonical(text, &mut self.number);
                    tagged(b'1', &self.number)
                }
                Piece::Bool(value) => tagged(b'b', &[u8::from(value)]),
                Piece::Null => tagged(b'n', &[]),
            };
            match self.open.last_mut() {
                None => whole = Some(value),
                Some(open) if open.object => self.members.push((open.name, value)),
                Some(open) => chain(&mut open.items, &value.to_le_bytes()),
            }
        }
        whole
    }

    fn text(&mut self, quoted: Quoted<'_>) -> Option<u128> {
        if !quoted.escaped {
            return Some(tagged(b'"', quoted.raw.as_bytes()));
        }
        self.text.clear();
        quoted.unescape(&mut self.text).ok()?;
        Some(tagged(b'"', self.text.as_bytes()))
    }

    fn close(&mut self) -> Option<u128> {
        let open = self.open.pop()?;
        if !open.object {
            return Some(tagged(b'[', &open.items.to_le_bytes()));
        }
        let members = &mut self.members[open.members..];
        // Stable, so that of one name the last stays the last.
        members.sort_by_key(|(name, _)| *name);
        let mut hash = START;
        for (place, (name, value)) in members.iter().enumerate() {
            if members.get(place + 1).is_none_or(|(next, _)| next != name) {
                chain(&mut hash, &name.to_le_bytes());
                chain(&mut hash, &value.to_le_bytes());
            }
        }
        self.members.truncate(open.members);
        Some(tagged(b'{', &hash.to_le_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> u128 {
        Documents::default().hash(text)
    }

    #[test]
    fn documents_that_mean_the_same_are_the_same() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ] , "a" : 1.0 } "#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":{"x":1},"b":{}}"#, r#"{"b":{},"a":{"x":1e0}}"#),
            (r#""é\n""#, r#""\u00e9\u000a""#),
            (r#""\ud83d\ude00""#, "\"😀\""),
            (r#"{"\u0061":"\/"}"#, r#"{"a":"/"}"#),
            ("[1.50, 0.0]", "[1.5,-0]"),
        ] {
            assert_eq!(hash(one), hash(other), "{one} {other}");
        }
    }

    #[test]
    fn documents_that_mean_something_else_differ() {
        for (one, other) in [
            (r#"{"a":1}"#, r#"{"b":1}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":[1]}"#, r#"{"a":1}"#),
            (r#"{"a":{"b":1},"c":2}"#, r#"{"a":{"b":1,"c":2}}"#),
            ("[1,2]", "[2,1]"),
            ("[[1],2]", "[1,[2]]"),
            ("[]", "{}"),
            ("[]", "null"),
            ("[null]", "[]"),
            ("9007199254740993", "9007199254740992"),
            (r#""a""#, r#""a ""#),
            ("true", "\"true\""),
            ("{", "["),
        ] {
            assert_ne!(hash(one), hash(other), "{one} {other}");
        }
    }
}
