//! Errors of Redis by kind. What the server says stays here (Invariant 15): of its text only its
//! code goes on, and of a command that it forbids the name.

use redis::{ErrorKind as Kind, RedisError, ServerErrorKind, Value};

use crate::{Error, ErrorKind, Result};

/// An error of a server or of the way to it, at this command (or whatever was done in its place).
pub(super) fn classify(error: &RedisError, name: &str, command: &str) -> Error {
    let at = format!("connection `{name}`, {command}");
    let new = |kind: ErrorKind, what: &str| Error::new(kind, format!("{at}: {what}"));
    if let Some(forbidden) = forbidden(error) {
        return new(ErrorKind::Unauthorised, &format!("the user may not use {forbidden}")).hint(
            "its rights (ACL) have to cover the command and the keys, the ledger's `dbferry:*` among them; docs/operations.md lists them",
        );
    }
    // A transaction that is not carried out says why behind its own code.
    let aborted = |code: &&str| error.code() == Some("EXECABORT") && error.detail().unwrap_or_default().contains(*code);
    let code = ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "CLUSTERDOWN"]
        .into_iter()
        .find(aborted);
    if let Some(known) = by_code(code.or(error.code()), &new) {
        return known;
    }
    if let Some(refused) = not_selected(error, &new) {
        return refused;
    }
    match error.kind() {
        Kind::AuthenticationFailed => wrong_password(&new),
        Kind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::BusyLoading
            // It has started anew, or a slot has moved to a node that is new.
            | ServerErrorKind::NoScript,
        ) => new(ErrorKind::Lost, in_motion(error.code().unwrap_or_default())),
        _ if over_limit(error) => new(
            ErrorKind::Lost,
            "the connection broke: the server takes no command that long",
        )
        .hint(
            "a value is probably over its `proto-max-bulk-len`; let the user ask for CONFIG GET, and such rows are named as rejects",
        ),
        _ if error.is_connection_refusal() => new(ErrorKind::Unreachable, "nobody answers"),
        Kind::ClusterConnectionNotFound => new(ErrorKind::Lost, "no node of the cluster can be reached for it"),
        _ if error.is_timeout() => new(ErrorKind::Lost, "the server did not answer in time"),
        _ if error.is_io_error() || error.is_unrecoverable_error() => new(ErrorKind::Lost, "the connection broke"),
        Kind::InvalidClientConfig => new(ErrorKind::Config, "the address is not one that can be connected to"),
        _ => {
            tracing::debug!(code = error.code(), "redis refused a command");
            let code = error.code().unwrap_or("no code");
            new(ErrorKind::Internal, &format!("the server refused a command ({code})"))
        }
    }
}

/// A value over `proto-max-bulk-len`: the server says so with its last words, which do not always
/// arrive before the connection's end does.
fn over_limit(error: &RedisError) -> bool {
    error.code() == Some("ERR") && error.detail().unwrap_or_default().starts_with("Protocol error")
}

/// A database number that the server does not open: the driver hands on its words without their code.
fn not_selected(error: &RedisError, new: &dyn Fn(ErrorKind, &str) -> Error) -> Option<Error> {
    let detail = error.detail()?;
    if error.code() != Some("ERR") {
        return None;
    }
    if detail.starts_with("Authentication required") {
        return Some(wrong_password(new));
    }
    let what = if detail.starts_with("DB index is out of range") {
        "the server has no database of that number"
    } else if detail.starts_with("SELECT is not allowed in cluster mode") {
        "a node of a cluster has database 0 alone"
    } else {
        return None;
    };
    Some(new(ErrorKind::Config, what).hint("check the number at the end of the connection's `url`"))
}

