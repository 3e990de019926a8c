//! Identifiers and literals in CQL text.
//!
//! Values travel as parameters; only names, and the replication of a keyspace that is created, are
//! written into the text, and only through here.

use std::collections::BTreeMap;

use crate::data::table::TableName;
use crate::{Error, ErrorKind, Result};

/// A quoted identifier, exactly as it is spelt.
///
/// # Errors
/// For a name that no identifier can be.
pub(crate) fn ident(name: &str) -> Result<String> {
    if name.is_empty() || name.contains('\0') {
        let fault = if name.is_empty() { "is empty" } else { "contains a NUL byte" };
        return Err(Error::new(
            ErrorKind::Mapping,
            format!("identifier `{}` {fault}", name.escape_debug()),
        ));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// Several identifiers, separated by commas.
pub(crate) fn idents<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let quoted: Vec<_> = names.into_iter().map(ident).collect::<Result<_>>()?;
    Ok(quoted.join(", "))
}

/// A quoted name of a table, in the keyspace of its connection or in the one that it names.
pub(crate) fn table(keyspace: &str, name: &TableName) -> Result<String> {
    let keyspace = name.schema.as_deref().unwrap_or(keyspace);
    Ok(format!("{}.{}", ident(keyspace)?, ident(&name.name)?))
}

/// `replication` of a keyspace: replicas by datacenter.
pub(crate) fn replication(factors: &BTreeMap<String, u64>) -> String {
    let factors = factors
        .iter()
        .map(|(datacenter, factor)| format!(", '{}': {factor}", datacenter.replace('\'', "''")));
    format!("{{'class': 'NetworkTopologyStrategy'{}}}", factors.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_they_are_spelt() {
        assert_eq!(
            idents(["Group", "a\"; drop table b; --"]).expect("fit"),
            "\"Group\", \"a\"\"; drop table b; --\""
        );
        assert_eq!(table("ks", &TableName::new("t")).expect("fits"), "\"ks\".\"t\"");
        assert!(ident("").is_err() && ident("a\0b").is_err());
        let factors = BTreeMap::from([("dc'1".to_owned(), 3)]);
        assert_eq!(replication(&factors), "{'class': 'NetworkTopologyStrategy', 'dc''1': 3}");
    }
}
