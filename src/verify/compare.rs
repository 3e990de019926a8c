//! Rows of both sides in memory, compared key by key: what is missing, extra, different.
//!
//! What is missing, extra or different is told by [`pairs`]; here it is counted, and the first of
//! it listed with columns and values.

use std::collections::HashMap;

use super::canonical::Canonical;
use super::group::{Group, reject_hash};
use super::join::not_to_be_read;
use super::locate::{Broken, Held};
use super::mapped_side::projected;
use super::pairs::{self, Fact};
use super::report::{ColumnDifference, Difference, DifferenceKind, Shown};
use super::show;
use super::tally::{self, Figures, Named, Outcome, State};
use crate::Result;
use crate::data::position::Key;

/// Rows of one side.
pub(super) struct Rows {
    /// Member of a source, form of a target.
    pub(super) of: usize,
    pub(super) held: Vec<Held>,
    pub(super) broken: Vec<Broken>,
}

impl Rows {
    /// None of a side.
    pub(super) const fn none(of: usize) -> Self {
        Self {
            of,
            held: Vec::new(),
            broken: Vec::new(),
        }
    }
}

/// Rows of both sides, with all that have any key among them.
pub(super) struct Comparison<'a> {
    group: &'a Group,
    canonical: Vec<Canonical>,
    sources: Vec<Rows>,
    targets: Vec<Rows>,
    differences_max: usize,
    extras: bool,
    /// Rows that differ are named so that they can be mended.
    names: bool,
    /// Batches of keys that this comparison has added, by the target's rows that they are of.
    projected: HashMap<(usize, usize), usize>,
}

/// Where a row is.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: u128,
    /// Of the row; of one that cannot be read, of nothing that any row has.
    row: u128,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Source { of: usize, held: usize, row: usize },
    Target { of: usize, held: usize, row: usize },
    Broken { of: usize, number: usize },
}

impl<'a> Comparison<'a> {
    pub(super) fn new(group: &'a Group, sources: Vec<Rows>, targets: Vec<Rows>, differences_max: usize) -> Self {
        Self {
            canonical: (0..group.targets.len()).map(|form| group.canonical(form)).collect(),
            group,
            sources,
            targets,
            differences_max,
            extras: group.extras,
            names: false,
            projected: HashMap::new(),
        }
    }

    /// Every row that differs is named.
    pub(super) const fn with_names(mut self) -> Self {
        self.names = true;
        self
    }

    /// Rows that are in the target alone are extra, whoever else writes it.
    pub(super) const fn with_extras(mut self) -> Self {
        self.extras = true;
        self
    }

    /// Compares, and adds what is found.
    ///
    /// # Errors
    /// Defects only.
    pub(super) fn run(mut self, outcome: &mut Outcome) -> Result<()> {
        outcome.members.resize(self.group.members.len(), Figures::default());
        let mut places = self.places();
        places.sort_by_key(|place| (place.key, place.row, place.at));
        for rows in places.chunk_by(|one, other| one.key == other.key) {
            self.of_key(rows, outcome)?;
        }
        Ok(())
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (number, rows) in self.sources.iter().enumerate() {
            put(&mut places, rows, |held, row| At::Source { of: number, held, row });
        }
        for (number, rows) in self.targets.iter().enumerate() {
            put(&mut places, rows, |held, row| At::Target { of: number, held, row });
            places.extend(rows.broken.iter().enumerate().map(|(place, broken)| Place {
                key: broken.key,
                row: not_to_be_read().wrapping_add(place as u128),
                at: At::Broken {
                    of: number,
                    number: place,
                },
            }));
        }
        places
    }

