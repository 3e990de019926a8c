//! Whose key a key is, where the patterns of several streams fit it.
//!
//! Every key that a pattern fits belongs to exactly one stream: to one whose columns could have such
//! values, before one whose could not; then to the one with more letters of its own in its pattern;
//! then to the one whose name comes first. So no key is looked at twice, and none is overlooked.

use super::Pattern;
use super::pattern::Piece;
use crate::data::column::ColumnType;

/// Longest key whose values are looked at.
const KEY_BYTES_MAX: usize = 4_096;

/// A stream that writes keys, with the types of its columns as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Stream.
    pub stream: String,
    /// What its keys are called.
    pub pattern: Pattern,
    /// Types of the placeholders' columns.
    pub types: Vec<(String, ColumnType)>,
}

/// All streams of a project that write keys, by their connections.
#[derive(Debug, Clone, Default)]
pub struct Writers(Vec<(String, Writer)>);

impl Writers {
    /// One more.
    pub fn add(&mut self, connection: &str, writer: Writer) {
        self.0.push((connection.to_owned(), writer));
    }

    /// A stream, and the others whose keys its pattern may fit; `None` where it is not known.
    #[must_use]
    pub fn of(&self, stream: &str) -> Option<(Writer, Vec<Writer>)> {
        let (connection, writer) = self.0.iter().find(|(_, writer)| writer.stream == stream)?;
        let beside = |(other, others): &&(String, Writer)| {
            other == connection && others.stream != writer.stream && others.pattern.may_meet(&writer.pattern)
        };
        let others = self.0.iter().filter(beside).map(|(_, other)| other.clone());
        Some((writer.clone(), others.collect()))
    }
}

/// What a placeholder's value may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Anything that a pattern of Redis takes.
    Anything,
    /// Anything that is written for a value: no brace is in it.
    Value,
    /// Digits, maybe behind a minus.
    Whole,
    /// A UUID.
    Uuid,
}

impl Class {
    const fn of(ty: Option<&ColumnType>) -> Self {
        match ty {
            Some(ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64) => Self::Whole,
            Some(ColumnType::Uuid) => Self::Uuid,
            _ => Self::Value,
        }
    }

    fn takes(self, value: &[u8]) -> bool {
        match self {
            Self::Anything => true,
            Self::Value => !value.iter().any(|byte| matches!(byte, b'{' | b'}')),
            Self::Whole => {
                let digits = value.strip_prefix(b"-").unwrap_or(value);
                !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
            }
            Self::Uuid => {
                let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
                value.len() == 36 && value.iter().all(is_part)
            }
        }
    }

    /// Whether a value may begin like this.
    fn may_begin(self, value: &[u8]) -> bool {
        match self {
            Self::Whole => value == b"-" || value.is_empty() || self.takes(value),
            Self::Uuid => value.len() <= 36,
            _ => self.takes(value),
        }
    }
}

impl Writer {
    fn types_fit(&self, key: &[u8]) -> bool {
        let class = |column: &str| {
            let known = self.types.iter().find(|(name, _)| name == column);
            Class::of(known.map(|(_, ty)| ty))
        };
        fits(&self.pattern, key, class)
    }

    fn letters(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Column(_) => 0,
        };
        self.pattern.pieces().iter().map(length).sum()
    }

    /// How good its claim to a key is; `None` where its pattern does not fit.
    fn claim(&self, key: &[u8]) -> Option<(bool, usize)> {
        let is_short = key.len() <= KEY_BYTES_MAX;
        fits(&self.pattern, key, |_| Class::Anything).then(|| (is_short && self.types_fit(key), self.letters()))
    }
}

/// Whether the key is the first writer's, and none of the others'.
#[must_use]
pub fn owns(writer: &Writer, others: &[Writer], key: &[u8]) -> bool {
    if others.is_empty() {
        return true;
    }
    let Some(own) = writer.claim(key) else { return false };
    others.iter().all(|other| match other.claim(key) {
        Some(claim) if claim == own => writer.stream < other.stream,
        Some(claim) => claim < own,
        None => true,
    })
}

/// Whether a pattern fits a key, its placeholders standing for values of these classes.
fn fits(pattern: &Pattern, key: &[u8], class: impl Fn(&str) -> Class) -> bool {
    // Places in the key that the pieces so far may reach.
    let mut reached = vec![0];
    for (at, piece) in pattern.pieces().iter().enumerate() {
        let is_last = at + 1 == pattern.pieces().len();
        let mut next = Vec::new();
        for from in reached {
            let rest = &key[from..];
            match piece {
                Piece::Literal(text) if rest.starts_with(text.as_bytes()) => next.push(from + text.len()),
                Piece::Literal(_) => {}
                Piece::Column(name) => values(class(name), rest, is_last, |length| next.push(from + length)),
            }
        }
        next.sort_unstable();
        next.dedup();
        reached = next;
    }
    reached.contains(&key.len())
}

