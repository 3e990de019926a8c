//! A document's partition key: found by the container's paths, written as the service writes it.

use std::borrow::Cow;

use azure_data_cosmos::PartitionKey;
use azure_data_cosmos::models::PartitionKeyValue;
use serde_json::Value;
use serde_json::value::RawValue;

use super::head;
use crate::{Error, ErrorKind};

/// Paths of a container's partition key, each as names from the document's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paths {
    paths: Vec<Vec<String>>,
    roots: Vec<String>,
}

impl Paths {
    /// Reads paths such as `/tenant/id` and `/"a name"`.
    pub(super) fn parse<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let paths: Vec<_> = paths.into_iter().map(names).collect();
        let roots = paths.iter().map(|path| path.first().cloned().unwrap_or_default());
        Self {
            roots: roots.collect(),
            paths,
        }
    }

    /// Names of the members of a document's root that its key is in, one for each path.
    pub(super) fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Writes the text of a key over `key`: a JSON list with a value for each path, `{}` where the
    /// document has none. `members` are those of [`Self::roots`].
    ///
    /// # Errors
    /// Where a member is not JSON.
    pub(super) fn key(&self, members: &[Option<&RawValue>], key: &mut String) -> serde_json::Result<()> {
        key.clear();
        key.push('[');
        for (i, (path, member)) in self.paths.iter().zip(members).enumerate() {
            if i > 0 {
                key.push(',');
            }
            let found = member.map(|member| find(member, path.get(1..).unwrap_or_default()));
            let found = found.transpose()?.flatten().map(RawValue::get);
            // Objects and lists are no keys.
            let scalar = found.filter(|value| !value.starts_with(['{', '[']));
            key.push_str(&scalar.map_or(Ok(Cow::Borrowed("{}")), canonical)?);
        }
        key.push(']');
        Ok(())
    }

    /// Names of the first path, which a subject's key is compared with.
    pub(super) fn first(&self) -> Option<&[String]> {
        self.paths.first().map(Vec::as_slice)
    }
}

/// One spelling for one key: documents that differ in nothing but that are of one partition.
fn canonical(value: &str) -> serde_json::Result<Cow<'_, str>> {
    Ok(match value.as_bytes() {
        [b'"', ..] if value.contains('\\') => Cow::Owned(Value::String(serde_json::from_str(value)?).to_string()),
        [b'-' | b'0'..=b'9', ..] => Cow::Owned(number(serde_json::from_str(value)?)),
        _ => Cow::Borrowed(value),
    })
}

/// The service keeps keys as doubles, and -0 as 0.
fn number(key: f64) -> String {
    // Adding 0 makes 0 of -0. Rust writes the shortest text that stands for the double, and none
    // with an exponent.
    format!("{}", key + 0.0)
}

/// The value at a path of names below another.
fn find<'a>(value: &'a RawValue, path: &[String]) -> serde_json::Result<Option<&'a RawValue>> {
    let mut found = value;
    for name in path {
        if !found.get().starts_with('{') {
            return Ok(None);
        }
        match head::members(found.get(), std::slice::from_ref(name))?.first() {
            Some(Some(member)) => found = member,
            _ => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn names(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some(after) = rest.strip_prefix('/') {
        if let Some((name, after)) = after.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            names.push(name.to_owned());
            rest = after;
        } else {
            let end = after.find('/').unwrap_or(after.len());
            names.push(after[..end].to_owned());
            rest = &after[end..];
        }
    }
    names
}

/// The key that a text of [`Paths::key`] stands for.
pub(super) fn parse(text: &str) -> crate::Result<PartitionKey> {
    let unreadable = || Error::new(ErrorKind::Checkpoint, "a recorded partition key is not one");
    let values: Vec<Value> = serde_json::from_str(text).map_err(|_| unreadable())?;
    let values = values.into_iter().map(|value| match value {
        Value::Null => Some(PartitionKeyValue::NULL),
        Value::Bool(value) => Some(PartitionKeyValue::from(value)),
        Value::String(value) => Some(PartitionKeyValue::from(value)),
        // The service keeps keys as doubles; what it has sent comes back as the same double.
        Value::Number(number) => number.as_f64().and_then(|number| PartitionKeyValue::try_from(number).ok()),
        Value::Object(empty) if empty.is_empty() => Some(PartitionKeyValue::UNDEFINED),
        Value::Object(_) | Value::Array(_) => None,
    });
    let values: Vec<PartitionKeyValue> = values.collect::<Option<_>>().ok_or_else(unreadable)?;
    PartitionKey::try_from(values).map_err(|_| unreadable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(paths: &[&str], document: &str) -> String {
        let paths = Paths::parse(paths.iter().copied());
        let members = head::members(document, paths.roots()).expect("a document");
        let mut key = String::new();
        paths.key(&members, &mut key).expect("a key");
        key
    }

    #[test]
    fn a_key_is_found_by_its_paths() {
        let document = r#"{"x": {"pubkey": 1}, "pubkey": "ab", "tenant": {"id": 7.50}, "a name": null, "list": [1]}"#;
        let of = |paths: &[&str]| key(paths, document);
        assert_eq!(of(&["/pubkey"]), r#"["ab"]"#);
        assert_eq!(of(&["/tenant/id", "/pubkey"]), r#"[7.5,"ab"]"#);
        assert_eq!(of(&["/\"a name\""]), "[null]");
        assert_eq!(of(&["/nothing"]), "[{}]");
        assert_eq!(of(&["/list"]), "[{}]");
    }

    #[test]
    fn one_key_has_one_spelling() {
        for (value, spelling) in [
            ("7", "7"),
            ("7.0", "7"),
            ("7e0", "7"),
            ("-0.0", "0"),
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.1"),
            ("\"\\u00e9\"", "\"é\""),
            ("\"a\\\"b\"", "\"a\\\"b\""),
            ("\"a/b\"", "\"a/b\""),
            ("\"a\\/b\"", "\"a/b\""),
            ("true", "true"),
        ] {
            let document = format!("{{\"key\": {value}}}");
            let found = key(&["/key"], &document);
            assert_eq!(found, format!("[{spelling}]"), "{value}");
        }
    }

    #[test]
    fn a_text_is_a_key_again() {
        for text in [r#"["ab"]"#, r#"[7,"ab"]"#, "[null]", "[{}]", "[true]"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["", "{}", r#"[{"a":1}]"#, "[[1]]"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
