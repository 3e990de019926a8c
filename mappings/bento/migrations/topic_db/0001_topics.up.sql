create type "TopicStatus" as enum ('active', 'inactive', 'deleted');

create table topics (
    id varchar(36) primary key,
    name varchar(100) not null,
    color varchar(20) not null,
    post_count integer not null default 0,
    status "TopicStatus" not null default 'active',
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) not null default current_timestamp
);

create unique index "UQ_Topics_Name" on topics (name);
