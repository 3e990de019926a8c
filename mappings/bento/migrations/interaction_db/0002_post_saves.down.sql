drop table post_saves;
