//! Layout rules that no compiler checks. What they say is in ARCHITECTURE.md and src/lib.rs;
//! this file only holds the code to it.
#![expect(clippy::expect_used, reason = "a test that cannot read the code has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of code of a file, its tests left out.
const LINES_SOFT_MAX: usize = 300;
/// Most lines of code of a file that has a reason to be larger.
const LINES_HARD_MAX: usize = 500;

/// Files above the soft limit: (path, most lines, reason). The list and its numbers only shrink.
const LARGE_FILES: &[(&str, usize, &str)] = &[];

/// Imports against the direction: (from, to, reason).
const UPWARD_IMPORTS: &[(&str, &str, &str)] = &[(
    "error",
    "data",
    "an error carries the findings and the reason of a reject that it stands for",
)];

/// Files besides those of transform/expression that name DataFusion: (path, reason).
const NAME_DATAFUSION: &[(&str, &str)] = &[("src/transform/functions.rs", "its functions implement DataFusion's trait")];

/// Connectors that name another one: (from, to, reason).
const WRAPPING_CONNECTORS: &[(&str, &str, &str)] = &[("pocketbase", "sqlite", "a PocketBase is an SQLite file")];

/// Names that say nothing about what is in a file or module.
const BANNED_NAMES: [&str; 18] = [
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "types",
    "type",
    "manager",
    "managers",
    "handler",
    "handlers",
    "processor",
    "processors",
    "base",
    "core",
    "prelude",
    "shared",
];

/// Databases, as the modules of their connectors are called.
const CONNECTORS: [&str; 7] = ["sqlite", "pocketbase", "postgres", "cosmos", "redis", "scylla", "cassandra"];

/// Invariants of lib.rs that nothing enforces yet, because what they speak of is not built.
const NOT_ENFORCED_YET: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, 17];

/// A file of the package.
struct Source {
    /// Path from the package's root, with `/`.
    path: String,
    /// As it is.
    raw: String,
    /// Without comments, with blanked-out strings.
    code: String,
    /// [`Self::code`] without its test modules.
    product: String,
}

impl Source {
    /// Modules from the crate's root to this file: `src/a/mod.rs` is `a`, `src/a/b.rs` is `a, b`.
    fn modules(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut modules: Vec<&str> = path.split('/').collect();
        if modules.last() == Some(&"mod") {
            modules.pop();
        }
        modules
    }

    /// The module below the crate's root; none of lib.rs and main.rs.
    fn top(&self) -> Option<&str> {
        self.modules()
            .first()
            .copied()
            .filter(|name| !matches!(*name, "lib" | "main"))
    }

    fn lines(&self) -> usize {
        self.product.lines().filter(|line| !line.trim().is_empty()).count()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the package") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let raw = fs::read_to_string(&path).expect("readable");
            let code = code_of(&raw);
            let relative = path.strip_prefix(root()).expect("within the package");
            Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                product: without_tests(&code),
                code,
                raw,
            }
        })
        .collect()
}

/// The text with comments as blanks and the insides of strings as `s`; lines stay lines.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = piece_end(&chars, at);
        let (first, second) = (chars[at], chars.get(at + 1).copied().unwrap_or(' '));
        let fill = match (first, second) {
            _ if end == at + 1 => None,
            ('/', '/' | '*') => Some(' '),
            _ => Some('s'),
        };
        for c in &chars[at..end] {
            out.push(match fill {
                Some(fill) if *c != '\n' => fill,
                _ => *c,
            });
        }
        at = end;
    }
    out
}

