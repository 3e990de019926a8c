-- Rows of every table, for the summary, in this order.

values
    ('users', (select count(*) from users)),
    ('devices', (select count(*) from devices)),
    ('conversations', (select count(*) from conversations)),
    ('conv_members', (select count(*) from conv_members)),
    ('one_time_prekeys', (select count(*) from one_time_prekeys)),
    ('signal_sessions', (select count(*) from signal_sessions)),
    ('push_tokens', (select count(*) from push_tokens)),
    ('device_linking_sessions', (select count(*) from device_linking_sessions)),
    ('messages', (select count(*) from messages)),
    ('message_deliveries', (select count(*) from message_deliveries));
