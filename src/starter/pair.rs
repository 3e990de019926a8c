//! Which source table belongs to a target table.

use super::{Ends, Found};
use crate::data::finding::nearest;
use crate::data::table::{Fill, Table};
use crate::mapping::stream::TableRef;

/// Most tables that are named as near.
const NEAR_MAX: usize = 3;

/// Fewest columns of the same name by which tables of other names are paired.
const ALIKE_MIN: usize = 3;

/// A table that may be read.
#[derive(Debug, Clone)]
pub(super) struct Origin<'a> {
    pub(super) from: TableRef,
    pub(super) table: &'a Table,
}

/// A source table of another name that resembles a target.
#[derive(Debug, Clone)]
pub(super) struct Near<'a> {
    pub(super) origin: Origin<'a>,
    /// Columns of the same name.
    pub(super) alike: usize,
    score: usize,
}

/// What was found for a target.
#[derive(Debug, Clone)]
pub(super) enum Pair<'a> {
    /// A table of the same name; others of that name.
    Same(Origin<'a>, Vec<TableRef>),
    /// None of that name; the nearest first.
    Near(Vec<Near<'a>>),
}

/// All tables that may be read.
pub(super) fn origins(ends: &Ends) -> Vec<Origin<'_>> {
    let tables = ends.sources.iter().flat_map(|end| {
        end.tables.iter().filter_map(|Found { name, shape }| {
            Some(Origin {
                from: TableRef {
                    connection: end.connection.clone(),
                    table: name.clone(),
                },
                table: shape.as_ref().ok()?,
            })
        })
    });
    tables.collect()
}

/// The source of a target: the same name, then the same but for schema, then but for case, too.
pub(super) fn pair<'a>(origins: &[Origin<'a>], to: &TableRef, target: &Table) -> Pair<'a> {
    let same: [&dyn Fn(&Origin<'_>) -> bool; 3] = [
        &|origin| origin.from.table == to.table,
        &|origin| origin.from.table.name == to.table.name,
        &|origin| origin.from.table.name.to_lowercase() == to.table.name.to_lowercase(),
    ];
    for same in same {
        let mut found = origins.iter().filter(|origin| same(origin));
        if let Some(first) = found.next() {
            return Pair::Same(first.clone(), found.map(|other| other.from.clone()).collect());
        }
    }
    let mut near: Vec<Near<'a>> = origins.iter().filter_map(|origin| resembles(origin, to, target)).collect();
    near.sort_by_key(|near| std::cmp::Reverse(near.score));
    near.truncate(NEAR_MAX);
    Pair::Near(near)
}

fn resembles<'a>(origin: &Origin<'a>, to: &TableRef, target: &Table) -> Option<Near<'a>> {
    let alike = target
        .columns
        .iter()
        .filter(|column| source_column(origin.table, target, &column.name).is_some())
        .count();
    let named = nearest(&to.table.name, [origin.from.table.name.as_str()]).is_some();
    let required = target.columns.iter().filter(|column| {
        let needed = !column.nullable && column.fill == Fill::Nothing;
        needed && source_column(origin.table, target, &column.name).is_some()
    });
    let score = alike + required.count() + if named { ALIKE_MIN } else { 0 };
    (named || alike >= ALIKE_MIN).then(|| Near {
        origin: origin.clone(),
        alike,
        score,
    })
}

/// The one table that resembles a target more than any other.
pub(super) fn best<'a, 'b>(near: &'b [Near<'a>]) -> Option<&'b Near<'a>> {
    let first = near.first()?;
    let alone = near.get(1).is_none_or(|second| second.score < first.score);
    (alone && first.alike >= ALIKE_MIN).then_some(first)
}

/// The name of the source column for a target column: the same name, else the same but for case
/// where that is the only one and no other target column has its name.
pub(super) fn source_column<'a>(source: &'a Table, target: &Table, name: &str) -> Option<&'a str> {
    if let Some(column) = source.column(name) {
        return Some(&column.name);
    }
    let lower = name.to_lowercase();
    let same_but_for_case = |table: &Table| {
        let alike = table.columns.iter().filter(|column| column.name.to_lowercase() == lower);
        alike.count()
    };
    if same_but_for_case(source) != 1 || same_but_for_case(target) != 1 {
        return None;
    }
    let found = source.columns.iter().find(|column| column.name.to_lowercase() == lower);
    found.map(|column| column.name.as_str())
}
