//! What a schema is made of, object by object, to tell whether two schemas are the same.

use std::collections::BTreeMap;

use serde::Serialize;

/// An object of a schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Object {
    /// What it is: `table`, `column`, `index`.
    pub kind: String,
    /// Its name, with those of what it is part of.
    pub name: String,
}

/// Something that two schemas do not have in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about.
    pub object: Object,
    /// How it is defined in the first one; `None` where that does not have it.
    pub before: Option<String>,
    /// How in the second one.
    pub after: Option<String>,
}

/// All objects of a schema, with what defines each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory(BTreeMap<Object, String>);

impl Inventory {
    pub(super) fn add(&mut self, kind: impl Into<String>, name: impl Into<String>, definition: impl Into<String>) {
        let object = Object {
            kind: kind.into(),
            name: name.into(),
        };
        // Of two with one name both are told.
        let known = self.0.entry(object).or_default();
        if !known.is_empty() {
            known.push_str("; ");
        }
        known.push_str(&definition.into());
    }

    /// How `after` differs from this one, by kind and name.
    pub(super) fn differences(&self, after: &Self) -> Vec<Difference> {
        let mut all: Vec<&Object> = self.0.keys().chain(after.0.keys()).collect();
        all.sort();
        all.dedup();
        all.into_iter()
            .filter(|object| self.0.get(*object) != after.0.get(*object))
            .map(|object| Difference {
                object: object.clone(),
                before: self.0.get(object).cloned(),
                after: after.0.get(object).cloned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_that_differs_is_told_once() {
        let of = |objects: &[(&str, &str, &str)]| {
            let mut inventory = Inventory::default();
            for (kind, name, definition) in objects {
                inventory.add(*kind, *name, *definition);
            }
            inventory
        };
        let one = of(&[("table", "a", "x"), ("table", "b", "x"), ("index", "a", "x")]);
        let other = of(&[("table", "a", "y"), ("table", "c", "x"), ("index", "a", "x")]);
        let told: Vec<_> = one
            .differences(&other)
            .into_iter()
            .map(|one| (one.object.name, one.before, one.after))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("a".to_owned(), some("x"), some("y")),
                ("b".to_owned(), some("x"), None),
                ("c".to_owned(), None, some("x"))
            ]
        );
        assert!(one.differences(&one).is_empty());
        let doubled = of(&[("index", "a", "x"), ("index", "a", "x")]);
        assert_eq!(doubled.differences(&of(&[("index", "a", "x")])).len(), 1);
    }
}
