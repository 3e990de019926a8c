drop table topics;
drop type "TopicStatus";
