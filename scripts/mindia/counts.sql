-- Rows of every table, for the summary, in this order.

values
    ('users', (select count(*) from users)),
    ('folders', (select count(*) from folders)),
    ('media', (select count(*) from media)),
    ('media_events', (select count(*) from media_events));
