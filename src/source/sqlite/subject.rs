//! Subjects: the rows for which a condition of the mapping holds, in which `$key` is bound.
//!
//! The condition is SQLite's own SQL: SQLite prepares it when the project is planned, so that a
//! mistake is found before anything runs, and tells how it would find the rows. `$key` is one of
//! SQLite's parameters, so that a `$key` in a text or a comment stays what it is. It is bound as
//! text; a column of a numeric type compares it as a number, a computed value does not
//! (`cast($key as integer)` makes it one).

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement};

use super::failure::{mapping, reading};
use super::statement;
use crate::data::stream::{Origin, Subject};
use crate::{Error, ErrorKind, Result};

const PARAMETER: &str = "$key";

/// Prepares a condition; returns which tables are read from beginning to end for it.
pub(super) fn check(connection: &Connection, origin: &Origin, condition: &str) -> Result<Vec<String>> {
    if condition.contains('\0') {
        return Err(Error::new(ErrorKind::Mapping, "the condition contains a NUL character"));
    }
    let sql = statement::subject(origin, condition);
    let prepared = strictly(connection, origin, |connection| connection.prepare(&sql))?.map_err(mapping)?;
    let parameters: Vec<_> = (1..=prepared.parameter_count())
        .map(|index| prepared.parameter_name(index).unwrap_or("?"))
        .collect();
    if parameters != [PARAMETER] {
        return Err(match parameters.iter().find(|name| **name != PARAMETER) {
            None => Error::new(ErrorKind::Mapping, "the condition does not use `$key`")
                .hint("such as \"user_id = $key\"; within quotes it is a text like any other"),
            Some(other) => Error::new(ErrorKind::Mapping, format!("the condition has the parameter `{other}`"))
                .hint("`$key` is the only one that is given a value"),
        });
    }
    if !prepared.readonly() {
        return Err(Error::new(ErrorKind::Mapping, "the condition does more than reading"));
    }
    scanned(connection, origin, &sql)
}

/// Prepares with double quotes for names only: otherwise SQLite takes a misspelt `"usr_id"` for a
/// text, and no row would ever belong to anybody. Views and queries that rely on it are let be.
fn strictly<'c, T>(
    connection: &'c Connection,
    origin: &Origin,
    prepare: impl Fn(&'c Connection) -> rusqlite::Result<T>,
) -> Result<rusqlite::Result<T>> {
    let option = DbConfig::SQLITE_DBCONFIG_DQS_DML;
    let before = connection.db_config(option).map_err(reading)?;
    connection.set_db_config(option, false).map_err(reading)?;
    let strict = prepare(connection);
    let origin_fits = strict.is_ok() || connection.prepare(&statement::count(origin)).is_ok();
    connection.set_db_config(option, before).map_err(reading)?;
    Ok(if origin_fits { strict } else { prepare(connection) })
}

/// Tables that SQLite reads from beginning to end for a query, as notes.
fn scanned(connection: &Connection, origin: &Origin, sql: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("explain query plan {sql}")).map_err(reading)?;
    let mut steps = Vec::new();
    // Without a value for the key: only what it is compared with matters.
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(reading)? {
        steps.push(row.get::<_, String>("detail").map_err(reading)?);
    }
    let named_by = |verb: &str| -> Vec<&str> { steps.iter().filter_map(|step| step.strip_prefix(verb)).collect() };
    let made: Vec<_> = [named_by("MATERIALIZE "), named_by("CO-ROUTINE ")].concat();
    let mut notes = Vec::new();
    for step in named_by("SCAN ") {
        let name = step.split(" USING ").next().unwrap_or(step).trim_end_matches(" LEFT-JOIN");
        // What the query makes itself, such as a list of keys, is not looked up.
        if name.contains("VIRTUAL TABLE") || name == "CONSTANT ROW" || name.starts_with('(') || made.contains(&name) {
            continue;
        }
        let name = match origin {
            Origin::Table(table) if name == "s" => &table.name,
            _ => name,
        };
        notes.push(format!(
            "no index finds the rows of a subject: `{name}` is read from beginning to end"
        ));
    }
    notes.dedup();
    Ok(notes)
}

/// Counts a subject's rows.
pub(super) fn count(connection: &Connection, origin: &Origin, subject: &Subject) -> Result<u64> {
    let sql = statement::count_subject(origin, &subject.condition);
    let mut statement = connection.prepare(&sql).map_err(reading)?;
    bind(&mut statement, &subject.key)?;
    let mut rows = statement.raw_query();
    let row = rows.next().map_err(reading)?;
    let found = row.map_or(Ok(0), |row| row.get::<_, i64>(0)).map_err(reading)?;
    Ok(found.unsigned_abs())
}

