//! What every table has to become, in SQL over the source.

use std::collections::BTreeMap;

use serde_json::Value;

/// A table that is alike at both ends, and what in it belongs to whom.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its key as the page about the sample writes it.
    pub(super) key: &'static str,
    /// Rows of the user `$user`.
    pub(super) of_user: &'static str,
    /// Rows that are left behind with users that are deleted.
    pub(super) of_deleted: &'static str,
}

pub(super) const TABLES: [Table; 8] = [
    Table {
        name: "users",
        key: "user_id::text",
        of_user: "user_id = '$user'",
        of_deleted: "is_deleted",
    },
    Table {
        name: "devices",
        key: "device_id::text",
        of_user: "user_id = '$user'",
        of_deleted: "user_id in (select user_id from users where is_deleted)",
    },
    Table {
        name: "conversations",
        key: "conv_id::text",
        of_user: "creator_id = '$user' or exists (select from conv_members m where m.conv_id = t.conv_id and m.user_id = '$user')",
        of_deleted: "false",
    },
    Table {
        name: "conv_members",
        key: "conv_id || '|' || user_id",
        of_user: "user_id = '$user'",
        of_deleted: "user_id in (select user_id from users where is_deleted)",
    },
    Table {
        name: "one_time_prekeys",
        key: "device_id || '|' || prekey_id",
        of_user: "device_id in (select device_id from devices where user_id = '$user')",
        of_deleted: "device_id in (select d.device_id from devices d join users u using (user_id) where u.is_deleted)",
    },
    Table {
        name: "signal_sessions",
        key: "device_id || '|' || address",
        of_user: "device_id in (select device_id from devices where user_id = '$user')",
        of_deleted: "device_id in (select d.device_id from devices d join users u using (user_id) where u.is_deleted)",
    },
    Table {
        name: "push_tokens",
        key: "user_id || '|' || device_id",
        of_user: "user_id = '$user'",
        of_deleted: "user_id in (select user_id from users where is_deleted)",
    },
    Table {
        name: "device_linking_sessions",
        key: "session_id::text",
        of_user: "primary_device_id in (select device_id from devices where user_id = '$user')",
        of_deleted: "primary_device_id in (select d.device_id from devices d join users u using (user_id) where u.is_deleted)",
    },
];

/// The user to whom traps belong.
pub(super) const TRAP_USER: &str = "00000000-0000-4000-8000-000000000001";

/// A table of the keyspace.
pub(super) struct CqlTable {
    pub(super) name: &'static str,
    /// Its key as the page about the sample writes it.
    pub(super) key: &'static str,
    /// What `select json` has to give of a row that is moved.
    pub(super) wanted: &'static str,
    /// Rows that CQL can hold.
    pub(super) held: &'static str,
    /// Rows that have expired, and nothing else is wrong with them.
    pub(super) expired: &'static str,
    /// Rows of the users `$users`.
    pub(super) of_users: &'static str,
}

pub(super) const MESSAGES: CqlTable = CqlTable {
    name: "messages",
    key: "message_id::text",
    wanted: "json_build_object(
        'conv_id', conv_id, 'bucket', floor(extract(epoch from sent_at) / 864000)::integer, 'message_id', message_id,
        'client_message_id', client_message_id, 'sender_user_id', sender_user_id, 'sender_device_id', sender_device_id,
        'message_type', message_type, 'content', content, 'iv', '0x' || encode(iv, 'hex'), 'attachment_url', attachment_url,
        'thumbnail_url', thumbnail_url, 'sender_key_distribution', '0x' || encode(sender_key_distribution, 'hex'),
        'reply_to_message_id', reply_to_message_id,
        'sent_at', to_char(date_trunc('milliseconds', sent_at), 'YYYY-MM-DD HH24:MI:SS.MS\"Z\"'),
        'edited_at', to_char(edited_at::timestamptz(3), 'YYYY-MM-DD HH24:MI:SS.MS\"Z\"'),
        'deleted_at', to_char(deleted_at::timestamptz(3), 'YYYY-MM-DD HH24:MI:SS.MS\"Z\"'),
        'expires_at', to_char(expires_at::timestamptz(3), 'YYYY-MM-DD HH24:MI:SS.MS\"Z\"'),
        'extra', extra::text)",
    held: "isfinite(sent_at) and extract(year from sent_at) between 1 and 9999
        and (edited_at is null or isfinite(edited_at) and extract(year from edited_at) between 1 and 9999)
        and (deleted_at is null or isfinite(deleted_at) and extract(year from deleted_at) between 1 and 9999)
        and (expires_at is null or expires_at between now() and '2038-01-19')",
    expired: "expires_at <= now()",
    of_users: "sender_user_id $users",
};

pub(super) const DELIVERIES: CqlTable = CqlTable {
    name: "message_deliveries",
    key: "message_id || '|' || device_id",
    wanted: "json_build_object(
        'message_id', message_id, 'device_id', device_id,
        'delivered_at', to_char(delivered_at::timestamptz(3), 'YYYY-MM-DD HH24:MI:SS.MS\"Z\"'),
        'read_at', to_char(read_at::timestamptz(3), 'YYYY-MM-DD HH24:MI:SS.MS\"Z\"'),
        'content', '0x' || encode(content, 'hex'))",
    held: "(delivered_at is null or isfinite(delivered_at) and extract(year from delivered_at) between 1 and 9999)
        and (read_at is null or isfinite(read_at) and extract(year from read_at) between 1 and 9999)",
    expired: "false",
    of_users: "device_id in (select device_id from devices where user_id $users)",
};

impl CqlTable {
    /// The numbers in a row's key.
    pub(super) fn numbers(row: &Value) -> (Option<i64>, Option<i64>) {
        (row["message_id"].as_i64(), row["device_id"].as_i64())
    }

    /// Rows by their key as the page about the sample writes it.
    pub(super) fn by_key(rows: Vec<Value>) -> BTreeMap<String, Value> {
        let key = |row: &Value| match Self::numbers(row) {
            (Some(message), Some(device)) => format!("{message}|{device}"),
            (message, _) => message.expect("every row has a message").to_string(),
        };
        rows.into_iter().map(|row| (key(&row), row)).collect()
    }
}
