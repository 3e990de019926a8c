-- A PocketBase-like database: :rows users and twice as many matches. Ids are spread over the whole
-- key range (an odd factor modulo 2^32 never meets itself), as random ones would be.
-- No journal while it is made: random ids write every page many times. The cache holds the index.
pragma journal_mode = off;
pragma synchronous = off;
pragma cache_size = -2000000;

create table _collections (
    id text primary key not null, system boolean default false not null, type text default 'base' not null,
    name text unique not null, fields json default '[]' not null, indexes json default '[]' not null,
    listRule text default null, viewRule text default null, createRule text default null,
    updateRule text default null, deleteRule text default null, options json default '{}' not null,
    created text default '' not null, updated text default '' not null
);
create table _params (id text primary key not null, value json default null, created text default '' not null, updated text default '' not null);
create table _migrations (file varchar(255) primary key not null, applied integer not null);

insert into _collections (id, type, name, fields, created, updated) values
('benchusers00001', 'base', 'users', '[
    {"id":"text3208210256","name":"id","type":"text","system":true,"required":true,"primaryKey":true,"hidden":false,"min":15,"max":15},
    {"id":"email1","name":"email","type":"email","system":false,"required":false,"hidden":false},
    {"id":"text2","name":"username","type":"text","system":false,"required":false,"hidden":false},
    {"id":"bool1","name":"verified","type":"bool","system":false,"required":false,"hidden":false},
    {"id":"number1","name":"level","type":"number","system":false,"required":false,"hidden":false,"onlyInt":true},
    {"id":"number2","name":"xp","type":"number","system":false,"required":false,"hidden":false,"onlyInt":true},
    {"id":"number3","name":"rating","type":"number","system":false,"required":false,"hidden":false,"onlyInt":false},
    {"id":"json1","name":"settings","type":"json","system":false,"required":false,"hidden":false,"maxSize":0},
    {"id":"autodate1","name":"created","type":"autodate","system":false,"hidden":false,"onCreate":true,"onUpdate":false},
    {"id":"autodate2","name":"updated","type":"autodate","system":false,"hidden":false,"onCreate":true,"onUpdate":true}
]', '2025-03-01 12:00:00.000Z', '2025-03-01 12:00:00.000Z'),
('benchmatches001', 'base', 'matches', '[
    {"id":"text3208210256","name":"id","type":"text","system":true,"required":true,"primaryKey":true,"hidden":false,"min":15,"max":15},
    {"id":"text3","name":"room_id","type":"text","system":false,"required":false,"hidden":false},
    {"id":"relation1","name":"host_id","type":"relation","system":false,"required":false,"hidden":false,"collectionId":"benchusers00001","maxSelect":1,"minSelect":0,"cascadeDelete":false},
    {"id":"select1","name":"game_mode","type":"select","system":false,"required":false,"hidden":false,"maxSelect":1,"values":["deathmatch","team_deathmatch","capture_the_flag"]},
    {"id":"number4","name":"max_players","type":"number","system":false,"required":false,"hidden":false,"onlyInt":true},
    {"id":"bool2","name":"ranked","type":"bool","system":false,"required":false,"hidden":false},
    {"id":"number5","name":"accuracy","type":"number","system":false,"required":false,"hidden":false,"onlyInt":false},
    {"id":"json2","name":"settings","type":"json","system":false,"required":false,"hidden":false,"maxSize":0},
    {"id":"date1","name":"start_time","type":"date","system":false,"required":false,"hidden":false,"min":"","max":""},
    {"id":"date2","name":"end_time","type":"date","system":false,"required":false,"hidden":false,"min":"","max":""},
    {"id":"autodate1","name":"created","type":"autodate","system":false,"hidden":false,"onCreate":true,"onUpdate":false},
    {"id":"autodate2","name":"updated","type":"autodate","system":false,"hidden":false,"onCreate":true,"onUpdate":true}
]', '2025-03-01 12:00:00.000Z', '2025-03-01 12:00:00.000Z');

