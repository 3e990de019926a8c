//! Checks of subjects: names that the project declares, conditions that use the key.

use std::collections::HashSet;

use crate::data::finding::{Finding, listed};
use crate::mapping::stream::{Project, Stream};

/// Checks the subjects of the project and of every stream, as far as no database is needed. A
/// project that declares none leaves the names to its streams.
pub(super) fn subjects(project: &Project, findings: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    for subject in &project.subjects {
        if !seen.insert(&subject.value) {
            findings.push(
                Finding::error(
                    "mapping::duplicate_subject",
                    Some(subject.place.clone()),
                    format!("subject `{}` is declared twice", subject.value),
                )
                .label("the second time"),
            );
        }
    }
    for stream in &project.streams {
        declared(project, stream, findings);
        conditions(stream, findings);
    }
}

fn declared(project: &Project, stream: &Stream, findings: &mut Vec<Finding>) {
    let known: Vec<&str> = project.subjects.iter().map(|subject| subject.value.as_str()).collect();
    if known.is_empty() {
        return;
    }
    for (name, _) in &stream.subjects {
        if known.contains(&name.value.as_str()) {
            continue;
        }
        let finding = Finding::error(
            "mapping::unknown_subject",
            Some(name.place.clone()),
            format!("the project has no subject `{}`", name.value),
        )
        .label("not declared")
        .help_nearest(&name.value, known.iter().copied());
        findings.push(match &finding.help {
            Some(help) if help.starts_with("did you mean") => finding,
            _ => finding.help(format!(
                "project.toml declares {}: add it to `subjects` there",
                listed(&known)
            )),
        });
    }
}

fn conditions(stream: &Stream, findings: &mut Vec<Finding>) {
    for (name, condition) in &stream.subjects {
        if !condition.value.trim().is_empty() && !condition.value.contains("$key") {
            findings.push(
                Finding::error(
                    "mapping::subject_without_key",
                    Some(condition.place.clone()),
                    format!("subject `{}` does not use `$key`", name.value),
                )
                .label("selects the same rows for every key")
                .help("such as \"id = $key\""),
            );
        }
    }
}
