-- A game's users as its caches hold them: :rows profiles, and as many places on one leaderboard. Ids
-- are spread over the whole key range (an odd factor modulo 2^32 never meets itself), as random ones
-- would be. Rows lie in the order of their ids: what it costs to look for them all over the file is
-- measured by the benchmark from SQLite, not here.
pragma journal_mode = off;
pragma synchronous = off;
pragma cache_size = -2000000;

create table profiles (
    id text primary key not null, username text not null, level integer not null, xp integer not null,
    rating integer not null, region text not null
);
create table leaderboard (user_id text primary key not null, season text not null, score integer not null);

begin;
with recursive number (n) as (select 1 union all select n + 1 from number where n < :rows)
insert into profiles
select
    printf('u%08x%06x', n * 2654435761 % 4294967296, n), 'player_' || n, n % 100 + 1, n * 977 % 1000000,
    800 + n * 31 % 1600, case n % 4 when 0 then 'eu-west' when 1 then 'us-east' when 2 then 'ap-south' else 'sa-east' end
from number
order by 1;
insert into leaderboard select id, 'S1', xp * 100 + level from profiles order by id;
commit;
