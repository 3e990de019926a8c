create table notification_settings (
    id text primary key not null,
    pubkey text not null unique,
    enabled boolean not null,
    filters jsonb text,
    settings jsonb text,
    created bigint not null,
    modified bigint not null
);
