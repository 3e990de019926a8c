//! What can be said of a database URL without opening it. No message contains any of it.

use url::Url;

use crate::data::finding::{Finding, Place};

/// Why `text` cannot be the URL of a Postgres database, and what would be right.
pub(super) fn postgres_fault(text: &str) -> Option<(String, &'static str)> {
    const FORM: &str = "postgres://user:password@host:5432/database";
    const ENCODE: &str =
        "postgres://user:password@host:5432/database, where `@ : / # ? %` in user and password are written %40 %3A %2F %23 %3F %25";
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Some(("it does not begin with `postgres://`".to_owned(), FORM));
    }
    // Display of a parse error is a fixed phrase.
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return Some((error.to_string(), ENCODE)),
    };
    let parameter = |wanted: &[&str]| {
        url.query_pairs()
            .any(|(name, value)| wanted.contains(&&*name) && !value.is_empty())
    };
    if url.fragment().is_some() {
        return Some(("it contains a bare `#`".to_owned(), ENCODE));
    }
    if url.host_str().is_none_or(str::is_empty) && !parameter(&["host", "hostaddr"]) {
        return Some(("it names no host".to_owned(), FORM));
    }
    if url.path().trim_matches('/').is_empty() && !parameter(&["dbname"]) {
        return Some(("it names no database".to_owned(), FORM));
    }
    None
}

/// What is said of a URL with a password in it.
pub(super) fn password_in_file(place: Place) -> Finding {
    Finding::error("config::password_in_file", Some(place), "a password stands in this file")
        .label("a secret")
        .help("put the URL into a variable or a file of its own: { env = \"NAME\" } or { file = \"path\" }")
}

/// Whether a password stands in the URL.
pub(super) fn has_password(text: &str) -> bool {
    match Url::parse(text) {
        Ok(url) => url.password().is_some() || url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("password")),
        Err(_) => super::mask::passwords(text) != text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_url_has_no_fault() {
        for text in [
            "postgres://h/d",
            "postgresql://u:p%40@h:5432/d?sslmode=verify-full&application_name=x",
            "postgres:///d?host=/var/run/postgresql",
            "postgres://h?dbname=d",
            "postgres://[::1]:5432/d",
        ] {
            assert_eq!(postgres_fault(text), None, "{text}");
        }
    }

    #[test]
    fn a_fault_is_told_without_the_url() {
        for (text, fault) in [
            ("mysql://u:hunter2@h/d", "it does not begin with `postgres://`"),
            ("h:5432/d", "it does not begin with `postgres://`"),
            ("postgres://u:hunter2@h:port/d", "invalid port number"),
            ("postgres://u:hun#ter2@h/d", "invalid port number"),
            ("postgres://h/d#x", "it contains a bare `#`"),
            ("postgres:///d", "it names no host"),
            ("postgres://u:hunter2@h", "it names no database"),
            ("postgres://u:hunter2@h/", "it names no database"),
        ] {
            assert_eq!(postgres_fault(text).map(|(fault, _)| fault).as_deref(), Some(fault), "{text}");
        }
    }

    #[test]
    fn a_password_is_seen() {
        assert!(has_password("postgres://u:p@h/d"));
        assert!(has_password("postgres://u:p#x@h/d"));
        assert!(has_password("postgres://u@h/d?password=x"));
        assert!(!has_password("postgres://u@h:5432/d?user=a@b"));
    }
}
