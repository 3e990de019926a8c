//! Blanks out passwords in a file's text before anything can quote from it (Invariant 9).

/// `text` with every byte of a password replaced by `*`, so that places stay the same.
///
/// A password is what stands between `:` and the last `@` of a line after `://`, and what follows
/// `password=` in any spelling. Too much is blanked out rather than too little.
#[must_use]
pub(super) fn passwords(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (start, _) in text.match_indices("://") {
        let from = start + 3;
        let line = text[from..].lines().next().unwrap_or_default();
        if let (Some(colon), Some(at)) = (line.find(':'), line.rfind('@'))
            && colon < at
        {
            bytes[from + colon + 1..from + at].fill(b'*');
        }
    }
    // ASCII lower case keeps byte positions.
    let lower = text.to_ascii_lowercase();
    for (start, word) in lower.match_indices("password") {
        let after = &text[start + word.len()..];
        let value = after.trim_start_matches(['"', '\'', ' ', '\t']);
        if let Some(value) = value.strip_prefix('=') {
            let value = value.trim_start_matches([' ', '\t']);
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let value = quote.map_or(value, |_| &value[1..]);
            let from = text.len() - value.len();
            let end = match quote {
                Some(quote) => value.find([quote, '\n']),
                None => value.find(|c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'' | '}')),
            };
            bytes[from..from + end.unwrap_or(value.len())].fill(b'*');
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_blanked_out_wherever_it_stands() {
        for (text, masked) in [
            (
                "url = { value = \"postgres://me:hünter2@h:5432/d\" }",
                "url = { value = \"postgres://me:********@h:5432/d\" }",
            ),
            ("url = 'postgres://me:a@b/c\"d@h/d'", "url = 'postgres://me:*******@h/d'"),
            ("'postgres://h/d?password=abc&x=1'", "'postgres://h/d?password=***&x=1'"),
            ("DB_PASSWORD = \"a b c\" # x", "DB_PASSWORD = \"*****\" # x"),
            ("url = { env = \"PASSWORD\" }", "url = { env = \"PASSWORD\" }"),
            ("'postgres://me@h/d'", "'postgres://me@h/d'"),
        ] {
            assert_eq!(passwords(text), masked);
            assert_eq!(passwords(text).len(), text.len());
        }
    }
}
