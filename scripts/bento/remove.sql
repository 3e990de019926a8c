-- What tables.sql made, and nothing else. Fails where something of the user's own depends on it.

drop table if exists users, topics, posts, comments, comment_likes, followers, notifications, post_likes, post_saves;
drop type if exists "NotificationAction", "CommentStatus", "PostType", "UserRole", "UserStatus";