    fn of_key(&mut self, rows: &[Place], outcome: &mut Outcome) -> Result<()> {
        let any_source = rows.iter().any(|place| matches!(place.at, At::Source { .. }));
        let mut state = State::default();
        for form in 0..self.targets.len() {
            let of_form: Vec<Place> = rows.iter().filter(|place| self.form(place.at) == form).copied().collect();
            let keyed = !self.group.targets[form].form().key.is_empty();
            let left = pairs::left(&of_form, keyed, |place| self.fact(place));
            for place in left.rejected {
                outcome.members[self.member(place.at)].rejected += 1;
            }
            for (source, target) in left.different {
                state.member = self.member(source.at);
                state.figures.different += 1;
                outcome.members[state.member].different += 1;
                self.list(outcome, DifferenceKind::Different, Some(source), Some(target))?;
            }
            for source in left.missing {
                state.member = self.member(source.at);
                state.figures.missing += 1;
                outcome.members[state.member].missing += 1;
                self.list(outcome, DifferenceKind::Missing, Some(source), None)?;
            }
            let alone = self.targets.len() == 1 || (form == 0 && !any_source);
            let extra = if alone && self.extras { left.extra } else { Vec::new() };
            for target in extra {
                state.extra += 1;
                outcome.extra += 1;
                self.list(outcome, DifferenceKind::Extra, None, Some(target))?;
            }
        }
        if state.extra > 0 || state.figures != Figures::default() {
            state.seen = tally::seen(rows.iter().map(|place| match place.at {
                // Which of several that is changes from one look to the next.
                At::Broken { .. } => (not_to_be_read(), false),
                At::Source { .. } => (place.row, true),
                At::Target { .. } => (place.row, false),
            }));
            outcome.states.insert(rows[0].key, state);
        }
        Ok(())
    }

    fn fact(&self, place: Place) -> Fact {
        Fact {
            row: place.row,
            source: matches!(place.at, At::Source { .. }),
            recorded: self.is_recorded(place.at),
        }
    }

    fn form(&self, at: At) -> usize {
        match at {
            At::Source { of, .. } => self.group.members[self.sources[of].of].form,
            At::Target { of, .. } | At::Broken { of, .. } => self.targets[of].of,
        }
    }

    fn member(&self, at: At) -> usize {
        match at {
            At::Source { of, .. } => self.sources[of].of,
            At::Target { .. } | At::Broken { .. } => 0,
        }
    }

    fn is_recorded(&self, at: At) -> bool {
        let At::Source { of, held, row } = at else { return false };
        let recorded = &self.group.members[self.sources[of].of].recorded;
        let handles = self.sources[of].held[held].handles.as_ref();
        !recorded.is_empty() && handles.is_some_and(|handles| recorded.contains(&reject_hash(&handles.get(row))))
    }

    /// Adds to the list, while it is not full.
    fn list(&mut self, outcome: &mut Outcome, kind: DifferenceKind, source: Option<Place>, target: Option<Place>) -> Result<()> {
        let Some(one) = source.or(target) else { return Ok(()) };
        if self.names {
            let named = Named {
                key: one.key,
                member: self.member(one.at),
                kind,
                source: source.and_then(|place| self.handle(place.at)),
                target: target.map(|place| self.key_row(place.at, outcome)).transpose()?.flatten(),
            };
            outcome.named.push(named);
        }
        if outcome.differences.len() >= self.differences_max {
            return Ok(());
        }
        let columns = match (source.map(|place| place.at), target.map(|place| place.at)) {
            (Some(source), Some(target)) => self.columns(source, target)?,
            _ => Vec::new(),
        };
        let difference = Difference {
            kind,
            key: self.shown_key(one.at),
            id: format!("{:032x}", one.key),
            columns,
        };
        outcome.differences.push((self.member(one.at), difference));
        Ok(())
    }

    /// By what a row of the source is found again.
    fn handle(&self, at: At) -> Option<Key> {
        let (held, row) = self.held(at)?;
        held.handles.as_ref().map(|handles| handles.get(row))
    }

    /// Where the key of a row of the target is kept.
    fn key_row(&mut self, at: At, outcome: &mut Outcome) -> Result<Option<(usize, usize)>> {
        let At::Target { of, held, row } = at else { return Ok(None) };
        if let Some(batch) = self.projected.get(&(of, held)) {
            return Ok(Some((*batch, row)));
        }
        let form = self.group.targets[self.form(at)].form();
        outcome.keys.push(projected(&self.targets[of].held[held].rows, &form.key)?);
        self.projected.insert((of, held), outcome.keys.len() - 1);
        Ok(Some((outcome.keys.len() - 1, row)))
    }

