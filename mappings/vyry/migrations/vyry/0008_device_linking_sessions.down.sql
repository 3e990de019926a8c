drop table device_linking_sessions;
