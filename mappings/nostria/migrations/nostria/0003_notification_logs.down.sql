drop table notification_logs;
