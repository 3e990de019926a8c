//! `dbferry backup list`: good backups in a folder, or in its folders.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::backup::{self, Kept};
use crate::cli::failure::ErrorDocument;
use crate::cli::figures;
use crate::cli::output::Console;
use crate::cli::table::{Align, Grid};
use crate::{Error, ErrorKind, Result, error};

#[derive(Serialize)]
struct ListDocument {
    status: &'static str,
    backups: Vec<Listed>,
    error: Option<ErrorDocument>,
}

#[derive(Serialize)]
struct Listed {
    folder: PathBuf,
    project: String,
    environment: String,
    ended_at: String,
    connections: Vec<String>,
    bytes: u64,
}

pub(super) fn run(folder: &Path, console: &Console) -> Result<u8> {
    let mut found = Vec::new();
    let unreadable = |error: std::io::Error| {
        Error::new(
            ErrorKind::Usage,
            format!("{} is no folder that can be read", folder.display()),
        )
        .because(error)
    };
    let mut inner: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.is_dir()))
        .collect();
    inner.sort();
    found.extend(backup::kept(folder)?);
    for path in inner
        .iter()
        .filter(|path| !found.iter().any(|kept| kept.folder == **path))
        .cloned()
        .collect::<Vec<_>>()
    {
        found.extend(backup::kept(&path)?);
    }
    let backups: Vec<Listed> = found.into_iter().map(Listed::of).collect();
    if console.is_json() {
        console.document(&ListDocument {
            status: "done",
            backups,
            error: None,
        })?;
    } else if backups.is_empty() {
        console.result(&format!("no backup in {}", folder.display()))?;
    } else {
        console.result(&text(&backups, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

impl Listed {
    fn of(kept: Kept) -> Self {
        Self {
            bytes: kept.manifest.bytes(),
            folder: kept.folder,
            project: kept.manifest.project,
            environment: kept.manifest.environment,
            ended_at: kept.manifest.ended_at,
            connections: kept.manifest.connections.into_iter().map(|saved| saved.connection).collect(),
        }
    }
}

fn text(backups: &[Listed], color: bool) -> String {
    let left = ["project", "environment", "complete", "connections", "folder"].map(|head| (head, Align::Left));
    let heads: Vec<_> = left.into_iter().chain([("bytes", Align::Right)]).collect();
    let mut grid = Grid::new(&heads, color);
    for listed in backups {
        grid.row([
            listed.project.clone(),
            listed.environment.clone(),
            listed.ended_at.clone(),
            listed.connections.join(", "),
            listed.folder.display().to_string(),
            figures::bytes(listed.bytes),
        ]);
    }
    grid.render()
}
