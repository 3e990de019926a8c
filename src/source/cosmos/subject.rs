//! One subject's documents: all that carry its partition key, by one query.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use azure_data_cosmos::PartitionKey;
use azure_data_cosmos::feed::FeedScope;
use azure_data_cosmos::models::PartitionKeyValue;
use serde_json::value::RawValue;

use super::budget::Budget;
use super::container::Container;
use super::partition::Paths;
use super::query::{Pages, Wanted};
use crate::data::stream::Subject;
use crate::{Error, ErrorKind, Result};

/// Documents of one subject, kept for every stream that wants its own of them.
pub(super) type Documents = Arc<Vec<Box<RawValue>>>;

/// Bytes of one subject's documents that are kept in memory.
const BYTES_MAX: usize = 64 << 20;
/// Longest time without any page, as whole streams have it where nothing else is said.
const PATIENCE: Duration = Duration::from_mins(2);
/// Documents in a page.
const PAGE: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// What the key that a user gives is in the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bool,
}

/// The kind of key that a condition compares with: `<field> = $key` for text, `<field> =
/// cast($key as bigint)` for numbers, `… as boolean)` for booleans, the field being the partition
/// key, or its first part. Anything else would read the whole container.
fn kind(paths: &Paths, condition: &str) -> Result<Kind> {
    let wanted = paths.first().unwrap_or_default().join(".");
    let kind = condition
        .trim()
        .strip_prefix(wanted.as_str())
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|compared| kind_of(compared.trim()));
    kind.ok_or_else(|| {
        Error::new(
            ErrorKind::Mapping,
            "a subject's documents are found by the partition key of their container, and by nothing else",
        )
        .hint(format!(
            "write `{wanted} = $key`, or `{wanted} = cast($key as numeric)` where the documents hold numbers"
        ))
    })
}

fn kind_of(compared: &str) -> Option<Kind> {
    if compared == "$key" {
        return Some(Kind::Text);
    }
    let inside = compared.to_ascii_lowercase();
    let inside = inside
        .strip_prefix("cast")?
        .trim_start()
        .strip_prefix('(')?
        .strip_suffix(')')?;
    let mut words = inside.split_whitespace();
    if (words.next(), words.next()) != (Some("$key"), Some("as")) {
        return None;
    }
    match words.collect::<Vec<_>>().join(" ").as_str() {
        "text" => Some(Kind::Text),
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => Some(Kind::Number),
        "boolean" => Some(Kind::Bool),
        _ => None,
    }
}

/// Checks a condition.
///
/// # Errors
/// [`ErrorKind::Mapping`] where it is not about the partition key.
pub(super) fn check(container: &Container, condition: &str) -> Result<()> {
    kind(&container.paths, condition).map(drop)
}

/// The partition key of a subject; of one with several parts the first.
fn partition_key(kind: Kind, key: &str) -> Result<PartitionKey> {
    // What it is stays with whoever asked (Invariant 9).
    let unfit = |what: &str| {
        Error::new(ErrorKind::Usage, format!("the key given is no {what}"))
            .hint("the mapping's `subject` says what the documents hold")
    };
    Ok(match kind {
        Kind::Text => PartitionKey::from(key.to_owned()),
        Kind::Number => {
            let number = key.parse::<f64>().map_err(|_| unfit("number"))?;
            // The service keeps keys as doubles: of a whole number that is none it would find the
            // neighbour's documents.
            if key
                .parse::<i128>()
                .is_ok_and(|whole| format!("{:.0}", number + 0.0) != whole.to_string())
            {
                return Err(unfit("number that the service can tell from its neighbours"));
            }
            PartitionKey::from(PartitionKeyValue::try_from(number).map_err(|_| unfit("number"))?)
        }
        Kind::Bool => PartitionKey::from(key.parse::<bool>().map_err(|_| unfit("boolean (`true` or `false`)"))?),
    })
}

/// Reads all documents of a subject.
///
/// # Errors
/// [`ErrorKind::Full`] where they do not fit into memory.
pub(super) async fn fetch(container: &Container, budget: &Budget, subject: &Subject) -> Result<Documents> {
    let kind = kind(&container.paths, &subject.condition)?;
    let scope = FeedScope::partition(partition_key(kind, &subject.key)?);
    let mut pages = Pages::new(container, budget, (Wanted::Documents, scope), PAGE, None, PATIENCE);
    let (mut documents, mut bytes) = (Vec::new(), 0);
    while let Some(page) = pages.next().await? {
        bytes += page.documents.iter().map(|document| document.get().len()).sum::<usize>();
        if bytes > BYTES_MAX {
            return Err(
                Error::new(ErrorKind::Full, "the subject has more documents than fit into memory")
                    .hint("move the streams as a whole"),
            );
        }
        documents.extend(page.documents);
    }
    Ok(Arc::new(documents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_about_the_partition_key_or_it_is_none() {
        let of = |paths: &[&str], condition: &str| kind(&Paths::parse(paths.iter().copied()), condition).ok();
        for (condition, expected) in [
            ("pubkey = $key", Some(Kind::Text)),
            (" pubkey=$key ", Some(Kind::Text)),
            ("pubkey = cast($key as text)", Some(Kind::Text)),
            ("pubkey = CAST( $key AS double precision )", Some(Kind::Number)),
            ("pubkey = cast($key as boolean)", Some(Kind::Bool)),
            ("pubkey = cast($key as uuid)", None),
            ("pubkeys = $key", None),
            ("id = $key", None),
            ("pubkey = $key or true", None),
            ("pubkey <> $key", None),
        ] {
            assert_eq!(of(&["/pubkey"], condition), expected, "{condition}");
        }
        assert_eq!(of(&["/tenant", "/user"], "tenant = $key"), Some(Kind::Text));
        assert_eq!(of(&["/tenant", "/user"], "user = $key"), None);
        assert_eq!(of(&["/a/b"], "a.b = $key"), Some(Kind::Text));
        assert_eq!(of(&["/\"a name\""], "a name = $key"), Some(Kind::Text));
    }

    #[test]
    fn a_key_that_cannot_be_meant_is_told() {
        for key in ["1e3", "-7", "-0", "0.1", "9007199254740992", "+12"] {
            assert!(partition_key(Kind::Number, key).is_ok(), "{key}");
        }
        for (kind, key) in [
            (Kind::Number, "x"),
            (Kind::Number, "NaN"),
            (Kind::Number, "9007199254740993"),
            (Kind::Bool, "yes"),
        ] {
            let error = partition_key(kind, key).expect_err(key);
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.message().contains(key), "{error}");
        }
    }
}
