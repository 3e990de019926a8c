//! What every key of a rehearsal begins with.

use std::fmt;

/// Longest name.
const NAME_BYTES_MAX: usize = 63;

/// `rehearsal:`, from `rehearsal` or `rehearsal:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPrefix(String);

impl KeyPrefix {
    /// Reads it as it is typed.
    ///
    /// # Errors
    /// What it has to be.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix(':').unwrap_or(text);
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
            return Err(format!(
                "a prefix is made of letters, digits, `_`, `-` and `.`, at most {NAME_BYTES_MAX} of them"
            ));
        }
        if name == "dbferry" {
            return Err("`dbferry:` is where dbferry keeps its own records: choose another name".to_owned());
        }
        Ok(Self(format!("{name}:")))
    }

    /// With its colon.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its colon.
    pub(super) fn name(&self) -> &str {
        self.0.strip_suffix(':').unwrap_or(&self.0)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_name_and_a_colon() {
        for text in ["rehearsal", "rehearsal:"] {
            let prefix = KeyPrefix::parse(text).expect("a prefix");
            assert_eq!((prefix.as_str(), prefix.name()), ("rehearsal:", "rehearsal"));
        }
        for text in ["", ":", "a:b", "a b", "a*", "{a}", "a::", "dbferry", "dbferry:"] {
            assert!(KeyPrefix::parse(text).is_err(), "{text}");
        }
    }
}
