-- What images look like, as vectors: only where the extension vector can be installed.
do $$
begin
    if exists (select from pg_available_extensions where name = 'vector') then
        if not exists (select from pg_extension where extname = 'vector') then
            create extension vector;
            comment on extension vector is 'installed by the migrations of mindia';
        end if;
        create table media_embeddings (
            media_id uuid primary key references media on delete cascade,
            model varchar(64) not null,
            embedding vector(384) not null
        );
    end if;
exception
    when insufficient_privilege then
        raise notice 'vector may not be installed by this role: there is no table media_embeddings';
end
$$;
