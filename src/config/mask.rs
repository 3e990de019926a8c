//! Blanks out passwords in a file's text before anything can quote from it (Invariant 9).

/// From how many digits on base64 is taken for a key; that of an account has 88.
const KEY_BYTES_MIN: usize = 64;

/// `text` with every byte of a password replaced by `*`, so that places stay the same.
///
/// A password is what stands between `:` and the last `@` of a line after `://`, what follows
/// `password=`, `pass=` or `accountkey=` in any spelling, and what is as long as the key of an
/// account. Too much is blanked out rather than too little.
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
    for (start, word) in ["password", "pass", "accountkey"]
        .into_iter()
        .flat_map(|word| lower.match_indices(word))
    {
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
    for word in ["key", "connection_string"] {
        for (start, _) in lower.match_indices(word) {
            let own = !lower[..start].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let after = start + word.len();
            let line = lower[after..].lines().next().unwrap_or_default();
            if own
                && line
                    .trim_start_matches(['"', '\'', ' ', '\t', '.'])
                    .starts_with(['=', 'v', 'd'])
            {
                texts(&mut bytes[after..after + line.len()]);
            }
        }
    }
    long_keys(&mut bytes);
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// Blanks out what is quoted behind an equals sign, but for the names of variables and files.
fn texts(line: &mut [u8]) {
    let mut from = 0;
    while let Some(equals) = line[from..].iter().position(|byte| *byte == b'=') {
        let name = line[..from + equals].trim_ascii_end();
        let named = name.ends_with(b"env") || name.ends_with(b"file");
        from += equals + 1;
        let space = line[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let Some(quote @ (b'"' | b'\'')) = line.get(from + space).copied() else {
            continue;
        };
        from += space + 1;
        let end = line[from..].iter().position(|byte| *byte == quote);
        let end = end.map_or(line.len(), |end| from + end);
        if !named {
            line[from..end].fill(b'*');
        }
        from = end;
    }
}

/// Blanks out whatever is base64 for long enough to be the key of an account.
fn long_keys(bytes: &mut [u8]) {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut from = 0;
    while from < bytes.len() {
        let run = bytes[from..].iter().take_while(|byte| digit(byte)).count();
        if run >= KEY_BYTES_MIN {
            bytes[from..from + run].fill(b'*');
        }
        from += run + 1;
    }
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
            ("'unix:///s?pass=abc&db=1'", "'unix:///s?pass=***&db=1'"),
            ("'redis://:a@b,redis://:c@d'", "'redis://:**************@d'"),
            ("DB_PASSWORD = \"a b c\" # x", "DB_PASSWORD = \"*****\" # x"),
            ("url = { env = \"PASSWORD\" }", "url = { env = \"PASSWORD\" }"),
            ("'postgres://me@h/d'", "'postgres://me@h/d'"),
            ("key = \"hunter2\"", "key = \"*******\""),
            ("\"key\" = { value = 'hünter2' }", "\"key\" = { value = '********' }"),
            (
                "key = { env = \"COSMOS_KEY\", default = \"hunter2\" }",
                "key = { env = \"COSMOS_KEY\", default = \"*******\" }",
            ),
            ("cosmos.key.value = 'hunter2", "cosmos.key.value = '*******"),
            ("key = { file = '/run/key' }", "key = { file = '/run/key' }"),
            ("x = 'AccountKey=aHVu;A=b'", "x = 'AccountKey=********'"),
            ("connection_string = 'A=b;C=d'", "connection_string = '*******'"),
        ] {
            assert_eq!(passwords(text), masked);
            assert_eq!(passwords(text).len(), text.len());
        }
        let key = "aB3/".repeat(21) + "aA==";
        assert_eq!(
            passwords(&format!("value = '{key}'")),
            format!("value = '{}'", "*".repeat(88))
        );
    }
}
