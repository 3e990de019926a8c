//! What a declared type says about a column's values.
//!
//! SQLite keeps a declaration as free text and enforces next to nothing, so this is only the
//! default: every column is flexible and can be read as another type.

use crate::data::column::ColumnType;

/// The type that a declaration stands for; text where it says nothing.
pub(super) fn column_type(declared: &str) -> ColumnType {
    let declared = declared.trim().to_ascii_lowercase();
    let (name, limits) = match declared.split_once('(') {
        Some((name, rest)) => (name.trim_end(), rest.split(')').next().unwrap_or_default()),
        None => (declared.as_str(), ""),
    };
    let first = name.split_ascii_whitespace().next().unwrap_or_default();
    match first {
        "bool" | "boolean" => ColumnType::Bool,
        "date" => ColumnType::Date,
        "time" => ColumnType::Time { digits: 6 },
        "timestamptz" => ColumnType::INSTANT,
        "datetime" | "timestamp" => ColumnType::Timestamp {
            digits: 6,
            zoned: declared.contains("with time zone"),
        },
        "interval" => ColumnType::Interval,
        "uuid" => ColumnType::Uuid,
        "json" => ColumnType::Json { binary: false },
        "jsonb" => ColumnType::Json { binary: true },
        "numeric" | "decimal" | "dec" => numeric(limits),
        "bytea" | "binary" | "varbinary" => ColumnType::Bytes,
        _ => by_affinity(name),
    }
}

fn numeric(limits: &str) -> ColumnType {
    let mut parts = limits.split(',').map(|part| part.trim().parse::<u16>().ok());
    let limits = match (parts.next().flatten(), parts.next()) {
        (Some(precision), None) => Some((precision, 0)),
        (Some(precision), Some(Some(scale))) => i16::try_from(scale).ok().map(|scale| (precision, scale)),
        _ => None,
    };
    ColumnType::numeric(limits).unwrap_or(ColumnType::Numeric { limits: None })
}

/// SQLite's own rules, in its order.
fn by_affinity(name: &str) -> ColumnType {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["char", "clob", "text"]) {
        ColumnType::TEXT
    } else if has(&["blob"]) {
        ColumnType::Bytes
    } else if has(&["real", "floa", "doub"]) {
        ColumnType::Float64
    } else if name.split_ascii_whitespace().any(is_integer) {
        ColumnType::Int64
    } else {
        ColumnType::TEXT
    }
}

/// `int`, `bigint`, `int8`, … but not `point`, which SQLite takes for an integer as well.
fn is_integer(word: &str) -> bool {
    word.trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches("eger")
        .strip_suffix("int")
        .is_some_and(|size| matches!(size, "" | "big" | "small" | "tiny" | "medium"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_as_people_write_them() {
        for (declared, expected) in [
            ("INTEGER", "bigint"),
            ("int", "bigint"),
            ("unsigned big int", "bigint"),
            ("INT8", "bigint"),
            ("smallint", "bigint"),
            ("TINYINT(1)", "bigint"),
            ("POINT", "text"),
            ("REAL", "double precision"),
            ("DOUBLE PRECISION", "double precision"),
            ("float", "double precision"),
            ("TEXT", "text"),
            ("VARCHAR(50)", "text"),
            ("character varying (20)", "text"),
            ("nchar(5)", "text"),
            ("CLOB", "text"),
            ("BLOB", "bytea"),
            ("BOOLEAN", "boolean"),
            ("DATE", "date"),
            ("DATE TEXT", "date"),
            ("datetime", "timestamp"),
            ("TIMESTAMP", "timestamp"),
            ("timestamp with time zone", "timestamptz"),
            ("timestamptz", "timestamptz"),
            ("time", "time"),
            ("interval", "interval"),
            ("NUMERIC", "numeric"),
            ("decimal(10, 2)", "numeric(10,2)"),
            ("NUMERIC TEXT(20,4)", "numeric(20,4)"),
            ("numeric(7)", "numeric(7,0)"),
            ("numeric(x)", "numeric"),
            ("JSON", "json"),
            ("JSONB", "jsonb"),
            ("UUID", "uuid"),
            ("STRING", "text"),
            ("", "text"),
        ] {
            assert_eq!(column_type(declared).to_string(), expected, "{declared}");
        }
    }
}
