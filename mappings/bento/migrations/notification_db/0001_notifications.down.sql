drop table notifications;
drop type "NotificationAction";
