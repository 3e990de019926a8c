//! The way back, portion by portion, the last one first: what a portion changed is as before, then what it
//! inserted is gone. So the table goes through states only that it was in already, and what kept its
//! constraints on the way there keeps them on the way back.

use arrow::record_batch::RecordBatch;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::super::delete::{DOOMED, put, without_triggers};
use super::super::orphan::{referring_keys, refers};
use super::super::session::execute;
use super::super::target::Target;
use super::super::write::figure;
use super::{Kept, look};
use crate::ledger::Suspended;
use crate::ledger::undo::{UndoStep, Undone, Winner};
use crate::postgres::catalog::get;
use crate::postgres::error::{classify, classify_write};
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// The rows of a portion, for as long as it is taken back.
pub(super) const BACK: &str = "pg_temp.dbferry_back";

/// One stream on its way back.
pub(super) struct Way<'a> {
    project: &'a str,
    run: Uuid,
    pub(super) target: &'a Target,
    pub(super) kept: Kept,
    /// Undo logs of the same table, this one and those of other runs and streams.
    pub(super) beside: Vec<Kept>,
    winner: Option<Winner>,
    /// Only the rows with the keys that were put aside.
    chosen: bool,
    /// The portion at hand.
    portion: i64,
}

/// Takes portions back until there are enough rows. Within a batch.
pub(in crate::sink::postgres) async fn back(
    connection: &mut PgConnection,
    project: &str,
    target: &Target,
    (step, only): (UndoStep, Option<&RecordBatch>),
    buffer: &mut Vec<u8>,
) -> Result<Undone> {
    let kept = look::log(connection, project, target, step.run).await?;
    let chosen = only.is_some();
    if let Some(keys) = only {
        put(connection, target, keys, buffer).await?;
    }
    index(connection, &kept).await?;
    let mut way = Way {
        project,
        run: step.run,
        target,
        beside: Vec::new(),
        kept,
        winner: step.winner,
        chosen,
        portion: 0,
    };
    let portions = way.portions(connection, step.rows_max).await?;
    let mut undone = Undone::default();
    for portion in portions {
        way.portion = portion;
        undone += way.take_back(connection).await?;
    }
    if chosen {
        execute(connection, &format!("drop table {DOOMED}")).await?;
    }
    way.record(connection, undone).await?;
    Ok(undone)
}

/// Finds portions, and rows by their key, without reading the whole log. Made once.
pub(super) async fn index(connection: &mut PgConnection, kept: &Kept) -> Result<()> {
    let name = format!("undo_portion_{}", kept.id);
    let there: bool = sqlx::query_scalar("select pg_catalog.to_regclass($1) is not null")
        .bind(format!("dbferry.{name}"))
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    if there {
        return Ok(());
    }
    let keys = kept.key.iter().map(|name| kept.column(name)).collect::<Result<Vec<_>>>()?;
    let sql = format!(
        "create index {name} on {rows} (portion); create index on {rows} ({}); analyze {rows}",
        keys.join(", "),
        rows = kept.rows
    );
    execute(connection, &sql).await
}

