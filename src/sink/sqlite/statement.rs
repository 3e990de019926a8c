//! The texts of the statements that write a stream's rows. Parameter `?n` is the n-th column of
//! the stream wherever a row is bound.

use super::connection::quote;
use crate::data::stream::OnConflict;

/// A table, the columns written and the key among them.
pub(super) struct Phrases {
    table: String,
    /// Quoted column and its parameter.
    columns: Vec<(String, String)>,
    key: Vec<usize>,
}

impl Phrases {
    pub(super) fn new<'a>(table: &str, columns: impl Iterator<Item = &'a str>, key: &[usize]) -> Self {
        Self {
            table: format!("main.{}", quote(table)),
            columns: columns
                .enumerate()
                .map(|(i, name)| (quote(name), format!("?{}", i + 1)))
                .collect(),
            key: key.to_vec(),
        }
    }

    fn join(&self, wanted: impl Iterator<Item = usize>, separator: &str, write: impl Fn(&str, &str) -> String) -> String {
        let parts: Vec<_> = wanted.map(|i| write(&self.columns[i].0, &self.columns[i].1)).collect();
        parts.join(separator)
    }

    fn rest(&self) -> impl Iterator<Item = usize> {
        (0..self.columns.len()).filter(|i| !self.key.contains(i))
    }

    /// A conflict clause that the table declares (`unique on conflict replace`) does not apply.
    pub(super) fn insert(&self, policy: OnConflict) -> String {
        let all = || 0..self.columns.len();
        let names = self.join(all(), ", ", |name, _| name.to_owned());
        let values = self.join(all(), ", ", |_, parameter| parameter.to_owned());
        let conflict = match policy {
            OnConflict::Error => String::new(),
            OnConflict::Skip | OnConflict::Update | OnConflict::ErrorUnlessEqual => {
                let key = self.join(self.key.iter().copied(), ", ", |name, _| name.to_owned());
                format!(" on conflict ({key}) do nothing")
            }
        };
        format!("insert or abort into {} ({names}) values ({values}){conflict}", self.table)
    }

    /// Finds a row by its key. The first comparison uses the index, the second makes sure that
    /// the key is the same to the byte, whatever collation its column has.
    fn matches(&self, parameter: impl Fn(usize) -> String) -> String {
        let terms: Vec<_> = self
            .key
            .iter()
            .enumerate()
            .map(|(position, column)| {
                let (name, parameter) = (&self.columns[*column].0, parameter(position));
                format!("{name} = {parameter} and {name} = {parameter} collate binary")
            })
            .collect();
        terms.join(" and ")
    }

    fn by_row(&self) -> String {
        self.matches(|position| self.columns[self.key[position]].1.clone())
    }

    /// The condition that finds a row by its key alone, whose values are the first parameters.
    pub(super) fn by_key(&self) -> String {
        self.matches(|position| format!("?{}", position + 1))
    }

    /// Whether the row with the key differs: no row, 0, or 1.
    pub(super) fn differs(&self) -> String {
        let differs = self.join(self.rest(), " or ", |name, parameter| {
            format!("{name} is not {parameter} collate binary")
        });
        let differs = if differs.is_empty() { "0" } else { &differs };
        format!("select {differs} from {} where {}", self.table, self.by_row())
    }

    /// Changes the row with the key; where all columns are key there is nothing to change.
    pub(super) fn update(&self) -> String {
        let changes = self.join(self.rest(), ", ", |name, parameter| format!("{name} = {parameter}"));
        if changes.is_empty() {
            return self.differs();
        }
        format!("update or abort {} set {changes} where {}", self.table, self.by_row())
    }

    /// A row where there is one with the key.
    pub(super) fn present(&self) -> String {
        format!("select 1 from {} where {}", self.table, self.by_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_parameters_are_the_columns() {
        let phrases = Phrases::new("a\"b", ["x", "id", "y"].into_iter(), &[1]);
        assert_eq!(
            phrases.insert(OnConflict::Error),
            r#"insert or abort into main."a""b" ("x", "id", "y") values (?1, ?2, ?3)"#
        );
        assert!(
            phrases
                .insert(OnConflict::Update)
                .ends_with(r#" on conflict ("id") do nothing"#)
        );
        assert_eq!(
            phrases.update(),
            r#"update or abort main."a""b" set "x" = ?1, "y" = ?3 where "id" = ?2 and "id" = ?2 collate binary"#
        );
        assert_eq!(
            phrases.present(),
            r#"select 1 from main."a""b" where "id" = ?1 and "id" = ?1 collate binary"#
        );
        let all_key = Phrases::new("t", ["a"].into_iter(), &[0]);
        assert_eq!(
            all_key.differs(),
            r#"select 0 from main."t" where "a" = ?1 and "a" = ?1 collate binary"#
        );
    }
}
