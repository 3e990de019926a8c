create table followers (
    following_id varchar(36) not null,
    follower_id varchar(36) not null,
    created_at timestamp(0) not null default current_timestamp,
    primary key (following_id, follower_id)
);

create index "IX_Followers_FollowerId" on followers (follower_id);
