//! What a stream says of its target: a table with a list of key columns, or keys with a pattern.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::key::KeyEntry;
use super::table_ref;
use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, Place};
use crate::data::keyed::{Collision, Expiry, KeyType, Layout, Moments, Pattern};
use crate::data::stream::{Consistency, Triggers};
use crate::data::table::TableName;
use crate::mapping::Located;
use crate::mapping::keyed::{Keyed, UNITS};
use crate::mapping::stream::{TableRef, connection_alone};

/// Longest time to live: a hundred years.
const TTL_MILLISECONDS_MAX: u64 = 36_525 * 86_400_000;

/// All that a stream says of its target beside `to` and `key`.
pub(super) struct Options {
    pub(super) key_type: Option<Marked<KeyType>>,
    pub(super) value: Option<Marked<Vec<Marked<String>>>>,
    pub(super) score: Option<Marked<String>>,
    pub(super) ttl: Option<Marked<String>>,
    pub(super) expires_at: Option<Marked<String>>,
    pub(super) moments: Option<Marked<Moments>>,
    pub(super) on_collision: Option<Marked<Collision>>,
    pub(super) triggers: Option<Marked<Triggers>>,
    pub(super) consistency: Option<Located<Consistency>>,
    pub(super) same_name_columns: Option<Located<bool>>,
    pub(super) allow_precision_loss: Vec<Located<String>>,
}

/// Where a stream writes.
pub(super) struct Target {
    pub(super) to: Located<TableRef>,
    pub(super) key: Vec<Located<String>>,
    pub(super) keyed: Option<Keyed>,
    /// When rows of a table expire.
    pub(super) expires_at: Option<Located<String>>,
}

/// The target of a stream, from `to` and `key` as far as they are there.
pub(super) fn target(
    reader: &mut Reader,
    to: Option<Located<String>>,
    key: Option<Located<KeyEntry>>,
    options: Options,
    columns: &[(Located<String>, Located<String>)],
    (span, owner): (&Range<usize>, &str),
) -> Option<Target> {
    let Some(key) = key else {
        // That it is missing is told; which of both is meant is not known.
        if let Some(to) = to.filter(|to| connection_alone(&to.value).is_none()) {
            table_ref(reader, to);
        }
        return None;
    };
    match key.value {
        KeyEntry::Columns(list) => {
            refuse_of_keys(reader, &options);
            let to = table(reader, to?)?;
            let key = list.into_iter().map(|column| reader.locate(column)).collect();
            Some(Target {
                to,
                key,
                keyed: None,
                expires_at: options.expires_at.map(|column| reader.locate(column)),
            })
        }
        KeyEntry::Pattern(text) => {
            let pattern = Located {
                value: text,
                place: key.place,
            };
            let connection = to.map(|to| connection(reader, &to, &pattern));
            refuse_of_tables(reader, &options);
            let keyed = keyed(reader, pattern, options, columns, (span, owner));
            let connection = connection??;
            let keyed = keyed?;
            Some(Target {
                to: Located {
                    value: TableRef {
                        connection: connection.value,
                        table: TableName::new(&keyed.pattern.value),
                    },
                    place: connection.place,
                },
                key: key_columns(&keyed, columns),
                keyed: Some(keyed),
                expires_at: None,
            })
        }
    }
}

fn table(reader: &mut Reader, to: Located<String>) -> Option<Located<TableRef>> {
    if connection_alone(&to.value).is_none() {
        return table_ref(reader, to);
    }
    reader.findings.push(
        Finding::error(
            "mapping::table_name",
            Some(to.place),
            "this is a connection, and a list of key columns is for a table",
        )
        .label("which table?")
        .help("connection.table or connection.schema.table; or, to write keys of a key-value store, key = \"user:{id}\""),
    );
    None
}