impl Way<'_> {
    /// The condition that row `l` of the log is among the chosen ones.
    fn only(&self) -> Result<String> {
        if !self.chosen {
            return Ok(String::new());
        }
        let mut same = Vec::new();
        for name in &self.kept.key {
            same.push(format!("d.{} = l.{}", quote::ident(name)?, self.kept.column(name)?));
        }
        Ok(format!(" and exists (select from {DOOMED} d where {})", same.join(" and ")))
    }

    /// The last portions, that have about so many rows together; all of those that are chosen.
    async fn portions(&self, connection: &mut PgConnection, rows_max: u64) -> Result<Vec<i64>> {
        let sql = format!(
            "select portion, count(*) from {} l where true {} group by portion order by portion desc",
            self.kept.rows,
            self.only()?
        );
        let sql = if self.chosen { sql } else { format!("{sql} limit 1000") };
        let rows = connection
            .fetch_all(AssertSqlSafe(sql))
            .await
            .map_err(|error| classify(&error))?;
        let (mut portions, mut sum) = (Vec::new(), 0);
        for row in &rows {
            let count = figure(row, 1)?;
            if !self.chosen && !portions.is_empty() && sum + count > rows_max {
                break;
            }
            sum += count;
            portions.push(get(row, 0)?);
        }
        Ok(portions)
    }

    /// Takes the portion at hand back.
    async fn take_back(&mut self, connection: &mut PgConnection) -> Result<Undone> {
        self.stand(connection).await?;
        let (changed, gone) = self.decide(connection).await?;
        if changed > 0 && self.winner.is_none() {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("{changed} rows were changed since the run, while it is taken back"),
            )
            .hint("look again by `--dry-run`, and say who wins: `--changed keep` or `--changed overwrite`"));
        }
        self.spare(connection).await?;
        let restored = self.restore(connection).await?;
        let removed = self.remove(connection).await?;
        let kept = self.count(connection, "state = 'k'").await?;
        let sql = format!(
            "delete from {} l using {BACK} b where {}; drop table {BACK}",
            self.kept.rows,
            self.held("l", "b")
        );
        execute(connection, &sql).await?;
        Ok(Undone {
            removed,
            restored,
            gone,
            kept,
            more: false,
        })
    }

    /// Puts the portion's rows aside with how they stand, those of the table locked: `s` as the run left
    /// it, `c` changed since, `m` changed by the run and missing, `g` inserted and gone.
    async fn stand(&self, connection: &mut PgConnection) -> Result<()> {
        let same = self.kept.same_key("o", "l")?;
        let sql = format!(
            "select 1 from {table} o where exists (select from {rows} l where l.portion = {portion} and {same} {only}) for update of o;
             create temporary table dbferry_back on commit drop as
             select l.ctid as place, l.action, l.was, case when o.{first} is null then case l.action when 'i' then 'g' else 'm' end
                 when o.xmin = l.xmin then 's' else 'c' end as state
             from {rows} l left join {table} o on {same} where l.portion = {portion} {only};
             analyze {BACK}",
            table = self.target.table,
            rows = self.kept.rows,
            first = quote::ident(&self.kept.key[0])?,
            portion = self.portion,
            only = self.only()?
        );
        execute(connection, &sql)
            .await
            .map_err(|error| error.during("looking at the rows of an undo log"))
    }

    /// The condition that a row of the log is the one that was put aside.
    pub(super) fn held(&self, log: &str, aside: &str) -> String {
        format!("{log}.ctid = {aside}.place and {log}.portion = {}", self.portion)
    }

    /// Decides who wins; returns how many rows were changed since, and how many are gone.
    async fn decide(&self, connection: &mut PgConnection) -> Result<(u64, u64)> {
        let changed = self.count(connection, "state in ('c', 'm')").await?;
        let gone = self.count(connection, "state = 'g'").await?;
        if changed > 0 {
            let decided = match self.winner {
                None => return Ok((changed, gone)),
                Some(Winner::Target) => format!("update {BACK} set state = 'k' where state in ('c', 'm')"),
                Some(Winner::Undo) => format!("update {BACK} set state = 's' where state = 'c'"),
            };
            execute(connection, &decided).await?;
        }
        Ok((changed, gone))
    }

    pub(super) async fn count(&self, connection: &mut PgConnection, what: &str) -> Result<u64> {
        let sql = format!("select count(*) from {BACK} where {what}");
        let row = connection
            .fetch_one(AssertSqlSafe(sql))
            .await
            .map_err(|error| classify(&error))?;
        figure(&row, 0)
    }

    /// Rows that others refer to are not removed, whatever the foreign key would do with these: they stay
    /// where the target wins, and stop the way elsewhere.
    async fn spare(&self, connection: &mut PgConnection) -> Result<()> {
        let doomed = self.count(connection, "action = 'i' and state = 's'").await?;
        if doomed == 0 {
            return Ok(());
        }
        let keys = referring_keys(connection, &self.target.table).await?;
        loop {
            let mut spared = 0;
            for key in &keys {
                spared += self.spare_for(connection, key).await?;
            }
            if spared == 0 {
                return Ok(());
            }
        }
    }

    async fn spare_for(&self, connection: &mut PgConnection, key: &Suspended) -> Result<u64> {
        let table = quote::table(&key.table)?;
        let rows = &self.kept.rows;
        let stays = if table == self.target.table {
            // What goes with it is no hindrance.
            format!(
                "and not exists (select from {BACK} c join {rows} m on {} where c.action = 'i' and c.state = 's' and {})",
                self.held("m", "c"),
                self.kept.same_key("x", "m")?
            )
        } else {
            String::new()
        };
        let referred = format!(
            "from {BACK} b join {rows} l on {} join {} o on {} join {table} x on {}
             where b.action = 'i' and b.state = 's' {stays}",
            self.held("l", "b"),
            self.target.table,
            self.kept.same_key("o", "l")?,
            refers(&key.key)?
        );
        let failed = |error: sqlx::Error| classify(&error).during("looking for rows that refer to those to be removed");
        if self.winner == Some(Winner::Target) {
            let own = look::written_too(connection, (self.project, self.run), &table, true).await?;
            let sql = format!("update {BACK} t set state = 'k' where t.place in (select b.place {referred} {own})");
            let done = connection.execute(AssertSqlSafe(sql)).await.map_err(failed)?;
            if done.rows_affected() > 0 {
                return Ok(done.rows_affected());
            }
        }
        let row = connection
            .fetch_one(AssertSqlSafe(format!("select count(*) {referred}")))
            .await
            .map_err(failed)?;
        match figure(&row, 0)? {
            0 => Ok(0),
            rows => Err(Error::new(
                ErrorKind::Refused,
                format!("{rows} rows refer to rows that are to be removed, by {}", key.described()),
            )
            .hint("remove these rows first, or let the rows stay that they refer to: `--changed keep`")),
        }
    }

    /// Removes the rows that the portion inserted.
    async fn remove(&self, connection: &mut PgConnection) -> Result<u64> {
        let doomed = self.count(connection, "action = 'i' and state = 's'").await?;
        if doomed == 0 {
            return Ok(0);
        }
        let sql = format!(
            "delete from {} o using {} l, {BACK} b where {} and b.action = 'i' and b.state = 's' and {}",
            self.target.table,
            self.kept.rows,
            self.held("l", "b"),
            self.kept.same_key("o", "l")?
        );
        let done = without_triggers(connection, self.target, sql, |error| classify_write(error, &self.target.wire)).await?;
        agree(doomed, done, "removed")?;
        Ok(done)
    }

    /// Keeps the figures, so that a way that is interrupted adds up in the end; of all rows, the stream
    /// stays closed to runs from here on.
    async fn record(&self, connection: &mut PgConnection, undone: Undone) -> Result<()> {
        let figure = |rows: u64| i64::try_from(rows).map_err(|_| Error::new(ErrorKind::Internal, "more rows than can be counted"));
        sqlx::query(
            "update dbferry.undo_log set rows_removed = rows_removed + $2, rows_restored = rows_restored + $3, rows_gone = rows_gone + $4,
                 rows_kept = rows_kept + $5, going_back = going_back or $6 where id = $1",
        )
        .bind(self.kept.id)
        .bind(figure(undone.removed)?)
        .bind(figure(undone.restored)?)
        .bind(figure(undone.gone)?)
        .bind(figure(undone.kept)?)
        .bind(!self.chosen)
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
        Ok(())
    }
}

/// The server has done as much as was to be done.
pub(super) fn agree(wanted: u64, done: u64, what: &str) -> Result<()> {
    if wanted == done {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!("{wanted} rows were to be {what}, but {done} were"),
    )
    .hint("a trigger or a rule of the table may keep rows from being written: the batch was rolled back"))
}
