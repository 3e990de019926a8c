-- Good rows: what an application writes. Everything follows from the row's number, so that the same
-- sizes give the same rows, whenever and wherever. Numbers up to 1000 are left to traps.sql.

\set user 1
\set device 2
\set conversation 3
\set message 4
\set linking 5
-- Conversation 1 is the wide one, between users 1 and 2; the small ones come after it.
\set wide_conversation 1

set local work_mem = '128MB';
-- Compiling a statement that runs once costs more than it saves.
set local jit = off;

-- 64 bits that look random.
create function pg_temp.bits(number bigint, salt bigint) returns bytea
    language sql immutable parallel safe return int8send(hashint8extended(number, salt));

-- The id of a number's row.
create function pg_temp.id(kind bigint, number bigint) returns uuid
    language sql immutable parallel safe
    return encode(pg_temp.bits(number, kind) || pg_temp.bits(number, -kind), 'hex')::uuid;

-- From 0 to below `bound`, the same for the same number and salt.
create function pg_temp.draw(number bigint, salt bigint, bound bigint) returns bigint
    language sql immutable parallel safe return (hashint8extended(number, salt) & 9223372036854775807) % bound;

-- A key of 32 bytes.
create function pg_temp.key(number bigint, salt bigint) returns bytea
    language sql immutable parallel safe
    return pg_temp.bits(number, salt) || pg_temp.bits(number, salt + 1000) || pg_temp.bits(number, salt + 2000) || pg_temp.bits(number, salt + 3000);

-- A moment of the years 2022 and 2023, to the microsecond.
create function pg_temp.moment(number bigint, salt bigint) returns timestamptz
    language sql immutable parallel safe
    return timestamptz '2022-01-01 00:00:00Z' + pg_temp.draw(number, salt, 63072000000000) * interval '1 microsecond';

-- Every fiftieth user has left.
insert into users
select
    pg_temp.id(:user, number), '+1555' || lpad(number::text, 9, '0'), pg_temp.key(number, 11),
    case when number % 3 > 0 then 'user' || number end,
    case when number % 50 > 0 then (array['Mina', 'José', 'Łukasz', 'Zoë', 'Олег', 'يوسف', '美咲', 'Ngọc', 'Ayşe', 'Søren 🦀'])[1 + pg_temp.draw(number, 12, 10)] end,
    case pg_temp.draw(number, 13, 4) when 0 then null when 1 then '' else 'Hey there! I am number ' || number || '.' end,
    case when number % 2 = 0 then 'https://cdn.vyry.example/p/' || encode(pg_temp.bits(number, 14), 'hex') end,
    case when number % 5 = 0 then 'https://cdn.vyry.example/b/' || encode(pg_temp.bits(number, 15), 'hex') end,
    case when number % 7 > 0 then pg_temp.moment(number, 16) end,
    number % 10 = 1, number % 50 = 0, case when number % 50 = 0 then pg_temp.moment(number, 17) end,
    timestamptz '2021-01-01 00:00:00Z' + number % 31536000 * interval '1 second', pg_temp.moment(number, 18),
    case when number % 4 = 0 then '$argon2id$v=19$m=65536$' || encode(pg_temp.key(number, 19), 'hex') end,
    number % 4 = 0,
    case when number % 8 = 0 then pg_temp.moment(number, 20) + interval '5 years' end,
    case when number % 4 = 0 then pg_temp.moment(number, 20) end
from generate_series(1, :users::bigint) as number;

-- Device 1000 + n is the phone of user n; every second user has linked a computer with it.
insert into devices
select
    1000 + number, pg_temp.id(:user, owner), pg_temp.id(:device, number),
    case when number % 5 > 0 then (array['Pixel 8', 'iPhone 15', 'Fairphone 5', 'Desktop', 'Zoës Gerät'])[1 + pg_temp.draw(number, 21, 5)] end,
    1 + pg_temp.draw(number, 22, 3), pg_temp.key(number, 23), pg_temp.draw(number, 24, 16380), pg_temp.draw(number, 25, 16777215),
    pg_temp.key(number, 26), pg_temp.key(number, 27) || pg_temp.key(number, 28),
    pg_temp.moment(number, 29), timestamptz '2021-06-01 00:00:00Z' + number % 31536000 * interval '1 second',
    case when number > :users then 2 else 1 end, number % 9 > 0,
    case when number > :users then pg_temp.moment(number, 30) end,
    case when number > :users then 1000 + owner end
from (
    select number, case when number > :users then 2 * (number - :users) else number end as owner
    from generate_series(1, :users + :users / 2) as number
) as made;

insert into conversations
select
    pg_temp.id(:conversation, number), (number % 4 = 0)::integer,
    case when number % 4 = 0 then 'Group ' || number end,
    case when number % 8 = 0 then 'https://cdn.vyry.example/g/' || encode(pg_temp.bits(number, 31), 'hex') end,
    timestamptz '2021-12-01 00:00:00Z' + number % 2592000 * interval '1 second',
    case when number % 20 > 0 then pg_temp.id(:user, 1 + number % :users) end,
    case when number % 3 = 0 then jsonb_build_object('disappearing', pg_temp.draw(number, 32, 604800), 'theme', 'plum') else '{}' end
from generate_series(1, :conversations::bigint) as number;

