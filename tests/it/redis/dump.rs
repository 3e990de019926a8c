//! What a server holds, in a form in which two of them can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ::redis::{
    Connection, ConnectionLike as _, FromRedisValue as _, Pipeline, RedisResult, Value, cmd, from_redis_value_ref, pipe,
};

/// Keys of dbferry itself begin with it.
const OWN: &[u8] = b"dbferry:";

/// Keys that are asked about at once.
const PAGE: usize = 2_000;

/// Milliseconds of a minute.
const MINUTE: i64 = 60_000;

/// Minutes by which two times to live may be apart: a run that is killed often takes its time, and
/// what lives until a fixed moment has less left when it is looked at later.
const MINUTES_APART_MAX: u64 = 30;

/// All keys with what they hold.
pub(crate) type Dump = BTreeMap<Vec<u8>, Held>;

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Type as the server names it.
    pub(crate) kind: String,
    /// Its content.
    pub(crate) content: Content,
    /// Time to live in minutes that have begun; `None` where it lives for ever.
    pub(crate) minutes: Option<i64>,
}

/// Content of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Of a string.
    Bytes(Vec<u8>),
    /// Of a hash.
    Fields(BTreeMap<Vec<u8>, Vec<u8>>),
    /// Of a set.
    Members(BTreeSet<Vec<u8>>),
    /// Of a sorted set: members in its order, each with its score as the server writes it.
    Scores(Vec<(Vec<u8>, String)>),
    /// Of a list, in its order.
    Elements(Vec<Vec<u8>>),
    /// Of a stream: the fields of each entry, in its order. Its ids tell when it was written.
    Entries(Vec<Vec<Vec<u8>>>),
}

impl Content {
    /// A string's.
    pub(crate) fn bytes(text: &str) -> Self {
        Self::Bytes(text.into())
    }