/// Where the comment, string or character literal that begins at `at` ends; else one further.
fn piece_end(chars: &[char], at: usize) -> usize {
    let find = |from: usize, wanted: &str| {
        let wanted: Vec<char> = wanted.chars().collect();
        (from..chars.len())
            .find(|&index| chars[index..].starts_with(&wanted))
            .map_or(chars.len(), |index| index + wanted.len())
    };
    let within_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], chars.get(at + 1).copied().unwrap_or(' ')) {
        ('/', '/') => find(at, "\n") - usize::from(find(at, "\n") > at && chars[find(at, "\n") - 1] == '\n'),
        ('/', '*') => find(at + 2, "*/"),
        ('r', '"' | '#') if !within_word => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + hashes) == Some(&'"') {
                find(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
            } else {
                at + 1
            }
        }
        ('"', _) => {
            let mut index = at + 1;
            while index < chars.len() && chars[index] != '"' {
                index += if chars[index] == '\\' { 2 } else { 1 };
            }
            (index + 1).min(chars.len())
        }
        ('\'', '\\') => find(at + 3, "'"),
        ('\'', _) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at + 1,
    }
}

/// The code without `#[cfg(test)] mod … { … }`.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut out = String::new();
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        let item = after["#[cfg(test)]".len()..].trim_start();
        let open = item.find('{').unwrap_or(item.len());
        if !item.starts_with("mod ") || item[..open].contains(';') {
            out.push_str("#[cfg(test)]");
            rest = &after["#[cfg(test)]".len()..];
            continue;
        }
        let mut depth = 0;
        let end = item[open..].char_indices().find_map(|(index, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            (c == '}' && depth == 0).then_some(open + index + 1)
        });
        rest = &item[end.unwrap_or(item.len())..];
    }
    out + rest
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands on its own; of a path such as `source::sqlite`, as a whole.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && (!after.is_some_and(is_word) || !word.ends_with(is_word))
    })
}

fn line_at(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Modules that `crate::…` paths and groups name.
fn crate_imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "crate::") {
        let after = &code[at + "crate::".len()..];
        let name = |text: &str| text.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
        let Some(group) = after.strip_prefix('{') else {
            found.push((at, name(after)));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    found.push((at, name(&group[start..index])));
                    start = index + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

/// Rank of every module, from the picture in lib.rs: a higher one may import a lower one.
fn ranks() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("readable");
    let docs: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .collect::<Vec<_>>()
        .join(" ");
    let start = docs.find("`main →").expect("the picture of imports in lib.rs");
    let picture = docs[start + 1..].split('`').next().expect("its end");
    let levels: Vec<&str> = picture.split('→').collect();
    let mut ranks = BTreeMap::new();
    for (index, level) in levels.iter().enumerate() {
        for name in level.split(|c: char| !is_word(c)).filter(|name| !name.is_empty()) {
            ranks.insert(name.to_owned(), levels.len() - index);
        }
    }
    ranks
}

fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

#[test]
fn imports_go_downwards_only() {
    let ranks = ranks();
    let mut faults = Vec::new();
    let mut excepted = BTreeSet::new();
    for source in sources("src") {
        let Some(top) = source.top() else { continue };
        let Some(rank) = ranks.get(top) else {
            faults.push(format!("{}: module `{top}` is not in the picture of lib.rs", source.path));
            continue;
        };
        for (at, name) in crate_imports(&source.code) {
            let target = match name.as_str() {
                "Error" | "ErrorKind" | "Result" => "error",
                other => other,
            };
            let downwards = target == top || ranks.get(target).is_some_and(|other| other < rank);
            let exception = UPWARD_IMPORTS.iter().find(|(from, to, _)| *from == top && *to == target);
            excepted.extend(exception.map(|(from, to, _)| (*from, *to)));
            if !downwards && exception.is_none() {
                faults.push(format!(
                    "{}:{}: {top} imports {target}",
                    source.path,
                    line_at(&source.code, at)
                ));
            }
        }
        // `super` must not climb to the crate's root, where all modules are in reach.
        for at in words(&source.product, "super::") {
            let climbed = source.product[at..]
                .split("super::")
                .take_while(|part| part.is_empty())
                .count();
            if climbed >= source.modules().len() {
                let line = line_at(&source.product, at);
                faults.push(format!(
                    "{}: write crate:: instead of super:: (code line {line})",
                    source.path
                ));
            }
        }
    }
    for (from, to, _) in UPWARD_IMPORTS {
        if !excepted.contains(&(*from, *to)) {
            faults.push(format!("{from} no longer imports {to}: take it out of UPWARD_IMPORTS"));
        }
    }
    assert_none("imports go downwards, never up or sideways", &faults);
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    let sources = sources("src");
    for source in &sources {
        let lines = source.lines();
        let listed = LARGE_FILES.iter().find(|(path, _, _)| *path == source.path);
        match listed {
            _ if lines > LINES_HARD_MAX => faults.push(format!("{}: {lines} lines of code: split it", source.path)),
            None if lines > LINES_SOFT_MAX => faults.push(format!("{}: {lines} lines of code", source.path)),
            Some((_, max, _)) if lines > *max => {
                faults.push(format!("{}: {lines} lines of code, listed with {max}", source.path));
            }
            Some(_) if lines <= LINES_SOFT_MAX => {
                faults.push(format!("{}: short now, take it out of LARGE_FILES", source.path));
            }
            _ => {}
        }
    }
    for (path, _, _) in LARGE_FILES {
        if !sources.iter().any(|source| source.path == *path) {
            faults.push(format!("{path}: not there, take it out of LARGE_FILES"));
        }
    }
    assert_none(&format!("files have at most {LINES_SOFT_MAX} lines of code"), &faults);
}

#[test]
fn names_say_what_is_inside() {
    let mut faults = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        let path = source.path.trim_end_matches(".rs");
        if let Some(name) = path.split('/').find(|name| BANNED_NAMES.contains(name)) {
            faults.push(format!("{}: `{name}`", source.path));
        }
        for at in words(&source.code, "mod ") {
            let name: String = source.code[at + 4..].chars().take_while(|c| is_word(*c)).collect();
            if BANNED_NAMES.contains(&name.as_str()) {
                faults.push(format!("{}:{}: mod {name}", source.path, line_at(&source.code, at)));
            }
        }
    }
    assert_none("these names say nothing", &faults);
}