/// Binds the key, where the condition names it: one that a verification is restricted to does not.
pub(super) fn bind(statement: &mut Statement<'_>, key: &str) -> Result<()> {
    match statement.parameter_index(PARAMETER).map_err(reading)? {
        Some(index) => statement.raw_bind_parameter(index, key).map_err(reading),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::TableName;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch(
                r#"create table orders (id integer primary key, user_id text, number integer, tags json, blob);
                   create index orders_user on orders (user_id);
                   create index orders_number on orders (number);
                   insert into orders values
                     (1, 'ann', 42, '["ann","bob"]', 42), (2, 'bob', 7, '[]', '42'), (3, 'ann', 7, '["bob"]', null),
                     (4, 'o''brien "%_', 0, '[]', null), (5, '42', 1, '[]', null), (6, '$key', 1, '[]', null);
                   create view loose as select id, user_id from orders where user_id <> "nobody";"#,
            )
            .expect("tables");
        connection
    }

    fn table(name: &str) -> Origin {
        Origin::Table(TableName::new(name))
    }

    fn found(condition: &str, key: &str) -> u64 {
        let subject = Subject {
            condition: condition.to_owned(),
            key: key.to_owned(),
        };
        count(&database(), &table("orders"), &subject).expect("a count")
    }

    fn refused(origin: &Origin, condition: &str) -> String {
        let error = check(&database(), origin, condition).expect_err(condition);
        assert_eq!(error.kind(), ErrorKind::Mapping, "{error:?}");
        error.to_string()
    }

    #[test]
    fn the_key_is_a_value_whatever_it_holds() {
        assert_eq!(found("user_id = $key", "ann"), 2);
        assert_eq!(found("user_id = $key", "o'brien \"%_"), 1);
        assert_eq!(found("user_id = $key", "' or 1 = 1 --"), 0);
        assert_eq!(found("user_id = $key or user_id = 'not $key'", "$key"), 1);
        assert_eq!(found("user_id = $key -- the owner", "ann"), 2);
        assert_eq!(found("$key in (select value from json_each(tags))", "bob"), 2);
        assert_eq!(
            found(
                "user_id = $key or exists (select 1 from json_each(tags) where value = $key)",
                "bob"
            ),
            3
        );
    }

    #[test]
    fn numbers_are_compared_as_their_column_says() {
        assert_eq!(found("number = $key", "42"), 1);
        assert_eq!(found("number = $key", "042"), 1);
        assert_eq!(found("number = $key", "forty"), 0);
        assert_eq!(found("user_id = $key", "42"), 1);
        assert_eq!(found("user_id = $key", "042"), 0);
        // Computed values and columns without a type compare by storage class.
        assert_eq!(found("number + 0 = $key", "42"), 0);
        assert_eq!(found("number + 0 = cast($key as integer)", "42"), 1);
        assert_eq!(found("blob = $key", "42"), 1);
    }

    #[test]
    fn conditions_that_are_none_are_refused_with_what_is_wrong() {
        let orders = table("orders");
        assert!(refused(&orders, "usr_id = $key").contains("no such column: usr_id"));
        assert!(refused(&orders, "\"usr_id\" = $key").contains("usr_id"));
        assert!(refused(&orders, "user_id = = $key").contains("syntax error"));
        assert!(refused(&orders, "user_id = '$key'").contains("does not use `$key`"));
        assert!(refused(&orders, "user_id = $key and id > ?").contains("the parameter `?`"));
        assert!(refused(&orders, "user_id = $key and id > :id").contains("the parameter `:id`"));
        assert!(refused(&orders, "user_id = $key); drop table orders; --").contains("not valid"));
        assert!(refused(&orders, "user_id = $key and id in (delete from orders returning id)").contains("syntax error"));
        assert!(check(&database(), &orders, "\"user_id\" = $key").is_ok());
        // A view that takes double quotes for a text is read as its author meant it.
        assert!(check(&database(), &table("loose"), "user_id = $key").is_ok());
    }

    #[test]
    fn an_index_is_used_and_its_lack_is_told() {
        let (database, orders) = (database(), table("orders"));
        let notes = |origin: &Origin, condition: &str| check(&database, origin, condition).expect(condition);
        for condition in [
            "user_id = $key",
            "number = $key",
            "id = $key",
            "user_id = $key or number = $key",
        ] {
            assert_eq!(notes(&orders, condition), [""; 0], "{condition}");
        }
        let whole = ["no index finds the rows of a subject: `orders` is read from beginning to end"];
        assert_eq!(notes(&orders, "blob = $key"), whole);
        assert_eq!(notes(&orders, "$key in (select value from json_each(tags))"), whole);
        let query = |sql: &str| Origin::Query { sql: sql.to_owned() };
        let grouped = query(
            "select o.id, o.user_id as owner, t.n from orders o
             left join (select user_id, count(*) as n from orders group by user_id) t on t.user_id = o.user_id",
        );
        assert_eq!(notes(&grouped, "owner = $key"), whole);
        let looked_up =
            query("select id, user_id as owner, (select count(*) from orders t where t.user_id = o.user_id) as n from orders o");
        assert_eq!(notes(&looked_up, "owner = $key"), [""; 0]);
    }
}
