-- Takes the place of legacy_metadata; NULL until it is filled in from there.
alter table media add column metadata jsonb;

create index media_metadata on media using gin (metadata jsonb_path_ops);
-- Small once everything is filled in.
create index media_without_metadata on media (id) where metadata is null;
