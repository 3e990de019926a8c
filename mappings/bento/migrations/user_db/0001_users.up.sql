create type "UserRole" as enum ('admin', 'user');
create type "UserStatus" as enum ('active', 'inactive', 'pending', 'deleted', 'banned');

-- The profile, with all that the shared table holds.
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

-- Profiles are found by it.
create unique index "UQ_Users_Username" on users (username);
create index "IX_Users_Status" on users (status);
