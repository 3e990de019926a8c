create table folders (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users on delete cascade,
    parent_id uuid references folders on delete cascade,
    name varchar(255) not null,
    labels text[] not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (parent_id <> id),
    -- Folders without a parent may share a name: in a key, NULL is like no other NULL.
    constraint folders_name_key unique (user_id, parent_id, name)
);

create index folders_parent on folders (parent_id);

create trigger folders_updated_at
    before update on folders
    for each row
    when (old.* is distinct from new.*)
    execute function set_updated_at();
