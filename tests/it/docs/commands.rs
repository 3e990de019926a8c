//! Every command shown is accepted, and every query for operators runs.

use std::process::Command;

use super::{Page, pages};

/// Command lines of the program in a page: in shell blocks, and in code within the text that
/// begins with its name and a command.
fn commands(page: &Page) -> Vec<String> {
    let blocks = page
        .blocks()
        .into_iter()
        .filter(|block| matches!(block.info.as_str(), "sh" | "console"));
    let lines = blocks.flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>());
    let prose = page.prose();
    let spans = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    lines
        .chain(spans)
        .filter_map(|line| {
            let line = line.split(" #").next().unwrap_or_default().trim().trim_start_matches("$ ");
            let arguments = line.strip_prefix("dbferry ").or_else(|| line.strip_prefix("cargo run -- "))?;
            // A shell's own words end what is ours.
            let arguments = arguments.split([';', '|', '>', '…']).next()?.trim();
            (!arguments.is_empty() && !arguments.starts_with('<')).then(|| arguments.to_owned())
        })
        .collect()
}

#[test]
fn every_command_shown_is_accepted() {
    let mut count = 0;
    for page in pages() {
        for line in commands(&page) {
            // `--help` ends a command line that was accepted so far without doing anything.
            let output = Command::new(env!("CARGO_BIN_EXE_dbferry"))
                .args(line.split_whitespace())
                .arg("--help")
                .output()
                .expect("the program starts");
            assert!(
                output.status.success(),
                "{}: dbferry {line}: {}",
                page.path,
                String::from_utf8_lossy(&output.stderr)
            );
            count += 1;
        }
    }
    assert!(count > 30, "{count} commands");
}

#[test]
fn every_query_for_operators_runs_on_a_real_ledger() {
    let (project, database) = crate::items::into_postgres(200);
    project.run(&["run", "mappings/demo", "--batch-size", "50"]).expect(0);
    let page = pages()
        .into_iter()
        .find(|page| page.path == "docs/operations.md")
        .expect("the page");
    let mut count = 0;
    for block in page.blocks().iter().filter(|block| block.info == "sql") {
        let sql = block.text.replace("'game'", "'demo'");
        database.query(&format!("begin; {sql}; rollback"));
        if sql.contains("having") {
            assert!(database.query(&sql).is_empty(), "the batches add up: {sql}");
        }
        count += 1;
    }
    assert!(count > 5, "{count} queries");
}
