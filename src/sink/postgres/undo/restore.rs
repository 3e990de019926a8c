//! Rows that a portion changed become what they were before it.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::super::session::execute;
use super::back::{BACK, Way, agree, index};
use super::{KEPT, Kept};
use crate::Result;
use crate::postgres::catalog::get;
use crate::postgres::error::{classify, classify_write};
use crate::postgres::quote;

impl Way<'_> {
    /// Makes the rows that the portion changed what they were.
    pub(super) async fn restore(&mut self, connection: &mut PgConnection) -> Result<u64> {
        let there = self.count(connection, "action = 'u' and state = 's'").await?;
        let missing = self.count(connection, "action = 'u' and state = 'm'").await?;
        if there + missing == 0 {
            return Ok(0);
        }
        let rows = self.kept.rows.clone();
        let (mut set, mut names, mut images) = (Vec::new(), Vec::new(), Vec::new());
        let identities = self.always_identities(connection).await?;
        for name in &self.kept.columns {
            let (quoted, image) = (quote::ident(name)?, self.kept.column(name)?);
            if !self.kept.key.contains(name) && !identities.contains(name) {
                set.push(format!("{quoted} = l.{image}"));
            }
            names.push(quoted);
            images.push(format!("l.{image}"));
        }
        let table = &self.target.table;
        let same = self.kept.same_key("o", "l")?;
        let from = format!("from {rows} l join {BACK} b on {} where b.action = 'u'", self.held("l", "b"));
        if there > 0 {
            let set = set.join(", ");
            let sql = format!("update {table} o set {set} {from} and b.state = 's' and {same}");
            self.all(connection, sql, there, "restored").await?;
        }
        if missing > 0 {
            let names = names.join(", ");
            let sql = format!(
                "insert into {table} ({names}) overriding system value select {} {from} and b.state = 'm'",
                images.join(", ")
            );
            self.all(connection, sql, missing, "put back").await?;
        }
        self.stand_for(connection).await?;
        Ok(there + missing)
    }

    /// Identities that no update may set, and that no run has changed therefore.
    async fn always_identities(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "select attname::text from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass($1) and attidentity = 'a'",
        )
        .bind(&self.target.table)
        .fetch_all(connection)
        .await
        .map_err(|error| classify(&error))?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    /// A restored row stands for the one that it was: what another log knows as written by that writer is
    /// written by this transaction now, as far as the log can tell.
    async fn stand_for(&mut self, connection: &mut PgConnection) -> Result<()> {
        if self.beside.is_empty() {
            let sql = format!(
                "select {KEPT} from dbferry.undo_log where finished_at is null and table_oid = pg_catalog.to_regclass($1)::oid"
            );
            let logs = sqlx::query(AssertSqlSafe(sql))
                .bind(&self.target.table)
                .fetch_all(&mut *connection)
                .await
                .map_err(|error| classify(&error))?;
            self.beside = logs.iter().map(Kept::of).collect::<Result<_>>()?;
            for log in &self.beside {
                index(connection, log).await?;
            }
        }
        for log in &self.beside {
            let mut same = Vec::new();
            for name in &log.key {
                same.push(format!("m.{} = l.{}", log.column(name)?, self.kept.column(name)?));
            }
            let sql = format!(
                "update {} m set action = m.action from {} l join {BACK} b on {}
                 where b.action = 'u' and b.state in ('s', 'm') and m.xmin = b.was and {}",
                log.rows,
                self.kept.rows,
                self.held("l", "b"),
                same.join(" and ")
            );
            execute(connection, &sql).await?;
        }
        Ok(())
    }

    async fn all(&self, connection: &mut PgConnection, sql: String, wanted: u64, what: &str) -> Result<()> {
        let done = connection
            .execute(AssertSqlSafe(sql))
            .await
            .map_err(|error| classify_write(&error, &self.target.wire))?;
        agree(wanted, done.rows_affected(), what)
    }
}
