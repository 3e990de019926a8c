create table conv_members (
    conv_id uuid not null,
    user_id uuid not null,
    role smallint not null default 0,
    joined_at timestamptz not null default now(),
    left_at timestamptz,
    primary key (conv_id, user_id)
);

create index idx_conv_members_user on conv_members (user_id);
