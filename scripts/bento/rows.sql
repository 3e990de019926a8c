-- Good rows: what an application writes. Everything follows from the row's number, so that the same
-- number of users gives the same rows, whenever and wherever.
--
-- The tables are filled against the direction of their references, so that the counts that the
-- application keeps (posts of a user, likes of a comment) are counted and not made up.

\set user 1
\set topic 2
\set post 3
\set comment 4
\set notification 5

set local work_mem = '128MB';
-- Compiling a statement that runs once costs more than it saves.
set local jit = off;

-- 16 hexadecimal digits that look random.
create function pg_temp.digits(number bigint, salt bigint) returns text
    language sql immutable parallel safe return encode(int8send(hashint8extended(number, salt)), 'hex');

-- The id of a number's row: a UUID as text. (Several times as fast as md5.)
create function pg_temp.id(kind bigint, number bigint) returns text
    language sql immutable parallel safe
    return encode(int8send(hashint8extended(number, kind)) || int8send(hashint8extended(number, -kind)), 'hex')::uuid::text;

-- From 0 to below `bound`, the same for the same number and salt.
create function pg_temp.draw(number bigint, salt bigint, bound bigint) returns bigint
    language sql immutable parallel safe return (hashint8extended(number, salt) & 9223372036854775807) % bound;

-- Likewise, and small results are much more frequent: a few people write most of the posts.
create function pg_temp.few(number bigint, salt bigint, bound bigint) returns bigint
    language sql immutable parallel safe
    return pg_temp.draw(number, salt, bound) * pg_temp.draw(number, salt + 1000, bound) / bound;

-- A moment of the years 2022 and 2023, to the millisecond.
create function pg_temp.moment(number bigint, salt bigint) returns timestamp
    language sql immutable parallel safe
    return timestamp '2022-01-01' + pg_temp.draw(number, salt, 63072000000) * interval '1 millisecond';

-- A sentence. A few are not of this alphabet.
create function pg_temp.sentence(number bigint, salt bigint) returns text
    language sql immutable parallel safe
    return ('{
        A bento for the train.,Plum on rice.,Has anybody tried the one with salmon?,I made this in ten minutes.,
        Not for me.,The lid does not close any more.,Where did you get the box?,"Pickles first, then rice.",
        "Mine looks nothing like yours, but it is gone already.",My daughter ate all of it.,"Recipe, please!",
        "Two eggs, soy sauce, a little sugar.",Cold rice is better than no rice.,See you at lunch.,Again on Friday.,
        Lunch of the year.,It was still warm at noon.,What is the green thing?,Never again without a fork.,
        Everybody at work asked.,"No photo, I was too hungry.",Sold out at eight in the morning.,This one is for two.,
        Less salt next time.,You had me at plum.,Better than the restaurant.,Wrapped in a cloth of my grandmother.,
        The octopus sausage won.,Thank you!,"Слишком красиво, чтобы есть.",夏は梅干しを忘れずに。,صباح الخير من الشرفة 🦀🍱
    }'::text[])[1 + pg_temp.draw(number, salt, 32)];

-- Pairs come at random and some come twice: about three likes for a user, not exactly.
insert into comment_likes (comment_id, user_id, created_at)
select pg_temp.id(:comment, comment), pg_temp.id(:user, account), pg_temp.moment(min(number), 13)
from (
    select number, 1 + pg_temp.few(number, 11, 5 * :users) as comment, 1 + pg_temp.draw(number, 12, :users) as account
    from generate_series(1, 2 * :users::bigint) as number
) as pairs
group by comment, account;

insert into post_likes (post_id, user_id, created_at)
select pg_temp.id(:post, post), pg_temp.id(:user, account), pg_temp.moment(min(number), 23)
from (
    select number, 1 + pg_temp.few(number, 21, 3 * :users) as post, 1 + pg_temp.draw(number, 22, :users) as account
    from generate_series(1, 3 * :users::bigint) as number
) as pairs
group by post, account;