#[test]
fn datafusion_is_named_in_one_file() {
    let mut faults = Vec::new();
    for source in sources("src") {
        let may =
            source.path.starts_with("src/transform/expression") || NAME_DATAFUSION.iter().any(|(path, _)| *path == source.path);
        let found = source.code.match_indices("datafusion").next();
        if let Some((at, _)) = found.filter(|_| !may) {
            faults.push(format!("{}:{}", source.path, line_at(&source.code, at)));
        }
    }
    assert_none("only transform/expression names DataFusion", &faults);
}

#[test]
fn only_the_output_file_prints() {
    let mut faults = Vec::new();
    for source in sources("src").iter().filter(|source| source.path != "src/cli/output.rs") {
        for word in ["println!", "print!", "eprintln!", "eprint!", "dbg!"] {
            faults.extend(words(&source.code, word).map(|at| format!("{}:{}: {word}", source.path, line_at(&source.code, at))));
        }
        for word in ["stdout()", "stderr()"] {
            let found = words(&source.code, word).filter(|_| source.top() != Some("cli"));
            faults.extend(found.map(|at| format!("{}:{}: {word}", source.path, line_at(&source.code, at))));
        }
    }
    assert_none("only cli/output.rs prints", &faults);
}

#[test]
fn connectors_are_named_where_they_are_opened() {
    let mut faults = Vec::new();
    for source in sources("src") {
        let modules = source.modules();
        let role = modules.first().copied().filter(|top| matches!(*top, "source" | "sink"));
        let own = modules.get(1).copied().unwrap_or_default();
        if role.is_some() && own.is_empty() {
            continue;
        }
        for other in CONNECTORS.into_iter().filter(|other| *other != own) {
            if WRAPPING_CONNECTORS.iter().any(|(from, to, _)| *from == own && *to == other) {
                continue;
            }
            // `super` leads to the role's folder only from a file that is directly in it.
            let beside = if role.is_some() && modules.len() == 2 {
                "super"
            } else {
                "source"
            };
            for path in [
                format!("source::{other}"),
                format!("sink::{other}"),
                format!("{beside}::{other}"),
            ] {
                let found = words(&source.product, &path).next();
                faults.extend(found.map(|_| format!("{}: {path}", source.path)));
            }
        }
    }
    faults.dedup();
    assert_none("only source/mod.rs and sink/mod.rs name connectors", &faults);
}

