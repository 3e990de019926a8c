create table notification_settings (
    id text primary key,
    pubkey text not null unique,
    enabled boolean not null,
    filters jsonb,
    settings jsonb,
    created bigint not null,
    modified bigint not null
);
