create table notification_subscriptions (
    id text primary key,
    pubkey text not null,
    subscription jsonb not null,
    device_key text not null,
    created bigint not null,
    modified bigint not null,
    unique (pubkey, device_key)
);
