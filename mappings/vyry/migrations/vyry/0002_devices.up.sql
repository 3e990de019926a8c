create table devices (
    device_id bigserial primary key,
    user_id uuid references users,
    device_uuid uuid not null unique,
    device_name text,
    platform smallint not null,
    identity_key_public bytea not null,
    registration_id integer not null,
    signed_prekey_id integer not null,
    signed_prekey_public bytea not null,
    signed_prekey_signature bytea not null,
    last_seen_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    device_type smallint not null default 1,
    is_active boolean not null default true,
    linked_at timestamptz,
    linked_by_device_id bigint
);

create index idx_devices_user on devices (user_id);
