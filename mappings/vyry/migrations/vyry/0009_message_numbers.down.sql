drop table message_numbers;
