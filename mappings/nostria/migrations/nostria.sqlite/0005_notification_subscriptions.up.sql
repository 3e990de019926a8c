create table notification_subscriptions (
    id text primary key not null,
    pubkey text not null,
    subscription jsonb text not null,
    device_key text not null,
    created bigint not null,
    modified bigint not null,
    unique (pubkey, device_key)
);
