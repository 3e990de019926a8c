//! `dbferry repair`: mends what the report of a verification names. It shows its plan, asks, does it,
//! and looks at the same rows again.

use std::path::Path;

use super::failure::{self, ErrorDocument};
use super::files::Files;
use super::intent::{Invocation, RepairIntent};
use super::key_prefix::KeyPrefix;
use super::output::{Console, visible};
use super::progress::{Doing, Progress};
use super::signals::{self, Stopping};
use super::{next, schema};
use crate::pipeline::plan::{self, Options, Plan};
use crate::pipeline::shutdown::Shutdown;
use crate::repair::report::{RepairReport, RepairStatus};
use crate::repair::{self, Repair};
use crate::verify::report::VerifyReport;
use crate::{Error, ErrorKind, Result, error};

mod text;

use text::{outcome, proposed, question};

/// Largest report that is read.
const BYTES_MAX: u64 = 1 << 30;

/// A repair for programs, see docs/output.md.
#[derive(Debug, serde::Serialize)]
struct RepairDocument<'a> {
    #[serde(flatten)]
    report: &'a RepairReport,
    /// Null: a repair that fails has its error instead.
    error: Option<ErrorDocument>,
}

pub(super) async fn run(intent: &RepairIntent, console: &Console) -> Result<u8> {
    let verified = read(&intent.report)?;
    let invocation = intent.invocation(&verified.project, &verified.environment);
    match Box::pin(repaired(intent, &invocation, &verified, console)).await {
        Ok(code) => Ok(code),
        // Only from here on it is known which project advice speaks of.
        Err(error) => Ok(super::failed(&error, Some(&invocation), console)),
    }
}

/// The report, as the file has it.
fn read(path: &Path) -> Result<VerifyReport> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Usage, format!("the report {name} cannot be read"))
            .because(error)
            .hint("`dbferry verify PROJECT --report verify.json` writes one")
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > BYTES_MAX {
        return Err(Error::new(ErrorKind::Usage, format!("{name} is larger than any report")));
    }
    let text = std::fs::read(path).map_err(failed)?;
    let text = String::from_utf8(text).map_err(|_| {
        Error::new(ErrorKind::Usage, format!("{name} is not JSON: it is no text in UTF-8"))
            .hint("give the file that `dbferry verify PROJECT --report verify.json` has written")
    })?;
    repair::parse(&name, &text)
}

async fn repaired(intent: &RepairIntent, invocation: &Invocation, verified: &VerifyReport, console: &Console) -> Result<u8> {
    if invocation.environment != verified.environment {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "the report is of environment `{}`, not of `{}`",
                verified.environment, invocation.environment
            ),
        )
        .hint("leave --env away to repair what was verified, or verify the other one"));
    }
    rehearsed(invocation, verified)?;
    let files = Files::load(invocation)?;
    let shutdown = Shutdown::new();
    signals::watch(console.clone(), shutdown.clone(), stopping(intent, invocation, verified))?;
    let only = repair::concerned(verified, &files.project, &intent.only)?;
    if only.is_empty() {
        return nothing(verified, intent, console);
    }
    let plan = planned(&files, only, invocation, console).await?;
    let progress = Progress::new(
        console,
        &format!("{} in {}", plan.project, plan.environment),
        Doing::Repairing,
    );
    let events = progress.events();
    let watch = (&events, &shutdown);
    let repair = Repair::new(plan, &files.config, verified, &intent.only, intent.delete_extra)?;
    let mut report = Box::pin(repair.propose(verified, watch)).await?;
    for why in report.streams.iter_mut().filter_map(|stream| stream.refused.as_mut()) {
        *why = invocation.fill_in(why);
    }
    if !console.is_json() {
        console.result(&proposed(&report, console.result_color))?;
    }
    if !report.is_to_do() {
        report.close();
    } else if !intent.dry_run {
        if intent.ask {
            agreed(&report, console)?;
        }
        Box::pin(repair.carry_out(&mut report, watch)).await?;
    }
    drop(progress);
    tell(intent, invocation, &report, console)
}

