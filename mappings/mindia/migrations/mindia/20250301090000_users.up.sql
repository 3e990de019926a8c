-- Whatever writes a row says when. A row that stays as it was keeps its moment.
create function set_updated_at() returns trigger
    language plpgsql
    as $$
begin
    new.updated_at = clock_timestamp();
    return new;
end
$$;

create table users (
    id uuid primary key default gen_random_uuid(),
    email varchar(255) not null,
    display_name varchar(100) not null,
    -- At an identity provider; many users have none, and NULL is like no other NULL.
    external_id varchar(64) unique,
    quota_bytes bigint not null default 10737418240 check (quota_bytes >= 0),
    settings jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create unique index users_email_key on users (lower(email));

create trigger users_updated_at
    before update on users
    for each row
    when (old.* is distinct from new.*)
    execute function set_updated_at();
