-- What tables.sql made, and nothing else. Fails where something of the user's own depends on it.

drop table if exists message_deliveries, messages, device_linking_sessions, push_tokens, signal_sessions,
    one_time_prekeys, conv_members, conversations, devices, users;
