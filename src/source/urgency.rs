//! Threads that work ahead are less urgent than those that the target waits for.

/// By how much a thread that works ahead is less urgent than others, in steps of the scheduler.
const NICENESS: i32 = 5;

/// Lets this thread, which reads or makes rows ready ahead, give way to those that wait for the target,
/// and to a target on the same machine: what they do not need is still its own. The thread stays so.
pub(crate) fn give_way() {
    // Elsewhere it would be the priority of the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread that works ahead is as urgent as others");
    }
}
