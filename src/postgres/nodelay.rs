//! Small messages of connections are sent at once, not held back until the server has
//! acknowledged the ones before.
//!
//! COPY ends with a message that nothing answers behind another that nothing answers, which costs
//! 40 ms of waiting for an acknowledgement each time unless the socket has `TCP_NODELAY`. The
//! driver does not set it (sqlx 0.9.0, its issue 4335, mended there and not released) and does not
//! give its socket away, so that this looks for it among the open files of this process. With a
//! release that has it, this file goes.

/// Sets `TCP_NODELAY` on the sockets of this process, which are all ours and may all have it.
///
/// Does nothing where the system does not let a process take its own files by number (other
/// systems than Linux; containers without `pidfd_getfd`): slower, not wrong.
pub(super) fn send_at_once() {
    #[cfg(target_os = "linux")]
    if let Err(error) = linux::send_at_once() {
        tracing::debug!(%error, "small messages may wait for acknowledgements");
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::RawFd;

    use rustix::net::sockopt::{set_tcp_nodelay, tcp_nodelay};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    pub(super) fn send_at_once() -> std::io::Result<()> {
        let this = pidfd_open(getpid(), PidfdFlags::empty())?;
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let entry = entry?;
            // A file that was closed since it was listed has no link any more.
            let is_socket =
                std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
            let number = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
            let (true, Some(number)) = (is_socket, number) else {
                continue;
            };
            let socket = match pidfd_getfd(&this, number, PidfdGetfdFlags::empty()) {
                Ok(socket) => socket,
                Err(rustix::io::Errno::BADF) => continue,
                Err(error) => return Err(error.into()),
            };
            // Sockets of other families have no such option.
            if matches!(tcp_nodelay(&socket), Ok(false)) {
                set_tcp_nodelay(&socket, true)?;
            }
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_socket_that_nobody_hands_over_sends_at_once() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let stream = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
            assert!(!stream.nodelay().expect("a socket"));
            match send_at_once() {
                Ok(()) => assert!(stream.nodelay().expect("a socket")),
                // Containers may forbid the call.
                Err(error) => assert!(matches!(
                    rustix::io::Errno::from_io_error(&error),
                    Some(rustix::io::Errno::PERM | rustix::io::Errno::NOSYS)
                )),
            }
        }
    }
}
