drop table media_events;

-- The extension goes only if it came with the migration.
do $$
begin
    if exists (
        select from pg_extension
        where extname = 'timescaledb' and obj_description(oid, 'pg_extension') = 'installed by the migrations of mindia'
    ) then
        drop extension timescaledb;
    end if;
end
$$;
