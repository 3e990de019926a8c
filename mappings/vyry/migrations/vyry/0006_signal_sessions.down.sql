drop table signal_sessions;
