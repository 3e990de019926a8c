-- Rows of every table, for the summary.

select 'users', count(*) from users
union all select 'topics', count(*) from topics
union all select 'posts', count(*) from posts
union all select 'comments', count(*) from comments
union all select 'comment_likes', count(*) from comment_likes
union all select 'followers', count(*) from followers
union all select 'notifications', count(*) from notifications
union all select 'post_likes', count(*) from post_likes
union all select 'post_saves', count(*) from post_saves;
