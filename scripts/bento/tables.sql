-- The source of the bento project: one database that seven services share. It has no foreign keys.
-- Keys and indexes follow after the rows, in indexes.sql: that is faster.

create type "NotificationAction" as enum ('liked', 'followed', 'replied');
create type "CommentStatus" as enum ('pending', 'approved', 'rejected', 'deleted', 'spam');
create type "PostType" as enum ('text', 'media');
create type "UserRole" as enum ('user', 'admin');
create type "UserStatus" as enum ('active', 'pending', 'inactive', 'banned', 'deleted');

create table users (
    id varchar(36) not null,
    cover varchar(255),
    avatar varchar(255),
    username varchar(100) not null,
    first_name varchar(100) not null,
    last_name varchar(100) not null,
    password varchar(100) not null,
    salt varchar(50) not null,
    role "UserRole" not null default 'user',
    bio varchar(255),
    website_url varchar(255),
    follower_count integer default 0,
    post_count integer default 0,
    status "UserStatus" default 'active',
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) not null default current_timestamp
);

create table topics (
    id varchar(36) not null,
    name varchar(100) not null,
    color varchar(10) not null,
    post_count integer default 0,
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) not null default current_timestamp
);

create table posts (
    id varchar(36) not null,
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

create table comments (
    id varchar(36) not null,
    user_id varchar(36) not null,
    post_id varchar(36) not null,
    parent_id varchar(36),
    content text not null,
    liked_count integer not null default 0,
    reply_count integer not null default 0,
    status "CommentStatus" not null default 'pending',
    created_at timestamp(3) not null default current_timestamp,
    updated_at timestamp(3) default current_timestamp
);

create table comment_likes (
    comment_id varchar(36) not null,
    user_id varchar(36) not null,
    created_at timestamp(3) not null default current_timestamp
);

create table followers (
    following_id varchar(36) not null,
    follower_id varchar(36) not null,
    created_at timestamp(3) not null default current_timestamp
);

create table notifications (
    id varchar(36) not null,
    receiver_id varchar(36) not null,
    actor_id varchar(36),
    content text,
    action "NotificationAction" not null default 'liked',
    is_sent boolean default false,
    is_read boolean default false,
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) not null default current_timestamp
);

create table post_likes (
    post_id varchar(36) not null,
    user_id varchar(36) not null,
    created_at timestamp(3) not null default current_timestamp
);

create table post_saves (
    post_id varchar(36) not null,
    user_id varchar(36) not null,
    created_at timestamp(3) not null default current_timestamp
);
