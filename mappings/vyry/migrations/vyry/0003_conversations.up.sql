create table conversations (
    conv_id uuid primary key,
    conv_type smallint not null,
    name text,
    avatar text,
    created_at timestamptz not null default now(),
    creator_id uuid,
    metadata jsonb not null default '{}'
);

create index idx_conversations_creator on conversations (creator_id);