create table `users` (
    `id` TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL, `email` TEXT DEFAULT '' NOT NULL,
    `username` TEXT DEFAULT '' NOT NULL, `verified` BOOLEAN DEFAULT FALSE NOT NULL, `level` NUMERIC DEFAULT 0 NOT NULL,
    `xp` NUMERIC DEFAULT 0 NOT NULL, `rating` NUMERIC DEFAULT 0 NOT NULL, `settings` JSON DEFAULT NULL,
    `created` TEXT DEFAULT '' NOT NULL, `updated` TEXT DEFAULT '' NOT NULL
);
create table `matches` (
    `id` TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL, `room_id` TEXT DEFAULT '' NOT NULL,
    `host_id` TEXT DEFAULT '' NOT NULL, `game_mode` TEXT DEFAULT '' NOT NULL, `max_players` NUMERIC DEFAULT 0 NOT NULL,
    `ranked` BOOLEAN DEFAULT FALSE NOT NULL, `accuracy` NUMERIC DEFAULT 0 NOT NULL, `settings` JSON DEFAULT NULL,
    `start_time` TEXT DEFAULT '' NOT NULL, `end_time` TEXT DEFAULT '' NOT NULL,
    `created` TEXT DEFAULT '' NOT NULL, `updated` TEXT DEFAULT '' NOT NULL
);

begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < :rows)
insert into users
select printf('%08x%07x', (i * 2654435761) & 4294967295, (i * 40503 + 977) & 268435455),
    printf('player%07d@example.com', i), printf('player_%07d', i), i % 5 != 0, 1 + i % 60, (i * 7919) % 250000,
    1000 + ((i * 104729) % 100000) / 128.0,
    printf('{"theme":"%s","volume":%d,"keys":{"jump":"space","fire":"%s"},"beta":%s}',
        iif(i % 2, 'dark', 'light'), i % 101, iif(i % 3, 'left', 'right'), iif(i % 7, 'false', 'true')),
    strftime('%Y-%m-%d %H:%M:%S', 1700000000 + i * 37 % 31000000, 'unixepoch') || printf('.%03dZ', i % 1000),
    strftime('%Y-%m-%d %H:%M:%S', 1731000000 + i * 41 % 8000000, 'unixepoch') || printf('.%03dZ', i % 997)
from n;

with recursive n(i) as (select 1 union all select i + 1 from n where i < 2 * :rows)
insert into matches
select printf('%08x%07x', (i * 2246822519) & 4294967295, (i * 60493 + 131) & 268435455),
    printf('room-%07d', i),
    iif(i % 11, printf('%08x%07x', ((1 + i % :rows) * 2654435761) & 4294967295, ((1 + i % :rows) * 40503 + 977) & 268435455), ''),
    case i % 3 when 0 then 'deathmatch' when 1 then 'team_deathmatch' else 'capture_the_flag' end,
    2 + i % 31, i % 2, ((i * 7907) % 10000) / 128.0,
    printf('{"rounds":%d,"friendly_fire":%s,"gravity":%d.%d,"tags":["ranked","%s"]}',
        1 + i % 15, iif(i % 2, 'true', 'false'), i % 12, i % 10, iif(i % 3, 'night', 'day')),
    strftime('%Y-%m-%d %H:%M:%S', 1700000000 + i * 29 % 39000000, 'unixepoch') || printf('.%03dZ', i % 991),
    iif(i % 4, strftime('%Y-%m-%d %H:%M:%S', 1700001000 + i * 29 % 39000000, 'unixepoch') || printf('.%03dZ', i % 983), ''),
    strftime('%Y-%m-%d %H:%M:%S', 1700000000 + i * 29 % 39000000, 'unixepoch') || printf('.%03dZ', i % 977),
    strftime('%Y-%m-%d %H:%M:%S', 1700002000 + i * 29 % 39000000, 'unixepoch') || printf('.%03dZ', i % 971)
from n;
commit;
pragma journal_mode = wal;
