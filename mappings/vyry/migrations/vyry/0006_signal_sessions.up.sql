create table signal_sessions (
    device_id bigint not null,
    address text not null,
    session_record bytea not null,
    updated_at timestamptz not null default now(),
    primary key (device_id, address)
);
