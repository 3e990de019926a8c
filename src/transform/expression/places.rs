//! Which columns an expression reads, and the same expression over fewer columns.

use std::sync::Arc;

use super::{Expression, Formula};

impl Expression {
    /// Places of the columns that it is computed from.
    pub(in crate::transform) fn places(&self) -> Vec<usize> {
        match &self.formula {
            Formula::Column(place) => vec![*place],
            Formula::Constant(_) => Vec::new(),
            Formula::Computed { places, .. } => places.clone(),
        }
    }

    /// The same over rows that have only the columns `kept`, in that order; `None` where one that
    /// it reads is not among them.
    pub(in crate::transform) fn over(&self, kept: &[usize]) -> Option<Self> {
        let moved = |place: &usize| kept.iter().position(|kept| kept == place);
        let formula = match &self.formula {
            Formula::Column(place) => Formula::Column(moved(place)?),
            Formula::Constant(value) => Formula::Constant(value.clone()),
            Formula::Computed { bound, places, schema } => Formula::Computed {
                bound: Arc::clone(bound),
                places: places.iter().map(moved).collect::<Option<_>>()?,
                schema: Arc::clone(schema),
            },
        };
        Some(Self {
            formula,
            field: self.field.clone(),
        })
    }
}
