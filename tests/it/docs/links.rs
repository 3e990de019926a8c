//! Every link leads somewhere, and every file that is named is there.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Page, pages};
use crate::harness::{repository, text};

/// Anchors of a page, as GitHub makes them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let page = Page {
        path: "",
        text: text.to_owned(),
    };
    for heading in page.prose().lines().filter_map(|line| line.strip_prefix('#')) {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let plain: String = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let number = (1..).map(|n| format!("{plain}-{n}"));
        let free = std::iter::once(plain.clone())
            .chain(number)
            .find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        let folder = Path::new(page.path).parent().expect("within the package").to_owned();
        let prose = page.prose();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() {
                page.path.to_owned()
            } else {
                folder.join(file).to_string_lossy().into_owned()
            };
            assert!(repository(&path).exists(), "{}: {link}", page.path);
            let known = anchor.is_empty() || anchors(&text(&path)).contains(anchor);
            assert!(known, "{}: {link}: there is no such heading", page.path);
        }
    }
}

#[test]
fn every_file_of_the_program_that_a_page_names_is_there() {
    let ours = ["src/", "tests/", "scripts/", "config/schema", "mappings/", "benches/"];
    let mut missing = Vec::new();
    for page in pages() {
        for span in page.prose().split('`').skip(1).step_by(2) {
            let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if plain && ours.iter().any(|folder| span.starts_with(folder)) && !repository(span).exists() {
                missing.push(format!("{}: `{span}`", page.path));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
