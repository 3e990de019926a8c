-- The source of the vyry project: an end-to-end encrypted messenger. Keys, foreign keys and indexes
-- follow after the rows, in keys.sql: that is faster.

create table users (
    user_id uuid not null,
    phone_number text not null,
    phone_number_hash bytea not null,
    username text,
    display_name text,
    bio text,
    profile_picture text,
    background_image text,
    last_seen_at timestamptz,
    is_online boolean not null default false,
    is_deleted boolean not null default false,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    pin_hash text,
    registration_lock boolean not null default false,
    registration_lock_expires_at timestamptz,
    pin_set_at timestamptz
);

create table devices (
    device_id bigserial,
    user_id uuid,
    device_uuid uuid not null,
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

create table conversations (
    conv_id uuid not null,
    conv_type smallint not null,
    name text,
    avatar text,
    created_at timestamptz not null default now(),
    creator_id uuid,
    metadata jsonb not null default '{}'
);

create table conv_members (
    conv_id uuid not null,
    user_id uuid not null,
    role smallint not null default 0,
    joined_at timestamptz not null default now(),
    left_at timestamptz
);

create table one_time_prekeys (
    device_id bigint not null,
    prekey_id integer not null,
    public_key bytea not null
);

create table signal_sessions (
    device_id bigint not null,
    address text not null,
    session_record bytea not null,
    updated_at timestamptz not null default now()
);

create table push_tokens (
    user_id uuid not null,
    device_id bigint not null,
    platform smallint not null,
    token text not null,
    updated_at timestamptz not null default now()
);

create table device_linking_sessions (
    session_id uuid not null,
    primary_device_id bigint not null,
    qr_code_token text,
    status smallint not null default 0,
    new_device_uuid uuid,
    new_device_name text,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    approved_at timestamptz
);

create table messages (
    message_id bigserial,
    conv_id uuid not null,
    client_message_id uuid,
    sender_user_id uuid not null,
    sender_device_id bigint not null,
    message_type smallint not null default 0,
    content text not null,
    iv bytea not null,
    attachment_url text,
    thumbnail_url text,
    sender_key_distribution bytea,
    reply_to_message_id bigint,
    sent_at timestamptz not null default now(),
    edited_at timestamptz,
    deleted_at timestamptz,
    expires_at timestamptz,
    extra jsonb not null default '{}'
);

create table message_deliveries (
    message_id bigint not null,
    device_id bigint not null,
    delivered_at timestamptz,
    read_at timestamptz,
    content bytea
);
