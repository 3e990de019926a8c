//! What a server says of a statement that it refuses.

use super::statements::{self, Statement};

/// The byte of the file that an answer is about, and the answer without that.
pub(super) fn place<'a>(statement: Statement<'_>, text: &'a str) -> (usize, &'a str) {
    let told = text.strip_prefix("line ").and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let (column, rest) = rest.split_once(' ')?;
        // Behind it the server quotes what stands around, as the caret does.
        let told = rest.split_once(" (").map_or(rest, |(told, _)| told);
        Some((line.parse().ok()?, column.parse().ok()?, told))
    });
    match told {
        Some((line, column, told)) => (statements::byte_at(statement, line, column), told),
        None => (statement.start, text),
    }
}

/// The server's words, unless they repeat a value that stands in the statement (Invariant 15).
pub(super) fn words(statement: Statement<'_>, told: &str) -> String {
    let lower = told.to_lowercase();
    let is_within = |value: &&str| {
        let value = value.replace("''", "'").to_lowercase();
        lower.match_indices(value.as_str()).any(|(at, found)| {
            let joins = |c: char| c.is_alphanumeric() || c == '_';
            !lower[..at].ends_with(joins) && !lower[at + found.len()..].starts_with(joins)
        })
    };
    if statements::literals(statement.text).iter().any(is_within) {
        return "the server refuses a value of this statement".to_owned();
    }
    told.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(text: &str, answer: &str) -> (usize, String) {
        let statement = statements::split(text).expect("statements")[0];
        let (at, told) = place(statement, answer);
        (at, words(statement, told))
    }

    #[test]
    fn an_answer_is_about_a_place_in_the_file() {
        let text = "-- first\nCREATE TABEL t (\n  id int);";
        assert_eq!(
            told(text, "line 1:7 no viable alternative at input 'TABEL' ([CREATE] TABEL...)"),
            (16, "no viable alternative at input 'TABEL'".to_owned())
        );
        assert_eq!(
            told(
                text,
                "line 2:5 mismatched input 'int' expecting K_KEY (...t (\n  id [int]...)"
            ),
            (31, "mismatched input 'int' expecting K_KEY".to_owned())
        );
        assert_eq!(
            told(text, "Undefined column name nosuch in table k.t"),
            (9, "Undefined column name nosuch in table k.t".to_owned())
        );
    }

    #[test]
    fn no_value_of_a_statement_is_repeated() {
        for (text, answer) in [
            (
                "INSERT INTO t (id) VALUES ('canary')",
                "Invalid STRING constant (canary) for \"id\" of type int",
            ),
            (
                "INSERT INTO t (id) VALUES ('ca''nary', 0xCAFE)",
                "Invalid STRING constant (ca'nary) for \"id\" of type int",
            ),
            (
                "INSERT INTO t (id) VALUES (0xCAFE)",
                "Invalid HEX constant (0xcafe) for \"id\" of type int",
            ),
            (
                "INSERT INTO t (id) VALUES (4711)",
                "Invalid INTEGER constant (4711) for \"id\" of type text",
            ),
            (
                "INSERT INTO t 'canary'",
                "line 1:14 no viable alternative at input 'canary' (INSERT INTO [t] 'canary')",
            ),
        ] {
            assert_eq!(told(text, answer).1, "the server refuses a value of this statement");
        }
        assert_eq!(
            told("INSERT INTO t4711 (id) VALUES (4711)", "no table t4711.").1,
            "no table t4711"
        );
    }
}
