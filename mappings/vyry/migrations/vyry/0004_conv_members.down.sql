drop table conv_members;
