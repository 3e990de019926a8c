drop table media;
drop type media_type;
