//! Row and statement triggers of a target: which fire for our writes, and switching them off for
//! the length of a batch. Foreign keys are triggers of the server's own and stay on.

use sqlx::PgConnection;

use crate::Result;
use crate::data::stream::{OnConflict, StreamTarget, Triggers};
use crate::postgres::catalog::{CatalogTable, get};
use crate::postgres::error::classify;
use crate::postgres::quote;

/// A user's trigger that is switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    /// Quoted table; a partition's own, where it is there.
    table: String,
    /// Name.
    pub(super) name: String,
    /// Fires also under replication (`enable always`).
    always: bool,
    insert: bool,
    update: bool,
    delete: bool,
    /// May drop the row or change it: fires before each row.
    before_row: bool,
    /// The role may switch it off.
    ours: bool,
}

impl Trigger {
    fn off(&self) -> Result<String> {
        let name = quote::ident(&self.name)?;
        Ok(format!("alter table only {} disable trigger {name}", self.table))
    }

    fn on(&self) -> Result<String> {
        let name = quote::ident(&self.name)?;
        let how = if self.always { "enable always" } else { "enable" };
        Ok(format!("alter table only {} {how} trigger {name}", self.table))
    }
}

/// What the triggers of a target mean for a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Firing {
    /// Switched off at the beginning of each batch; one statement, or empty.
    pub(super) off: String,
    /// Switched on again, each as it was.
    pub(super) on: String,
    /// Some trigger may drop inserted rows or change their keys.
    pub(super) before_insert: bool,
    /// Some trigger may drop updates.
    pub(super) before_update: bool,
    /// Switched off while rows are taken out again; one statement, or empty.
    pub(super) off_for_delete: String,
    /// Switched on again, each as it was.
    pub(super) on_for_delete: String,
}

/// Triggers of a table and of its partitions.
pub(super) async fn triggers(connection: &mut PgConnection, table: &CatalogTable) -> Result<Vec<Trigger>> {
    let rows = sqlx::query(
        "select quote_ident(n.nspname) || '.' || quote_ident(c.relname), t.tgname::text, t.tgenabled = 'A',
             t.tgtype & 4 <> 0, t.tgtype & 16 <> 0, t.tgtype & 3 = 3, pg_catalog.pg_has_role(c.relowner, 'usage'),
             t.tgtype & 8 <> 0
         from pg_catalog.pg_trigger t
         join pg_catalog.pg_class c on c.oid = t.tgrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 28 <> 0
           and (t.tgrelid = $1::oid or t.tgrelid in (select relid from pg_catalog.pg_partition_tree($1::oid)))
         order by 1, 2",
    )
    .bind(table.oid)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| {
            Ok(Trigger {
                table: get(row, 0)?,
                name: get(row, 1)?,
                always: get(row, 2)?,
                insert: get(row, 3)?,
                update: get(row, 4)?,
                before_row: get(row, 5)?,
                ours: get(row, 6)?,
                delete: get(row, 7)?,
            })
        })
        .collect()
}

/// For the plan: triggers that fire whatever the mapping says.
pub(super) fn notes(triggers: &[Trigger]) -> Vec<String> {
    let mut names: Vec<_> = triggers
        .iter()
        .filter(|trigger| !trigger.ours && (trigger.insert || trigger.update))
        .map(|trigger| trigger.name.as_str())
        .collect();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            format!("trigger `{name}` cannot be switched off, for the table belongs to another role: it fires for every row")
        })
        .collect()
}

/// Which triggers are switched off for a stream, and what those that fire may do.
pub(super) fn firing(triggers: &[Trigger], target: &StreamTarget) -> Result<Firing> {
    let (updates, wanted) = (target.on_conflict == OnConflict::Update, target.triggers);
    let mut firing = Firing::default();
    let (mut off, mut on) = (Vec::new(), Vec::new());
    let (mut off_for_delete, mut on_for_delete) = (Vec::new(), Vec::new());
    for trigger in triggers {
        if trigger.delete && wanted == Triggers::Off && trigger.ours {
            off_for_delete.push(trigger.off()?);
            on_for_delete.push(trigger.on()?);
        }
        let update = trigger.update && updates;
        let insert = trigger.insert && !target.options.in_place;
        if !insert && !update {
            continue;
        }
        if wanted == Triggers::On || !trigger.ours {
            firing.before_insert |= trigger.before_row && insert;
            firing.before_update |= trigger.before_row && update;
            continue;
        }
        off.push(trigger.off()?);
        on.push(trigger.on()?);
    }
    firing.off = off.join("; ");
    firing.on = on.join("; ");
    firing.off_for_delete = off_for_delete.join("; ");
    firing.on_for_delete = on_for_delete.join("; ");
    Ok(firing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(name: &str) -> Trigger {
        Trigger {
            table: "public.t".to_owned(),
            name: name.to_owned(),
            always: false,
            insert: true,
            update: false,
            delete: false,
            before_row: true,
            ours: true,
        }
    }

    fn target(on_conflict: OnConflict, triggers: Triggers) -> StreamTarget {
        StreamTarget {
            stream: "s".to_owned(),
            table: crate::data::table::TableName::new("t"),
            columns: Vec::new(),
            key: Vec::new(),
            on_conflict,
            triggers,
            keys_distinct: true,
            keyed: None,
            options: crate::data::stream::RowOptions::default(),
            undo: false,
        }
    }

    #[test]
    fn only_what_would_fire_is_switched_off_and_comes_back_as_it_was() {
        let mut update = trigger("u");
        (update.insert, update.update) = (false, true);
        let mut always = trigger("A");
        always.always = true;
        let all = [trigger("i"), update, always];
        let skip = firing(&all, &target(OnConflict::Skip, Triggers::Off)).expect("names that fit");
        assert_eq!(
            skip.off,
            "alter table only public.t disable trigger \"i\"; alter table only public.t disable trigger \"A\""
        );
        assert_eq!(
            skip.on,
            "alter table only public.t enable trigger \"i\"; alter table only public.t enable always trigger \"A\""
        );
        assert!(!skip.before_insert && !skip.before_update);
        let update = firing(&all, &target(OnConflict::Update, Triggers::Off)).expect("names that fit");
        assert!(update.off.contains("\"u\""));
    }

    #[test]
    fn what_stays_on_is_reckoned_with() {
        let on = firing(&[trigger("i")], &target(OnConflict::Update, Triggers::On)).expect("names that fit");
        assert!(on.off.is_empty() && on.before_insert && !on.before_update);
        let mut foreign = trigger("f");
        foreign.ours = false;
        let off = firing(std::slice::from_ref(&foreign), &target(OnConflict::Error, Triggers::Off)).expect("names that fit");
        assert!(off.off.is_empty() && off.before_insert);
        assert_eq!(notes(&[foreign]).len(), 1);
    }
}