/// Refuses the keys of a rehearsal for others, and the other way round.
fn rehearsed(invocation: &Invocation, verified: &VerifyReport) -> Result<()> {
    let typed = invocation.key_prefix.as_ref().map(KeyPrefix::as_str);
    let stores = verified.connections.iter().filter(|read| read.kind == "redis");
    for store in stores {
        let hint = match (store.key_prefix.as_deref(), typed) {
            (of, typed) if of == typed => continue,
            (Some(of), _) => format!("add --key-prefix {}", of.trim_end_matches(':')),
            (None, _) => "leave --key-prefix away".to_owned(),
        };
        return Err(Error::new(
            ErrorKind::Usage,
            match &store.key_prefix {
                Some(of) => format!("the report is of keys of a rehearsal, which begin with `{}`", visible(of)),
                None => "the report is of the keys themselves, not of those of a rehearsal".to_owned(),
            },
        )
        .hint(format!("{hint}, or verify again")));
    }
    Ok(())
}

fn stopping(intent: &RepairIntent, invocation: &Invocation, verified: &VerifyReport) -> Stopping {
    Stopping {
        asked: "finishing the batch in flight; press Ctrl-C again to abort",
        aborted: format!(
            "aborted: the batch in flight is rolled back; the rest is repaired with\n  {}",
            intent.again(invocation, &verified.project, &[])
        ),
    }
}

/// A plan of the streams concerned; nothing that is missing is made.
async fn planned(files: &Files, only: Vec<String>, invocation: &Invocation, console: &Console) -> Result<Plan> {
    let options = Options {
        only,
        in_order: true,
        ..Options::default()
    };
    let plan = match Box::pin(plan::plan(&files.project, &files.config, &options)).await {
        Ok(plan) => plan,
        Err(error) => return Err(schema::with_way_out(error, files, &options.only, invocation).await),
    };
    if !plan.findings.is_empty() {
        console.note(&failure::findings(&plan.findings, Some(invocation), console.note_color));
    }
    Ok(plan)
}

/// The report lists no difference of the streams asked for.
fn nothing(verified: &VerifyReport, intent: &RepairIntent, console: &Console) -> Result<u8> {
    let asked = |name: &String| intent.only.is_empty() || intent.only.contains(name);
    let streams = verified.streams.iter().filter(|stream| asked(&stream.name));
    let report = RepairReport {
        project: verified.project.clone(),
        environment: verified.environment.clone(),
        status: RepairStatus::Done,
        verification: verified.id.clone(),
        run: None,
        delete_extra: intent.delete_extra,
        streams: Vec::new(),
    };
    let not_listed: u64 = streams.map(|stream| stream.not_listed).sum();
    if console.is_json() {
        console.document(&RepairDocument {
            report: &report,
            error: None,
        })?;
    } else {
        console.result("the report lists no row that differs: there is nothing to repair")?;
    }
    if not_listed > 0 {
        console.note(&text::not_listed(not_listed, console.note_color));
    }
    Ok(exit_code(report.status))
}

/// Somebody has to agree.
fn agreed(report: &RepairReport, console: &Console) -> Result<()> {
    if console.is_json() {
        console.note(&proposed(report, console.note_color));
    }
    match console.ask(&visible(&question(report))) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Interrupted, "nothing was repaired").hint("`--yes` repairs without asking")),
        None => Err(
            Error::new(ErrorKind::Usage, "rows are to be repaired, and nobody is there to agree")
                .hint("`--yes` repairs without asking, `--dry-run` only shows what would be done"),
        ),
    }
}

/// The result to stdout, then what people want to know to stderr.
fn tell(intent: &RepairIntent, invocation: &Invocation, report: &RepairReport, console: &Console) -> Result<u8> {
    let printed = if console.is_json() {
        console.document(&RepairDocument { report, error: None })
    } else {
        console.result(&outcome(report, console.result_color))
    };
    for line in text::beside(report, invocation, console.note_color) {
        console.note(&line);
    }
    let steps = next::render(&next::after_repair(intent, invocation, report), console.note_color);
    if !steps.is_empty() {
        console.note(&steps);
    }
    printed?;
    Ok(exit_code(report.status))
}

/// What is left weighs more than what was rejected, which is known and kept.
const fn exit_code(status: RepairStatus) -> u8 {
    match status {
        RepairStatus::Planned | RepairStatus::Done => error::EXIT_DONE,
        RepairStatus::Rejects => error::EXIT_REJECTS,
        RepairStatus::Left => error::EXIT_DIFFERENCES,
    }
}
