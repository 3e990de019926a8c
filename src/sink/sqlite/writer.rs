//! Writing rows: one prepared statement, one row a step, each row accounted for.
//!
//! A row is inserted; where its key is there already, `skip` leaves the row that has it and
//! `update` compares it value by value and changes it only where it differs (Invariant 3). Keys
//! are compared byte by byte whatever collation a column has, so that `A` never stands for `a`.

use arrow::record_batch::RecordBatch;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Statement};

use super::catalog::Target;
use super::cells::{self, Cells};
use super::declared::Affinity;
use super::fault;
use super::parent::Parent;
use super::statement::Phrases;
use super::undo::{Log, Logging};
use crate::data::column::ColumnType;
use crate::data::counts::Written;
use crate::data::reject::Reason;
use crate::data::stream::{OnConflict, StreamTarget, Triggers};
use crate::data::table::{Fill, ForeignKey};
use crate::error::Refusal;
use crate::{Error, ErrorKind, Result};

mod checks;
mod deletion;
mod log;
mod removal;

/// How the rows of one stream are written.
pub(super) struct Writer {
    table: String,
    columns: Vec<WrittenColumn>,
    /// Positions of the key among the columns.
    key: Vec<usize>,
    policy: OnConflict,
    insert: String,
    differs: String,
    update: String,
    present: String,
    /// Triggers may fire, which can do anything to a row.
    triggers: bool,
    /// SQLite may check foreign keys only when the transaction commits, or not at all.
    deferrable: bool,
    parents: Vec<Parent>,
    /// The condition that finds a row by its key.
    by_key: String,
    /// What is written leaves an undo log.
    log: Option<Log>,
}

struct WrittenColumn {
    name: String,
    ty: ColumnType,
    affinity: Affinity,
    /// Part of a key: SQLite would take NULL for no value at all, or for a new row id.
    never_null: bool,
}

/// What became of one row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Inserted,
    Updated,
    Skipped,
}

impl Writer {
    /// Prepares to write a stream into a table of that shape.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] where a column cannot be written.
    pub(super) fn new(stream: &StreamTarget, target: &Target) -> Result<Self> {
        let table = &target.table;
        let mut columns = Vec::with_capacity(stream.columns.len());
        for column in &stream.columns {
            let position = table.columns.iter().position(|known| known.name == column.name);
            let Some(position) = position.filter(|position| table.columns[*position].fill != Fill::Generated) else {
                return Err(Error::new(
                    ErrorKind::Mapping,
                    format!("table `{}` has no column `{}` that can be written", table.name, column.name),
                ));
            };
            if matches!(column.ty, ColumnType::Opaque { .. }) {
                return Err(cells::unwritable(&column.name, &column.ty));
            }
            columns.push(WrittenColumn {
                name: column.name.clone(),
                ty: column.ty.clone(),
                affinity: target.affinities[position],
                never_null: table.key.contains(&column.name) || stream.key.contains(&column.name),
            });
        }
        let at = |name: &String| columns.iter().position(|column| column.name == *name);
        let key: Vec<usize> = stream.key.iter().filter_map(at).collect();
        if key.is_empty() || key.len() != stream.key.len() {
            return Err(Error::new(
                ErrorKind::Mapping,
                format!("stream `{}` does not write all columns of its key", stream.stream),
            ));
        }
        let phrases = Phrases::new(&table.name.name, columns.iter().map(|column| column.name.as_str()), &key);
        let foreign_keys = table.foreign_keys.iter();
        Ok(Self {
            policy: stream.on_conflict,
            insert: phrases.insert(stream.on_conflict),
            differs: phrases.differs(),
            update: phrases.update(),
            present: phrases.present(),
            triggers: target.triggers && stream.triggers == Triggers::On,
            deferrable: target.deferrable,
            parents: foreign_keys
                .filter_map(|key| Parent::new(&table.name, key, &phrases, at))
                .collect(),
            by_key: phrases.by_key(),
            log: None,
            table: table.name.name.clone(),
            columns,
            key,
        })
    }