fn connection(reader: &mut Reader, to: &Located<String>, pattern: &Located<String>) -> Option<Located<String>> {
    let place = to.place.clone();
    if let Some(value) = connection_alone(&to.value) {
        return Some(Located { value, place });
    }
    reader.findings.push(match TableRef::parse(&to.value) {
        Some(table) => Finding::error(
            "mapping::key_of_a_table",
            Some(pattern.place.clone()),
            format!("{table} is a table, whose key is a list of columns"),
        )
        .label("a text")
        .help(format!(
            "key = [\"id\"]; or, to write keys of a key-value store, to = \"{}\"",
            table.connection
        )),
        None => Finding::error(
            "mapping::table_name",
            Some(place),
            "this is not the name of a connection".to_owned(),
        )
        .label("not a connection")
        .help("where `key` is a text, `to` is a connection alone: to = \"redis\""),
    });
    None
}

/// What only streams that write keys have.
fn refuse_of_keys(reader: &mut Reader, options: &Options) {
    let places = [
        ("type", options.key_type.as_ref().map(Marked::span)),
        ("value", options.value.as_ref().map(Marked::span)),
        ("score", options.score.as_ref().map(Marked::span)),
        ("ttl", options.ttl.as_ref().map(Marked::span)),
        ("moments", options.moments.as_ref().map(Marked::span)),
        ("on_collision", options.on_collision.as_ref().map(Marked::span)),
    ];
    for (name, span) in places {
        if let Some(span) = span {
            let place = reader.place(span);
            reader.findings.push(
                Finding::error("mapping::not_of_a_table", Some(place), format!("a table has no `{name}`"))
                    .label("for keys alone")
                    .help("leave it out; or, to write keys of a key-value store, key = \"user:{id}\" and to = \"redis\""),
            );
        }
    }
}

/// What only streams that write tables have.
fn refuse_of_tables(reader: &mut Reader, options: &Options) {
    let triggers = options.triggers.as_ref().map(|triggers| reader.place(triggers.span()));
    let consistency = options.consistency.clone();
    let mut refuse = |place: Place, message: &str, help: &str| {
        reader.findings.push(
            Finding::error("mapping::not_of_keys", Some(place), message)
                .label("for tables alone")
                .help(help),
        );
    };
    if let Some(flag) = options.same_name_columns.as_ref().filter(|flag| flag.value) {
        let help = "a key has no columns of its own: name them in [stream.columns]";
        refuse(
            flag.place.clone(),
            "keys have no columns to be taken over by their names",
            help,
        );
    }
    if let Some(first) = options.allow_precision_loss.first() {
        let help = "leave it out: every value is written with all its digits";
        refuse(first.place.clone(), "values of keys lose no precision", help);
    }
    if let Some(place) = triggers {
        refuse(place, "keys have no triggers", "leave it out");
    }
    if let Some(consistency) = consistency {
        refuse(
            consistency.place,
            "keys are not written to several replicas at once",
            "leave it out",
        );
    }
}

fn keyed(
    reader: &mut Reader,
    pattern: Located<String>,
    options: Options,
    columns: &[(Located<String>, Located<String>)],
    (span, owner): (&Range<usize>, &str),
) -> Option<Keyed> {
    let parsed = Pattern::parse(&pattern.value).map_err(|fault| {
        reader.findings.push(
            Finding::error(
                "mapping::pattern",
                Some(pattern.inside(&fault.range)),
                format!("this is no pattern of keys: {}", fault.why),
            )
            .help("such as \"user:{id}:profile\"; a brace that is meant as such is written twice: {{ and }}"),
        );
    });
    let key_type = reader.required(options.key_type, span, owner, "type = \"hash\"");
    let expiry = expiry(reader, options.ttl, options.expires_at.as_ref());
    let expires_at = options.expires_at.map(|column| reader.locate(column));
    let score = options.score.map(|column| reader.locate(column));
    let values = options.value.map(|list| {
        let list = reader.locate(list);
        Located {
            value: list.value.into_iter().map(|column| reader.locate(column)).collect::<Vec<_>>(),
            place: list.place,
        }
    });
    let collision = options.on_collision.map(|collision| reader.locate(collision));
    let parsed = parsed.ok()?;
    let chosen = match &values {
        Some(list) => list.value.iter().map(|column| column.value.clone()).collect(),
        None => left(&parsed, columns, [&score, &expires_at]),
    };
    let layout = Layout {
        pattern: parsed,
        key_type: key_type?.value,
        values: chosen,
        score: score.as_ref().map(|column| column.value.clone()),
        expiry: expiry.ok()?,
        moments: options.moments.map(Marked::into_inner).unwrap_or_default(),
        collision: collision.as_ref().map(|collision| collision.value).unwrap_or_default(),
    };
    Some(Keyed {
        layout: Arc::new(layout),
        pattern,
        values,
        score,
        expires_at,
        collision,
    })
}

