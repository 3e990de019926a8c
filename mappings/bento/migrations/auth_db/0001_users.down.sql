drop table users;
drop type "UserStatus";
drop type "UserRole";
