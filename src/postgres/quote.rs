//! Identifiers and literals in SQL text.
//!
//! Values travel as parameters; only names, and the few places where Postgres takes no
//! parameter (`set`, `create database`), are written into the text, and only through here.

use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

/// Longest identifier that Postgres keeps; it cuts longer ones without an error.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// A quoted identifier, exactly as it is spelt.
///
/// # Errors
/// For a name that Postgres would cut or cannot hold (Invariant 11).
pub(crate) fn ident(name: &str) -> Result<String> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.contains('\0') {
        "contains a NUL byte"
    } else if name.len() > IDENTIFIER_BYTES_MAX {
        "is longer than 63 bytes, which Postgres would cut"
    } else {
        return Ok(format!("\"{}\"", name.replace('"', "\"\"")));
    };
    Err(Error::new(
        ErrorKind::Mapping,
        format!("identifier `{}` {fault}", name.escape_debug()),
    ))
}

/// Several identifiers, separated by commas.
pub(crate) fn idents<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let quoted: Vec<_> = names.into_iter().map(ident).collect::<Result<_>>()?;
    Ok(quoted.join(", "))
}

/// A quoted table name, with its schema where it has one.
pub(crate) fn table(name: &TableName) -> Result<String> {
    match &name.schema {
        Some(schema) => Ok(format!("{}.{}", ident(schema)?, ident(&name.name)?)),
        None => ident(&name.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_they_are_spelt() {
        assert_eq!(ident("Group").expect("fits"), "\"Group\"");
        assert_eq!(ident("a\"; drop table b; --").expect("fits"), "\"a\"\"; drop table b; --\"");
        let name = TableName {
            schema: Some("Sch.ema".to_owned()),
            name: "t".to_owned(),
        };
        assert_eq!(table(&name).expect("fits"), "\"Sch.ema\".\"t\"");
        assert_eq!(idents(["a", "B"]).expect("fit"), "\"a\", \"B\"");
    }

    #[test]
    fn names_that_would_be_cut_are_refused() {
        assert!(ident(&"x".repeat(63)).is_ok());
        assert!(ident(&"x".repeat(64)).is_err());
        assert!(ident(&"é".repeat(32)).is_err(), "bytes count, not characters");
        assert!(ident("a\0b").is_err());
        assert!(ident("").is_err());
    }
}