insert into post_saves (post_id, user_id, created_at)
select pg_temp.id(:post, post), pg_temp.id(:user, account), pg_temp.moment(min(number), 33)
from (
    select number, 1 + pg_temp.few(number, 31, 3 * :users) as post, 1 + pg_temp.draw(number, 32, :users) as account
    from generate_series(1, :users::bigint) as number
) as pairs
group by post, account;

insert into followers (following_id, follower_id, created_at)
select pg_temp.id(:user, followed), pg_temp.id(:user, following), pg_temp.moment(min(number), 43)
from (
    select number, 1 + pg_temp.few(number, 41, :users) as followed, 1 + pg_temp.draw(number, 42, :users) as following
    from generate_series(1, 3 * :users::bigint) as number
) as pairs
where followed <> following
group by followed, following;

-- Every fifth comment is a reply to the one before it, under the same post.
insert into comments (id, user_id, post_id, parent_id, content, liked_count, reply_count, status, created_at, updated_at)
select
    made.id, pg_temp.id(:user, 1 + pg_temp.draw(number, 51, :users)),
    pg_temp.id(:post, 1 + pg_temp.few(number - (number % 5 = 0)::integer, 52, 3 * :users)),
    case when number % 5 = 0 then pg_temp.id(:comment, number - 1) end,
    pg_temp.sentence(number, 53),
    coalesce(likes.count, 0), (number % 5 = 4)::integer,
    (array['approved', 'approved', 'approved', 'approved', 'approved', 'pending', 'pending', 'rejected', 'deleted', 'spam']::"CommentStatus"[])
        [1 + pg_temp.draw(number, 55, 10)],
    made.created_at,
    case pg_temp.draw(number, 56, 8) when 0 then null
        when 1 then made.created_at + pg_temp.draw(number, 57, 604800000) * interval '1 millisecond'
        else made.created_at end
from (
    select number, pg_temp.id(:comment, number) as id, pg_temp.moment(number, 58) as created_at
    from generate_series(1, 5 * :users::bigint) as number
) as made
left join (select comment_id, count(*)::integer from comment_likes group by comment_id) as likes on likes.comment_id = made.id;

insert into posts (id, content, image, author_id, topic_id, is_featured, comment_count, liked_count, type, created_at, updated_at)
select
    made.id, concat_ws(' ', pg_temp.sentence(number, 61), pg_temp.sentence(number, 62),
        case when number % 3 = 0 then pg_temp.sentence(number, 69) end),
    case when number % 4 = 0 then 'https://img.bento.example/' || pg_temp.digits(number, 60) || '.webp' end,
    pg_temp.id(:user, 1 + pg_temp.few(number, 63, :users)),
    pg_temp.id(:topic, 1 + pg_temp.few(number, 64, :topics)),
    nullif(pg_temp.draw(number, 65, 20), 1) = 0,
    coalesce(replies.count, 0), coalesce(likes.count, 0),
    (case when number % 4 = 0 then 'media' when pg_temp.draw(number, 66, 30) > 0 then 'text' end)::"PostType",
    date_trunc('second', made.created_at),
    date_trunc('second', made.created_at) + pg_temp.draw(number, 67, 3) * interval '1 day'
from (
    select number, pg_temp.id(:post, number) as id, pg_temp.moment(number, 68) as created_at
    from generate_series(1, 3 * :users::bigint) as number
) as made
left join (select post_id, count(*)::integer from comments group by post_id) as replies on replies.post_id = made.id
left join (select post_id, count(*)::integer from post_likes group by post_id) as likes on likes.post_id = made.id;

insert into topics (id, name, color, post_count, created_at, updated_at)
select
    made.id, (array['Rice', 'Plums', 'Trains', 'Boxes', 'Café', 'Straßenküche', '朝ごはん', 'Дождь'])[1 + number % 8] || ' ' || number, '#' || substr(pg_temp.digits(number, 73), 1, 6),
    coalesce(topical.count, 0), date_trunc('second', made.created_at), date_trunc('second', made.created_at)
