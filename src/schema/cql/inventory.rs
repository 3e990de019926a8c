//! What a keyspace is made of, by the server's own tables.

use scylla::frame::types::Consistency;
use serde_json::Value;

use super::{RECORDS, WHAT, lock};
use crate::Result;
use crate::cql::connect::Keyspace;
use crate::cql::fault::{expected, unexpected};
use crate::schema::inventory::Inventory;

/// Tables of `system_schema`: what each describes, and by which columns its rows are told apart.
const DESCRIBED: [(&str, &str, &[&str]); 8] = [
    ("tables", "table", &["table_name"]),
    ("columns", "column", &["table_name", "column_name"]),
    ("indexes", "index", &["table_name", "index_name"]),
    ("views", "view", &["view_name"]),
    ("types", "type", &["type_name"]),
    ("functions", "function", &["function_name", "argument_types"]),
    ("aggregates", "aggregate", &["aggregate_name", "argument_types"]),
    ("triggers", "trigger", &["table_name", "trigger_name"]),
];

/// Everything that is there, dbferry's own tables left out.
pub(super) async fn read(keyspace: &Keyspace) -> Result<Inventory> {
    let mut inventory = Inventory::default();
    for (table, kind, key) in DESCRIBED {
        let text = format!("SELECT JSON * FROM system_schema.{table} WHERE keyspace_name = ?");
        let statement = keyspace.statement(&text, Consistency::LocalQuorum, WHAT).await?;
        let answer = keyspace.ask(&statement, (keyspace.name.as_str(),), WHAT).await?;
        let rows = expected(answer.into_rows_result(), &keyspace.connection, WHAT)?;
        for row in expected(rows.rows::<(String,)>(), &keyspace.connection, WHAT)? {
            let (row,) = expected(row, &keyspace.connection, WHAT)?;
            let Ok(Value::Object(mut row)) = serde_json::from_str::<Value>(&row) else {
                return Err(unexpected(&keyspace.connection, WHAT));
            };
            let is_own = |name: &Value| [RECORDS, lock::TABLE].iter().any(|own| name == own);
            if row.get("table_name").is_some_and(is_own) {
                continue;
            }
            let name: Vec<String> = key
                .iter()
                .filter_map(|column| row.remove(*column))
                .map(|part| spelt(&part))
                .collect();
            // A number that each new table gets, and the keyspace, which all have in common.
            row.remove("id");
            row.remove("keyspace_name");
            inventory.add(kind, name.join("."), Value::Object(row).to_string());
        }
    }
    Ok(inventory)
}

fn spelt(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
