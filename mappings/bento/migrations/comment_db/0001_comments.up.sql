create type "CommentStatus" as enum ('approved', 'pending', 'rejected', 'spam', 'deleted');

create table comments (
    id varchar(36) primary key,
    user_id varchar(36) not null,
    post_id varchar(36) not null,
    parent_id varchar(36),
    content text not null,
    liked_count integer not null default 0,
    reply_count integer not null default 0,
    status "CommentStatus" not null default 'approved',
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) default current_timestamp
);

create index "IX_Comments_UserId" on comments (user_id);
create index "IX_Comments_PostId_CreatedAt" on comments (post_id, created_at);
create index "IX_Comments_ParentId" on comments (parent_id);
