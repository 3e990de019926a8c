create type media_type as enum ('image', 'video', 'audio', 'document');

create table media (
    id uuid primary key default gen_random_uuid(),
    -- A user who has media is not deleted; a folder is, and what was in it is in none.
    user_id uuid not null references users on delete restrict,
    folder_id uuid references folders on delete set null,
    type media_type not null,
    filename varchar(255) not null,
    size_bytes bigint not null check (size_bytes >= 0),
    tags text[] not null default '{}',
    exif jsonb,
    -- What the old application kept: JSON as text that nothing ever checked.
    legacy_metadata text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create index media_user on media (user_id, created_at desc);
create index media_folder on media (folder_id) where folder_id is not null;
create index media_tags on media using gin (tags);
create index media_camera on media ((exif ->> 'camera')) where type = 'image';
create index media_filename on media (lower(filename));

create trigger media_updated_at
    before update on media
    for each row
    when (old.* is distinct from new.*)
    execute function set_updated_at();
