drop table backup_jobs;
