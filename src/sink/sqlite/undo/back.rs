//! The way back: rows become what the log says they were, those that were written last first.
//!
//! Foreign keys are not enforced meanwhile, so that nothing cascades; what refers to a row that is
//! to go is looked up instead, and so is what a restored row refers to.

use rusqlite::types::Value;
use rusqlite::{Connection, Statement, params_from_iter};

use super::super::connection::quote;
use super::super::fault;
use super::super::writer::Writer;
use super::changed::{Logged, Reading};
use super::referred::Referred;
use super::{Record, failed};
use crate::data::reject::Reason;
use crate::error::Refusal;
use crate::ledger::undo::{UndoStep, Undone, Winner};
use crate::{Error, ErrorKind, Result};

/// What is known between the steps of one session.
#[derive(Default)]
pub(in crate::sink::sqlite) struct Back {
    referred: Referred,
}

/// What is to be done with a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Remove,
    /// It is there, and becomes what it was.
    Change,
    /// It is not there any more.
    Insert,
    Gone,
    Keep,
}

/// A step: rows are taken back, and the log forgets them. With `only` it is these rows of the log, all
/// at once.
pub(in crate::sink::sqlite) fn undo(
    connection: &Connection,
    (writer, record, back): (&Writer, &Record, &mut Back),
    project: &str,
    step: UndoStep,
    only: Option<Vec<Vec<Value>>>,
) -> Result<Undone> {
    let mut done = Undone::default();
    let mut way = Way::new(connection, writer, record)?;
    let is_whole = only.is_none();
    let mut left = only;
    // What counts nothing (a row that was only deleted) does not end the way.
    while done.rows() == 0 {
        let picked = match left.take() {
            Some(keys) => way.reading.with_keys(&keys)?,
            None if is_whole => way.reading.last(step.rows_max)?,
            None => break,
        };
        if picked.is_empty() {
            break;
        }
        back.referred
            .look(connection, record, (project, step.run), (!is_whole).then_some(&picked))?;
        way.referred = back.referred.question(connection, record)?;
        way.take_back(picked, step, back, &mut done)?;
    }
    let figures = [done.removed, done.restored, done.gone, done.kept].map(u64::cast_signed);
    connection
        .execute(
            "update dbferry_undo set removed = removed + ?, restored = restored + ?, gone = gone + ?, kept = kept + ?,
             undoing = undoing or ? where id = ?",
            params_from_iter(figures.into_iter().chain([i64::from(is_whole), record.id])),
        )
        .map_err(|error| failed(&error))?;
    Ok(done)
}

/// The statements of a step.
struct Way<'c> {
    connection: &'c Connection,
    record: &'c Record,
    reading: Reading<'c>,
    delete: Statement<'c>,
    change: Option<Statement<'c>>,
    insert: Statement<'c>,
    forget: Statement<'c>,
    /// Whether a row refers to nothing, by each of its foreign keys.
    orphan: Vec<(Statement<'c>, Refusal)>,
    /// Whether rows refer to it.
    referred: Option<Statement<'c>>,
}

impl<'c> Way<'c> {
    fn new(connection: &'c Connection, writer: &'c Writer, record: &'c Record) -> Result<Self> {
        let table = format!("main.{}", quote(&record.table));
        let prepare = |sql: String| {
            let doing = format!("taking back rows of `{}`", record.table);
            connection.prepare(&sql).map_err(|error| fault::classify(&error, &doing))
        };
        let (by_key, keys) = (writer.by_key(), record.key.len());
        let changes: Vec<_> = (record.rest().zip(keys + 1..))
            .map(|(column, parameter)| format!("{} = ?{parameter}", quote(&record.columns[column])))
            .collect();
        let values: Vec<_> = (1..=record.columns.len()).map(|at| format!("?{at}")).collect();
        let change = format!("update or abort {table} set {} where {by_key}", changes.join(", "));
        Ok(Self {
            connection,
            record,
            reading: Reading::new(connection, writer, record)?,
            delete: prepare(format!("delete from {table} where {by_key}"))?,
            change: (!changes.is_empty()).then(|| prepare(change)).transpose()?,
            insert: prepare(format!(
                "insert or abort into {table} ({}) values ({})",
                Record::quoted(&record.columns).join(", "),
                values.join(", ")
            ))?,
            forget: prepare(format!("delete from {} where seq = ?", record.rows()))?,
            orphan: writer.orphan_questions(connection)?,
            referred: None,
        })
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        fault::classify(error, &format!("taking back rows of `{}`", self.record.table))
    }

