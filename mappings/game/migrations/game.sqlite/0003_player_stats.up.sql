create table player_stats (
    id uuid text primary key not null,
    player_id uuid text references players (id) on delete cascade,
    date date text not null,
    games_played int4 default 0 check (games_played >= 0),
    games_won int4 default 0 check (games_won >= 0),
    total_score bigint default 0,
    average_score numeric text(8,2),
    playtime_minutes int4 default 0 check (playtime_minutes >= 0),
    region varchar(50),
    created_at timestamp text default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    unique (player_id, date)
);

create index player_stats_date on player_stats (date);
