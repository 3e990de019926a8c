-- What a database collects over the years. mappings/bento/sample/README.md lists every row of this
-- file and what becomes of it; tests/it/bento/traps.rs holds both to it. The number of traps is fixed.

-- NULL in a column that the targets want filled.
insert into users (id, username, first_name, last_name, password, salt, status, created_at, updated_at)
select 'trap-user-status-null-' || number, 'trap.status.null.' || number, 'Nil', 'Status', 'x', 'x', null,
    '2023-01-01 00:00:00', '2023-01-01 00:00:00'
from generate_series(1, 3) as number;

-- Names that occur twice and three times. Nobody else refers to these users.
insert into users (id, username, first_name, last_name, password, salt, created_at, updated_at)
select 'trap-user-' || kind || '-' || letter, 'trap.' || kind, initcap(letter), initcap(kind), 'x', 'x',
    '2023-01-01 00:00:00', '2023-01-01 00:00:00'
from (values ('twin', 'a'), ('twin', 'b'), ('triplet', 'a'), ('triplet', 'b'), ('triplet', 'c')) as twins (kind, letter);

-- Names that differ in case only are different names.
insert into users (id, username, first_name, last_name, password, salt, created_at, updated_at)
values
    ('trap-user-case-lower', 'trap.case', 'Case', 'Lower', 'x', 'x', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-case-upper', 'Trap.Case', 'Case', 'Upper', 'x', 'x', '2023-01-01 00:00:00', '2023-01-01 00:00:00');

-- Text: every length that is allowed, every plane, empty beside absent.
insert into users (id, cover, avatar, username, first_name, last_name, password, salt, bio, website_url, created_at, updated_at)
values
    ('trap-user-text-longest', repeat('c', 255), repeat('a', 255), repeat('🦀', 100), repeat('é', 100), repeat('𠮷', 100),
        repeat('p', 100), repeat('s', 50), repeat('🍱', 255), repeat('w', 255), '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-empty', '', '', '', '', '', '', '', '', '', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-null', null, null, 'trap.null', 'NULL', 'null', '\N', 'x', null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-emoji', null, null, U&'trap \+01F468\200D\+01F469\200D\+01F467 \+01F1E9\+01F1EA', U&'\+01F44D\+01F3FD', '❤️', 'x', 'x', null, null,
        '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-rtl', null, null, U&'trap \200Fمستخدم\202E', 'رُوت', 'שָׁלוֹם', 'x', 'x', null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-decomposed', null, null, U&'trap.Zoe\0308', 'Zoe', 'x', 'x', 'x', null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-composed', null, null, U&'trap.Zo\00EB', 'Zoe', 'x', 'x', 'x', null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-planes', null, null, U&'trap \0001\007F\0085\2028\E000\FEFF\FFFD\FFFF\+010000\+01F980\+020BB7\+030000\+0E0001\+0F0000\+10FFFD\+10FFFF',
        'Planes', '0 to 16', 'x', 'x', null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-text-signs', null, null, E'trap\t\n\r\b\\N\\.\\t''"{}$1;--%', '"', '''', E'\\', '{', E'\\.', ' leading and trailing ',
        '2023-01-01 00:00:00', '2023-01-01 00:00:00');

-- Keys: case, blanks, signs, other scripts, the longest; and two pairs for followers below that
-- are the same text when joined.
insert into users (id, username, first_name, last_name, password, salt, created_at, updated_at)
select id, 'trap.key.' || row_number() over (order by id collate "C"), 'Key', 'Holder', 'x', 'x', '2023-01-01 00:00:00', '2023-01-01 00:00:00'
from (values
    ('trap-user-key-case'), ('TRAP-USER-KEY-CASE'), (E'trap user "key" with ''signs'' \\'), ('trap-user-key-ünï-鍵-مفتاح'), (repeat('🦀', 36)),
    ('trap-user-key'), ('trap-user-key-'), ('-trap-user-end'), ('trap-user-end')
) as keys (id);

-- Every label. The first one is the good user to whom other traps belong.
insert into users (id, username, first_name, last_name, password, salt, role, status, created_at, updated_at)
values
    ('trap-user', 'trap.user', 'Good', 'User', 'x', 'x', 'admin', 'active', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-status-pending', 'trap.pending', 'x', 'x', 'x', 'x', 'user', 'pending', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-status-inactive', 'trap.inactive', 'x', 'x', 'x', 'x', 'user', 'inactive', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-status-banned', 'trap.banned', 'x', 'x', 'x', 'x', 'user', 'banned', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-status-deleted', 'trap.deleted', 'x', 'x', 'x', 'x', 'user', 'deleted', '2023-01-01 00:00:00', '2023-01-01 00:00:00');

-- Numbers and times at their ends.
insert into users (id, username, first_name, last_name, password, salt, follower_count, post_count, created_at, updated_at)
values
    ('trap-user-count-ends', 'trap.count.ends', 'x', 'x', 'x', 'x', 2147483647, -2147483648, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-count-null', 'trap.count.null', 'x', 'x', 'x', 'x', null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-user-time-infinite', 'trap.infinite', 'x', 'x', 'x', 'x', 0, 0, '-infinity', 'infinity'),
    ('trap-user-time-ends', 'trap.time.ends', 'x', 'x', 'x', 'x', 0, 0, '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59');

insert into topics (id, name, color, post_count, created_at, updated_at)
values
    ('trap-topic', 'Trap topic', '#000000', 5, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-count-null-1', 'Trap null 1', '#000001', null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-count-null-2', 'Trap null 2', '#000002', null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-twin-a', 'Trap twin', '#00000a', 0, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-twin-b', 'Trap twin', '#00000b', 0, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-triplet-a', 'Trap triplet', '#00000a', 0, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-triplet-b', 'Trap triplet', '#00000b', null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-triplet-c', 'Trap triplet', '#00000c', 0, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-case', 'trap TWIN', '#00000d', 0, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-text-longest', repeat('題', 100), '#123456789', 0, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-topic-text-empty', '', '', 0, '2023-01-01 00:00:00', '2023-01-01 00:00:00');

insert into posts (id, content, image, author_id, topic_id, is_featured, comment_count, liked_count, type, created_at, updated_at)
values
    ('trap-post', 'good', 'https://img.bento.example/trap.webp', 'trap-user', 'trap-topic', true, 13, 3, 'media',
        '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-post-text-empty', '', '', 'trap-user', 'trap-topic', false, 0, 0, 'text', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-post-null', 'null', null, 'trap-user', 'trap-topic', null, null, null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-post-text-large', repeat('0123456789 bento 🍱', 60000), null, 'trap-user', 'trap-topic', false, 0, 0, 'text',
        '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-post-count-ends', 'counts', null, 'trap-user', 'trap-topic', false, 2147483647, -2147483648, 'text',
        '2023-01-01 00:00:00', '2023-01-01 00:00:00');

insert into comments (id, user_id, post_id, parent_id, content, status, created_at, updated_at)
select 'trap-comment-status-' || status, 'trap-user', 'trap-post', null, status, status::"CommentStatus", '2023-01-01 00:00:00', '2023-01-01 00:00:00'
from unnest(array['pending', 'approved', 'rejected', 'deleted', 'spam']) as status;

-- Milliseconds that decide which second, minute, day or year it will be. Postgres rounds halves away
-- from its zero, which is the year 2000: later from then on, earlier before.
insert into comments (id, user_id, post_id, parent_id, content, status, created_at, updated_at)
values
    ('trap-comment-time-half', 'trap-user', 'trap-post', null, 'x', 'approved', '2024-05-31 23:59:59.500', '2024-05-31 23:59:59.500'),
    ('trap-comment-time-below-half', 'trap-user', 'trap-post', null, 'x', 'approved', '2024-05-31 23:59:59.499', '2024-05-31 23:59:59.499'),
    ('trap-comment-time-last', 'trap-user', 'trap-post', null, 'x', 'approved', '2024-05-31 23:59:59.999', '2024-06-01 00:00:00.000'),
    ('trap-comment-time-leap-day', 'trap-user', 'trap-post', null, 'x', 'approved', '2024-02-28 23:59:59.500', '2024-02-29 23:59:59.500'),
    ('trap-comment-time-new-year', 'trap-user', 'trap-post', null, 'x', 'approved', '2023-12-31 23:59:59.500', '2023-12-31 23:59:59.499'),
    ('trap-comment-time-even', 'trap-user', 'trap-post', null, 'x', 'approved', '2024-05-31 12:00:00.500', '2024-05-31 12:00:01.500'),
    ('trap-comment-time-1999', 'trap-user', 'trap-post', null, 'x', 'approved', '1999-12-31 23:59:59.500', '2000-01-01 00:00:00.500'),
    ('trap-comment-time-1969', 'trap-user', 'trap-post', null, 'x', 'approved', '1969-12-31 23:59:59.500', '1970-01-01 00:00:00.500'),
    ('trap-comment-time-infinite', 'trap-user', 'trap-post', null, 'x', 'approved', '-infinity', 'infinity'),
    ('trap-comment-time-null', 'trap-user', 'trap-post', null, 'x', 'approved', '2023-01-01 00:00:00.001', null);

-- No foreign key ever refused these.
insert into comments (id, user_id, post_id, parent_id, content, status, created_at, updated_at)
values
    ('trap-comment-orphan', 'trap-user', 'no-such-post', 'no-such-comment', 'x', 'approved', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-comment-own-parent', 'trap-user', 'trap-post', 'trap-comment-own-parent', '', 'approved', '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-comment-text-planes', 'trap-user', 'trap-post', '', U&'\0001\FFFF\+010000\+0F0000\+10FFFF', 'approved', '2023-01-01 00:00:00', '2023-01-01 00:00:00');

insert into comment_likes (comment_id, user_id, created_at)
values ('trap-comment-status-approved', 'trap-user', '2024-05-31 23:59:59.500');

insert into followers (following_id, follower_id, created_at)
values
    ('trap-user', 'trap-user-case-lower', '2024-05-31 23:59:59.500'),
    ('trap-user-case-lower', 'trap-user', '2024-05-31 23:59:59.499'),
    ('trap-user-key', '-trap-user-end', '2023-01-01 00:00:00.001'),
    ('trap-user-key-', 'trap-user-end', '2023-01-01 00:00:00.002'),
    (repeat('🦀', 36), 'TRAP-USER-KEY-CASE', '2023-01-01 00:00:00.003');

insert into notifications (id, receiver_id, actor_id, content, action, is_sent, is_read, created_at, updated_at)
values
    ('trap-notification-liked', 'trap-user', 'trap-user-case-lower', 'x', 'liked', true, true, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-notification-followed', 'trap-user-case-lower', 'trap-user', 'x', 'followed', true, false, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-notification-replied', 'trap-user', 'trap-user', 'x', 'replied', false, false, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-notification-null', 'trap-user', null, null, 'liked', null, null, '2023-01-01 00:00:00', '2023-01-01 00:00:00'),
    ('trap-notification-text-empty', 'trap-user', '', '', 'liked', false, false, '2023-01-01 00:00:00', '2023-01-01 00:00:00');

insert into post_likes (post_id, user_id, created_at)
values
    ('trap-post', 'trap-user', '2024-05-31 23:59:59.500'),
    ('trap-post', 'trap-user-case-lower', '2024-05-31 23:59:59.499'),
    ('trap-post-null', 'trap-user', '1999-12-31 23:59:59.500');

insert into post_saves (post_id, user_id, created_at)
values
    ('trap-post', 'trap-user', '2023-12-31 23:59:59.500'),
    ('trap-post-null', 'trap-user', '2023-12-31 23:59:59.499');
