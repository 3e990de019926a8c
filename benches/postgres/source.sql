-- :rows users with rising numbers, and twice as many posts with random uuids, in no order of theirs.
\ir target.sql

insert into users
select i, format('player%s@example.com', i), 'player_' || i, i % 5 <> 0, 1 + i % 60, (i * 7919 % 100000000) / 100.0,
    1000 + ((i * 104729) % 100000) / 128.0, case when i % 3 <> 0 then repeat('word ' || i || ' ', 1 + (i % 7)::integer) end,
    jsonb_build_object('theme', case i % 2 when 0 then 'dark' else 'light' end, 'volume', i % 101, 'beta', i % 7 = 0),
    timestamptz '2024-01-01 00:00:00Z' + i * interval '1.001003 s', timestamptz '2025-01-01 00:00:00Z' + i * interval '0.700001 s'
from generate_series(1, :rows::bigint) i;

insert into posts
select md5('post ' || i)::uuid, 1 + i % :rows::bigint, i % 3, repeat('text ' || i || ' ', 2 + (i % 9)::integer),
    array['tag' || i % 50, 'tag' || i % 7], i % 1000, case when i % 4 <> 0 then (i % 1000003)::numeric / 8 end,
    case when i % 5 <> 0 then date '2024-01-01' + (i % 700)::integer end,
    timestamp '2024-01-01' + i * interval '0.431 s', timestamp '2025-01-01' + i * interval '0.431 s'
from generate_series(1, 2 * :rows::bigint) i;
