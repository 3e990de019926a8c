-- A messenger's messages, :rows of them in the order of their numbers: every fourth is of one
-- conversation, the others are spread over a hundred thousand. They were sent over a hundred days.
pragma journal_mode = off;
pragma synchronous = off;

create table messages (
    message_id integer primary key not null, conv_id text not null, sender_user_id text not null,
    message_type integer not null, content text not null, iv blob not null, sent_at text not null
);

begin;
with recursive number (n) as (select 1 union all select n + 1 from number where n < :rows)
insert into messages
select
    n,
    case when n % 4 = 0 then 'c0000000-0000-4000-8000-000000000000'
        else printf('c%07x-0000-4000-8000-%012x', n * 2654435761 % 100000 + 1, n * 2654435761 % 100000) end,
    printf('a%07x-0000-4000-8000-%012x', n * 40503 % 50000, n * 40503 % 50000),
    n % 5,
    printf('message %d, which says as much as most of them do: see you at eight, %d', n, n * 977 % 1000000),
    cast(printf('%012d', n) as blob),
    strftime('%Y-%m-%d %H:%M:%S', 1750000000 + n * (8640000 / (:rows + 0.0)), 'unixepoch') || '.' || printf('%03d', n % 1000) || 'Z'
from number;
commit;
