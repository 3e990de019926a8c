//! The lease: one writing run at a time for each file.
//!
//! An operating-system lock on a file beside the database keeps others out and vanishes with its
//! process, however that ends; its content says who holds it. The epoch in the database
//! (`ledger_table.rs`) fences off a holder whose lock was lost all the same.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::connection;
use crate::sink::LeaseRequest;
use crate::{Error, ErrorKind, Result};

/// How often a lease that is waited for is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Who holds the lock: the content of the lock file.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    run: uuid::Uuid,
    project: String,
    process: String,
    since: String,
    /// Tells this lock from an earlier one by the same run.
    nonce: uuid::Uuid,
}

/// The lock, held until it is dropped.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    nonce: uuid::Uuid,
}

impl Drop for Lock {
    /// Removes the file while it is still locked, so that nothing is left beside the database.
    /// Whoever opened it before is told apart by [`take`]. A file that somebody put in its place
    /// is left alone.
    fn drop(&mut self) {
        let ours = holder_of(&self.path).is_some_and(|holder| holder.nonce == self.nonce);
        let removed = if ours { std::fs::remove_file(&self.path) } else { Ok(()) };
        if let Err(error) = removed.and_then(|()| self.file.unlock()) {
            tracing::debug!(error = %error.kind(), "the lock file could not be removed");
        }
    }
}

/// Takes the lock beside the database at `path`.
///
/// # Errors
/// [`ErrorKind::Busy`] naming who holds it.
pub(super) async fn acquire(name: &str, path: &Path, since: &str, lease: &LeaseRequest) -> Result<Lock> {
    let path = lock_path(path);
    let began = Instant::now();
    loop {
        match connection::blocking(|| take(name, &path, since, lease))? {
            Taken::Ours(lock) => return Ok(lock),
            Taken::Moved => {}
            Taken::Theirs(_) if began.elapsed() < lease.wait => tokio::time::sleep(PAUSE).await,
            Taken::Theirs(holder) => return Err(busy(name, holder)),
        }
    }
}

enum Taken {
    Ours(Lock),
    /// The file was removed by its holder between opening and locking it.
    Moved,
    Theirs(Option<Holder>),
}

fn take(name: &str, path: &Path, since: &str, lease: &LeaseRequest) -> Result<Taken> {
    let what = format!("locking the database of connection `{name}`");
    let failed = |error: std::io::Error| connection::io(&error, &what);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Taken::Theirs(read(&mut file))),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let holder = Holder {
        run: lease.run,
        project: lease.project.clone(),
        process: lease.holder.clone(),
        since: since.to_owned(),
        nonce: uuid::Uuid::new_v4(),
    };
    let text = serde_json::to_string(&holder).unwrap_or_default();
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(failed)?;
    // The lock counts only if it is on the file that others will open.
    if holder_of(path).is_some_and(|there| there.nonce == holder.nonce) {
        Ok(Taken::Ours(Lock {
            file,
            path: path.to_owned(),
            nonce: holder.nonce,
        }))
    } else {
        Ok(Taken::Moved)
    }
}

fn holder_of(path: &Path) -> Option<Holder> {
    File::open(path).ok().and_then(|mut file| read(&mut file))
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn busy(name: &str, holder: Option<Holder>) -> Error {
    let who = holder.map_or_else(
        || "another process that has just begun".to_owned(),
        |holder| {
            format!(
                "run {} of project `{}` ({}, since {})",
                holder.run, holder.project, holder.process, holder.since
            )
        },
    );
    Error::new(ErrorKind::Busy, format!("connection `{name}` is being written to by {who}"))
        .hint("wait until that run has ended, or stop it; it goes on where it was when it is started again")
}

/// `<file>.dbferry-lock`, beside the file that a symbolic link stands for.
fn lock_path(path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.into_os_string();
    name.push(".dbferry-lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> LeaseRequest {
        LeaseRequest {
            project: "game".to_owned(),
            environment: "test".to_owned(),
            run: uuid::Uuid::new_v4(),
            holder: "process 7 on host".to_owned(),
            dry_run: false,
            wait: Duration::ZERO,
        }
    }

    #[tokio::test]
    async fn one_holds_it_the_other_is_told_who_and_nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let first = request();
        let lock = acquire("out", &path, "now", &first).await.expect("free");
        let Err(error) = acquire("out", &path, "now", &request()).await else {
            panic!("two hold it");
        };
        assert_eq!(error.kind(), ErrorKind::Busy);
        for part in [first.run.to_string().as_str(), "process 7 on host", "since now"] {
            assert!(error.message().contains(part), "{error}");
        }
        drop(lock);
        assert!(std::fs::read_dir(folder.path()).expect("the folder").next().is_none());
        drop(acquire("out", &path, "now", &request()).await.expect("free again"));
    }

    #[test]
    fn many_that_come_and_go_never_hold_it_together() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db.dbferry-lock");
        let (inside, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        if let Taken::Ours(lock) = take("out", &path, "now", &request()).expect("a file") {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                            taken.fetch_add(1, Ordering::SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
    }
}
