create table post_saves (
    post_id varchar(36) not null,
    user_id varchar(36) not null,
    created_at timestamp(0) not null default current_timestamp,
    primary key (post_id, user_id)
);

create index "IX_PostSaves_UserId" on post_saves (user_id);
