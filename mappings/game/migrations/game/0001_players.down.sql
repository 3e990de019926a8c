drop table players;
drop function set_updated_at();
