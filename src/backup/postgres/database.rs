//! Databases that are made to be like another: encoding, locale, owner, and what else belongs to a
//! database itself and not to what is in it.

use sqlx::{Executor as _, Row as _};

use super::scratch::Server;
use crate::Result;
use crate::backup::manifest::Saved;
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::postgres::quote;

/// First version whose databases have a provider of their locale.
const VERSION_PROVIDER: u32 = 15;
/// First version that names the locale of every provider in one column.
const VERSION_LOCALE: u32 = 17;
/// Settings whose value is a list of quoted names already.
const LISTS: [&str; 6] = [
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
    "shared_preload_libraries",
    "unix_socket_directories",
];

/// A text as a literal, for commands that take no parameters.
fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Makes a database to try out what was saved: like the one that it was saved from, where that is on
/// this server.
pub(super) async fn create_scratch(server: &mut Server, name: &str, saved: &Saved) -> Result<()> {
    let like = saved.database.as_deref().unwrap_or_default();
    let locale = locale_of(server, like).await?;
    let statement = format!("create database {} template template0 {locale}", quote::ident(name)?);
    server.execute(statement, "making a database to restore into").await
}

/// Makes a database that takes another's place one day: its owner, limits and tablespace, too.
pub(super) async fn create_successor(server: &mut Server, name: &str, of: &str) -> Result<()> {
    let locale = locale_of(server, of).await?;
    let row = sqlx::query(
        "select r.rolname::text, t.spcname::text, d.datconnlimit, current_user = r.rolname
         from pg_catalog.pg_database d join pg_catalog.pg_roles r on r.oid = d.datdba
             join pg_catalog.pg_tablespace t on t.oid = d.dattablespace
         where d.datname = $1",
    )
    .bind(of)
    .fetch_optional(&mut server.connection)
    .await
    .map_err(|error| classify(&error))?;
    let mut statement = format!("create database {} template template0 {locale}", quote::ident(name)?);
    if let Some(row) = row {
        let (owner, tablespace, limit, own): (String, String, i32, bool) =
            (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?, get(&row, 3)?);
        if !own {
            statement = format!("{statement} owner {}", quote::ident(&owner)?);
        }
        // Naming the server's own takes a right that few have.
        if tablespace != "pg_default" {
            statement = format!("{statement} tablespace {}", quote::ident(&tablespace)?);
        }
        statement = format!("{statement} connection limit {limit}");
    }
    server.execute(statement, "making a database to restore into").await
}