    /// Leaves some foreign keys alone; SQLite enforces none from here on, so that the others are
    /// looked after here.
    pub(super) fn suspend(&mut self, keys: &[&ForeignKey]) {
        self.parents.retain(|parent| !keys.iter().any(|key| parent.is(key)));
        self.deferrable = true;
    }

    /// Writes all rows, or fails at the first that is refused; the caller rolls back.
    pub(super) fn write(&self, connection: &Connection, rows: &RecordBatch) -> Result<Written> {
        let cells = self.cells(rows)?;
        let mut insert = self.prepare(connection, &self.insert)?;
        let mut careful = match self.policy {
            OnConflict::Error => None,
            OnConflict::Skip | OnConflict::Update | OnConflict::ErrorUnlessEqual => Some((
                self.prepare(connection, &self.differs)?,
                self.prepare(connection, &self.update)?,
            )),
        };
        let mut logging = self.logging(connection)?;
        let mut written = Written::default();
        let mut scratch = String::new();
        // Rows to look at again when all are written.
        let mut changed = Vec::new();
        for row in 0..rows.num_rows() {
            self.bind(&mut insert, &cells, row, &mut scratch)?;
            let inserted = insert
                .raw_execute()
                .map_err(|error| self.refused(connection, &error, &cells, row))?;
            let outcome = match &mut careful {
                _ if inserted == 1 => Outcome::Inserted,
                Some(careful) => self.meet(connection, careful, logging.as_mut(), &cells, row)?,
                None => return Err(dropped()),
            };
            match outcome {
                Outcome::Inserted => written.inserted += 1,
                Outcome::Updated => written.updated += 1,
                Outcome::Skipped => written.skipped += 1,
            }
            if outcome != Outcome::Skipped && (self.triggers || self.deferrable || logging.is_some()) {
                changed.push(row);
            }
        }
        if self.triggers {
            self.check_present(connection, &cells, &changed)?;
        }
        if self.deferrable {
            self.check_parents(connection, &cells, &changed)?;
        }
        if let Some(logging) = &mut logging {
            self.log_after(logging, &cells, &changed)?;
        }
        Ok(written)
    }

