drop table posts;
drop type "PostType";
