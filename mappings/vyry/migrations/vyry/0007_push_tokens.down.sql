drop table push_tokens;
