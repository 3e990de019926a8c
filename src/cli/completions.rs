//! `dbferry completions`: a script that completes commands and flags in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Arguments;
use super::output::Console;
use crate::{Error, ErrorKind, Result, error};

pub(super) fn run(shell: Shell, console: &Console) -> Result<u8> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| Error::new(ErrorKind::Internal, "the completion script is not text").because(error.utf8_error()))?;
    console.result(&script)?;
    Ok(error::EXIT_DONE)
}