    fn held(&self, at: At) -> Option<(&Held, usize)> {
        match at {
            At::Source { of, held, row } => Some((&self.sources[of].held[held], row)),
            At::Target { of, held, row } => Some((&self.targets[of].held[held], row)),
            At::Broken { .. } => None,
        }
    }

    fn shown_key(&self, at: At) -> Vec<Shown> {
        let form = self.group.targets[self.form(at)].form();
        let masked = |name: &str| self.group.masked.contains(name);
        let Some((held, row)) = self.held(at) else {
            let At::Broken { of, number } = at else { return Vec::new() };
            let values = self.targets[of].broken[number].row.handle.0.iter();
            let hidden = form.key.iter().any(|place| masked(&form.columns[*place].name));
            let shown = |value: &crate::data::position::KeyValue| Shown {
                column: "key".to_owned(),
                value: show::said(if hidden { "masked".to_owned() } else { value.to_string() }),
            };
            return values.map(shown).collect();
        };
        let whole: Vec<usize> = (0..form.columns.len()).collect();
        let places = if form.key.is_empty() { &whole } else { &form.key };
        let shown = |place: &usize| {
            let name = &form.columns[*place].name;
            Shown {
                column: name.clone(),
                value: show::value(
                    held.rows.schema_ref().field(*place),
                    held.rows.column(*place),
                    row,
                    masked(name),
                ),
            }
        };
        places.iter().map(shown).collect()
    }

    /// Columns in which two rows differ.
    fn columns(&mut self, source: At, target: At) -> Result<Vec<ColumnDifference>> {
        let form = self.form(source);
        let columns = self.group.targets[form].form().columns.clone();
        if let At::Broken { of, number } = target {
            let broken = &self.targets[of].broken[number].row;
            return Ok(vec![ColumnDifference {
                column: broken.column.clone().unwrap_or_default(),
                source: self.shown_source(source, broken.column.as_deref()),
                target: show::said(format!("(cannot be read: {})", broken.detail)),
            }]);
        }
        let mut differing = Vec::new();
        let mut canonical = std::mem::replace(&mut self.canonical[form], self.group.canonical(form));
        if let (Some((source, source_row)), Some((target, target_row))) = (self.held(source), self.held(target)) {
            for (place, column) in columns.iter().enumerate() {
                let (one, other) = (source.rows.column(place), target.rows.column(place));
                if canonical.value(place, one, source_row)? == canonical.value(place, other, target_row)? {
                    continue;
                }
                let field = source.rows.schema_ref().field(place).clone();
                let masked = self.group.masked.contains(&column.name);
                let (source, target) = show::pair(&field, (one.as_ref(), source_row), (other.as_ref(), target_row), masked);
                differing.push(ColumnDifference {
                    column: column.name.clone(),
                    source,
                    target,
                });
            }
        }
        self.canonical[form] = canonical;
        Ok(differing)
    }

    fn shown_source(&self, at: At, column: Option<&str>) -> super::report::Value {
        let name = column.unwrap_or_default();
        let shown = self.held(at).and_then(|(held, row)| {
            let (place, field) = held.rows.schema_ref().column_with_name(name)?;
            Some(show::value(
                field,
                held.rows.column(place),
                row,
                self.group.masked.contains(name),
            ))
        });
        shown.unwrap_or_else(|| show::said(""))
    }
}

fn put(places: &mut Vec<Place>, rows: &Rows, at: impl Fn(usize, usize) -> At) {
    for (number, held) in rows.held.iter().enumerate() {
        let hashes = held.hashes.key.iter().zip(&held.hashes.row).enumerate();
        places.extend(hashes.map(|(row, (key, hash))| Place {
            key: *key,
            row: *hash,
            at: at(number, row),
        }));
    }
}
