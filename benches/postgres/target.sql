-- The tables of both ends, the same for dbferry and for COPY: primary keys in place.
create table users (
    id bigint primary key,
    email text not null,
    username varchar(50) not null,
    verified boolean not null,
    level integer not null,
    balance numeric(12, 2) not null,
    rating double precision not null,
    bio text,
    settings jsonb,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create table posts (
    id uuid primary key,
    author_id bigint not null,
    kind smallint not null,
    content text not null,
    tags text[] not null,
    likes integer not null,
    score numeric,
    published_on date,
    created_at timestamp(3) not null,
    updated_at timestamp(3) not null
);
