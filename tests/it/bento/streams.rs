//! What every stream has to do, in SQL over the source.

/// The oldest of the users with one name: the others are refused where names are unique.
const FIRST: &str =
    "not exists (select 1 from users o where o.username = users.username and o.id collate \"C\" < users.id collate \"C\")";
/// Likewise topics.
const FIRST_TOPIC: &str =
    "not exists (select 1 from topics o where o.name = topics.name and o.id collate \"C\" < topics.id collate \"C\")";

/// A stream, and what it has to do in SQL: the columns of both ends in one order.
pub(super) struct Stream {
    pub(super) name: &'static str,
    pub(super) service: &'static str,
    pub(super) from: &'static str,
    pub(super) wanted: &'static str,
    pub(super) which: &'static str,
    pub(super) key: &'static str,
    pub(super) columns: &'static str,
}

pub(super) const STREAMS: [Stream; 10] = [
    Stream {
        name: "auth_users",
        service: "auth_db",
        from: "users",
        wanted: "id, null, null, username, '', '', password, salt, role, null, null, 0, 0, coalesce(status, 'active'), created_at, updated_at",
        which: FIRST,
        key: "id",
        columns: "id, cover, avatar, username, first_name, last_name, password, salt, role, bio, website_url, follower_count, post_count, status, created_at, updated_at",
    },
    Stream {
        name: "users",
        service: "user_db",
        from: "users",
        wanted: "id, cover, avatar, username, first_name, last_name, password, salt, role, bio, website_url, follower_count, post_count, coalesce(status, 'active'), created_at, updated_at",
        which: FIRST,
        key: "id",
        columns: "id, cover, avatar, username, first_name, last_name, password, salt, role, bio, website_url, follower_count, post_count, status, created_at, updated_at",
    },
    Stream {
        name: "user_followers",
        service: "user_db",
        from: "followers",
        wanted: "following_id, follower_id, created_at",
        which: "true",
        key: "following_id || '|' || follower_id",
        columns: "following_id, follower_id, created_at",
    },
    Stream {
        name: "posts",
        service: "post_db",
        from: "posts",
        wanted: "id, content, image, author_id, topic_id, is_featured, comment_count, liked_count, type, created_at, updated_at",
        which: "true",
        key: "id",
        columns: "id, content, image, author_id, topic_id, is_featured, comment_count, liked_count, type, created_at, updated_at",
    },
    Stream {
        name: "topics",
        service: "topic_db",
        from: "topics",
        wanted: "id, name, color, coalesce(post_count, 0), 'active', created_at, updated_at",
        which: FIRST_TOPIC,
        key: "id",
        columns: "id, name, color, post_count, status, created_at, updated_at",
    },
    Stream {
        name: "comments",
        service: "comment_db",
        from: "comments",
        wanted: "id, user_id, post_id, parent_id, content, liked_count, reply_count, status, created_at::timestamp(0), updated_at::timestamp(0)",
        which: "true",
        key: "id",
        columns: "id, user_id, post_id, parent_id, content, liked_count, reply_count, status, created_at, updated_at",
    },
    Stream {
        name: "notifications",
        service: "notification_db",
        from: "notifications",
        wanted: "id, receiver_id, actor_id, content, action, is_sent, is_read, created_at, updated_at",
        which: "true",
        key: "id",
        columns: "id, receiver_id, actor_id, content, action, is_sent, is_read, created_at, updated_at",
    },
    Stream {
        name: "post_likes",
        service: "interaction_db",
        from: "post_likes",
        wanted: "post_id, user_id, created_at::timestamp(0)",
        which: "true",
        key: "post_id || '|' || user_id",
        columns: "post_id, user_id, created_at",
    },
    Stream {
        name: "post_saves",
        service: "interaction_db",
        from: "post_saves",
        wanted: "post_id, user_id, created_at::timestamp(0)",
        which: "true",
        key: "post_id || '|' || user_id",
        columns: "post_id, user_id, created_at",
    },
    Stream {
        name: "interaction_followers",
        service: "interaction_db",
        from: "followers",
        wanted: "following_id, follower_id, created_at::timestamp(0)",
        which: "true",
        key: "following_id || '|' || follower_id",
        columns: "following_id, follower_id, created_at",
    },
];

impl Stream {
    /// The table's name, which is the same in source and target.
    pub(super) fn table(&self) -> &'static str {
        self.from
    }
}
