create table device_linking_sessions (
    session_id uuid primary key,
    primary_device_id bigint not null,
    qr_code_token text unique,
    status smallint not null default 0,
    new_device_uuid uuid,
    new_device_name text,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    approved_at timestamptz
);

create index idx_device_linking_sessions_device on device_linking_sessions (primary_device_id);
