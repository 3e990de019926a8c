//! The command line: arguments in, exit code out. One file for each command.
//!
//! It is the only part that prints. What the engine tells comes as events and as a report;
//! nothing here changes what is moved.

mod arguments;
mod intent;

mod backfill;
mod backup;
mod check;
mod clean;
mod completions;
mod introspect;
mod json_schema;
mod plan;
mod repair;
mod restore;
mod rollback;
mod run;
mod run_trail;
mod runs;
mod schema;
mod stats;
mod verify;

mod defect;
pub mod diagnostic;
mod failure;
mod figures;
mod files;
mod key_prefix;
mod log;
mod metrics;
mod next;
mod output;
pub mod page;
mod progress;
mod rejects;
mod signals;
mod summary;
mod table;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use self::intent::{Action, Intent, Invocation};
use self::output::Console;
use crate::config::tls;
use crate::{Error, ErrorKind, Result, error};

/// How long what still runs in the background may take to close its files at the end.
const CLOSING: Duration = Duration::from_secs(2);

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    defect::install();
    let intent = match Intent::parse(std::env::args_os()) {
        Ok(intent) => intent,
        Err(shown) => {
            // Help, version, or a usage error. Nobody is there to be told where that fails.
            drop(shown.print());
            return ExitCode::from(u8::try_from(shown.exit_code()).unwrap_or(error::EXIT_USAGE));
        }
    };
    log::start(&intent.console, intent.log);
    // More than one library speaks TLS: all of them by one provider, installed before the first asks.
    tls::install_provider();
    let console = &intent.console;
    let invocation = intent.action.invocation().cloned();
    let outcome = act(intent.action, console);
    ExitCode::from(outcome.unwrap_or_else(|error| failed(&error, invocation.as_ref(), console)))
}

/// Does what is asked for; the exit code where nothing went wrong that has no result.
fn act(action: Action, console: &Console) -> Result<u8> {
    match action {
        Action::JsonSchema { format, out } => json_schema::run(format, out.as_deref(), console),
        Action::Completions(shell) => completions::run(shell, console),
        Action::Check(invocation) => block_on(check::run(&invocation, console)),
        Action::Plan(invocation, options) => block_on(plan::run(&invocation, &options, console)),
        Action::Run(intent) => block_on(run::run(&intent, console)),
        Action::Verify(intent) => block_on(verify::run(&intent, console)),
        Action::Backfill(intent) => block_on(backfill::run(&intent, console)),
        Action::Repair(intent) => block_on(repair::run(&intent, console)),
        Action::Rollback(intent) => block_on(rollback::run(&intent, console)),
        Action::Backup(intent) => block_on(backup::run(&intent, console)),
        Action::Restore(intent) => block_on(restore::run(&intent, console)),
        Action::Stats { invocation, look } => block_on(stats::run(&invocation, look, console)),
        Action::Runs(invocation, limit) => block_on(runs::run(&invocation, limit, console)),
        Action::RunTrail(invocation, wanted) => block_on(run_trail::run(&invocation, &wanted, console)),
        Action::Clean { invocation, ask } => block_on(clean::run(&invocation, ask, console)),
        Action::Schema(intent) => block_on(schema::run(&intent, console)),
        Action::Introspect(intent) => block_on(introspect::run(&intent, console)),
    }
}

fn block_on(command: impl Future<Output = Result<u8>>) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Internal, "the system gives no threads to work with").because(error))?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(CLOSING);
    outcome
}

/// Tells of an error: to people always, to programs where they asked for a document.
fn failed(error: &Error, invocation: Option<&Invocation>, console: &Console) -> u8 {
    let document = failure::FailureDocument::of(error, invocation);
    let printed = if console.is_json() {
        console.document(&document)
    } else {
        Ok(())
    };
    console.note(&failure::render(error, invocation, console.note_color));
    if let Err(error) = printed {
        console.note(&failure::render(&error, invocation, console.note_color));
    }
    error.kind().policy().exit
}
