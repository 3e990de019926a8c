drop table if exists media_embeddings;

-- The extension goes only if it came with the migration.
do $$
begin
    if exists (
        select from pg_extension
        where extname = 'vector' and obj_description(oid, 'pg_extension') = 'installed by the migrations of mindia'
    ) then
        drop extension vector;
    end if;
end
$$;
