//! Single words of a command line, as they are read and as they are written.

use crate::pipeline::subject::SubjectKey;

/// `user=42`: the subject's name and its key, which may hold anything but be empty.
pub(in crate::cli) fn subject(text: &str) -> Result<SubjectKey, String> {
    match text.split_once('=') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => Ok(SubjectKey {
            name: name.to_owned(),
            key: key.to_owned(),
        }),
        _ => Err("a subject is NAME=KEY, such as user=42".to_owned()),
    }
}

/// A word as a shell takes it.
pub(in crate::cli) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
