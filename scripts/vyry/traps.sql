-- What a database collects over the years. mappings/vyry/sample/README.md lists every row of this
-- file and what becomes of it; tests/it/vyry/traps.rs holds both to it. The number of traps is fixed,
-- and their numbers are below 1000.

-- Every byte value once.
create function pg_temp.bytes() returns bytea
    language sql immutable return (select decode(string_agg(lpad(to_hex(byte), 2, '0'), '' order by byte), 'hex') from generate_series(0, 255) as byte);

create function pg_temp.trap_user(number integer) returns uuid
    language sql immutable return ('00000000-0000-4000-8000-' || lpad(number::text, 12, '0'))::uuid;
create function pg_temp.trap_conversation(number integer) returns uuid
    language sql immutable return ('00000000-0000-4000-9000-' || lpad(number::text, 12, '0'))::uuid;
create function pg_temp.trap_device(number integer) returns uuid
    language sql immutable return ('00000000-0000-4000-a000-' || lpad(number::text, 12, '0'))::uuid;

-- A good one to whom other traps belong; one who has left; and what is empty, absent or rare.
insert into users (
    user_id, phone_number, phone_number_hash, username, display_name, bio, profile_picture, background_image,
    last_seen_at, is_online, is_deleted, deleted_at, created_at, updated_at, pin_hash
)
values
    (pg_temp.trap_user(1), '+100000000001', '\x01', 'trap.user', 'Good', 'x', 'x', 'x',
        '2024-02-29 23:59:59.123456Z', true, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', 'x'),
    (pg_temp.trap_user(2), '+100000000002', '\x02', 'trap.deleted', 'Left', null, null, null,
        null, false, true, '2023-06-01 00:00:00Z', '2023-01-01 00:00:00Z', '2023-06-01 00:00:00Z', null),
    (pg_temp.trap_user(3), '+100000000003', pg_temp.bytes(), 'trap.bytes', 'Bytes', null, null, null,
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', null),
    (pg_temp.trap_user(4), '', '', '', '', '', '', '',
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', ''),
    (pg_temp.trap_user(5), 'NULL', '\x4e554c4c', null, null, null, null, null,
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', null),
    (pg_temp.trap_user(6), E'\\N', '\x5c4e', U&'trap \0001\007F\0085\2028\E000\FEFF\FFFD\FFFF\+010000\+01F980\+020BB7\+0E0001\+0F0000\+10FFFF',
        E'trap\t\n\r\b\\N\\.\\t''"{}$1;--%', U&'\200Fمستخدم\202E', ' ', '"',
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', '\x'),
    (pg_temp.trap_user(7), '+100000000007', '\x07', 'trap.case', null, null, null, null,
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', null),
    (pg_temp.trap_user(8), '+100000000008', '\x08', 'Trap.Case', null, null, null, null,
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', null),
    (pg_temp.trap_user(9), '+100000000009', '\x09', 'trap.infinite', null, null, null, null,
        'infinity', false, false, '-infinity', '-infinity', 'infinity', null),
    (pg_temp.trap_user(10), '+100000000010', '\x0a', 'trap.ends', null, null, null, null,
        '12000-01-01 00:00:00.000001Z', false, false, '0044-03-15 12:00:00Z BC', '4714-11-24 00:00:00Z BC', '294276-12-31 23:59:59.999999Z', null),
    ('00000000-0000-0000-0000-000000000000', '+100000000011', '\x0b', 'trap.nil', null, null, null, null,
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', null),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', '+100000000012', '\x0c', 'trap.max', null, null, null, null,
        null, false, false, null, '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', null);

-- Devices in circles: 1 and 2 have linked each other, 3 itself, 4 was linked by a later one of somebody
-- else, 6 by one that is gone.
insert into devices (
    device_id, user_id, device_uuid, device_name, platform, identity_key_public, registration_id, signed_prekey_id,
    signed_prekey_public, signed_prekey_signature, last_seen_at, created_at, device_type, linked_at, linked_by_device_id
)
select
    device, pg_temp.trap_user(owner), pg_temp.trap_device(device), 'Trap ' || device, 1, '\x05', 1, 1, '\x05', '\x05',
    '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', 1, case when linked_by > 0 then timestamptz '2023-01-01 00:00:00Z' end, linked_by
from (values (1, 1, 2), (2, 1, 1), (3, 1, 3), (4, 3, 7), (5, 2, null), (6, 1, 999), (7, 1, null)) as circles (device, owner, linked_by);

insert into devices (
    device_id, user_id, device_uuid, device_name, platform, identity_key_public, registration_id, signed_prekey_id,
    signed_prekey_public, signed_prekey_signature, last_seen_at, created_at, device_type, is_active, linked_at, linked_by_device_id
)
values
    (8, pg_temp.trap_user(1), pg_temp.trap_device(8), 'bytes', 1, pg_temp.bytes(), 1, 1, pg_temp.bytes(), pg_temp.bytes(),
        '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', 1, true, null, null),
    (9, pg_temp.trap_user(1), pg_temp.trap_device(9), '', 1, '', 1, 1, '', '', '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', 1, false, null, null),
    (10, pg_temp.trap_user(1), pg_temp.trap_device(10), 'ends', -32768, '\x00', 2147483647, -2147483648, '\x00', '\x00',
        'infinity', '-infinity', 32767, true, '12000-01-01 00:00:00Z', 9223372036854775807),
    (11, null, pg_temp.trap_device(11), null, 1, '\x05', 1, 1, '\x05', '\x05', '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', 1, true, null, null);

-- A document that is `null` is not an absent one.
insert into conversations (conv_id, conv_type, name, avatar, created_at, creator_id, metadata)
values
    (pg_temp.trap_conversation(1), 0, 'Trap', null, '2023-01-01 00:00:00Z', pg_temp.trap_user(1), '{}'),
    (pg_temp.trap_conversation(2), 1, '', '', '2023-01-01 00:00:00Z', pg_temp.trap_user(2), 'null'),
    (pg_temp.trap_conversation(3), 1, null, null, '2023-01-01 00:00:00Z', null,
        '{"z": 1.50, "a": [1e300, -0.000000000000000000001, 123456789012345678901234567890], "": null, "é🦀": "\"\\\u0001", "n": {"n": {"n": []}}}'),
    (pg_temp.trap_conversation(4), 1, 'null', 'null', '2023-01-01 00:00:00Z', pg_temp.trap_user(999), '"null"'),
    (pg_temp.trap_conversation(5), -32768, 'x', 'x', 'infinity', pg_temp.trap_user(1), '[]');

-- No foreign key ever refused the last two.
insert into conv_members (conv_id, user_id, role, joined_at, left_at)
values
    (pg_temp.trap_conversation(1), pg_temp.trap_user(1), 1, '2023-01-01 00:00:00.000001Z', null),
    (pg_temp.trap_conversation(1), pg_temp.trap_user(2), 0, '2023-01-01 00:00:00Z', '2023-06-01 00:00:00Z'),
    (pg_temp.trap_conversation(2), pg_temp.trap_user(1), 0, '-infinity', 'infinity'),
    (pg_temp.trap_conversation(1), pg_temp.trap_user(999), 0, '2023-01-01 00:00:00Z', null),
    (pg_temp.trap_conversation(999), pg_temp.trap_user(1), 0, '2023-01-01 00:00:00Z', null);

insert into one_time_prekeys (device_id, prekey_id, public_key)
values (1, 2147483647, pg_temp.bytes()), (1, -2147483648, ''), (5, 1, '\x05'), (999, 1, '\x05');

insert into signal_sessions (device_id, address, session_record, updated_at)
values
    (1, '', '', '2023-01-01 00:00:00Z'),
    (1, '+49 "151".1|2', pg_temp.bytes(), 'infinity'),
    (1, 'large', decode(repeat('00ff', 524288), 'hex'), '2023-01-01 00:00:00.123456Z'),
    (5, 'deleted', '\x05', '2023-01-01 00:00:00Z'),
    (999, 'gone', '\x05', '2023-01-01 00:00:00Z');

insert into push_tokens (user_id, device_id, platform, token, updated_at)
values
    (pg_temp.trap_user(1), 1, 1, '', '2023-01-01 00:00:00Z'),
    (pg_temp.trap_user(2), 5, 2, 'left', '2023-01-01 00:00:00Z'),
    (pg_temp.trap_user(999), 999, -1, 'gone', '-infinity');

insert into device_linking_sessions (session_id, primary_device_id, qr_code_token, status, new_device_uuid, new_device_name, expires_at, created_at, approved_at)
values
    (pg_temp.trap_device(101), 1, null, 0, null, null, '2023-01-01 00:05:00Z', '2023-01-01 00:00:00Z', null),
    (pg_temp.trap_device(102), 1, null, 0, null, '', 'infinity', '-infinity', null),
    (pg_temp.trap_device(103), 5, 'deleted', 1, pg_temp.trap_device(5), 'x', '2023-01-01 00:05:00Z', '2023-01-01 00:00:00Z', '2023-01-01 00:01:00Z'),
    (pg_temp.trap_device(104), 999, '', 1, pg_temp.trap_device(999), 'x', '12000-01-01 00:00:00Z', '0044-03-15 00:00:00Z BC', null);

-- Messages of the good user, who answers what was written later, and in circles.
create function pg_temp.trap_message(
    number bigint, sent timestamptz default '2023-01-01 00:00:00Z', reply bigint default null, edited timestamptz default null,
    deleted timestamptz default null, expires timestamptz default null, extra jsonb default '{}'
) returns messages
    language sql immutable return row(
        number, pg_temp.trap_conversation(1), null, pg_temp.trap_user(1), 1, 0, 'x', '\x00', null, null, null, reply, sent, edited, deleted, expires, extra
    )::messages;

insert into messages
select (trap).* from (
    values
        (pg_temp.trap_message(1, reply => 2)),
        (pg_temp.trap_message(2)),
        (pg_temp.trap_message(3, reply => 3)),
        (pg_temp.trap_message(4, reply => 5)),
        (pg_temp.trap_message(5, reply => 4)),
        (pg_temp.trap_message(12, extra => 'null')),
        (pg_temp.trap_message(13, extra => '{"z": 1.50, "a": [1e300, 123456789012345678901234567890], "": null, "é🦀": "\"\\\u0001"}')),
        -- Milliseconds are what the target keeps.
        (pg_temp.trap_message(14, '2024-02-29 23:59:59.123456Z')),
        (pg_temp.trap_message(15, '2024-02-29 23:59:59.999999Z', edited => '2024-02-29 23:59:59.999999Z')),
        (pg_temp.trap_message(16, 'infinity')),
        (pg_temp.trap_message(17, '-infinity')),
        (pg_temp.trap_message(18, '12000-01-01 00:00:00Z')),
        (pg_temp.trap_message(19, '0044-03-15 12:00:00Z BC')),
        (pg_temp.trap_message(20, edited => 'infinity')),
        (pg_temp.trap_message(21, deleted => '-infinity')),
        (pg_temp.trap_message(22, edited => '12000-01-01 00:00:00Z')),
        (pg_temp.trap_message(23, edited => '0044-03-15 12:00:00Z BC')),
        -- When they expire.
        (pg_temp.trap_message(24, expires => '2023-01-02 00:00:00Z')),
        (pg_temp.trap_message(25, expires => '2035-01-01 00:00:00Z')),
        (pg_temp.trap_message(26, expires => '2099-01-01 00:00:00Z')),
        (pg_temp.trap_message(27, expires => 'infinity')),
        (pg_temp.trap_message(28, expires => '-infinity')),
        (pg_temp.trap_message(29, expires => '12000-01-01 00:00:00Z')),
        -- In which bucket.
        (pg_temp.trap_message(31, '1970-01-01 00:00:00Z')),
        (pg_temp.trap_message(32, '1969-12-31 23:59:59.999999Z')),
        (pg_temp.trap_message(33, '1969-12-22 00:00:00Z')),
        (pg_temp.trap_message(34, '1969-12-21 23:59:59.9995Z')),
        (pg_temp.trap_message(35, '2022-01-08 00:00:00Z')),
        (pg_temp.trap_message(36, '2022-01-07 23:59:59.999999Z'))
) as rows (trap);

insert into messages (
    message_id, conv_id, client_message_id, sender_user_id, sender_device_id, message_type, content, iv, attachment_url,
    thumbnail_url, sender_key_distribution, sent_at, edited_at, deleted_at, expires_at, extra
)
values
    (6, pg_temp.trap_conversation(1), pg_temp.trap_device(6), pg_temp.trap_user(1), 1, 0, 'bytes', pg_temp.bytes(), 'x', 'x', pg_temp.bytes(),
        '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', '2023-01-01 00:00:00Z', '2035-01-01 00:00:00Z', '{}'),
    (7, pg_temp.trap_conversation(1), null, pg_temp.trap_user(1), 1, 0, 'empty', '', '', '', '', '2023-01-01 00:00:00Z', null, null, null, '{}'),
    (8, pg_temp.trap_conversation(1), null, pg_temp.trap_user(1), 1, 0, 'null', '\x', null, null, null, '2023-01-01 00:00:00Z', null, null, null, '{}'),
    (9, pg_temp.trap_conversation(2), '00000000-0000-0000-0000-000000000000', pg_temp.trap_user(1), 1, 0, '', '\x00', '', '', null, '2023-01-01 00:00:00Z', null, null, null, '""'),
    (10, pg_temp.trap_conversation(3), 'ffffffff-ffff-ffff-ffff-ffffffffffff', pg_temp.trap_user(1), 1, 0,
        U&'\0001\007F\0085\2028\E000\FEFF\FFFD\FFFF\+010000\+01F980\+020BB7\+0E0001\+0F0000\+10FFFF', '\x00', ' ', E'\t\n''"\\', null,
        '2023-01-01 00:00:00Z', null, null, null, '[]'),
    (11, pg_temp.trap_conversation(1), null, pg_temp.trap_user(1), 9223372036854775807, -32768, 'ends', '\x00', null, null, null,
        '2023-01-01 00:00:00Z', null, null, null, '{}'),
    (37, pg_temp.trap_conversation(1), null, pg_temp.trap_user(1), 1, 0, repeat('0123456789 vyry 🦀', 60000), '\x00', null, null, decode(repeat('00ff', 524288), 'hex'),
        '2023-01-01 00:00:00Z', null, null, null, '{}'),
    (38, pg_temp.trap_conversation(2), null, pg_temp.trap_user(2), 5, 0, 'left', '\x00', null, null, null, '2023-01-01 00:00:00Z', null, null, null, '{}');

-- No foreign key ever refused those of a message or a device that is gone.
insert into message_deliveries (message_id, device_id, delivered_at, read_at, content)
values
    (1, 1, '2024-02-29 23:59:59.123456Z', '2024-02-29 23:59:59.9995Z', 'x'),
    (1, 2, null, null, pg_temp.bytes()),
    (1, 3, null, null, ''),
    (1, 4, null, null, null),
    (1, 5, '2023-01-01 00:00:00Z', null, null),
    (1, 999, '2023-01-01 00:00:00Z', null, null),
    (2, 1, 'infinity', null, null),
    (2, 2, null, '-infinity', null),
    (2, 3, '12000-01-01 00:00:00Z', null, null),
    (2, 4, '0044-03-15 12:00:00Z BC', '1969-12-31 23:59:59.999Z', null),
    (24, 1, '2023-01-01 00:00:00Z', null, 'x'),
    (999, 1, '2023-01-01 00:00:00Z', null, null),
    (-9223372036854775808, 9223372036854775807, '2023-01-01 00:00:00Z', null, null);