    /// A hash's.
    pub(crate) fn fields(fields: &[(&str, &str)]) -> Self {
        Self::Fields(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    /// A sorted set's.
    pub(crate) fn scores(scores: &[(&str, &str)]) -> Self {
        Self::Scores(
            scores
                .iter()
                .map(|(member, score)| ((*member).into(), (*score).into()))
                .collect(),
        )
    }

    /// A list's.
    pub(crate) fn elements(elements: &[&str]) -> Self {
        Self::Elements(elements.iter().map(|element| (*element).into()).collect())
    }
}

impl Held {
    /// Whether another one holds the same, and lives about as long.
    fn is_like(&self, other: &Self) -> bool {
        let lives_as_long = match (self.minutes, other.minutes) {
            (Some(one), Some(other)) => one.abs_diff(other) <= MINUTES_APART_MAX,
            (one, other) => one == other,
        };
        lives_as_long && (&self.kind, &self.content) == (&other.kind, &other.content)
    }
}

/// Two dumps must be the same; what differs is named, the first few keys of it.
pub(crate) fn assert_same(found: &Dump, expected: &Dump) {
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let same = |key: &Vec<u8>| match (found.get(key), expected.get(key)) {
        (Some(found), Some(expected)) => found.is_like(expected),
        (found, expected) => found.is_none() && expected.is_none(),
    };
    let differing: Vec<_> = keys.into_iter().filter(|key| !same(key)).collect();
    let mut said = String::new();
    for key in differing.iter().take(5) {
        let of = |dump: &Dump| dump.get(*key).map_or_else(|| "not there".to_owned(), shown);
        let key_text = key.escape_ascii();
        write!(said, "\n{key_text}\n   found    {}\n   expected {}", of(found), of(expected)).expect("into a text");
    }
    assert!(
        differing.is_empty(),
        "{} keys differ, {} are there and {} expected:{said}",
        differing.len(),
        found.len(),
        expected.len()
    );
}

/// For people: bytes as far as they are text.
fn shown(held: &Held) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let pair = |(name, value): (&Vec<u8>, &str)| format!("{}={value}", text(name));
    let parts: Vec<String> = match &held.content {
        Content::Bytes(bytes) => vec![text(bytes)],
        Content::Fields(fields) => fields.iter().map(|(name, value)| pair((name, &text(value)))).collect(),
        Content::Members(members) => members.iter().map(|member| text(member)).collect(),
        Content::Scores(scores) => scores.iter().map(|(member, score)| pair((member, score))).collect(),
        Content::Elements(elements) => elements.iter().map(|element| text(element)).collect(),
        Content::Entries(entries) => entries.iter().map(|entry| text(&entry.join(&b' '))).collect(),
    };
    let mut line = format!(
        "{} ({:?} minutes), {} parts: {}",
        held.kind,
        held.minutes,
        parts.len(),
        parts.join(" ")
    );
    if let Some((end, _)) = line.char_indices().nth(600) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Everything in the database of a connection whose key begins with `prefix`, but dbferry's own.
pub(super) fn dump_of(connection: &mut Connection, prefix: &str) -> RedisResult<Dump> {
    let mut keys = BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let page: (String, Vec<Vec<u8>>) = cmd("SCAN").arg(&cursor).arg("COUNT").arg(PAGE).query(connection)?;
        let own = |key: &[u8]| key.strip_prefix(prefix.as_bytes()).is_none_or(|rest| rest.starts_with(OWN));
        keys.extend(page.1.into_iter().filter(|key| !own(key)));
        cursor = page.0;
        if cursor == "0" {
            break;
        }
    }
    let keys: Vec<Vec<u8>> = keys.into_iter().collect();
    let mut dump = Dump::new();
    for page in keys.chunks(PAGE) {
        let mut kinds = pipe();
        for key in page {
            kinds.cmd("TYPE").arg(key).cmd("PTTL").arg(key);
        }
        let kinds: Vec<(String, i64)> = answers(connection, &kinds)?
            .chunks(2)
            .map(|pair| Ok((from_redis_value_ref(&pair[0])?, from_redis_value_ref(&pair[1])?)))
            .collect::<RedisResult<_>>()?;
        // What has expired since it was found is not there.
        let living = || page.iter().zip(&kinds).filter(|(_, (kind, _))| kind != "none");
        let mut contents = pipe();
        for (key, (kind, _)) in living() {
            ask_for(&mut contents, kind, key);
        }
        let contents = answers(connection, &contents)?;
        for ((key, (kind, left)), content) in living().zip(&contents) {
            let held = Held {
                kind: kind.clone(),
                content: content_of(kind, content)?,
                minutes: (*left >= 0).then(|| left.saturating_add(MINUTE - 1) / MINUTE),
            };
            dump.insert(key[prefix.len()..].to_vec(), held);
        }
    }
    Ok(dump)
}

fn answers(connection: &mut Connection, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
    if pipeline.is_empty() {
        return Ok(Vec::new());
    }
    connection.req_packed_commands(&pipeline.get_packed_pipeline(), 0, pipeline.len())
}

fn ask_for(pipeline: &mut Pipeline, kind: &str, key: &[u8]) {
    match kind {
        "string" => pipeline.cmd("GET").arg(key),
        "hash" => pipeline.cmd("HGETALL").arg(key),
        "set" => pipeline.cmd("SMEMBERS").arg(key),
        "zset" => pipeline.cmd("ZRANGE").arg(key).arg("0").arg("-1").arg("WITHSCORES"),
        "list" => pipeline.cmd("LRANGE").arg(key).arg("0").arg("-1"),
        "stream" => pipeline.cmd("XRANGE").arg(key).arg("-").arg("+"),
        other => panic!("a key of type {other}"),
    };
}

fn content_of(kind: &str, content: &Value) -> RedisResult<Content> {
    let list = || Vec::<Vec<u8>>::from_redis_value_ref(content);
    Ok(match kind {
        "string" => Content::Bytes(from_redis_value_ref(content)?),
        "hash" => Content::Fields(from_redis_value_ref(content)?),
        "set" => Content::Members(list()?.into_iter().collect()),
        "zset" => Content::Scores(from_redis_value_ref(content)?),
        "list" => Content::Elements(list()?),
        _ => {
            let entries: Vec<(String, Vec<Vec<u8>>)> = from_redis_value_ref(content)?;
            Content::Entries(entries.into_iter().map(|(_, fields)| fields).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::server::Server;

    #[test]
    fn a_dump_has_every_type_in_its_order_and_how_long_it_lives() {
        let server = Server::start(&[]);
        let query = |words: &[&str]| drop(server.query::<Value>(words));
        query(&["SET", "s", "a\0b", "EX", "3600"]);
        query(&["HSET", "h", "b", "2", "a", "1"]);
        query(&["SADD", "set", "y", "x"]);
        query(&["ZADD", "z", "2", "low", "9007199254740992", "high", "2", "also"]);
        query(&["RPUSH", "l", "one", "two", "one"]);
        query(&["XADD", "x", "*", "f", "1"]);
        query(&["XADD", "x", "*", "f", "2"]);
        query(&["SET", "dbferry:ledger", "not shown"]);
        server.query::<()>(&[&b"SET"[..], b"\xff{}", b"\xfe"]);
        let held = |kind: &str, content| Held {
            kind: kind.to_owned(),
            content,
            minutes: None,
        };
        let members = [&b"x"[..], b"y"].map(<[u8]>::to_vec).into_iter().collect();
        let entry = |value: &str| vec![b"f".to_vec(), value.into()];
        let expected: Dump = [
            (b"h".to_vec(), held("hash", Content::fields(&[("a", "1"), ("b", "2")]))),
            (b"l".to_vec(), held("list", Content::elements(&["one", "two", "one"]))),
            (
                b"s".to_vec(),
                Held {
                    minutes: Some(60),
                    ..held("string", Content::bytes("a\0b"))
                },
            ),
            (b"set".to_vec(), held("set", Content::Members(members))),
            (b"x".to_vec(), held("stream", Content::Entries(vec![entry("1"), entry("2")]))),
            (
                b"z".to_vec(),
                held(
                    "zset",
                    Content::scores(&[("also", "2"), ("low", "2"), ("high", "9007199254740992")]),
                ),
            ),
            (b"\xff{}".to_vec(), held("string", Content::Bytes(vec![0xfe]))),
        ]
        .into_iter()
        .collect();
        assert_same(&server.dump(), &expected);
    }

    #[test]
    fn a_dump_of_a_rehearsal_has_its_prefix_left_out() {
        let server = Server::start(&[]);
        for key in ["r:a", "r:dbferry:x", "a", "dbferry:x", "rx"] {
            server.query::<()>(&["SET", key, "1"]);
        }
        let keys = |dump: Dump| dump.into_keys().collect::<Vec<_>>();
        assert_eq!(keys(server.dump_behind("r:")), [b"a"]);
        assert_eq!(keys(server.dump()), [&b"a"[..], b"r:a", b"r:dbferry:x", b"rx"]);
    }

    #[test]
    fn a_dump_of_many_keys_has_them_all() {
        let server = Server::start(&[]);
        let mut pipeline = pipe();
        for number in 0..12_345 {
            pipeline.cmd("SET").arg(format!("k{number}")).arg(number).ignore();
        }
        pipeline
            .query::<()>(&mut server.connect().expect("a connection"))
            .expect("written");
        assert_eq!(server.dump().len(), 12_345);
    }
}
