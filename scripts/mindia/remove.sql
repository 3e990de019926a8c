-- All rows, and no table.

truncate media_events, media, folders, users restart identity cascade;
