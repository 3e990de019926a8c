//! Declared types: what a column's declaration means, and what SQLite does to what is stored in
//! it.
//!
//! SQLite lets a column be declared with any words. Here the first word (or a name of several
//! words, such as `double precision`) is the meaning and a last word `TEXT` makes SQLite keep
//! text as it is: `UUID TEXT`, `JSON TEXT`, `NUMERIC TEXT(20,4)`, `TIMESTAMP TEXT`. SQLite
//! itself only looks for parts of words, from which it derives the [`Affinity`].

use crate::data::column::ColumnType;

/// What SQLite turns values into when it stores them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Numbers become text.
    Text,
    /// Text that looks like a number becomes one (`INTEGER` and `NUMERIC`).
    Numeric,
    /// As `Numeric`, and integers become floating-point numbers.
    Real,
    /// Everything stays as it is.
    None,
}

/// A declared type, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) ty: ColumnType,
    pub(super) affinity: Affinity,
}

/// Reads the declared type of a column (of a `STRICT` table, or not).
pub(super) fn read(declaration: &str, strict: bool) -> Declared {
    let text = declaration.trim().to_ascii_lowercase();
    let affinity = affinity(&text, strict);
    let ty = meaning(&text).unwrap_or_else(|| fallback(declaration, affinity));
    Declared { ty, affinity }
}

