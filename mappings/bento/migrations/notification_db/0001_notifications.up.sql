create type "NotificationAction" as enum ('followed', 'liked', 'commented', 'replied');

create table notifications (
    id varchar(36) primary key,
    receiver_id varchar(36) not null,
    actor_id varchar(36),
    content text,
    action "NotificationAction" not null,
    is_sent boolean default false,
    is_read boolean default false,
    created_at timestamp(0) not null default current_timestamp,
    updated_at timestamp(0) default current_timestamp
);

create index "IX_Notifications_ReceiverId_CreatedAt" on notifications (receiver_id, created_at desc);
create index "IX_Notifications_ActorId" on notifications (actor_id);