from (
    select number, pg_temp.id(:topic, number) as id, pg_temp.moment(number, 72) as created_at
    from generate_series(1, :topics::bigint) as number
) as made
left join (select topic_id, count(*)::integer from posts group by topic_id) as topical on topical.topic_id = made.id;

insert into users (
    id, cover, avatar, username, first_name, last_name, password, salt, role, bio, website_url, follower_count,
    post_count, status, created_at, updated_at
)
select
    made.id,
    case when number % 3 = 0 then 'https://img.bento.example/cover/' || pg_temp.digits(number, 80) || '.webp' end,
    case when number % 2 = 0 then 'https://img.bento.example/avatar/' || pg_temp.digits(number, 79) || '.webp' end,
    (array['mina', 'jose', 'lukasz', 'zoe', 'oleg', 'yusuf', 'misaki', 'ngoc', 'ayse', 'soren'])[1 + pg_temp.draw(number, 81, 10)]
        || '.' || number,
    (array['Mina', 'José', 'Łukasz', 'Zoë', 'Олег', 'يوسف', '美咲', 'Ngọc', 'Ayşe', 'Søren'])[1 + pg_temp.draw(number, 81, 10)],
    (array['Sato', 'Núñez', 'Wójcik', 'O''Brien', 'Иванов', 'حداد', '田中', 'Trần', 'Öztürk', 'von Ærø'])[1 + pg_temp.draw(number, 82, 10)],
    '$2b$10$' || pg_temp.digits(number, 76) || pg_temp.digits(number, 77) || pg_temp.digits(number, 78) || 'bento',
    pg_temp.digits(number, 74) || pg_temp.digits(number, 75),
    (case when pg_temp.draw(number, 83, 100) = 0 then 'admin' else 'user' end)::"UserRole",
    case pg_temp.draw(number, 84, 4) when 0 then null when 1 then '' else pg_temp.sentence(number, 85) end,
    case pg_temp.draw(number, 86, 3) when 0 then 'https://' || number || '.example/' when 1 then '' end,
    coalesce(fans.count, 0), coalesce(written.count, 0),
    (array['active', 'active', 'active', 'active', 'active', 'active', 'pending', 'inactive', 'banned', 'deleted']::"UserStatus"[])
        [1 + pg_temp.draw(number, 87, 10)],
    timestamp '2021-01-01' + pg_temp.draw(number, 88, 31536000) * interval '1 second',
    timestamp '2022-01-01' + pg_temp.draw(number, 89, 63072000) * interval '1 second'
from (select number, pg_temp.id(:user, number) as id from generate_series(1, :users::bigint) as number) as made
left join (select following_id, count(*)::integer from followers group by following_id) as fans on fans.following_id = made.id
left join (select author_id, count(*)::integer from posts group by author_id) as written on written.author_id = made.id;

insert into notifications (id, receiver_id, actor_id, content, action, is_sent, is_read, created_at, updated_at)
select
    pg_temp.id(:notification, number), pg_temp.id(:user, 1 + pg_temp.few(number, 91, :users)),
    case when pg_temp.draw(number, 92, 20) > 0 then pg_temp.id(:user, 1 + pg_temp.draw(number, 93, :users)) end,
    case pg_temp.draw(number, 94, 10) when 0 then null when 1 then '' else pg_temp.sentence(number, 95) end,
    (array['liked', 'liked', 'followed', 'replied']::"NotificationAction"[])[1 + pg_temp.draw(number, 96, 4)],
    nullif(pg_temp.draw(number, 97, 10), 9) < 8, pg_temp.draw(number, 98, 2) = 0,
    date_trunc('second', pg_temp.moment(number, 99)), date_trunc('second', pg_temp.moment(number, 99))
from generate_series(1, 2 * :users::bigint) as number;
