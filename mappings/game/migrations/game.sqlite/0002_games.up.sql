create table games (
    id uuid text primary key not null,
    name varchar(100) not null,
    game_mode varchar(50) not null,
    max_players int4 not null check (max_players >= 0),
    current_players int4 check (current_players >= 0),
    status varchar(20) default 'waiting'
        check (status in ('waiting', 'starting', 'in_progress', 'finished', 'cancelled')),
    map_name varchar(100),
    host_id uuid text references players (id),
    settings json text,
    started_at timestamp text,
    finished_at timestamp text,
    created_at timestamp text default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    updated_at timestamp text default (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

create index games_status on games (status);
create index games_host on games (host_id);

create trigger games_updated_at after update on games
    when new.updated_at is old.updated_at
begin
    update games set updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now') where id = new.id;
end;

create table game_sessions (
    id uuid text primary key not null,
    game_id uuid text references games (id) on delete cascade,
    player_id uuid text references players (id) on delete cascade,
    position json text,
    health numeric text(5,2) check (cast(health as real) between 0 and 100),
    score int4 default 0,
    status varchar(20) default 'active' check (status in ('active', 'left')),
    joined_at timestamp text,
    left_at timestamp text,
    created_at timestamp text default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    updated_at timestamp text default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    unique (game_id, player_id)
);

create index game_sessions_player on game_sessions (player_id);

create trigger game_sessions_updated_at after update on game_sessions
    when new.updated_at is old.updated_at
begin
    update game_sessions set updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now') where id = new.id;
end;
