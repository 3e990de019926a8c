//! Checks of streams that write keys: their patterns, what they say of the columns, and whether
//! the connections that streams write to take keys or tables.

use super::alone::repeated;
use crate::data::finding::{Finding, Place};
use crate::data::keyed::pattern::Piece;
use crate::data::keyed::{Collision, Expiry, KeyType, Pattern};
use crate::data::stream::OnConflict;
use crate::mapping::Stream;
use crate::mapping::keyed::Keyed;
use crate::mapping::stream::{Located, Project};

/// What the keys begin with that dbferry keeps its own records under.
const RESERVED: &str = "dbferry:";

fn error(code: &'static str, place: &Place, message: impl Into<String>) -> Finding {
    Finding::error(code, Some(place.clone()), message)
}

/// Checks of one stream that need no database.
pub(super) fn alone(stream: &Stream, findings: &mut Vec<Finding>) {
    let Some(keyed) = &stream.keyed else { return };
    columns(stream, keyed, findings);
    number_of_values(keyed, findings);
    score(keyed, findings);
    unused(stream, keyed, findings);
    let key_type = keyed.layout.key_type;
    if let Some(column) = keyed.expires_at.as_ref().filter(|_| key_type.gathers()) {
        findings.push(
            error(
                "mapping::expiry",
                &column.place,
                format!(
                    "a key of type {} gathers many rows, which cannot each say when it expires",
                    key_type.name()
                ),
            )
            .label("of one row")
            .help("give all of them one time to live: ttl = \"24h\""),
        );
    }
    if let Some(collision) = keyed.collision.as_ref().filter(|_| key_type.is_ordered()) {
        findings.push(
            error(
                "mapping::collision",
                &collision.place,
                format!(
                    "rows of a key of type {} never collide: all of them are kept, in order",
                    key_type.name()
                ),
            )
            .label("without effect")
            .help("leave it out"),
        );
    }
    let later_wins = |collision: &&Located<Collision>| collision.value == Collision::LaterWins && !key_type.is_ordered();
    if let Some(collision) = keyed.collision.as_ref().filter(later_wins)
        && stream.on_conflict != OnConflict::Update
    {
        findings.push(
            error(
                "mapping::collision",
                &collision.place,
                "the later row goes over what is there, which this stream's `on_conflict` does not let happen",
            )
            .label("over a key that is there")
            .help("on_conflict = \"update\""),
        );
    }
    if keyed.layout.pattern.may_begin_with(RESERVED) {
        findings.push(
            error(
                "mapping::reserved_key",
                &keyed.pattern.place,
                format!("its keys may begin with `{RESERVED}`, where dbferry keeps its own records"),
            )
            .label("might be one of them")
            .help("begin it with letters of its own, such as \"user:{id}\""),
        );
    }
}

/// All that is named is mapped.
fn columns(stream: &Stream, keyed: &Keyed, findings: &mut Vec<Finding>) {
    let mapped = || stream.columns.iter().map(|(name, _)| name.value.as_str());
    let mut told: Vec<&str> = Vec::new();
    for column in keyed.layout.pattern.columns() {
        if mapped().any(|name| name == column) || told.contains(&column) {
            continue;
        }
        told.push(column);
        findings.push(
            error(
                "mapping::key_without_expression",
                &keyed.placeholder(column),
                format!("placeholder `{column}` has no expression"),
            )
            .label("not in [stream.columns]")
            .help_nearest(column, mapped()),
        );
    }
    let values = keyed.values.iter().flat_map(|list| &list.value);
    let named = values.chain(&keyed.score).chain(&keyed.expires_at);
    for column in named.filter(|column| !mapped().any(|name| name == column.value)) {
        findings.push(
            error(
                "mapping::unmapped_column",
                &column.place,
                format!("column `{}` has no expression", column.value),
            )
            .label("not in [stream.columns]")
            .help_nearest(&column.value, mapped()),
        );
    }
    if let Some(list) = &keyed.values {
        for (index, column) in list.value.iter().enumerate() {
            repeated(&list.value[..index], column, findings);
        }
    }
}

