//! The pages: every example is good, every command is accepted, every link leads somewhere, and
//! every key, reason and code of the program is in its page.

use serde_json::Value;

use crate::harness::text;

mod commands;
mod completeness;
mod declared;
mod examples;
mod expressions;
mod links;

/// A page: its path within the package, and its text.
struct Page {
    path: &'static str,
    text: String,
}

fn pages() -> Vec<Page> {
    [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/configuration.md",
        "docs/mapping.md",
        "docs/engineer.md",
        "docs/operations.md",
        "docs/output.md",
    ]
    .into_iter()
    .map(|path| Page { path, text: text(path) })
    .collect()
}

/// A fenced block: what stands behind its fence, its first line's number, and its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

impl Page {
    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => {
                    open = Some(Block {
                        info: info.trim().to_owned(),
                        line: index + 2,
                        text: String::new(),
                    });
                }
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path);
        blocks
    }

    /// Text without fenced blocks.
    fn prose(&self) -> String {
        let mut fenced = false;
        let lines = self.text.lines().filter(|line| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.path, block.line)
    }
}

/// A JSON Schema that is shipped.
fn schema(name: &str) -> Value {
    serde_json::from_str(&text(&format!("config/schema/{name}.schema.json"))).expect("a schema")
}

/// Rows of the table with that head; every cell without the blanks around it.
fn table_rows(text: &str, head: &str) -> Vec<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| *line != head).skip(2).peekable();
    assert!(lines.peek().is_some(), "there is no table {head}");
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let line = line.trim_matches('|').replace("\\|", "\u{0}");
        line.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
    });
    rows.collect()
}

/// Pieces of code in a cell, with example figures for letters.
fn code(cell: &str) -> Vec<String> {
    let figures = |code: &str| code.replace("(p,s)", "(7,2)").replace("(n)", "(50)").replace("(d)", "(3)");
    cell.split('`').skip(1).step_by(2).map(figures).collect()
}
