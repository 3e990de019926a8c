-- SQLite takes any word for a type. The first word says what is meant; with `text` beside it a
-- value is kept as the text it is written as, so that decimals keep their digits.
create table players (
    id uuid text primary key not null,
    username varchar(50) not null unique,
    email varchar(255) not null unique,
    password_hash varchar(255),
    skill_rating numeric text(7,2) default '1200',
    games_played int4 default 0 check (games_played >= 0),
    wins int4 default 0 check (wins >= 0),
    losses int4 default 0 check (losses >= 0),
    draws int4 default 0 check (draws >= 0),
    total_score bigint default 0,
    is_online boolean default false,
    last_seen timestamp text,
    region varchar(50),
    inventory json text default '[]',
    achievements json text default '[]',
    created_at timestamp text default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    updated_at timestamp text default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    constraint players_counts check (games_played >= wins + losses + draws)
);

create unique index players_email_lower on players (lower(email));

-- Whatever changes a row says when. Moving rows leaves this trigger off, to keep their own times.
create trigger players_updated_at after update on players
    when new.updated_at is old.updated_at
begin
    update players set updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now') where id = new.id;
end;
