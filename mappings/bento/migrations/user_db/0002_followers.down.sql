drop table followers;