/// Columns that are neither placeholders nor used beside.
fn left(pattern: &Pattern, columns: &[(Located<String>, Located<String>)], beside: [&Option<Located<String>>; 2]) -> Vec<String> {
    let is_used = |column: &String| {
        pattern.columns().any(|part| part == column) || beside.into_iter().flatten().any(|used| used.value == *column)
    };
    let names = columns.iter().map(|(name, _)| &name.value);
    names.filter(|name| !is_used(name)).cloned().collect()
}

/// When keys expire; an error where what is said of it is no good, which is told.
fn expiry(reader: &mut Reader, ttl: Option<Marked<String>>, expires_at: Option<&Marked<String>>) -> Result<Option<Expiry>, ()> {
    let column = || expires_at.map(|column| Expiry::At(column.get().clone()));
    let Some(ttl) = ttl else { return Ok(column()) };
    let ttl = reader.locate(ttl);
    if expires_at.is_some() {
        reader.findings.push(
            Finding::error(
                "mapping::expiry",
                Some(ttl.place),
                "a key expires after a time (`ttl`) or at the moment of a column (`expires_at`), not both",
            )
            .label("one of two"),
        );
        return Err(());
    }
    let after = time_to_live(&ttl.value).map_err(|why| {
        reader.findings.push(
            Finding::error("mapping::ttl", Some(ttl.place), format!("this is no time to live: {why}"))
                .label("not a time")
                .help("a whole number and one unit (ms, s, m, h, d), such as \"24h\""),
        );
    })?;
    Ok(Some(Expiry::After(after)))
}

fn time_to_live(text: &str) -> Result<Duration, &'static str> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err("it begins with no number");
    }
    let (_, length) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or("it does not end in one unit")?;
    let milliseconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(*length));
    match milliseconds {
        Some(0) => Err("it is none at all"),
        Some(milliseconds @ ..=TTL_MILLISECONDS_MAX) => Ok(Duration::from_millis(milliseconds)),
        _ => Err("it is longer than a hundred years"),
    }
}

/// Columns that tell rows apart, each with the place where the mapping says so.
fn key_columns(keyed: &Keyed, columns: &[(Located<String>, Located<String>)]) -> Vec<Located<String>> {
    let placed = |name: String| {
        let listed = keyed.values.iter().flat_map(|list| &list.value);
        let place = if keyed.layout.pattern.columns().any(|column| column == name) {
            keyed.placeholder(&name)
        } else {
            let mut named = listed.chain(columns.iter().map(|(name, _)| name));
            let found = named.find(|column| column.value == name);
            found.map_or_else(|| keyed.pattern.place.clone(), |column| column.place.clone())
        };
        Located { value: name, place }
    };
    keyed.layout.key_columns().into_iter().map(placed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_one_number_of_one_unit() {
        let milliseconds = |text| time_to_live(text).map(|after| after.as_millis());
        for (text, expected) in [
            ("1ms", 1),
            ("90s", 90_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            ("36525d", u128::from(TTL_MILLISECONDS_MAX)),
        ] {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "h",
            "24",
            "24 h",
            "1h30m",
            "1.5h",
            "-1h",
            "+1h",
            "0s",
            "1H",
            "1w",
            "36526d",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
