create table media_events (
    id bigint generated always as identity,
    media_id uuid not null references media on delete cascade,
    happened_at timestamptz not null default now(),
    kind varchar(32) not null,
    details jsonb not null default '{}',
    primary key (id, happened_at)
);

create index media_events_media on media_events (media_id, happened_at desc);
create index media_events_details on media_events using gin (details);

-- Partitioned by time where timescaledb can be installed: it has to be loaded with the server.
do $$
begin
    if exists (select from pg_available_extensions where name = 'timescaledb')
        and current_setting('shared_preload_libraries') ~ 'timescaledb'
    then
        if not exists (select from pg_extension where extname = 'timescaledb') then
            create extension timescaledb;
            comment on extension timescaledb is 'installed by the migrations of mindia';
        end if;
        perform create_hypertable('media_events', 'happened_at');
    end if;
exception
    when insufficient_privilege then
        raise notice 'timescaledb may not be installed by this role: media_events is an ordinary table';
end
$$;
