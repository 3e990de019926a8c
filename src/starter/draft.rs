//! A stream in the making: its key, its columns, and whether it can stand as it is.

use super::column::{self, Line, State};
use super::pair::{self, Near, Origin, Pair};
use super::{Ends, Outline, name, quote, remark};
use crate::data::column::ColumnType;
use crate::data::document::NAME_BYTES_MAX;
use crate::data::finding::{Finding, Place, Severity, listed};
use crate::data::stream::OnConflict;
use crate::data::table::{Table, TableName};
use crate::mapping::stream::{From, Located, TableRef};
use crate::mapping::{Stream, check};
use crate::transform;

/// Why a stream without a source is commented out.
pub(super) const NO_NAMESAKE: &str = "no source table has its name";

/// A stream in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft<'a> {
    pub(super) name: String,
    pub(super) from: Option<Origin<'a>>,
    pub(super) to: TableRef,
    pub(super) target: &'a Table,
    pub(super) key: Vec<String>,
    pub(super) source_key: Option<Vec<String>>,
    pub(super) on_conflict: OnConflict,
    pub(super) lines: Vec<Line<'a>>,
    /// Target columns that may lose fraction digits.
    pub(super) losing: Vec<String>,
    /// What stands above it.
    pub(super) remarks: Vec<String>,
    /// Why it is commented out.
    pub(super) blocked: Option<String>,
}

/// Drafts of all targets, in the order of the connections and their tables.
pub(super) fn all(ends: &Ends) -> Vec<Draft<'_>> {
    let origins = pair::origins(ends);
    let targets: Vec<(TableRef, &Table)> = ends
        .sinks
        .iter()
        .flat_map(|end| {
            end.tables.iter().filter_map(|found| {
                let to = TableRef {
                    connection: end.connection.clone(),
                    table: found.name.clone(),
                };
                Some((to, found.shape.as_ref().ok()?))
            })
        })
        .collect();
    let names = name::streams(&targets.iter().map(|(to, _)| to).collect::<Vec<_>>());
    let drafts = targets
        .into_iter()
        .zip(names)
        .map(|((to, target), name)| draft(ends, &origins, name, to, target));
    drafts.collect()
}

fn draft<'a>(ends: &'a Ends, origins: &[Origin<'a>], name: String, to: TableRef, target: &'a Table) -> Draft<'a> {
    let mut remarks = Vec::new();
    let mut blocked = None;
    let from = match pair::pair(origins, &to, target) {
        Pair::Same(origin, others) => {
            if !others.is_empty() {
                let others: Vec<_> = others.iter().map(quote::table).collect();
                remarks.push(format!("Of the same name: {}.", listed(&others)));
            }
            Some(origin)
        }
        Pair::Near(near) => {
            remarks.push(format!("No source table is named `{}`{}", to.table.name, nearness(&near)));
            let best = pair::best(&near).map(|near| near.origin.clone());
            match (&best, ends.guess) {
                (Some(origin), true) => remarks.push(format!("Taken for its columns: {}.", quote::table(&origin.from))),
                _ => blocked = Some(NO_NAMESAKE.to_owned()),
            }
            best
        }
    };
    let lines = column::lines(from.as_ref().map(|origin| origin.table), target);
    let mut draft = Draft {
        name,
        from,
        to,
        target,
        key: Vec::new(),
        source_key: None,
        on_conflict: OnConflict::Error,
        lines,
        losing: Vec::new(),
        remarks,
        blocked,
    };
    draft.find_keys();
    draft.compare();
    draft.blocked = draft.blocked.take().or_else(|| draft.fault());
    draft
}

