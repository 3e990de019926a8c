create table games (
    id uuid primary key,
    name varchar(100) not null,
    game_mode varchar(50) not null,
    max_players integer not null check (max_players >= 0),
    current_players integer check (current_players >= 0),
    status varchar(20) default 'waiting'
        check (status in ('waiting', 'starting', 'in_progress', 'finished', 'cancelled')),
    map_name varchar(100),
    host_id uuid references players (id),
    settings jsonb,
    started_at timestamp,
    finished_at timestamp,
    created_at timestamp default (now() at time zone 'utc'),
    updated_at timestamp default (now() at time zone 'utc')
);

create index games_status on games (status);
create index games_host on games (host_id);

create trigger games_updated_at before update on games
    for each row execute function set_updated_at();

create table game_sessions (
    id uuid primary key,
    game_id uuid references games (id) on delete cascade,
    player_id uuid references players (id) on delete cascade,
    position jsonb,
    health numeric(5,2) check (health between 0 and 100),
    score integer default 0,
    status varchar(20) default 'active' check (status in ('active', 'left')),
    joined_at timestamp,
    left_at timestamp,
    created_at timestamp default (now() at time zone 'utc'),
    updated_at timestamp default (now() at time zone 'utc'),
    unique (game_id, player_id)
);

create index game_sessions_player on game_sessions (player_id);

create trigger game_sessions_updated_at before update on game_sessions
    for each row execute function set_updated_at();
