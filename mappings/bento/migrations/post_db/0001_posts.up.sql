create type "PostType" as enum ('media', 'text');

create table posts (
    id varchar(36) primary key,
    content text not null,
    image varchar(255),
    author_id varchar(36) not null,
    topic_id varchar(36) not null,
    is_featured boolean default false,
    comment_count integer default 0,
    liked_count integer default 0,
    type "PostType" default 'text',
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) not null default current_timestamp
);

create index "IX_Posts_AuthorId" on posts (author_id);
create index "IX_Posts_TopicId_CreatedAt" on posts (topic_id, created_at desc);
