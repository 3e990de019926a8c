create table push_tokens (
    user_id uuid not null,
    device_id bigint not null,
    platform smallint not null,
    token text not null,
    updated_at timestamptz not null default now(),
    primary key (user_id, device_id)
);
