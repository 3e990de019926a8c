-- Messages are elsewhere, and numbered here: nextval('messages_message_id_seq') gives the next number.
create sequence messages_message_id_seq;

-- The highest number that was given before this database numbered them.
create table message_numbers (
    numbered text primary key,
    message_id bigint not null default nextval('messages_message_id_seq')
);

-- A sequence that is owned by a column is set past what is moved into it.
alter sequence messages_message_id_seq owned by message_numbers.message_id;
