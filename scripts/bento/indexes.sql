-- Keys, and the indexes that the application finds things with: what a user wrote, liked or was told.

alter table users add primary key (id);
alter table topics add primary key (id);
alter table posts add primary key (id);
alter table comments add primary key (id);
alter table comment_likes add primary key (comment_id, user_id);
alter table followers add primary key (following_id, follower_id);
alter table notifications add primary key (id);
alter table post_likes add primary key (post_id, user_id);
alter table post_saves add primary key (post_id, user_id);

create index "IX_Users_Username" on users (username);
create index "IX_Users_Status" on users (status);
create index "IX_Posts_AuthorId" on posts (author_id);
create index "IX_Posts_TopicId" on posts (topic_id);
create index "IX_Comments_UserId" on comments (user_id);
create index "IX_Comments_PostId" on comments (post_id);
create index "IX_CommentLikes_UserId" on comment_likes (user_id);
create index "IX_Followers_FollowerId" on followers (follower_id);
create index "IX_Notifications_ReceiverId" on notifications (receiver_id);
create index "IX_Notifications_ActorId" on notifications (actor_id);
create index "IX_PostLikes_UserId" on post_likes (user_id);
create index "IX_PostSaves_UserId" on post_saves (user_id);

analyze users, topics, posts, comments, comment_likes, followers, notifications, post_likes, post_saves;