#[test]
fn nothing_is_switched_off_or_left_open() {
    let mut faults = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        for word in ["#[ignore", "#[allow(", "#![allow(", "todo!", "unimplemented!"] {
            let found = source.code.match_indices(word);
            faults.extend(found.map(|(at, _)| format!("{}:{}: {word}", source.path, line_at(&source.code, at))));
        }
        for (at, _) in source.code.match_indices("expect(clippy::") {
            let end = source.code[at..].find(']').map_or(source.code.len(), |end| at + end);
            if !source.code[at..end].contains("reason") {
                let line = line_at(&source.code, at);
                faults.push(format!("{}:{line}: an expected lint without a reason", source.path));
            }
        }
    }
    assert_none(
        "no stub, no test switched off, no lint switched off without a reason",
        &faults,
    );
}

#[test]
fn invariants_are_cited_where_they_are_enforced() {
    let sources = sources("src");
    let map = sources.iter().find(|source| source.path == "src/lib.rs").expect("the map");
    let numbers: Vec<u32> = map
        .raw
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split_once(". ")?.0.parse().ok())
        .collect();
    assert!(numbers.len() >= 17, "the invariants of lib.rs: {numbers:?}");
    let cited: BTreeSet<u32> = sources
        .iter()
        .filter(|source| source.path != "src/lib.rs")
        .flat_map(|source| cited_in(&source.raw))
        .collect();
    let required = numbers.iter().filter(|number| !NOT_ENFORCED_YET.contains(number));
    let faults: Vec<String> = required
        .filter(|number| !cited.contains(number))
        .map(|number| format!("Invariant {number} is cited nowhere"))
        .chain(
            cited
                .iter()
                .filter(|number| !numbers.contains(number))
                .map(|number| format!("Invariant {number} is cited, but not in lib.rs")),
        )
        .collect();
    assert_none("invariants are cited where they are enforced", &faults);
}

/// Numbers behind `Invariant` or `Invariants`: `Invariant 3`, `Invariants 3, 4 and 5`.
fn cited_in(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for (at, word) in text.match_indices("Invariant") {
        let after = text[at + word.len()..].trim_start_matches('s');
        let list: String = after
            .chars()
            .take_while(|c| c.is_ascii_digit() || " ,and".contains(*c))
            .collect();
        found.extend(
            list.split(|c: char| !c.is_ascii_digit())
                .filter_map(|number| number.parse::<u32>().ok()),
        );
    }
    found
}

#[test]
fn the_scanner_sees_code_only() {
    let text = "use crate::{a, b::{c, d}};\n// crate::no\nlet s = \"crate::no \\\" {\"; let c = '\"'; let l: &'a str = r#\"x\" crate::no\"#;\n\
                #[cfg(test)]\nmod tests {\n    use crate::t;\n}\nfn f() { crate::e::f() }\n";
    let code = code_of(text);
    let names = |code: &str| crate_imports(code).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(names(&code), ["a", "b", "t", "e"]);
    assert_eq!(names(&without_tests(&code)), ["a", "b", "e"]);
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(cited_in("Invariant 3. Invariants 4, 5 and 11; Invariants say"), [3, 4, 5, 11]);
}
