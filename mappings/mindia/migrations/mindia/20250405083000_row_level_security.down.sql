drop policy media_public on media;
drop policy media_of_user on media;
alter table media disable row level security;
drop policy folders_of_user on folders;
alter table folders disable row level security;
drop function acting_user();