/// Lengths of the values of a class with which `rest` may begin.
fn values(class: Class, rest: &[u8], is_last: bool, mut give: impl FnMut(usize)) {
    if is_last {
        if class.takes(rest) {
            give(rest.len());
        }
        return;
    }
    for length in 0..=rest.len() {
        let value = &rest[..length];
        if matches!(class, Class::Anything) || class.takes(value) {
            give(length);
        } else if !class.may_begin(value) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(stream: &str, pattern: &str, types: &[(&str, ColumnType)]) -> Writer {
        Writer {
            stream: stream.to_owned(),
            pattern: Pattern::parse(pattern).expect("a pattern"),
            types: types.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect(),
        }
    }

    /// Who owns the key; that it is exactly one.
    fn owner(writers: &[Writer], key: &str) -> Option<String> {
        let owns_it = |at: &usize| {
            let mut others = writers.to_vec();
            let writer = others.remove(*at);
            writer.claim(key.as_bytes()).is_some() && owns(&writer, &others, key.as_bytes())
        };
        let owners: Vec<_> = (0..writers.len()).filter(owns_it).collect();
        let fit = writers.iter().any(|writer| writer.claim(key.as_bytes()).is_some());
        assert_eq!(owners.len(), usize::from(fit), "{key}: {owners:?}");
        owners.first().map(|at| writers[*at].stream.clone())
    }

    #[test]
    fn a_key_belongs_to_the_stream_that_says_more_of_it() {
        let writers = [
            writer("users", "user:{id}", &[]),
            writer("profiles", "user:{id}:profile", &[]),
            writer("carts", "user:{id}:{what}", &[]),
        ];
        assert_eq!(owner(&writers, "user:1").as_deref(), Some("users"));
        assert_eq!(owner(&writers, "user:1:profile").as_deref(), Some("profiles"));
        assert_eq!(owner(&writers, "user:1:cart").as_deref(), Some("carts"));
        assert_eq!(owner(&writers, "user:{1}").as_deref(), Some("users"));
        assert_eq!(owner(&writers, "users:1"), None);
    }

    #[test]
    fn a_key_belongs_to_the_stream_whose_columns_have_such_values() {
        let writers = [
            writer(
                "numbers",
                "item:{id}:x:{n}",
                &[("id", ColumnType::Int64), ("n", ColumnType::Int16)],
            ),
            writer("uuids", "item:{id}", &[("id", ColumnType::Uuid)]),
            writer("texts", "item:{name}", &[("name", ColumnType::TEXT)]),
        ];
        assert_eq!(owner(&writers, "item:-12:x:7").as_deref(), Some("numbers"));
        assert_eq!(owner(&writers, "item:--12:x:7").as_deref(), Some("texts"));
        assert_eq!(owner(&writers, "item:a:x:7").as_deref(), Some("texts"));
        let uuid = "item:0189a1b2-0000-7000-8000-000000000001";
        assert_eq!(
            owner(&writers, uuid).as_deref(),
            Some("texts"),
            "both fit: the name that comes first"
        );
        assert_eq!(owner(&writers[..2], uuid).as_deref(), Some("uuids"));
        assert_eq!(
            owner(&writers[..2], "item:x").as_deref(),
            Some("uuids"),
            "nobody else's pattern fits"
        );
    }

    #[test]
    fn a_stream_knows_those_beside_it() {
        let mut all = Writers::default();
        all.add("cache", writer("users", "user:{id}", &[]));
        all.add("cache", writer("profiles", "user:{id}:profile", &[]));
        all.add("cache", writer("sessions", "session:{id}", &[]));
        all.add("other", writer("guests", "user:{id}", &[]));
        let names = |(_, others): (Writer, Vec<Writer>)| others.into_iter().map(|other| other.stream).collect::<Vec<_>>();
        assert_eq!(all.of("users").map(names), Some(vec!["profiles".to_owned()]));
        assert_eq!(all.of("sessions").map(names), Some(Vec::new()));
        assert_eq!(all.of("nobody").map(names), None);
    }

    #[test]
    fn patterns_with_the_same_claim_are_told_apart_by_name() {
        let writers = [writer("b", "{x}:q", &[]), writer("a", "{x}:q", &[])];
        assert_eq!(owner(&writers, "1:q").as_deref(), Some("a"));
    }
}
