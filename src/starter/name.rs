//! Names that a starter gives: streams after their tables, each once.

use std::collections::BTreeSet;

use crate::data::document::NAME_BYTES_MAX;
use crate::mapping::stream::TableRef;

/// The nearest text that can be the name of a project or stream.
#[must_use]
pub fn usable(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    let out = out.trim_matches('_');
    let mut out = if out.starts_with(|c: char| c.is_ascii_alphabetic()) {
        out.to_owned()
    } else {
        format!("t_{out}")
    };
    out.truncate(NAME_BYTES_MAX);
    out
}

/// Names of the streams into these tables: the table's own, with what tells it from others of
/// that name where there are some.
pub(super) fn streams(tables: &[&TableRef]) -> Vec<String> {
    let own = |table: &TableRef| usable(&table.table.name);
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for table in tables {
        let alike = tables.iter().filter(|other| own(other) == own(table)).count();
        let elsewhere = tables
            .iter()
            .any(|other| other.connection != table.connection && own(other) == own(table));
        let name = match &table.table.schema {
            _ if alike == 1 => own(table),
            None if elsewhere => usable(&format!("{}_{}", table.connection, table.table.name)),
            Some(schema) if elsewhere => usable(&format!("{}_{schema}_{}", table.connection, table.table.name)),
            Some(schema) => usable(&format!("{schema}_{}", table.table.name)),
            None => own(table),
        };
        names.push(once(&mut taken, &name));
    }
    names
}

/// The name, with a number behind it where it is taken.
fn once(taken: &mut BTreeSet<String>, name: &str) -> String {
    let mut free = name.to_owned();
    for number in 2_usize.. {
        if taken.insert(free.clone()) {
            break;
        }
        let end = format!("_{number}");
        let kept = name.len().min(NAME_BYTES_MAX - end.len());
        free = format!("{}{end}", &name[..kept]);
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::TableName;

    #[test]
    fn any_name_becomes_usable() {
        assert_eq!(usable("order details"), "order_details");
        assert_eq!(usable("Users"), "Users");
        assert_eq!(usable("2024-stats"), "t_2024-stats");
        assert_eq!(usable("größe"), "gr_e");
        assert_eq!(usable("名前"), "t_");
        assert_eq!(usable(&"x".repeat(99)).len(), 63);
    }

    #[test]
    fn every_stream_has_a_name_of_its_own() {
        let table = |connection: &str, schema: Option<&str>, name: &str| TableRef {
            connection: connection.to_owned(),
            table: TableName {
                schema: schema.map(str::to_owned),
                name: name.to_owned(),
            },
        };
        let tables = [
            table("auth", None, "users"),
            table("user", None, "users"),
            table("user", None, "followers"),
            table("user", Some("old"), "followers"),
            table("user", None, "a b"),
            table("user", None, "a_b"),
        ];
        let names = streams(&tables.iter().collect::<Vec<_>>());
        assert_eq!(
            names,
            ["auth_users", "user_users", "followers", "old_followers", "a_b", "a_b_2"]
        );
    }
}
