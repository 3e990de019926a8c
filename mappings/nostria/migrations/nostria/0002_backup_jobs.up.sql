create table backup_jobs (
    id text primary key,
    pubkey text not null references accounts (pubkey) on delete cascade,
    status text not null,
    backup_type text not null,
    requested bigint not null,
    scheduled bigint,
    started bigint,
    completed bigint,
    error_message text,
    result_url text,
    expires bigint,
    metadata jsonb
);

create index backup_jobs_pubkey on backup_jobs (pubkey);
