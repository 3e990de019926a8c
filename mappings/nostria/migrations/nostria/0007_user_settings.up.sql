create table user_settings (
    id text primary key,
    pubkey text not null unique,
    release_channel text not null,
    social_sharing boolean not null,
    created bigint not null,
    modified bigint not null
);