/// SQLite's own rules, in their order.
fn affinity(text: &str, strict: bool) -> Affinity {
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if text.is_empty() || (strict && text == "any") {
        Affinity::None
    } else if has(&["int"]) {
        Affinity::Numeric
    } else if has(&["char", "clob", "text"]) {
        Affinity::Text
    } else if has(&["blob"]) {
        Affinity::None
    } else if has(&["real", "floa", "doub"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

fn meaning(text: &str) -> Option<ColumnType> {
    if let Some(element) = text.strip_suffix("[]") {
        return Some(ColumnType::List(Box::new(meaning(element.trim_end())?)));
    }
    let (before, limits, after) = match text.split_once('(') {
        None => (text, None, ""),
        Some((before, rest)) => {
            let (limits, after) = rest.split_once(')')?;
            (before, Some(limits), after)
        }
    };
    let mut words: Vec<&str> = before.split_whitespace().chain(after.split_whitespace()).collect();
    if words.len() > 1 && words.last() == Some(&"text") {
        words.pop();
    }
    let name = words.join(" ");
    let limited = |name: &str| ColumnType::parse(&limits.map_or_else(|| name.to_owned(), |limits| format!("{name}({limits})")));
    match name.as_str() {
        // A display width, as in `int(11)`, limits nothing.
        "smallint" | "int2" => Some(ColumnType::Int16),
        "int4" => Some(ColumnType::Int32),
        "integer" | "int" | "bigint" | "int8" | "mediumint" | "tinyint" => Some(ColumnType::Int64),
        "float4" => Some(ColumnType::Float32),
        // SQLite has one floating-point type, of 8 bytes.
        "real" | "float" | "double" | "double precision" | "float8" => Some(ColumnType::Float64),
        "datetime" => limited("timestamp"),
        "nvarchar" | "varying character" => limited("varchar"),
        "nchar" | "native character" => limited("char"),
        "clob" | "string" => limited("text"),
        "binary" | "varbinary" => Some(ColumnType::Bytes),
        name => limited(name),
    }
}

/// Words without a meaning here: the affinity decides.
fn fallback(declaration: &str, affinity: Affinity) -> ColumnType {
    let declaration_lower = declaration.to_ascii_lowercase();
    let integer = |word: &str| matches!(word, "int" | "integer" | "tinyint" | "smallint" | "mediumint" | "bigint");
    match affinity {
        Affinity::None if declaration_lower.contains("blob") => ColumnType::Bytes,
        Affinity::Text | Affinity::None => ColumnType::TEXT,
        Affinity::Real => ColumnType::Float64,
        Affinity::Numeric if declaration_lower.split(|c: char| !c.is_alphanumeric()).any(integer) => ColumnType::Int64,
        Affinity::Numeric => ColumnType::Opaque {
            name: declaration.to_owned(),
        },
    }
}

/// What the operator should know of a column before rows of it are rejected.
pub(super) fn note(column: &str, declaration: &str, ty: &ColumnType, affinity: Affinity) -> Option<String> {
    if let ColumnType::Opaque { .. } = ty {
        return Some(format!(
            "column `{column}` is declared as `{declaration}`, which cannot be written"
        ));
    }
    let number = matches!(affinity, Affinity::Numeric | Affinity::Real);
    let what = match ty {
        ColumnType::Decimal { precision, scale } if *precision > 15 && (*scale != 0 || *precision > 18) => {
            "keeps numbers of 15 digits: rows with more are rejects"
        }
        ColumnType::Numeric { .. } => "keeps numbers of 15 digits: rows with more are rejects",
        ColumnType::Text { .. } => "turns text that looks like a number into one: such rows are rejects",
        ColumnType::Json { .. } => {
            "turns a document that is a bare number into one: rows where that would change its digits are rejects"
        }
        _ => return None,
    };
    let (name, limits) = declaration.split_at(declaration.find(['(', '[']).unwrap_or(declaration.len()));
    number.then(|| {
        format!(
            "column `{column}`, declared as `{declaration}`, {what}; `{} TEXT{limits}` keeps everything",
            name.trim_end()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_are_the_meaning_and_a_last_word_text_keeps_text() {
        let cases = [
            ("BOOLEAN", "boolean", Affinity::Numeric),
            ("smallint", "smallint", Affinity::Numeric),
            ("INT4", "integer", Affinity::Numeric),
            ("INTEGER", "bigint", Affinity::Numeric),
            ("int(11)", "bigint", Affinity::Numeric),
            ("unsigned big int", "bigint", Affinity::Numeric),
            ("REAL", "double precision", Affinity::Real),
            ("double precision", "double precision", Affinity::Real),
            ("float4", "real", Affinity::Real),
            ("NUMERIC(20,4)", "numeric(20,4)", Affinity::Numeric),
            ("NUMERIC TEXT(20,4)", "numeric(20,4)", Affinity::Text),
            ("numeric(20,4) text", "numeric(20,4)", Affinity::Text),
            ("DECIMAL", "numeric", Affinity::Numeric),
            ("TEXT", "text", Affinity::Text),
            ("varchar(50)", "varchar(50)", Affinity::Text),
            ("VARCHAR TEXT(50)", "varchar(50)", Affinity::Text),
            ("character varying (50)", "varchar(50)", Affinity::Text),
            ("char(3)", "char(3)", Affinity::Text),
            ("string", "text", Affinity::Numeric),
            ("longtext", "text", Affinity::Text),
            ("BLOB", "bytea", Affinity::None),
            ("date", "date", Affinity::Numeric),
            ("DATE TEXT", "date", Affinity::Text),
            ("time(3)", "time(3)", Affinity::Numeric),
            ("datetime", "timestamp", Affinity::Numeric),
            ("TIMESTAMP TEXT", "timestamp", Affinity::Text),
            ("timestamp text(3)", "timestamp(3)", Affinity::Text),
            ("TIMESTAMPTZ TEXT", "timestamptz", Affinity::Text),
            ("timestamp(3) with time zone", "timestamptz(3)", Affinity::Numeric),
            ("UUID TEXT", "uuid", Affinity::Text),
            ("uuid", "uuid", Affinity::Numeric),
            ("JSON", "json", Affinity::Numeric),
            ("JSONB TEXT", "jsonb", Affinity::Text),
            ("interval text", "interval", Affinity::Numeric),
            ("text[]", "text[]", Affinity::Text),
            ("", "text", Affinity::None),
            ("money", "money", Affinity::Numeric),
            ("floating point", "floating point", Affinity::Numeric),
            ("tinyint unsigned", "bigint", Affinity::Numeric),
        ];
        for (declaration, meaning, affinity) in cases {
            let declared = read(declaration, false);
            assert_eq!(
                (declared.ty.to_string().as_str(), declared.affinity),
                (meaning, affinity),
                "{declaration}"
            );
        }
        assert_eq!(read("ANY", true).affinity, Affinity::None);
        assert!(matches!(read("money", false).ty, ColumnType::Opaque { .. }));
    }

    #[test]
    fn the_operator_is_told_where_values_would_change() {
        let told = |declaration: &str| {
            let declared = read(declaration, false);
            note("c", declaration, &declared.ty, declared.affinity)
        };
        for (declaration, says) in [
            ("NUMERIC(20,4)", "`NUMERIC TEXT(20,4)`"),
            ("decimal", "`decimal TEXT`"),
            ("STRING", "`STRING TEXT`"),
            ("json", "`json TEXT`"),
            ("money", "cannot be written"),
        ] {
            let note = told(declaration).expect(declaration);
            assert!(note.contains(says), "{note}");
        }
        for declaration in [
            "NUMERIC(15,4)",
            "numeric(18)",
            "NUMERIC TEXT(20,4)",
            "JSON TEXT",
            "text",
            "integer",
            "date",
            "uuid",
            "json[]",
            "",
        ] {
            assert_eq!(told(declaration), None, "{declaration}");
        }
    }
}
