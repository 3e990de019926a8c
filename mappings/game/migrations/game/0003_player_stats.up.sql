create table player_stats (
    id uuid primary key,
    player_id uuid references players (id) on delete cascade,
    date date not null,
    games_played integer default 0 check (games_played >= 0),
    games_won integer default 0 check (games_won >= 0),
    total_score bigint default 0,
    average_score numeric(8,2),
    playtime_minutes integer default 0 check (playtime_minutes >= 0),
    region varchar(50),
    created_at timestamp default (now() at time zone 'utc'),
    unique (player_id, date)
);

create index player_stats_date on player_stats (date);
