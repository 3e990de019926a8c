//! A TCP proxy in front of the server that cuts connections at COMMIT: before the server sees
//! it, or after the server has answered it and before the answer arrives.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// When to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees the COMMIT.
    BeforeCommit,
    /// The server has committed; the client never learns of it.
    AfterCommit,
}

/// A proxy on a port of its own; its threads end with the test process.
pub(crate) struct Proxy {
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
    /// Cuts made.
    pub(crate) cuts: Arc<AtomicU32>,
}

impl Proxy {
    /// Forwards to `upstream` and cuts at each COMMIT whose number (counted over all
    /// connections, from 1) is in `plan`.
    pub(crate) fn start(upstream: String, plan: Vec<(u32, Cut)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let cuts = Arc::new(AtomicU32::new(0));
        let state = Arc::new(State {
            plan,
            seen: AtomicU32::new(0),
            cuts: Arc::clone(&cuts),
        });
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&upstream) else { continue };
                let state = Arc::clone(&state);
                thread::spawn(move || serve(&client, &server, &state));
            }
        });
        Self { port, cuts }
    }
}

struct State {
    plan: Vec<(u32, Cut)>,
    seen: AtomicU32,
    cuts: Arc<AtomicU32>,
}

fn serve(client: &TcpStream, server: &TcpStream, state: &State) {
    // Set when the answers of the server must not reach the client any more.
    let muted = Arc::new(Mutex::new(false));
    let (mut from_server, mut to_client) = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
    let answers_muted = Arc::clone(&muted);
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(n @ 1..) = from_server.read(&mut buffer) {
            if *answers_muted.lock().expect("no thread panics with it") || to_client.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        drop(to_client.shutdown(Shutdown::Both));
    });
    let (mut from_client, mut to_server) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from_client.read(&mut buffer) {
        let bytes = &buffer[..n];
        // A simple query message: 'Q', length, text. COMMIT travels in a packet of its own.
        let is_commit = bytes[0] == b'Q' && bytes.len() < 64 && bytes[5..].to_ascii_lowercase().starts_with(b"commit");
        if is_commit {
            let number = state.seen.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some((_, cut)) = state.plan.iter().find(|(at, _)| *at == number) {
                *muted.lock().expect("no thread panics with it") = true;
                if *cut == Cut::AfterCommit {
                    to_server.write_all(bytes).expect("the server listens");
                    // Long enough for the commit to become durable.
                    thread::sleep(Duration::from_millis(300));
                }
                state.cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
        if to_server.write_all(bytes).is_err() {
            break;
        }
    }
    drop(server.shutdown(Shutdown::Both));
    drop(client.shutdown(Shutdown::Both));
}
