//! What a Postgres schema is made of, by the catalog. Members of extensions are the extension's.

use sqlx::{Executor as _, PgConnection, Row as _};

use crate::schema::inventory::Inventory;

/// Kind, name and definition of every object. Nothing in a definition depends on when or in which order
/// objects were made, but for the order of a table's columns.
const OBJECTS: &str = "
with spaces as (
    select oid, nspname, nspacl from pg_namespace
    where nspname !~ '^pg_' and nspname not in ('information_schema', 'dbferry')
), members as (
    select classid, objid from pg_depend where deptype = 'e'
), relations as (
    select c.*, c.oid::regclass::text as spelt from pg_class c join spaces n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and c.relname <> '_sqlx_migrations'
        and not exists (select from members m where m.classid = 'pg_class'::regclass and m.objid = c.oid)
)
select 'schema', quote_ident(nspname), coalesce(nspacl::text, '') from spaces
union all
select 'extension', quote_ident(extname), 'version ' || extversion from pg_extension where extname <> 'plpgsql'
union all
select case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'c' then 'composite type'
        when 'f' then 'foreign table' else 'table' end,
    spelt,
    concat_ws(' ', relkind, relpersistence, case when relrowsecurity then 'row level security' end,
        case when relforcerowsecurity then 'forced' end, reloptions::text, relacl::text,
        case when relkind in ('v', 'm') then pg_get_viewdef(oid) end,
        case when relkind = 'p' then pg_get_partkeydef(oid) end, pg_get_expr(relpartbound, oid), obj_description(oid, 'pg_class'))
from relations
union all
select 'sequence', r.spelt || ' (settings)',
    concat_ws(' ', format_type(s.seqtypid, null), s.seqstart, s.seqmin, s.seqmax, s.seqincrement, s.seqcache, s.seqcycle,
        (select d.refobjid::regclass || '.' || a.attname from pg_depend d
            join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
            where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype in ('a', 'i') limit 1))
from relations r join pg_sequence s on s.seqrelid = r.oid
union all
select 'column', r.spelt || '.' || quote_ident(a.attname),
    concat_ws(' ', 'number', (select count(*) from pg_attribute b
            where b.attrelid = a.attrelid and b.attnum > 0 and not b.attisdropped and b.attnum <= a.attnum),
        format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
        'default ' || pg_get_expr(d.adbin, d.adrelid), nullif('identity ' || a.attidentity::text, 'identity '),
        nullif('generated ' || a.attgenerated::text, 'generated '),
        (select 'collate ' || o.collname from pg_collation o where o.oid = a.attcollation and o.oid <> t.typcollation),
        a.attacl::text, col_description(a.attrelid, a.attnum))
from relations r
join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where r.relkind <> 'S'
union all
select 'constraint', coalesce(r.spelt, c.contypid::regtype::text) || ': ' || quote_ident(c.conname), pg_get_constraintdef(c.oid)
from pg_constraint c join spaces n on n.oid = c.connamespace left join relations r on r.oid = c.conrelid
where c.contypid <> 0 or r.oid is not null
union all
select 'index', i.indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(i.indexrelid), case when not i.indisvalid then 'invalid' end)
from pg_index i join relations r on r.oid = i.indrelid
union all
select 'trigger', r.spelt || ': ' || quote_ident(t.tgname), concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
from pg_trigger t join relations r on r.oid = t.tgrelid where not t.tgisinternal
union all
select 'policy', r.spelt || ': ' || quote_ident(p.polname),
    concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[]::text, 'using ' || pg_get_expr(p.polqual, p.polrelid),
        'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
from pg_policy p join relations r on r.oid = p.polrelid
union all
select 'rule', r.spelt || ': ' || quote_ident(w.rulename), pg_get_ruledef(w.oid)
from pg_rewrite w join relations r on r.oid = w.ev_class where w.rulename <> '_RETURN'
union all
select 'statistics', quote_ident(n.nspname) || '.' || quote_ident(s.stxname), pg_get_statisticsobjdef(s.oid)
from pg_statistic_ext s join spaces n on n.oid = s.stxnamespace
union all
select 'type', t.oid::regtype::text,
    concat_ws(' ', t.typtype, case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
        case when t.typnotnull then 'not null' end, 'default ' || t.typdefault,
        (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
        (select g.rngsubtype::regtype::text from pg_range g where g.rngtypid = t.oid), t.typacl::text)
from pg_type t join spaces n on n.oid = t.typnamespace
where t.typtype in ('e', 'd', 'r', 'b', 'p') and t.typelem = 0
    and not exists (select from members m where m.classid = 'pg_type'::regclass and m.objid = t.oid)
union all
select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, p.oid::regprocedure::text,
    concat_ws(' ', case when p.prokind <> 'a' then pg_get_functiondef(p.oid) else pg_get_function_result(p.oid) end, p.proacl::text)
from pg_proc p join spaces n on n.oid = p.pronamespace
where not exists (select from members m where m.classid = 'pg_proc'::regclass and m.objid = p.oid)
union all
select 'operator', o.oid::regoperator::text, o.oprcode::text from pg_operator o join spaces n on n.oid = o.oprnamespace
where not exists (select from members m where m.classid = 'pg_operator'::regclass and m.objid = o.oid)
union all
select 'collation', quote_ident(n.nspname) || '.' || quote_ident(c.collname), concat_ws(' ', c.collprovider, c.collcollate)
from pg_collation c join spaces n on n.oid = c.collnamespace
union all
select 'event trigger', quote_ident(e.evtname), concat_ws(' ', e.evtevent, e.evtfoid::regproc, e.evtenabled, e.evttags::text)
from pg_event_trigger e where not exists (select from members m where m.classid = 'pg_event_trigger'::regclass and m.objid = e.oid)
union all
select 'publication', quote_ident(pubname), concat_ws(' ', puballtables, pubinsert, pubupdate, pubdelete, pubtruncate,
    (select string_agg(r.prrelid::regclass::text, ', ' order by 1) from pg_publication_rel r where r.prpubid = p.oid))
from pg_publication p
union all
select 'foreign server', quote_ident(srvname), coalesce(srvoptions::text, '') from pg_foreign_server
union all
select 'default privileges', coalesce(defaclnamespace::regnamespace::text, '') || ' ' || defaclobjtype::text, defaclacl::text from pg_default_acl
";

/// Everything that is there.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Inventory, sqlx::Error> {
    let mut inventory = Inventory::default();
    for row in connection.fetch_all(OBJECTS).await? {
        inventory.add(
            row.try_get::<String, _>(0)?,
            row.try_get::<String, _>(1)?,
            row.try_get::<Option<String>, _>(2)?.unwrap_or_default(),
        );
    }
    Ok(inventory)
}
