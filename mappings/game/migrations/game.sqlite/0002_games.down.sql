drop table game_sessions;
drop table games;
