-- The application says who it acts for: set mindia.user_id = '…'. Whoever owns the tables, as
-- migrations and moves do, sees all rows.
create function acting_user() returns uuid
    language sql stable
    return nullif(current_setting('mindia.user_id', true), '')::uuid;

alter table folders enable row level security;
create policy folders_of_user on folders
    using (user_id = acting_user())
    with check (user_id = acting_user());

alter table media enable row level security;
create policy media_of_user on media
    using (user_id = acting_user())
    with check (user_id = acting_user());
-- What is tagged as public is read by all.
create policy media_public on media
    for select
    using ('public' = any (tags));