    fn take_back(&mut self, picked: Vec<Logged>, step: UndoStep, back: &mut Back, done: &mut Undone) -> Result<()> {
        // Rows that another one is in the way of, which may go yet.
        let mut waiting = Vec::new();
        let some = !picked.is_empty();
        let mut any = false;
        for row in picked {
            let fate = self.fate(&row, step)?;
            if !self.carry_out(&row, fate)? {
                waiting.push((row, fate));
                continue;
            }
            any = true;
            self.forget(&row, fate, done)?;
            if fate == Fate::Keep {
                back.referred.add_of(self.connection, self.record, &row.key)?;
            }
        }
        loop {
            let before = waiting.len();
            let mut still = Vec::new();
            for (row, fate) in waiting {
                if self.carry_out(&row, fate)? {
                    self.forget(&row, fate, done)?;
                } else {
                    still.push((row, fate));
                }
            }
            any |= still.len() < before;
            waiting = still;
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        any |= self.exchange(&waiting, done)?;
        if some && !any {
            return Err(refused(
                Reason::Duplicate,
                "a unique value of a row as it was before is another row's by now",
            ));
        }
        Ok(())
    }

    fn fate(&mut self, row: &Logged, step: UndoStep) -> Result<Fate> {
        let fate = match (row.existed, row.now) {
            (false, None) => Fate::Gone,
            (false, Some(_)) => Fate::Remove,
            (true, None) => Fate::Insert,
            (true, Some(_)) => Fate::Change,
        };
        if row.is_changed() {
            match step.winner {
                Some(Winner::Undo) => {}
                Some(Winner::Target) => return Ok(Fate::Keep),
                None => return Err(refused(Reason::Refused, "a row was changed since the run")),
            }
        }
        if fate == Fate::Remove && self.is_referred(&row.key)? {
            if step.winner == Some(Winner::Target) {
                return Ok(Fate::Keep);
            }
            return Err(refused(Reason::ForeignKey, "rows refer to one that is to be removed"));
        }
        Ok(fate)
    }

    fn is_referred(&mut self, key: &[Value]) -> Result<bool> {
        let Some(question) = &mut self.referred else {
            return Ok(false);
        };
        let found = question.exists(params_from_iter(key));
        found.map_err(|error| self.failed(&error))
    }

    /// The row as it was refers to rows that are there.
    fn check_refers(&mut self, key: &[Value]) -> Result<()> {
        for (question, refusal) in &mut self.orphan {
            match question.exists(params_from_iter(key)) {
                Ok(false) => {}
                Ok(true) => return Err(Error::refused(refusal.clone())),
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }

    /// Whether it could be done: not where another row has a unique value.
    fn carry_out(&mut self, row: &Logged, fate: Fate) -> Result<bool> {
        let done = match fate {
            Fate::Gone | Fate::Keep => return Ok(true),
            Fate::Remove => self.delete.execute(params_from_iter(&row.key)),
            Fate::Insert => self.insert.execute(params_from_iter(&row.before)),
            Fate::Change => match &mut self.change {
                Some(change) => {
                    let rest = self.record.rest().map(|column| &row.before[column]);
                    change.execute(params_from_iter(row.key.iter().chain(rest)))
                }
                None => Ok(1),
            },
        };
        match done {
            Ok(1) => {}
            Ok(_) => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "a row to take back was found and then was not",
                ));
            }
            Err(error) => {
                return match fault::refusal(&error, &self.record.table) {
                    Some(refusal) if refusal.reason == Reason::Duplicate => Ok(false),
                    Some(refusal) => Err(Error::refused(refusal)),
                    None => Err(self.failed(&error)),
                };
            }
        }
        if fate != Fate::Remove {
            self.check_refers(&row.key)?;
        }
        Ok(true)
    }

    /// The log forgets the row, and it counts as often as the run wrote it.
    fn forget(&mut self, row: &Logged, fate: Fate, done: &mut Undone) -> Result<()> {
        let forgotten = self.forget.execute([row.seq]).map(drop);
        forgotten.map_err(|error| self.failed(&error))?;
        let figure = match fate {
            Fate::Remove => &mut done.removed,
            Fate::Change | Fate::Insert => &mut done.restored,
            Fate::Gone => &mut done.gone,
            Fate::Keep => &mut done.kept,
        };
        *figure += row.writes;
        Ok(())
    }

    /// Rows that have exchanged their unique values: all of them go, and come back. Those that still cannot
    /// stay in the log, for a row that is in their way may be taken back later. Whether any could.
    fn exchange(&mut self, waiting: &[(Logged, Fate)], done: &mut Undone) -> Result<bool> {
        if waiting.is_empty() {
            return Ok(false);
        }
        let run = |sql: &str| self.connection.execute_batch(sql).map_err(|error| self.failed(&error));
        run("savepoint dbferry_exchange")?;
        for (row, _) in waiting.iter().filter(|(_, fate)| *fate == Fate::Change) {
            let deleted = self.delete.execute(params_from_iter(&row.key)).map(drop);
            deleted.map_err(|error| self.failed(&error))?;
        }
        for (row, _) in waiting {
            if !self.carry_out(row, Fate::Insert)? {
                let run = |sql: &str| self.connection.execute_batch(sql).map_err(|error| self.failed(&error));
                run("rollback to dbferry_exchange; release dbferry_exchange")?;
                return Ok(false);
            }
        }
        let run = |sql: &str| self.connection.execute_batch(sql).map_err(|error| self.failed(&error));
        run("release dbferry_exchange")?;
        for (row, fate) in waiting {
            self.forget(row, *fate, done)?;
        }
        Ok(true)
    }
}

fn refused(reason: Reason, detail: &str) -> Error {
    Error::refused(Refusal {
        column: None,
        reason,
        detail: detail.to_owned(),
    })
}