-- Members of conversation n are the users n, n + 1 and, in a group, up to n + 4, counted in a circle.
insert into conv_members
select
    pg_temp.id(:conversation, number), pg_temp.id(:user, 1 + (number - 1 + place) % :users), (place = 0)::integer,
    timestamptz '2021-12-01 00:00:00Z' + number % 2592000 * interval '1 second',
    case when (number + place) % 40 = 0 then pg_temp.moment(number, 41) end
from generate_series(1, :conversations::bigint) as number,
    lateral generate_series(0, least(case when number % 4 = 0 then 4 else 1 end, :users - 1)) as place;

insert into one_time_prekeys
select 1000 + device, number, pg_temp.key(device * 10 + number, 51)
from generate_series(1, :users + :users / 2) as device, generate_series(1, 3) as number;

insert into signal_sessions
select
    1000 + device, 'user' || (1 + (device + place) % :users) || '.' || place,
    pg_temp.key(device * 10 + place, 61) || pg_temp.key(device * 10 + place, 62) || pg_temp.key(device * 10 + place, 63),
    pg_temp.moment(device * 10 + place, 64)
from generate_series(1, :users + :users / 2) as device, generate_series(1, 2) as place;

insert into push_tokens
select user_id, device_id, platform, 'fcm:' || encode(pg_temp.key(device_id, 71), 'hex'), pg_temp.moment(device_id, 72)
from devices where is_active;

insert into device_linking_sessions
select
    pg_temp.id(:linking, number), 1000 + 2 * number, case when number % 3 > 0 then 'qr-' || encode(pg_temp.bits(number, 81), 'hex') end,
    number % 3, case when number % 3 > 0 then pg_temp.id(:device, :users + number) end, case when number % 3 > 0 then 'Desktop' end,
    pg_temp.moment(number, 82) + interval '5 minutes', pg_temp.moment(number, 82),
    case when number % 3 = 2 then pg_temp.moment(number, 82) + interval '1 minute' end
from generate_series(1, :users / 2) as number;

-- First the small conversations, the same number of messages in each, spread over two years. Then the wide
-- one: three in five of its messages are of ten days, so that even its buckets are of unlike sizes.
insert into messages
select
    1000 + number, pg_temp.id(:conversation, conversation), case when number % 10 > 0 then pg_temp.id(:message, number) end,
    pg_temp.id(:user, sender), 1000 + sender,
    case when number % 12 = 0 then 2 else number % 2 end,
    encode(pg_temp.key(number, 91) || pg_temp.key(number, 92) || case when number % 3 = 0 then pg_temp.key(number, 93) else '' end, 'base64'),
    substr(pg_temp.key(number, 94), 1, 12),
    case when number % 12 = 0 then 'https://cdn.vyry.example/a/' || encode(pg_temp.bits(number, 95), 'hex') end,
    case when number % 24 = 0 then 'https://cdn.vyry.example/t/' || encode(pg_temp.bits(number, 95), 'hex') end,
    case when number % 30 = 0 then pg_temp.key(number, 96) end,
    -- Answers stay within a conversation; a few are to a message that came later.
    case when number % 15 = 0 and (number - 1) % :each > 0 then 1000 + number - 1
        when number % 31 = 0 and number % :each > 0 and number < :small then 1000 + number + 1 end,
    sent_at,
    case when number % 25 = 0 then sent_at + interval '90.5 seconds' end,
    case when number % 60 = 0 then sent_at + interval '1 hour' end,
    -- Long past, or still to come for years.
    case when number % 20 = 0 then sent_at + interval '7 days' when number % 33 = 0 then sent_at + interval '12 years' end,
    case when number % 12 = 0 then jsonb_build_object('size', pg_temp.draw(number, 98, 10000000), 'mime', 'image/webp') else '{}' end
from (
    select number, conversation, 1 + (conversation - 1 + pg_temp.draw(number, 99, least(2, :users))) % :users as sender,
        case when conversation > :wide_conversation then pg_temp.moment(number, 97)
            when number % 5 < 3 then timestamptz '2023-07-12 00:00:00Z' + pg_temp.draw(number, 97, 864000000000) * interval '1 microsecond'
            else timestamptz '2023-05-01 00:00:00Z' + pg_temp.draw(number, 97, 8640000000000) * interval '1 microsecond' end as sent_at
    from (
        select number, case when number > :small then :wide_conversation else 2 + (number - 1) / :each end as conversation
        from generate_series(1, :small::bigint + :wide) as number
    ) as placed
) as made;

-- To the phone of the other one, and where that is a computer's owner, too, to the computer; of the wide
-- conversation every fourth.
insert into message_deliveries
select
    1000 + number, 1000 + case when place = 0 then receiver else :users + receiver / 2 end,
    case when number % 9 > 0 then pg_temp.moment(number + place, 101) end,
    case when number % 9 > 0 and number % 2 = 0 then pg_temp.moment(number + place, 101) + interval '30.25 seconds' end,
    case when number % 9 = 0 then pg_temp.key(number + place, 102) when number % 18 = 1 then '' end
from (
    select number, 1 + case when number > :small then :wide_conversation else 2 + (number - 1) / :each end % :users as receiver
    from generate_series(1, :small::bigint + :wide) as number
    where number <= :small or number % 4 = 0
) as made, lateral generate_series(0, case when receiver % 2 = 0 and number <= :small then 1 else 0 end) as place;
