-- The target of the benchmark over Cosmos DB.
create table fields (
    id text primary key,
    pubkey text not null,
    number bigint not null,
    modified bigint not null
);

create table documents (
    id text primary key,
    document jsonb not null
);

create table reader (like fields including all);
