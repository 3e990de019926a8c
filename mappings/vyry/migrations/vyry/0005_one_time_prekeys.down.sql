drop table one_time_prekeys;
