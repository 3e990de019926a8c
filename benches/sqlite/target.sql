-- The typed target, the same for dbferry and for the server's own COPY.
create table users (
    id text primary key,
    email text not null,
    username text not null,
    verified boolean not null,
    level integer not null,
    xp integer not null,
    rating double precision not null,
    settings jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create table matches (
    id text primary key,
    room_id text not null,
    host_id text,
    game_mode text not null,
    max_players integer not null,
    ranked boolean not null,
    accuracy double precision not null,
    settings jsonb,
    start_time timestamptz,
    end_time timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
