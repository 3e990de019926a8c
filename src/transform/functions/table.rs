//! The table of all functions: what they are called, what they take and give, and what they do.

use super::arguments::{Answer, Argument, Parameter};
use super::{bucket, identity, json, scalar};
use crate::data::column::ColumnType;

/// What a reader has to know of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// Name in a mapping.
    pub name: &'static str,
    /// Parameters and result.
    pub signature: &'static str,
    /// One line.
    pub about: &'static str,
    /// A call.
    pub example: &'static str,
    /// What the call gives, as text.
    pub gives: &'static str,
}

/// Whether an answer may be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Null {
    Never,
    /// Where an argument may be.
    Inherited,
    Always,
}

/// What is looked at before any row: the place of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    None,
    /// A path into a document, checked where it is a constant.
    Path(usize),
    /// A whole number of days, which has to be written out.
    Days(usize),
}

pub(super) struct Entry {
    pub(super) reference: Reference,
    pub(super) parameters: &'static [Parameter],
    /// The parameters come once or more often.
    pub(super) repeated: bool,
    pub(super) returns: ColumnType,
    pub(super) null: Null,
    pub(super) constant: Constant,
    pub(super) run: fn(&[Argument], usize) -> Answer,
}

pub(super) const JSON: ColumnType = ColumnType::Json { binary: false };

