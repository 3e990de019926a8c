//! The statements of a stream's table.

use scylla::cluster::metadata::ColumnType as CqlType;
use scylla::frame::types::Consistency as Level;

use super::portion::Layout;
use super::send;
use super::stream::Prepared;
use crate::cql::connect::Keyspace;
use crate::cql::quote;
use crate::cql::shape::CqlColumn;
use crate::data::stream::{Consistency, StreamTarget};
use crate::{Error, ErrorKind, Result};

/// What it says of itself in errors.
const WHAT: &str = "preparing a stream";

/// Prepares what a stream needs, to be written at `stamp`.
///
/// # Errors
/// [`ErrorKind::Missing`] where its table is not as it was planned.
pub(super) async fn prepare(keyspace: &Keyspace, target: &StreamTarget, stamp: i64) -> Result<(Layout, Prepared)> {
    let Some(table) = keyspace.described(&target.table) else {
        return Err(Error::new(
            ErrorKind::Missing,
            format!("stream `{}`: table `{}` is gone", target.stream, target.table),
        ));
    };
    let layout = Layout::of(&table, target)?;
    let name = quote::table(&keyspace.name, &target.table)?;
    let level = level(target.options.consistency);
    let columns = quote::idents(layout.columns.iter().map(|column| column.name.as_str()))?;
    let marks = vec!["?"; layout.columns.len()].join(", ");
    let ttl = if layout.expires() { " USING TTL ?" } else { "" };
    let mut insert = keyspace
        .prepare(&format!("INSERT INTO {name} ({columns}) VALUES ({marks}){ttl}"), WHAT)
        .await?;
    insert.set_consistency(level);
    insert.set_timestamp(Some(stamp));
    let keys: Vec<_> = layout.columns[..layout.key]
        .iter()
        .map(|column| quote::ident(&column.name))
        .collect::<Result<_>>()?;
    let condition: Vec<_> = keys.iter().map(|name| format!("{name} = ?")).collect();
    let condition = condition.join(" AND ");
    let (wanted, stamps) = values(&keys[0], &layout.columns[layout.key..])?;
    let mut select = keyspace
        .prepare(&format!("SELECT {wanted} FROM {name} WHERE {condition}"), WHAT)
        .await?;
    select.set_consistency(reading(target.options.consistency));
    let mut delete = keyspace
        .prepare(&format!("DELETE FROM {name} WHERE {condition}"), WHAT)
        .await?;
    delete.set_consistency(level);
    delete.set_timestamp(Some(stamp));
    // A partition of one row has nothing to share a request with.
    let several = if layout.key > layout.partition {
        send::several(&insert, stamp)
    } else {
        Vec::new()
    };
    let prepared = Prepared {
        insert,
        several,
        select,
        stamps,
        delete,
    };
    Ok((layout, prepared))
}

/// What a row is read back by, and of each column behind the key its place among the moments.
fn values(first_key: &str, columns: &[CqlColumn]) -> Result<(String, Vec<Option<usize>>)> {
    let mut wanted = vec![first_key.to_owned()];
    let mut moments = Vec::new();
    let mut stamps = Vec::new();
    for column in columns {
        let name = quote::ident(&column.name)?;
        // Of what is kept in parts, each part has a moment of its own.
        let has_one = match &column.ty {
            CqlType::Collection { frozen, .. } | CqlType::UserDefinedType { frozen, .. } => *frozen,
            _ => true,
        };
        stamps.push(has_one.then_some(moments.len()));
        if has_one {
            moments.push(format!("writetime({name})"));
        }
        wanted.push(name);
    }
    wanted.append(&mut moments);
    Ok((wanted.join(", "), stamps))
}

const fn level(consistency: Consistency) -> Level {
    match consistency {
        Consistency::One => Level::One,
        Consistency::LocalOne => Level::LocalOne,
        Consistency::LocalQuorum => Level::LocalQuorum,
        Consistency::Quorum => Level::Quorum,
        Consistency::EachQuorum => Level::EachQuorum,
        Consistency::All => Level::All,
    }
}

/// What is written at a level is looked for at one that meets it, as far as there is one: no server
/// reads at `each_quorum`, and what one replica has taken is only sure to be found where all are asked.
const fn reading(consistency: Consistency) -> Level {
    match consistency {
        Consistency::EachQuorum | Consistency::One | Consistency::LocalOne => Level::LocalQuorum,
        other => level(other),
    }
}
