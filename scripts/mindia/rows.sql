-- Good rows: what an application writes. Everything follows from the row's number, so that the same
-- sizes give the same rows, whenever and wherever.

set local jit = off;

-- 64 bits that look random.
create function pg_temp.bits(number bigint, salt bigint) returns bytea
    language sql immutable parallel safe return int8send(hashint8extended(number, salt));

-- The id of a number's row; those of traps look otherwise.
create function pg_temp.id(kind bigint, number bigint) returns uuid
    language sql immutable parallel safe
    return encode(pg_temp.bits(number, kind) || pg_temp.bits(number, -kind), 'hex')::uuid;

-- From 0 to below `bound`, the same for the same number and salt.
create function pg_temp.draw(number bigint, salt bigint, bound bigint) returns bigint
    language sql immutable parallel safe return (hashint8extended(number, salt) & 9223372036854775807) % bound;

create function pg_temp.moment(number bigint, salt bigint) returns timestamptz
    language sql immutable parallel safe
    return timestamptz '2023-01-01 00:00:00Z' + pg_temp.draw(number, salt, 63072000000000) * interval '1 microsecond';

insert into users (id, email, display_name, external_id, quota_bytes, settings, created_at, updated_at)
select
    pg_temp.id(1, number), 'user' || number || '@mindia.example',
    (array['Mina', 'José', 'Łukasz', 'Zoë', 'Олег', 'يوسف', '美咲', 'Ngọc', 'Ayşe', 'Søren 🦀'])[1 + pg_temp.draw(number, 12, 10)],
    case when number % 3 = 0 then 'idp|' || number end,
    10737418240 * (1 + number % 4),
    case when number % 2 = 0 then jsonb_build_object('theme', 'plum', 'page', 20 + number % 80) else '{}' end,
    pg_temp.moment(number, 13), pg_temp.moment(number, 13) + interval '1 day'
from generate_series(1, :users::bigint) as number;

-- Three folders for each user, one in the other.
insert into folders (id, user_id, parent_id, name, labels, created_at, updated_at)
select
    pg_temp.id(2, 3 * number + level), pg_temp.id(1, number),
    case when level > 0 then pg_temp.id(2, 3 * number + level - 1) end,
    (array['Photos', '2024', 'Summer'])[level + 1],
    case when level = 0 then '{}' else array['year', 'l' || level] end,
    pg_temp.moment(number, 21), pg_temp.moment(number, 21)
from generate_series(1, :users::bigint) as number, generate_series(0, 2) as level
order by number, level;

insert into media (id, user_id, folder_id, type, filename, size_bytes, tags, exif, legacy_metadata, created_at, updated_at)
select
    pg_temp.id(3, number), pg_temp.id(1, owner),
    case when number % 5 > 0 then pg_temp.id(2, 3 * owner + number % 3) end,
    kind::media_type,
    'IMG_' || lpad(number::text, 8, '0') || case kind when 'image' then '.jpg' when 'video' then '.mp4' when 'audio' then '.ogg' else '.pdf' end,
    1000 + pg_temp.draw(number, 31, 50000000),
    (array['sea', 'mountain', 'family', 'work', 'public'])[1:pg_temp.draw(number, 32, 5)::integer],
    case when kind = 'image' then jsonb_build_object('camera', 'Model ' || pg_temp.draw(number, 33, 20), 'iso', 100 * (1 + number % 64)) end,
    case when number % 10 > 0 then json_build_object(
        'title', 'Medium ' || number, 'width', 640 + number % 3000, 'height', 480 + number % 2000,
        'rating', number % 6, 'taken_at', to_char(pg_temp.moment(number, 34) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))::text end,
    pg_temp.moment(number, 35), pg_temp.moment(number, 35) + interval '1 hour'
from (
    select number, 1 + number % :users as owner,
        (array['image', 'image', 'video', 'audio', 'document'])[1 + number % 5] as kind
    from generate_series(1, :media::bigint) as number
) as made;

insert into media_events (media_id, happened_at, kind, details)
select pg_temp.id(3, number), pg_temp.moment(number, 41), 'uploaded', jsonb_build_object('from', 'web')
from generate_series(1, :media::bigint) as number where number % 4 = 0
order by number;

analyze users, folders, media, media_events;
