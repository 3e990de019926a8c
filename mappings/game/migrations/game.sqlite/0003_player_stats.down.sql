drop table player_stats;
