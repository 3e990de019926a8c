create type "UserRole" as enum ('admin', 'user');
create type "UserStatus" as enum ('pending', 'active', 'inactive', 'banned', 'deleted');

-- Of the shared table's columns authentication fills only what it needs.
create table users (
    id varchar(36) primary key,
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
    status "UserStatus" not null default 'active',
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) not null default current_timestamp
);

-- People sign in with it.
create unique index "UQ_Users_Username" on users (username);
create index "IX_Users_Status" on users (status);