    /// A row with the key is there.
    fn meet(
        &self,
        connection: &Connection,
        (differs, update): &mut (Statement<'_>, Statement<'_>),
        logging: Option<&mut Logging<'_>>,
        cells: &[Cells<'_>],
        row: usize,
    ) -> Result<Outcome> {
        let mut scratch = String::new();
        self.bind(differs, cells, row, &mut scratch)?;
        let found = match differs.raw_query().next() {
            Ok(Some(found)) => Some(found.get::<_, bool>(0).map_err(|error| self.failed(&error))?),
            Ok(None) => None,
            Err(error) => return Err(self.failed(&error)),
        };
        match found {
            // Nothing was inserted, and yet nothing is there.
            None if self.triggers => Err(dropped()),
            None => Err(refusal(
                Reason::Duplicate,
                "a row has a key that the collation of its column takes for the same",
            )),
            Some(true) if self.policy == OnConflict::Update => {
                self.log_before(logging, cells, &self.key, row)?;
                self.bind(update, cells, row, &mut scratch)?;
                match update.raw_execute() {
                    Ok(1) => Ok(Outcome::Updated),
                    Ok(_) => Err(dropped()),
                    Err(error) => Err(self.refused(connection, &error, cells, row)),
                }
            }
            Some(true) if self.policy == OnConflict::ErrorUnlessEqual => {
                Err(refusal(Reason::Duplicate, "a row with this key is there, and differs"))
            }
            Some(_) => Ok(Outcome::Skipped),
        }
    }

    fn cells<'a>(&'a self, rows: &'a RecordBatch) -> Result<Vec<Cells<'a>>> {
        if rows.num_columns() != self.columns.len() {
            return Err(Error::new(ErrorKind::Internal, "a batch has other columns than its stream"));
        }
        let columns = self.columns.iter().zip(rows.columns());
        columns
            .map(|(column, array)| {
                if column.never_null && array.null_count() > 0 {
                    return Err(Error::refused(Refusal {
                        column: Some(column.name.clone()),
                        reason: Reason::NullValue,
                        detail: format!("the key column {} is NULL: the row could not be found again", column.name),
                    }));
                }
                Cells::new(&column.name, &column.ty, column.affinity, array)
            })
            .collect()
    }

    /// The foreign key that a refused row breaks, as far as its own values tell.
    fn broken(&self, connection: &Connection, cells: &[Cells<'_>], row: usize) -> Result<Option<Refusal>> {
        for parent in &self.parents {
            let Some((columns, sql)) = &parent.sought else { continue };
            if columns.iter().any(|column| cells[*column].is_null(row)) {
                continue;
            }
            let mut sought = self.prepare(connection, sql)?;
            if !self.finds(&mut sought, cells, columns, row)? {
                return Ok(Some(parent.refusal()));
            }
        }
        Ok(None)
    }

    /// What SQLite said about a row.
    fn refused(&self, connection: &Connection, error: &rusqlite::Error, cells: &[Cells<'_>], row: usize) -> Error {
        let Some(refusal) = fault::refusal(error, &self.table) else {
            return self.failed(error);
        };
        if connection.is_autocommit() {
            return Error::new(ErrorKind::Mapping, "a trigger of the target rolled back the whole batch")
                .hint("let the trigger use raise(abort) instead of raise(rollback), or leave `triggers` off");
        }
        // SQLite does not say which foreign key it is.
        let named = match refusal.reason {
            Reason::ForeignKey => self.broken(connection, cells, row).ok().flatten(),
            _ => None,
        };
        Error::refused(named.unwrap_or(refusal))
    }

    fn prepare<'c>(&self, connection: &'c Connection, sql: &str) -> Result<Statement<'c>> {
        connection.prepare(sql).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        let columns: Vec<_> = self.key.iter().map(|key| self.columns[*key].name.as_str()).collect();
        match error {
            rusqlite::Error::SqlInputError { msg, .. } if msg.starts_with("ON CONFLICT clause does not match") => Error::new(
                ErrorKind::Mapping,
                format!("table `{}` does not keep the key ({}) unique", self.table, columns.join(", ")),
            )
            .hint("give the table a primary key or a unique constraint on exactly these columns, with their own collation"),
            _ => fault::classify(error, &format!("writing rows to `{}`", self.table)),
        }
    }

    /// Binds a whole row.
    fn bind(&self, statement: &mut Statement<'_>, cells: &[Cells<'_>], row: usize, scratch: &mut String) -> Result<()> {
        for (column, cells) in cells.iter().enumerate() {
            self.bind_one(statement, column + 1, cells, row, scratch)?;
        }
        Ok(())
    }

    fn bind_one(
        &self,
        statement: &mut Statement<'_>,
        parameter: usize,
        cells: &Cells<'_>,
        row: usize,
        scratch: &mut String,
    ) -> Result<()> {
        let value = cells.get(row, scratch).map_err(Error::refused)?;
        statement
            .raw_bind_parameter(parameter, ToSqlOutput::Borrowed(value))
            .map_err(|error| fault::refusal(&error, &self.table).map_or_else(|| self.failed(&error), Error::refused))
    }

    /// Whether a query finds something by the values of these columns.
    fn finds(&self, statement: &mut Statement<'_>, cells: &[Cells<'_>], columns: &[usize], row: usize) -> Result<bool> {
        let mut scratch = String::new();
        for (parameter, column) in columns.iter().enumerate() {
            self.bind_one(statement, parameter + 1, &cells[*column], row, &mut scratch)?;
        }
        let found = statement.raw_query().next().map(|found| found.is_some());
        found.map_err(|error| self.failed(&error))
    }
}

fn dropped() -> Error {
    refusal(Reason::Trigger, "a trigger of the target dropped the row")
}

fn refusal(reason: Reason, detail: &str) -> Error {
    Error::refused(Refusal {
        column: None,
        reason,
        detail: detail.to_owned(),
    })
}