fn by_code(code: Option<&str>, new: &dyn Fn(ErrorKind, &str) -> Error) -> Option<Error> {
    Some(match code? {
        "WRONGPASS" | "NOAUTH" => wrong_password(new),
        "OOM" => new(ErrorKind::Full, "the server is out of memory (`maxmemory`)")
            .hint("raise `maxmemory` or remove keys, then run again: it goes on after the last committed batch"),
        "MISCONF" => new(
            ErrorKind::Full,
            "the server takes no writes because it cannot save to its disk",
        )
        .hint("see the server's log, then run again: it goes on after the last committed batch"),
        "NOREPLICAS" => new(
            ErrorKind::Lost,
            "too few replicas are there for a write (`min-replicas-to-write`)",
        ),
        "WRONGTYPE" | "BUSYKEY" => new(ErrorKind::Lost, "a key became another one while it was written"),
        "BUSY" => new(ErrorKind::Lost, "a script of somebody else keeps the server busy"),
        code @ ("MOVED" | "ASK" | "TRYAGAIN" | "MASTERDOWN" | "CLUSTERDOWN" | "READONLY" | "LOADING") => {
            new(ErrorKind::Lost, in_motion(code))
        }
        _ => return None,
    })
}

fn wrong_password(new: &dyn Fn(ErrorKind, &str) -> Error) -> Error {
    new(ErrorKind::Unauthorised, "user or password is wrong, or one is needed").hint("check the connection's `url`")
}

/// States that pass.
fn in_motion(code: &str) -> &'static str {
    match code {
        "CLUSTERDOWN" => "the cluster is down (CLUSTERDOWN)",
        "MASTERDOWN" => "a replica has lost its master (MASTERDOWN)",
        "READONLY" => "the server is a replica now, which takes no writes (READONLY)",
        "LOADING" => "the server is loading its data (LOADING)",
        "TRYAGAIN" => "keys are being moved between nodes (TRYAGAIN)",
        _ => "slots of the cluster are being moved",
    }
}

/// A command that is forbidden, switched off or unknown, by its name alone.
fn forbidden(error: &RedisError) -> Option<String> {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        Some("NOPERM") if detail.contains("key") && !detail.contains("command") => {
            Some("one of the keys that a command names".to_owned())
        }
        Some("NOPERM") => Some(quoted(detail).map_or_else(|| "a command".to_owned(), |name| format!("the command {name}"))),
        Some("ERR") if detail.starts_with("unknown command") => {
            let name = quoted(detail)?;
            Some(format!(
                "the command {name}, which the server does not have or has switched off"
            ))
        }
        _ => None,
    }
}

/// What stands between the first pair of quotes, if it is the name of a command.
fn quoted(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(['\'', '`'])?;
    let (name, _) = rest.split_once(['\'', '`'])?;
    let plain = name.len() <= 30 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'|');
    plain.then(|| name.to_ascii_uppercase())
}

/// A value that is no error.
pub(super) fn sound(value: Value) -> Result<Value, RedisError> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

/// An answer of a form that no such command gives.
pub(super) fn unexpected(name: &str, command: &str) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("connection `{name}`: the server's answer to {command} is not what was to be expected"),
    )
    .hint("find out what stands between dbferry and the server (a proxy?), then run again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> RedisError {
        let value = redis::parse_redis_value(line.as_bytes()).expect("a reply");
        sound(value).expect_err("an error")
    }

    #[test]
    fn errors_have_a_kind_and_no_server_text() {
        for (line, kind, word) in [
            (
                "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                ErrorKind::Full,
                "maxmemory",
            ),
            (
                "-WRONGPASS invalid username-password pair\r\n",
                ErrorKind::Unauthorised,
                "password",
            ),
            ("-NOAUTH Authentication required.\r\n", ErrorKind::Unauthorised, "password"),
            (
                "-NOPERM this user has no permissions to run the 'eval' command\r\n",
                ErrorKind::Unauthorised,
                "EVAL",
            ),
            (
                "-ERR unknown command 'EVAL', with args beginning with: 'secret'\r\n",
                ErrorKind::Unauthorised,
                "EVAL",
            ),
            ("-CLUSTERDOWN The cluster is down\r\n", ErrorKind::Lost, "CLUSTERDOWN"),
            (
                "-READONLY You can't write against a read only replica.\r\n",
                ErrorKind::Lost,
                "READONLY",
            ),
            ("-ERR something 'secret'\r\n", ErrorKind::Internal, "ERR"),
        ] {
            let classified = classify(&error(line), "cache", "HSET");
            assert_eq!(classified.kind(), kind, "{line}");
            let told = classified.to_string();
            assert!(told.contains(word) && !told.contains("secret"), "{told}");
        }
    }
}
