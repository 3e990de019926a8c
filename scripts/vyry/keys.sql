-- Keys, foreign keys, the sequences' next values, and the indexes with which the application finds
-- what belongs to a user or a device.

alter table users add primary key (user_id), add unique (phone_number), add unique (phone_number_hash), add unique (username);
alter table devices add primary key (device_id), add unique (device_uuid);
alter table conversations add primary key (conv_id);
alter table conv_members add primary key (conv_id, user_id);
alter table one_time_prekeys add primary key (device_id, prekey_id);
alter table signal_sessions add primary key (device_id, address);
alter table push_tokens add primary key (user_id, device_id);
alter table device_linking_sessions add primary key (session_id), add unique (qr_code_token);
alter table messages add primary key (message_id);
alter table message_deliveries add primary key (message_id, device_id);

alter table devices add foreign key (user_id) references users;
alter table messages
    add foreign key (conv_id) references conversations,
    add foreign key (sender_user_id) references users,
    add foreign key (reply_to_message_id) references messages;

create index idx_devices_user on devices (user_id);
create index idx_conversations_creator on conversations (creator_id);
create index idx_conv_members_user on conv_members (user_id);
create index idx_device_linking_sessions_device on device_linking_sessions (primary_device_id);
create index idx_messages_conversation on messages (conv_id, message_id desc);
create index idx_messages_sender on messages (sender_user_id);
create index idx_message_deliveries_device on message_deliveries (device_id);

select setval('devices_device_id_seq', max(device_id)) from devices \g /dev/null
select setval('messages_message_id_seq', max(message_id)) from messages \g /dev/null

analyze users, devices, conversations, conv_members, one_time_prekeys, signal_sessions, push_tokens,
    device_linking_sessions, messages, message_deliveries;
