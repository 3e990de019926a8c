//! What a document says of itself, found by one look through its text: the service's own members,
//! and those that its partition key is in.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Members of a document's root.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) ts: i64,
    pub(super) etag: Cow<'a, str>,
    /// Those that were asked for, in the order of their names; `None` where there is none.
    pub(super) asked: Vec<Option<&'a RawValue>>,
}

impl<'a> Head<'a> {
    /// Reads a document; of several members of one name the last counts, as the service has it.
    ///
    /// # Errors
    /// Where it is none that the service has sent.
    pub(super) fn of(document: &'a str, asked: &[String]) -> serde_json::Result<Self> {
        let mut text = serde_json::Deserializer::from_str(document);
        let found = Look(asked).deserialize(&mut text)?;
        text.end()?;
        Ok(Head {
            id: found.id.ok_or_else(|| serde_json::Error::custom("no id"))?,
            ts: found.ts.ok_or_else(|| serde_json::Error::custom("no time"))?,
            etag: found.etag.ok_or_else(|| serde_json::Error::custom("no etag"))?,
            asked: found.asked,
        })
    }
}

/// The members of an object, by their names.
///
/// # Errors
/// Where the text is no object.
pub(super) fn members<'a>(object: &'a str, asked: &[String]) -> serde_json::Result<Vec<Option<&'a RawValue>>> {
    let found = Look(asked).deserialize(&mut serde_json::Deserializer::from_str(object))?;
    Ok(found.asked)
}

/// A text of the document itself, where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Default)]
struct Found<'a> {
    id: Option<Cow<'a, str>>,
    ts: Option<i64>,
    etag: Option<Cow<'a, str>>,
    asked: Vec<Option<&'a RawValue>>,
}

/// Looks for members and passes over all others.
struct Look<'n>(&'n [String]);

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Found {
            asked: vec![None; self.0.len()],
            ..Found::default()
        };
        while let Some(Text(name)) = members.next_key()? {
            let own = matches!(&*name, "id" | "_ts" | "_etag");
            if !own && !self.0.iter().any(|wanted| *wanted == name) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &'de RawValue = members.next_value()?;
            // What is not of its type is missing: a member of the document's own may have the name.
            match &*name {
                "id" => found.id = serde_json::from_str(value.get()).ok().map(|Text(text)| text),
                "_ts" => found.ts = serde_json::from_str(value.get()).ok(),
                "_etag" => found.etag = serde_json::from_str(value.get()).ok().map(|Text(text)| text),
                _ => {}
            }
            for (place, _) in self.0.iter().enumerate().filter(|(_, wanted)| **wanted == name) {
                found.asked[place] = Some(value);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_by_one_look() {
        let text = r#"{"a":{"id":"no"},"id":"x\"y","k":1,"_ts":7,"_etag":"e","k":2.50,"z":[{"id":1}]}"#;
        let head = Head::of(text, &["k", "id", "none"].map(str::to_owned)).expect("a document");
        assert_eq!((&*head.id, head.ts, &*head.etag), ("x\"y", 7, "e"));
        let asked: Vec<_> = head.asked.iter().map(|value| value.map(RawValue::get)).collect();
        assert_eq!(asked, [Some("2.50"), Some(r#""x\"y""#), None], "the last of a name counts");
    }

    #[test]
    fn what_the_service_does_not_send_is_no_document() {
        for text in [
            "[]",
            "{}",
            r#"{"id":"a","_ts":1}"#,
            r#"{"id":1,"_ts":1,"_etag":"e"}"#,
            r#"{"id":"a","_ts":1,"_etag":"e"} x"#,
        ] {
            assert!(Head::of(text, &[]).is_err(), "{text}");
        }
    }
}
