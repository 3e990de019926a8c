-- Whatever changes a row says when. Moving rows leaves this trigger off, to keep their own times.
create function set_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now() at time zone 'utc';
    return new;
end
$$;

create table players (
    id uuid primary key,
    username varchar(50) not null unique,
    email varchar(255) not null unique,
    password_hash varchar(255),
    skill_rating numeric(7,2) default 1200,
    games_played integer default 0 check (games_played >= 0),
    wins integer default 0 check (wins >= 0),
    losses integer default 0 check (losses >= 0),
    draws integer default 0 check (draws >= 0),
    total_score bigint default 0,
    is_online boolean default false,
    last_seen timestamp,
    region varchar(50),
    inventory jsonb default '[]',
    achievements jsonb default '[]',
    created_at timestamp default (now() at time zone 'utc'),
    updated_at timestamp default (now() at time zone 'utc'),
    constraint players_counts check (games_played >= wins + losses + draws)
);

create unique index players_email_lower on players (lower(email));
create index players_skill_rating on players (skill_rating desc);

create trigger players_updated_at before update on players
    for each row execute function set_updated_at();