fn number_of_values(keyed: &Keyed, findings: &mut Vec<Finding>) {
    let layout = &keyed.layout;
    let name = layout.key_type.name();
    let one = !matches!(layout.key_type, KeyType::Json | KeyType::Hash | KeyType::Stream);
    let place = keyed.values.as_ref().map_or(&keyed.pattern.place, |list| &list.place);
    let (message, help) = match layout.values.as_slice() {
        [] => (
            format!("a key of type {name} holds nothing here"),
            match keyed.values {
                Some(_) => "leave `value` out for all columns that are not in `key`, or name one".to_owned(),
                None => "every column is a placeholder, the score or the moment of expiry: name what is written, value = [\"…\"]"
                    .to_owned(),
            },
        ),
        [first, _, ..] if one => (
            format!("a key of type {name} holds one value, not {}", layout.values.len()),
            format!("name the one that is written, such as value = [\"{first}\"]; several fit into a hash or json"),
        ),
        _ => return,
    };
    findings.push(error("mapping::values", place, message).label("how many values?").help(help));
}

fn score(keyed: &Keyed, findings: &mut Vec<Finding>) {
    match (&keyed.score, keyed.layout.key_type) {
        (None, KeyType::Zset) => findings.push(
            error(
                "mapping::score",
                &keyed.pattern.place,
                "the members of a sorted set need a `score`",
            )
            .label("of type zset")
            .help("score = \"score\": the column with the number that they are sorted by"),
        ),
        (Some(column), other) if other != KeyType::Zset => findings.push(
            error(
                "mapping::score",
                &column.place,
                format!("a key of type {} has no score", other.name()),
            )
            .label("of a sorted set alone")
            .help("leave it out, or type = \"zset\""),
        ),
        _ => {}
    }
}

/// A column that is computed and then written nowhere is a mistake.
fn unused(stream: &Stream, keyed: &Keyed, findings: &mut Vec<Finding>) {
    let layout = &keyed.layout;
    for (name, _) in &stream.columns {
        let column = name.value.as_str();
        let moment = matches!(&layout.expiry, Some(Expiry::At(at)) if at == column);
        let written = layout.values.iter().any(|value| value == column)
            || layout.pattern.columns().any(|part| part == column)
            || layout.score.as_deref() == Some(column);
        if !written && !moment {
            findings.push(
                error(
                    "mapping::unused_column",
                    &name.place,
                    format!("column `{column}` is written nowhere"),
                )
                .label("neither in `key` nor in `value`")
                .help("add it to `value`, or leave it out"),
            );
        }
    }
}

/// Two streams into one connection keep to keys of their own (Invariant 3).
pub(super) fn writers(project: &Project, findings: &mut Vec<Finding>) {
    let streams: Vec<_> = project
        .streams
        .iter()
        .filter_map(|stream| Some((stream, stream.keyed.as_ref()?)))
        .collect();
    for (index, (stream, keyed)) in streams.iter().enumerate() {
        for (first, other) in &streams[..index] {
            let (pattern, before) = (&keyed.layout.pattern, &other.layout.pattern);
            let apart = stream.to.value.connection != first.to.value.connection || stream.name.value == first.name.value;
            if apart || !pattern.may_meet(before) {
                continue;
            }
            let (name, earlier) = (&stream.name.value, &first.name.value);
            findings.push(if shape(pattern) == shape(before) {
                error(
                    "mapping::two_writers",
                    &keyed.pattern.place,
                    format!("streams `{earlier}` and `{name}` write the same keys"),
                )
                .label(format!("`{earlier}` writes them too"))
                .help("give each its own keys, or gather the rows of both in one query")
            } else {
                Finding::warning(
                    "mapping::keys_may_meet",
                    Some(keyed.pattern.place.clone()),
                    format!("streams `{earlier}` and `{name}` may write the same key"),
                )
                .label(format!("{} of `{earlier}` may be one of these", other.pattern.value))
                .help("a literal that is different at its beginning keeps them apart")
            });
        }
    }
}

