create table notification_logs (
    id text primary key,
    pubkey text not null references accounts (pubkey) on delete cascade,
    title text,
    body text,
    content text,
    template text,
    created bigint not null,
    modified bigint not null
);

create index notification_logs_pubkey on notification_logs (pubkey);