/// All functions, in the order of the documentation.
pub(super) static ENTRIES: [Entry; 12] = [
    Entry {
        reference: Reference {
            name: "uuid_v5",
            signature: "uuid_v5(namespace text or uuid, name text) -> uuid",
            about: "The UUID (RFC 9562, version 5) of a name: the same for the same name, in every table and run. The namespace is a UUID, or any other text, which stands for a namespace of its own.",
            example: "uuid_v5('users', 'abc')",
            gives: "0300f1dd-6dc2-5c8c-a267-599e023213f9",
        },
        parameters: &[Parameter::TextOrUuid, Parameter::Text],
        repeated: false,
        returns: ColumnType::Uuid,
        null: Null::Inherited,
        constant: Constant::None,
        run: identity::uuid_v5,
    },
    Entry {
        reference: Reference {
            name: "nullif_empty",
            signature: "nullif_empty(text) -> text",
            about: "NULL instead of the empty text; any other text as it is, blanks too.",
            example: "nullif_empty('')",
            gives: "NULL",
        },
        parameters: &[Parameter::Text],
        repeated: false,
        returns: ColumnType::TEXT,
        null: Null::Always,
        constant: Constant::None,
        run: scalar::nullif_empty,
    },
    Entry {
        reference: Reference {
            name: "to_json",
            signature: "to_json(value) -> json",
            about: "The value as JSON: numbers with all their digits, text, UUIDs and times as strings, lists as arrays, json as it is (what `case` or `coalesce` picks counts as text: wrap it in parse_json). Bytes have no such form, NaN and infinity are errors of their row.",
            example: "to_json('say \"hi\"')",
            gives: r#""say \"hi\"""#,
        },
        parameters: &[Parameter::Value],
        repeated: false,
        returns: JSON,
        null: Null::Inherited,
        constant: Constant::None,
        run: json::to_json,
    },
    Entry {
        reference: Reference {
            name: "parse_json",
            signature: "parse_json(text) -> json",
            about: "A text that is JSON already, as json: to_json quotes it no more. Other text is an error of its row.",
            example: "parse_json('[1, 2.50]')",
            gives: "[1, 2.50]",
        },
        parameters: &[Parameter::Text],
        repeated: false,
        returns: JSON,
        null: Null::Inherited,
        constant: Constant::None,
        run: json::parse_json,
    },
    Entry {
        reference: Reference {
            name: "json_object",
            signature: "json_object(key text, value, ...) -> json",
            about: "An object of keys and values, each as to_json gives it; a NULL value is null. A NULL key, or the same key twice, is an error of its row.",
            example: "json_object('x', 1.50, 'y', NULL)",
            gives: r#"{"x":1.50,"y":null}"#,
        },
        parameters: &[Parameter::Text, Parameter::Value],
        repeated: true,
        returns: JSON,
        null: Null::Never,
        constant: Constant::None,
        run: json::json_object,
    },
    Entry {
        reference: Reference {
            name: "json_array",
            signature: "json_array(value, ...) -> json",
            about: "An array of values, each as to_json gives it; a NULL value is null.",
            example: "json_array(1, 'a', true)",
            gives: r#"[1,"a",true]"#,
        },
        parameters: &[Parameter::Value],
        repeated: true,
        returns: JSON,
        null: Null::Never,
        constant: Constant::None,
        run: json::json_array,
    },
    Entry {
        reference: Reference {
            name: "json_get",
            signature: "json_get(json, path text) -> json",
            about: "The value at a path, spelt as it is in the document; NULL where there is none. A path is a JSON pointer (RFC 6901: '/a/0/b'), or a bare name for a member of the document itself.",
            example: r#"json_get('{"a": [10, 2.50]}', '/a/1')"#,
            gives: "2.50",
        },
        parameters: &[Parameter::Text, Parameter::Text],
        repeated: false,
        returns: JSON,
        null: Null::Always,
        constant: Constant::Path(1),
        run: json::json_get,
    },
    Entry {
        reference: Reference {
            name: "json_get_text",
            signature: "json_get_text(json, path text) -> text",
            about: "The value at a path (see json_get) as text: a string without its quotes, anything else as it is spelt. NULL for null and where there is none.",
            example: r#"json_get_text('{"name": "J\u00f6rg"}', 'name')"#,
            gives: "Jörg",
        },
        parameters: &[Parameter::Text, Parameter::Text],
        repeated: false,
        returns: ColumnType::TEXT,
        null: Null::Always,
        constant: Constant::Path(1),
        run: json::json_get_text,
    },
    Entry {
        reference: Reference {
            name: "timestamp_from_unix",
            signature: "timestamp_from_unix(seconds bigint) -> timestamptz",
            about: "The instant so many seconds after 1970-01-01 UTC.",
            example: "timestamp_from_unix(1709251199)",
            gives: "2024-02-29 23:59:59Z",
        },
        parameters: &[Parameter::Integer],
        repeated: false,
        returns: ColumnType::INSTANT,
        null: Null::Inherited,
        constant: Constant::None,
        run: scalar::from_seconds,
    },
    Entry {
        reference: Reference {
            name: "timestamp_from_unix_millis",
            signature: "timestamp_from_unix_millis(milliseconds bigint) -> timestamptz",
            about: "The instant so many milliseconds after 1970-01-01 UTC.",
            example: "timestamp_from_unix_millis(1709251199500)",
            gives: "2024-02-29 23:59:59.5Z",
        },
        parameters: &[Parameter::Integer],
        repeated: false,
        returns: ColumnType::INSTANT,
        null: Null::Inherited,
        constant: Constant::None,
        run: scalar::from_millis,
    },
    Entry {
        reference: Reference {
            name: "unix_millis",
            signature: "unix_millis(timestamptz) -> bigint",
            about: "Milliseconds from 1970-01-01 UTC to the instant. An instant that is finer than milliseconds is an error of its row.",
            example: "unix_millis(timestamptz '2024-02-29 23:59:59.5Z')",
            gives: "1709251199500",
        },
        parameters: &[Parameter::Instant],
        repeated: false,
        returns: ColumnType::Int64,
        null: Null::Inherited,
        constant: Constant::None,
        run: scalar::millis,
    },
    Entry {
        reference: Reference {
            name: "day_bucket",
            signature: "day_bucket(moment timestamp, timestamptz or date, days bigint) -> integer",
            about: "Whole periods of so many days from 1970-01-01 00:00 (UTC) to the moment, rounded down: moments before 1970 are in buckets below zero. The number of days is written out, 1 or more. Infinity is an error of its row.",
            example: "day_bucket(timestamptz '2024-02-29 23:59:59.5Z', 10)",
            gives: "1978",
        },
        parameters: &[Parameter::Moment, Parameter::Integer],
        repeated: false,
        returns: ColumnType::Int32,
        null: Null::Inherited,
        constant: Constant::Days(1),
        run: bucket::day_bucket,
    },
];