/// A pattern without the names of its placeholders.
fn shape(pattern: &Pattern) -> Vec<Option<&str>> {
    let pieces = pattern.pieces().iter();
    let shape = pieces.map(|piece| match piece {
        Piece::Literal(text) => Some(text.as_str()),
        Piece::Column(_) => None,
    });
    shape.collect()
}

/// Whether the connections that streams write to are of the right kind: tables go into databases,
/// keys into key-value stores. `kind` tells that of a connection that is known.
#[must_use]
pub fn kinds(project: &Project, kind: impl Fn(&str) -> Option<&'static str>) -> Vec<Finding> {
    let mut findings = super::backfill::kinds(project, &kind);
    for stream in &project.streams {
        findings.extend(unordered(stream, kind(stream.from.connection())));
        let connection = &stream.to.value.connection;
        let Some(kind) = kind(connection) else { continue };
        findings.extend(rows_of_cql(stream, kind).into_iter().chain(super::indexes::of(stream, kind)));
        let finding = match (&stream.keyed, kind == KEY_VALUE) {
            (Some(keyed), false) => error(
                "plan::target_kind",
                &keyed.pattern.place,
                format!("connection `{connection}` is of kind {kind}, which holds tables, not keys"),
            )
            .label("a pattern of keys")
            .help(format!("to = \"{connection}.table\" and a list of columns, key = [\"id\"]")),
            (None, true) => error(
                "plan::target_kind",
                &stream.to.place,
                format!("connection `{connection}` is of kind {kind}, which holds keys, not tables"),
            )
            .label("a table")
            .help(format!(
                "to = \"{connection}\" and a pattern of keys, such as key = \"{}:{{id}}\"",
                stream.to.value.table.name
            )),
            _ => continue,
        };
        findings.push(finding);
    }
    findings
}

/// Kind of connections that hold keys.
const KEY_VALUE: &str = "redis";
/// Kind of connections whose rows expire, and are written to as many replicas as a stream asks for.
const CQL: &str = "scylla";

/// A stream goes on after the last row that it has moved, in the order of a key.
fn unordered(stream: &Stream, kind: Option<&'static str>) -> Option<Finding> {
    let connection = stream.from.connection();
    (kind == Some(CQL)).then(|| {
        error(
            "plan::source_kind",
            stream.from.connection_place(),
            format!("connection `{connection}` is of kind {CQL}, which is written and verified, and never read by a stream"),
        )
        .label("rows of a CQL table have no order to go on in")
        .help("read from a connection of kind sqlite, pocketbase, postgres or cosmos")
    })
}

/// What only rows of a CQL table have.
fn rows_of_cql(stream: &Stream, kind: &str) -> Vec<Finding> {
    if kind == CQL {
        return Vec::new();
    }
    let consistency = stream.consistency.as_ref().filter(|_| stream.keyed.is_none());
    let places = [
        ("consistency", consistency.map(|consistency| &consistency.place)),
        ("expires_at", stream.expires_at.as_ref().map(|column| &column.place)),
    ];
    let given = places.into_iter().filter_map(|(name, place)| Some((name, place?)));
    let finding = |(name, place)| {
        error(
            "mapping::not_of_a_table",
            place,
            format!("a table of kind {kind} has no `{name}`"),
        )
        .label("for keys and CQL tables alone")
        .help("leave it out; or, to write keys of a key-value store, key = \"user:{id}\" and to = \"redis\"")
    };
    given.map(finding).collect()
}

/// Streams whose own keys might be taken for those of a rehearsal, whose keys begin with `prefix`.
#[must_use]
pub fn prefix(project: &Project, prefix: &str) -> Vec<Finding> {
    let keyed = project.streams.iter().filter_map(|stream| stream.keyed.as_ref());
    let meets = keyed.filter(|keyed| keyed.layout.pattern.may_begin_with(prefix));
    let finding = |keyed: &Keyed| {
        error(
            "mapping::prefix",
            &keyed.pattern.place,
            format!("keys of this stream may begin with `{prefix}` as they are, and could not be told from those of a rehearsal"),
        )
        .label("may begin so")
        .help("choose another --key-prefix")
    };
    meets.map(finding).collect()
}
