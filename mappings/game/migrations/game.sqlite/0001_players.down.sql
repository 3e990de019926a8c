drop table players;
