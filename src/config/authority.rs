//! Certificate authorities that a connection names, and what an encoded part of a URL stands for.

use std::path::Path;

use crate::data::finding::{Finding, Located};

/// The first line of every certificate in a PEM file.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Whether a file with certificates is there.
pub(super) fn check(path: &Located<String>) -> Result<(), Finding> {
    let what = match std::fs::read(Path::new(&path.value)) {
        Ok(text) if text.windows(CERTIFICATE.len()).any(|part| part == CERTIFICATE.as_bytes()) => return Ok(()),
        Ok(_) => "holds no certificate".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        Err(error) => format!("cannot be read: {}", error.kind()),
    };
    Err(Finding::error(
        "config::ca_file",
        Some(path.place.clone()),
        format!("this file of authorities {what}"),
    )
    .label("named here")
    .help("a PEM file with certificates; paths are relative to the current directory"))
}

/// Authorities where no certificate is checked; `scheme` asks for TLS.
pub(super) fn needless(path: &Located<String>, scheme: &str) -> Finding {
    Finding::error(
        "config::ca_file",
        Some(path.place.clone()),
        "the URL asks for no TLS, and so no certificate is checked",
    )
    .label("means nothing")
    .help(format!("write `{scheme}` in the URL, or leave `ca_file` out"))
}

/// What a percent-encoded part stands for; `None` where a `%` begins no byte, or the bytes are no
/// text.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        bytes.push(part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok())?);
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_looked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| Located {
            value: folder.path().join(name).display().to_string(),
            place: crate::data::finding::Place::nowhere(),
        };
        std::fs::write(folder.path().join("good.pem"), format!("# ours\n{CERTIFICATE}\n")).expect("written");
        std::fs::write(folder.path().join("bad.pem"), "-----BEGIN PRIVATE KEY-----").expect("written");
        assert!(check(&at("good.pem")).is_ok());
        let message = |name| check(&at(name)).expect_err("no authorities").message;
        assert_eq!(message("bad.pem"), "this file of authorities holds no certificate");
        assert_eq!(message("none.pem"), "this file of authorities does not exist");
        assert!(message(".").starts_with("this file of authorities cannot be read: "));
    }
}