/// Encoding and locale of a database, as a new one is given them; UTF8 where there is none.
async fn locale_of(server: &mut Server, database: &str) -> Result<String> {
    let provider = match server.major {
        VERSION_LOCALE.. => "datlocprovider::text, datlocale",
        VERSION_PROVIDER.. => "datlocprovider::text, daticulocale",
        _ => "'c'::text, null::text",
    };
    let sql = format!(
        "select pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, {provider}
         from pg_catalog.pg_database where datname = $1"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(database)
        .fetch_optional(&mut server.connection)
        .await
        .map_err(|error| classify(&error))?;
    let Some(row) = row else {
        return Ok("encoding 'UTF8'".to_owned());
    };
    let (encoding, collate, ctype): (String, String, String) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    let (provider, locale): (String, Option<String>) = (get(&row, 3)?, get(&row, 4)?);
    let more = match (provider.as_str(), locale) {
        ("i", Some(locale)) => format!(" locale_provider icu icu_locale {}", literal(&locale)),
        ("b", Some(locale)) => format!(" locale_provider builtin builtin_locale {}", literal(&locale)),
        _ => String::new(),
    };
    Ok(format!(
        "encoding {} lc_collate {} lc_ctype {}{more}",
        literal(&encoding),
        literal(&collate),
        literal(&ctype)
    ))
}

/// Gives a database the comment, rights and settings of another.
pub(super) async fn dress(server: &mut Server, name: &str, like: &str) -> Result<()> {
    let target = quote::ident(name)?;
    let doing = "giving the restored database the rights and settings of the one that it replaces";
    let row = sqlx::query(
        "select pg_catalog.shobj_description(oid, 'pg_database'), datacl is null from pg_catalog.pg_database where datname = $1",
    )
    .bind(like)
    .fetch_optional(&mut server.connection)
    .await
    .map_err(|error| classify(&error))?;
    let Some(row) = row else { return Ok(()) };
    if let Some(comment) = get::<Option<String>>(&row, 0)? {
        server
            .execute(format!("comment on database {target} is {}", literal(&comment)), doing)
            .await?;
    }
    if !get::<bool>(&row, 1)? {
        server
            .execute(format!("revoke all on database {target} from public"), doing)
            .await?;
        for grant in grants(server, like).await? {
            server
                .execute(
                    format!("grant {} on database {target} to {}{}", grant.0, grant.1, grant.2),
                    doing,
                )
                .await?;
        }
    }
    for (role, setting) in settings(server, like).await? {
        let Some((key, value)) = setting.split_once('=') else {
            continue;
        };
        let value = if LISTS.contains(&key) {
            value.to_owned()
        } else {
            literal(value)
        };
        let value = if value.is_empty() { "''".to_owned() } else { value };
        // A setting of an extension has a name of two parts.
        let key: Vec<String> = key.split('.').map(quote::ident).collect::<Result<_>>()?;
        let whose = match role {
            Some(role) => format!("alter role {} in database {target}", quote::ident(&role)?),
            None => format!("alter database {target}"),
        };
        server
            .execute(format!("{whose} set {} to {value}", key.join(".")), doing)
            .await?;
    }
    Ok(())
}

/// Rights on a database: which, to whom, and how.
async fn grants(server: &mut Server, database: &str) -> Result<Vec<(String, String, &'static str)>> {
    let rows = sqlx::query(
        "select a.privilege_type::text, r.rolname::text, a.is_grantable
         from pg_catalog.pg_database d cross join pg_catalog.aclexplode(d.datacl) a
             left join pg_catalog.pg_roles r on r.oid = a.grantee
         where d.datname = $1 and a.grantee <> d.datdba",
    )
    .bind(database)
    .fetch_all(&mut server.connection)
    .await
    .map_err(|error| classify(&error))?;
    let read = |row| {
        let (right, role, grantable): (String, Option<String>, bool) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
        let to = role.map_or_else(|| Ok("public".to_owned()), |role| quote::ident(&role))?;
        Ok((right, to, if grantable { " with grant option" } else { "" }))
    };
    rows.iter().map(read).collect()
}

/// Settings of a database, and of roles in it.
async fn settings(server: &mut Server, database: &str) -> Result<Vec<(Option<String>, String)>> {
    let rows = sqlx::query(
        "select r.rolname::text, unnest(s.setconfig)
         from pg_catalog.pg_db_role_setting s join pg_catalog.pg_database d on d.oid = s.setdatabase
             left join pg_catalog.pg_roles r on r.oid = s.setrole
         where d.datname = $1",
    )
    .bind(database)
    .fetch_all(&mut server.connection)
    .await
    .map_err(|error| classify(&error))?;
    let failed = |error: sqlx::Error| classify(&error);
    rows.iter()
        .map(|row| Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?)))
        .collect()
}

/// Makes one database take another's place: both names change in one transaction.
pub(super) async fn swap(server: &mut Server, successor: &str, name: &str, replaced: Option<&str>) -> Result<()> {
    let renamed = |from: &str, to: &str| -> Result<String> {
        Ok(format!(
            "alter database {} rename to {}; ",
            quote::ident(from)?,
            quote::ident(to)?
        ))
    };
    let away: String = replaced.map_or_else(|| Ok(String::new()), |replaced| renamed(name, replaced))?;
    let statement = format!(
        "begin; set local lock_timeout = '30s'; {away}{}commit",
        renamed(successor, name)?
    );
    let swapped = server
        .execute(statement, &format!("putting the restored database in the place of `{name}`"))
        .await;
    if swapped.is_err() {
        // The transaction is open and void.
        let ended = server.connection.execute("rollback").await;
        ended.map_err(|error| classify(&error))?;
    }
    swapped.map_err(|error| {
        if error.kind() == crate::ErrorKind::Busy {
            error.hint(
                "somebody has connected to the database meanwhile: stop its application, then restore again; nothing was changed",
            )
        } else {
            error
        }
    })
}
