drop table comments;
drop type "CommentStatus";
