//! What `repair` means: by which report, of which project, and how far.

use std::path::{Path, PathBuf};

use super::introspect::PROJECTS_DIR;
use super::{CONFIG_DIR, Invocation, quoted};
use crate::cli::arguments::{EnvironmentArguments, RepairArguments};
use crate::cli::key_prefix::KeyPrefix;

/// `repair`.
pub(in crate::cli) struct RepairIntent {
    pub(in crate::cli) report: PathBuf,
    pub(in crate::cli) only: Vec<String>,
    pub(in crate::cli) delete_extra: bool,
    pub(in crate::cli) dry_run: bool,
    pub(in crate::cli) ask: bool,
    project: Option<PathBuf>,
    environment: Option<String>,
    config_dir: PathBuf,
    key_prefix: Option<KeyPrefix>,
}

impl RepairIntent {
    pub(super) fn of(typed: RepairArguments, environment: &EnvironmentArguments) -> Self {
        Self {
            report: typed.report,
            only: typed.only.only,
            delete_extra: typed.delete_extra,
            dry_run: typed.dry_run,
            ask: !typed.yes,
            project: typed.project,
            environment: environment.env.clone(),
            config_dir: environment.config_dir.clone(),
            key_prefix: typed.key_prefix,
        }
    }

    /// The project and environment of a report, unless others were typed.
    pub(in crate::cli) fn invocation(&self, project: &str, environment: &str) -> Invocation {
        Invocation {
            project: self.project.clone().unwrap_or_else(|| folder(project)),
            environment: self.environment.clone().unwrap_or_else(|| environment.to_owned()),
            config_dir: self.config_dir.clone(),
            key_prefix: self.key_prefix.clone(),
        }
    }

    /// The same repair as a command line, with `more` at its end.
    pub(in crate::cli) fn again(&self, invocation: &Invocation, project: &str, more: &[&str]) -> String {
        let mut words = Vec::new();
        if !self.only.is_empty() {
            words.extend(["--only".to_owned(), quoted(&self.only.join(","))]);
        }
        if self.delete_extra && !more.contains(&"--delete-extra") {
            words.push("--delete-extra".to_owned());
        }
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        invocation.repair(&self.report, project, &words)
    }
}

/// Folder of a project of that name, where none is named.
fn folder(project: &str) -> PathBuf {
    PathBuf::from(PROJECTS_DIR).join(project)
}

impl Invocation {
    /// What is said of the configuration besides the environment.
    pub(super) fn rest(&self) -> String {
        let mut line = String::new();
        if self.config_dir.as_os_str() != CONFIG_DIR {
            line.push_str(" --config-dir ");
            line.push_str(&quoted(&self.config_dir.display().to_string()));
        }
        if let Some(prefix) = &self.key_prefix {
            line.push_str(" --key-prefix ");
            line.push_str(prefix.name());
        }
        line
    }

    /// The command line that repairs by a report of the project of that name.
    pub(in crate::cli) fn repair(&self, report: &Path, project: &str, more: &[&str]) -> String {
        let mut line = format!("dbferry repair {}", quoted(&report.display().to_string()));
        if self.project != folder(project) {
            line.push(' ');
            line.push_str(&quoted(&self.project.display().to_string()));
        }
        // The environment is the report's.
        line.push_str(&self.rest());
        for word in more {
            line.push(' ');
            line.push_str(word);
        }
        line
    }
}
