//! What `backup …` and `restore` mean.

use std::path::PathBuf;

use super::Invocation;
use crate::backup::{PARENT, Place, Retention};
use crate::cli::arguments::{BackupArguments, BackupCommand, EnvironmentArguments, RestoreArguments, ToolArguments};

/// Variable that names the folder of `pg_dump` and `pg_restore`.
const TOOLS_VARIABLE: &str = "DBFERRY_PG_TOOLS";

/// `backup …`.
pub(in crate::cli) enum BackupIntent {
    Make(MakeIntent),
    Verify(TryIntent),
    List(PathBuf),
}

/// `backup PROJECT`.
pub(in crate::cli) struct MakeIntent {
    pub(in crate::cli) invocation: Invocation,
    pub(in crate::cli) place: Place,
    pub(in crate::cli) jobs: Option<u16>,
    /// SQLite and PocketBase sources are saved, too.
    pub(in crate::cli) files: bool,
    /// Postgres sources, too.
    pub(in crate::cli) sources: bool,
    pub(in crate::cli) keys: Vec<String>,
    pub(in crate::cli) retention: Retention,
    pub(in crate::cli) dry_run: bool,
    pub(in crate::cli) tools: Option<PathBuf>,
}

/// `backup verify`.
pub(in crate::cli) struct TryIntent {
    pub(in crate::cli) folder: PathBuf,
    pub(in crate::cli) server: Option<String>,
    pub(in crate::cli) tools: Option<PathBuf>,
    pub(in crate::cli) place: Configured,
}

/// `restore`.
pub(in crate::cli) struct RestoreIntent {
    pub(in crate::cli) folder: PathBuf,
    pub(in crate::cli) only: Vec<String>,
    pub(in crate::cli) replace: bool,
    pub(in crate::cli) jobs: Option<u16>,
    pub(in crate::cli) ask: bool,
    pub(in crate::cli) tools: Option<PathBuf>,
    pub(in crate::cli) place: Configured,
}

/// The configuration in which a backup's connections are looked up.
#[derive(Clone)]
pub(in crate::cli) struct Configured {
    /// Where none was typed, it is the backup's.
    pub(in crate::cli) environment: Option<String>,
    pub(in crate::cli) config_dir: PathBuf,
}

impl Configured {
    fn of(environment: &EnvironmentArguments) -> Self {
        Self {
            environment: environment.env.clone(),
            config_dir: environment.config_dir.clone(),
        }
    }
}

fn tools(typed: ToolArguments) -> Option<PathBuf> {
    let named = || std::env::var_os(TOOLS_VARIABLE).filter(|value| !value.is_empty());
    typed.pg_tools.or_else(|| named().map(PathBuf::from))
}

impl BackupIntent {
    pub(super) fn of(typed: BackupArguments, environment: &EnvironmentArguments) -> Self {
        match typed.command {
            Some(BackupCommand::Verify(verify)) => Self::Verify(TryIntent {
                folder: verify.folder,
                server: verify.server,
                tools: tools(verify.tools),
                place: Configured::of(environment),
            }),
            Some(BackupCommand::List(list)) => Self::List(list.folder),
            None => Self::Make(MakeIntent {
                // clap asks for a project where there is no command.
                invocation: Invocation::of(typed.project.unwrap_or_default(), environment),
                place: typed.to.map_or_else(|| Place::Under(PathBuf::from(PARENT)), Place::Exactly),
                jobs: typed.jobs,
                files: true,
                sources: typed.sources,
                keys: typed.keys,
                retention: Retention {
                    count: typed.keep,
                    days: typed.keep_days,
                },
                dry_run: typed.dry_run,
                tools: tools(typed.tools),
            }),
        }
    }

    /// The project that it is about.
    pub(super) const fn invocation(&self) -> Option<&Invocation> {
        match self {
            Self::Make(make) => Some(&make.invocation),
            Self::Verify(_) | Self::List(_) => None,
        }
    }
}

impl MakeIntent {
    /// Of what a run writes to, before it does.
    pub(super) fn before_run(invocation: &Invocation) -> Self {
        Self {
            invocation: invocation.clone(),
            place: Place::Under(PathBuf::from(PARENT)),
            jobs: None,
            files: false,
            sources: false,
            keys: Vec::new(),
            retention: Retention::default(),
            dry_run: false,
            tools: tools(ToolArguments::default()),
        }
    }
}

impl RestoreIntent {
    pub(super) fn of(typed: RestoreArguments, environment: &EnvironmentArguments) -> Self {
        Self {
            folder: typed.folder,
            only: typed.only,
            replace: typed.replace,
            jobs: typed.jobs,
            ask: !typed.yes,
            tools: tools(typed.tools),
            place: Configured::of(environment),
        }
    }
}
