alter table media drop column metadata;
