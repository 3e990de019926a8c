-- Rows that are unlike the others: mappings/mindia/sample/README.md says what each is for.

create function pg_temp.trap(number integer) returns uuid
    language sql immutable return ('00000000-0000-4000-8000-' || lpad(number::text, 12, '0'))::uuid;

insert into users (id, email, display_name, external_id, quota_bytes, settings, created_at, updated_at) values
    (pg_temp.trap(1), 'Trap.User@Mindia.Example', 'Trap', null, 0, '{"nested": {"a": [1, null, "x"]}}', '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z'),
    (pg_temp.trap(2), 'other@mindia.example', '', null, 9223372036854775807, 'null', '-infinity', 'infinity');

insert into folders (id, user_id, parent_id, name, labels, created_at, updated_at) values
    (pg_temp.trap(11), pg_temp.trap(1), null, 'Root', '{}', '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z'),
    (pg_temp.trap(12), pg_temp.trap(1), null, 'Root', '{NULL,"NULL",""," a,b ","\"q\""}', '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z');
-- Twenty folders, each in the one before.
insert into folders (id, user_id, parent_id, name, created_at, updated_at)
select pg_temp.trap(100 + level), pg_temp.trap(1), case when level > 0 then pg_temp.trap(99 + level) end,
    'Deep', '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z'
from generate_series(0, 19) as level order by level;

create temporary table texts (number integer, legacy text) on commit drop;
insert into texts values
    (201, '{"title": '), (202, 'not json'), (203, ''), (204, '{''title'': 1}'), (205, '{"title": 1,}'),
    (206, '{"title": "\u0000"}'), (207, '{"title": "\ud800"}'), (208, '{"a": 1} {"b": 2}'), (209, 'NaN'),
    (211, '[1, 2, {"a": null}]'), (212, '"text"'), (213, 'null'), (214, '  {"title" : "spaces"}  '),
    (215, '{"n": 12345678901234567890.123456789}'), (216, '{"title": "é 🦀 \u00e9"}'), (217, '{}'),
    (218, repeat('[', 50) || repeat(']', 50)), (219, '{"title": "' || repeat('x', 100000) || '"}'), (220, null);
insert into media (id, user_id, type, filename, size_bytes, legacy_metadata, created_at, updated_at)
select pg_temp.trap(number), pg_temp.trap(1), 'document', 'trap-' || number, number, legacy, '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z'
from texts order by number;

insert into media (id, user_id, folder_id, type, filename, size_bytes, tags, exif, legacy_metadata, metadata, created_at, updated_at) values
    (pg_temp.trap(301), pg_temp.trap(1), pg_temp.trap(119), 'audio', repeat('🦀', 255), 0, '{}', 'null', '{"title": "long name"}', null, '-infinity', 'infinity'),
    (pg_temp.trap(302), pg_temp.trap(1), null, 'video', '', 9223372036854775807, '{NULL,"NULL",""," a,b ","\"q\"","{x}"}', '{}', '{"title": "odd tags"}', null, '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z'),
    (pg_temp.trap(303), pg_temp.trap(1), null, 'image', 'filled.jpg', 1, '{public}', '{"camera": null}', '{"title": "old"}', '{"title": "kept"}', '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z'),
    (pg_temp.trap(304), pg_temp.trap(2), null, 'image', 'other.jpg', 1, '{}', null, '{"title": "of the other user"}', null, '2023-05-01 00:00:00Z', '2023-05-01 00:00:00Z');

insert into media_events (media_id, happened_at, kind, details) values
    (pg_temp.trap(301), '2023-05-01 00:00:00Z', '', '[]');
