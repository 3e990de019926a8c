drop table post_likes;
