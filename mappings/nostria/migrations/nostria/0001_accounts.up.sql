create table accounts (
    id text primary key,
    pubkey text not null unique,
    username text unique,
    tier text not null,
    expires bigint,
    created bigint not null,
    modified bigint not null,
    last_login_date bigint,
    subscription jsonb not null
);
