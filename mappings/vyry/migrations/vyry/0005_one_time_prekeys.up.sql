create table one_time_prekeys (
    device_id bigint not null,
    prekey_id integer not null,
    public_key bytea not null,
    primary key (device_id, prekey_id)
);