fn nearness(near: &[Near<'_>]) -> String {
    let told: Vec<String> = near
        .iter()
        .map(|near| format!("{} ({} columns named alike)", quote::table(&near.origin.from), near.alike))
        .collect();
    if told.is_empty() {
        ".".to_owned()
    } else {
        format!("; near: {}.", told.join(", "))
    }
}

impl<'a> Draft<'a> {
    fn line(&self, column: &str) -> Option<&Line<'a>> {
        self.lines.iter().find(|line| line.column.name == column)
    }

    fn all_mapped(&self, columns: &[String]) -> bool {
        !columns.is_empty() && columns.iter().all(|column| self.line(column).is_some_and(Line::is_mapped))
    }

    /// The target's primary key, or the first unique set that the source fills; without one the
    /// columns that the source's own key fills.
    fn find_keys(&mut self) {
        let Some(origin) = self.from.clone() else {
            self.key = self.target.uniques.first().unwrap_or(&self.target.key).clone();
            self.on_conflict = OnConflict::Update;
            return;
        };
        if origin.table.key.is_empty() {
            let not_null = |set: &&Vec<String>| {
                set.iter()
                    .all(|name| origin.table.column(name).is_some_and(|column| !column.nullable))
            };
            self.source_key = origin.table.uniques.iter().find(not_null).cloned();
        }
        let strict = |set: &&Vec<String>| {
            set.iter()
                .all(|name| self.target.column(name).is_some_and(|column| !column.nullable))
        };
        let mapped = || self.target.uniques.iter().filter(|set| self.all_mapped(set));
        if let Some(set) = mapped().find(strict).or_else(|| mapped().next()) {
            self.key = set.clone();
            self.on_conflict = OnConflict::Update;
            return;
        }
        let unique = |set: &&Vec<String>| {
            set.iter()
                .all(|name| origin.table.column(name).is_some_and(|column| !column.nullable))
        };
        let mut own = std::iter::once(&origin.table.key).chain(origin.table.uniques.iter().filter(unique));
        self.key = own.find_map(|set| self.filled_by(set)).unwrap_or_else(|| self.never_null());
        if !self.key.is_empty() {
            self.remarks
                .push("No unique key of the target is filled: `key` has to tell its rows apart; one that repeats an earlier one's is a reject.".to_owned());
        }
    }

    /// Target columns that these source columns fill, all of them.
    fn filled_by(&self, columns: &[String]) -> Option<Vec<String>> {
        let filled = |name: &String| {
            let line = self
                .lines
                .iter()
                .find(|line| line.is_mapped() && line.source.is_some_and(|source| source.name == *name))?;
            Some(line.column.name.clone())
        };
        let found: Vec<String> = columns.iter().map(filled).collect::<Option<_>>()?;
        (!found.is_empty()).then_some(found)
    }

    /// Mapped columns without NULL, else all that are mapped.
    fn never_null(&self) -> Vec<String> {
        let names = |strict: bool| -> Vec<String> {
            let lines = self.lines.iter().filter(|line| line.is_mapped());
            lines
                .filter(|line| !strict || line.source.is_some_and(|source| !source.nullable))
                .map(|line| line.column.name.clone())
                .collect()
        };
        let strict = names(true);
        if strict.is_empty() { names(false) } else { strict }
    }

    /// Says of every column and of the whole what a plan would say.
    fn compare(&mut self) {
        let (Some(origin), Some(stream)) = (self.from.clone(), self.stream()) else {
            return;
        };
        let taken: Vec<(&str, &str)> = self
            .lines
            .iter()
            .filter_map(|line| Some((line.column.name.as_str(), line.taken()?)))
            .collect();
        let mut found = remark::remarks(&stream, origin.table, self.target, &taken);
        self.remarks.append(&mut found.whole);
        self.losing = found.losing;
        for line in &mut self.lines {
            if let Some(remarks) = found.columns.remove(&line.column.name) {
                line.remarks = remark::merged(std::mem::take(&mut line.remarks), remarks);
            }
            if line.is_mapped()
                && line.column.ty == ColumnType::Uuid
                && line.source.is_some_and(|source| matches!(source.ty, ColumnType::Text { .. }))
            {
                let namespace = origin.from.table.name.replace('\'', "''");
                let expression = line.expression.as_deref().unwrap_or_default();
                line.remarks
                    .push(format!("uuid_v5('{namespace}', {expression}) makes one of any"));
            }
        }
    }

    /// Why it cannot stand as it is: what the checks of a plan say of it.
    fn fault(&self) -> Option<String> {
        let table = &self.to.table;
        let long = |name: &String| name.len() > NAME_BYTES_MAX || name.is_empty() || name.contains('\0');
        if table.schema.iter().chain([&table.name]).any(long) {
            return Some(format!("a mapping takes names of 1 to {NAME_BYTES_MAX} bytes"));
        }
        let origin = self.from.as_ref()?;
        if !self.lines.iter().any(Line::is_mapped) {
            return Some("no column of the source can be taken over".to_owned());
        }
        if self.key.is_empty() {
            return Some("nothing fills a key".to_owned());
        }
        let stream = self.stream()?;
        let source_key = self.source_key.as_ref().unwrap_or(&origin.table.key);
        let mut findings = check::shapes(&stream, origin.table, self.target);
        if let Err(found) = transform::compile(&stream, origin.table, source_key, self.target) {
            findings.extend(found);
        }
        let worst = |finding: &&Finding| finding.severity == Severity::Error;
        findings.iter().find(worst).map(|finding| finding.message.clone())
    }

    /// The stream as the mapping would read it, without places.
    pub(super) fn stream(&self) -> Option<Stream> {
        let origin = self.from.as_ref()?;
        let columns = self.lines.iter().filter(|line| line.state != State::Out);
        let columns = columns.filter_map(|line| Some((located(line.column.name.clone()), located(line.expression.clone()?))));
        let from = From::Table(located(origin.from.clone()));
        let plain = Stream::new(located(self.name.clone()), from, located(self.to.clone()), Place::nowhere());
        Some(Stream {
            key: self.key.iter().cloned().map(located).collect(),
            source_key: self.source_key.clone().map(|key| key.into_iter().map(located).collect()),
            on_conflict: self.on_conflict,
            columns: columns.collect(),
            ..plain
        })
    }

    /// In a few words.
    pub(super) fn outline(&self) -> Outline {
        let choose = self.lines.iter().filter(|line| line.state == State::Choose);
        Outline {
            name: self.name.clone(),
            from: self
                .from
                .as_ref()
                .filter(|_| self.blocked.is_none())
                .map(|origin| origin.from.clone()),
            to: self.to.clone(),
            mapped: self.lines.iter().filter(|line| line.is_mapped()).count(),
            columns: self.lines.len(),
            choose: choose.map(|line| line.column.name.clone()).collect(),
            commented: self.blocked.clone(),
        }
    }
}

/// A stream that fills one column and says nothing else.
pub(super) fn plain_stream(column: &str, expression: &str) -> Stream {
    let nothing = TableRef {
        connection: String::new(),
        table: TableName::new(""),
    };
    let from = From::Table(located(nothing.clone()));
    let plain = Stream::new(located(String::new()), from, located(nothing), Place::nowhere());
    Stream {
        columns: vec![(located(column.to_owned()), located(expression.to_owned()))],
        ..plain
    }
}

/// What is not written yet has no place.
pub(super) fn located<T>(value: T) -> Located<T> {
    let place = Place::nowhere();
    Located { value, place }
}
