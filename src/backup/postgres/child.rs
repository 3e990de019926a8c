//! A program of Postgres's own as a child of ours: it gets no secret as an argument, is heard on
//! stderr, and does not outlive what it was started for.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::told;
use crate::backup::{Context, Step, file, stopped};
use crate::postgres::server::ChildEnvironment;
use crate::{Error, ErrorKind, Result};

/// How long it may take to end when it is asked to.
const END_WAIT: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 1 << 17;
/// Longest line that is looked at.
const LINE_BYTES_MAX: usize = 4 << 10;

/// What is started.
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Option<ChildEnvironment>,
    /// For progress.
    pub(super) connection: &'a str,
}

impl Start<'_> {
    fn name(&self) -> String {
        self.program
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    fn spawn(&self, stdout: Stdio) -> Result<Child> {
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(environment) = &self.environment {
            for name in environment.without {
                command.env_remove(name);
            }
            command.envs(environment.with.iter().map(|(name, value)| (name, value)));
        }
        command.spawn().map_err(|error| {
            Error::new(ErrorKind::Missing, format!("{} cannot be started", self.program.display()))
                .because(error)
                .hint("name the folder of PostgreSQL's client programs with --pg-tools or DBFERRY_PG_TOOLS")
        })
    }

    /// Runs it; what it writes to stdout goes into a new file.
    pub(super) async fn write_to(&self, path: &Path, context: &Context<'_>) -> Result<()> {
        let mut child = self.spawn(Stdio::piped())?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(no_pipe());
        };
        let heard = listen(stderr, self.connection, context);
        let written = write(stdout, path, self.connection, context);
        let outcome = tokio::select! {
            (written, lines) = async { tokio::join!(written, heard) } => written.map(|()| lines),
            () = context.shutdown.cancelled() => Err(stopped()),
        };
        self.close(child, outcome).await
    }

    /// Runs it and drops what it writes to stdout, or hands it on where somebody wants it.
    pub(super) async fn to_the_end(&self, context: &Context<'_>) -> Result<()> {
        let mut child = self.spawn(Stdio::null())?;
        let Some(stderr) = child.stderr.take() else {
            return Err(no_pipe());
        };
        let outcome = tokio::select! {
            lines = listen(stderr, self.connection, context) => Ok(lines),
            () = context.shutdown.cancelled() => Err(stopped()),
        };
        self.close(child, outcome).await
    }

    /// Runs it and looks at each line of its stdout.
    pub(super) async fn each_line(&self, context: &Context<'_>, mut look: impl FnMut(&str) + Send) -> Result<()> {
        let mut child = self.spawn(Stdio::piped())?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(no_pipe());
        };
        let heard = listen(stderr, self.connection, context);
        let read = async {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                look(&line);
            }
        };
        let outcome = tokio::select! {
            ((), lines) = async { tokio::join!(read, heard) } => Ok(lines),
            () = context.shutdown.cancelled() => Err(stopped()),
        };
        self.close(child, outcome).await
    }

    /// Waits for its end, or brings it about.
    async fn close(&self, mut child: Child, outcome: Result<Vec<String>>) -> Result<()> {
        match outcome {
            Ok(lines) => {
                let status = child.wait().await.map_err(|error| {
                    Error::new(ErrorKind::Internal, format!("the end of {} was not heard of", self.name())).because(error)
                })?;
                told::ended(&self.name(), status, &lines)
            }
            Err(error) => {
                end(child).await;
                Err(error)
            }
        }
    }
}

/// Asks it to end, so that it ends what it has started, and ends it where it does not.
async fn end(mut child: Child) -> Option<ExitStatus> {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
    {
        tracing::debug!(%error, "a child could not be asked to end");
    }
    if let Ok(ended) = tokio::time::timeout(END_WAIT, child.wait()).await {
        return ended.ok();
    }
    child.kill().await.ok()?;
    child.wait().await.ok()
}

fn no_pipe() -> Error {
    Error::new(ErrorKind::Internal, "a child of ours was started without pipes")
}

async fn write(mut stdout: ChildStdout, path: &Path, connection: &str, context: &Context<'_>) -> Result<()> {
    let mut out = file::create(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stdout
            .read(&mut buffer)
            .await
            .map_err(|error| file::failed(&error, "reading from", Path::new("pg_dump")))?;
        if count == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..count])
            .map_err(|error| file::failed(&error, "writing", path))?;
        context.tell(Step::Bytes {
            connection,
            bytes: count as u64,
        });
    }
}

/// Hears what it says until it says no more: lines of progress are told, those from the first error on
/// are kept to be classified.
async fn listen(stderr: ChildStderr, connection: &str, context: &Context<'_>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        line.truncate(LINE_BYTES_MAX);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        if let Some(table) = told::table_in(&text) {
            context.tell(Step::Table { connection, table });
        } else if (!kept.is_empty() || text.contains("error:") || text.contains("FATAL") || text.contains("ERROR"))
            && kept.len() < told::LINES_MAX
        {
            kept.push(text);
        }
    }
    kept
}
