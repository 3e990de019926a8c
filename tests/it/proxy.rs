//! A TCP proxy in front of the server that cuts connections at COMMIT: before the server sees
//! it, or after the server has answered it and before the answer arrives. It can also be down for
//! a while, as a server that is not running.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    /// The server never sees the COMMIT, nor that the client is gone: its transaction stays open.
    Unnoticed,
}

/// A proxy on a port of its own; its threads end with the test process.
pub(crate) struct Proxy {
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
    /// Cuts made.
    pub(crate) cuts: Arc<AtomicU32>,
    state: Arc<State>,
}

impl Proxy {
    /// Forwards to `upstream` and cuts at each COMMIT whose number (counted over all
    /// connections, from 1) is in `plan`.
    pub(crate) fn start(upstream: String, plan: Vec<(u32, Cut)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let cuts = Arc::new(AtomicU32::new(0));
        let state = Arc::new(State {
            plan,
            seen: AtomicU32::new(0),
            cuts: Arc::clone(&cuts),
            down: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let own = Arc::clone(&state);
        thread::spawn(move || listen(listener, address, &upstream, &own));
        Self {
            port: address.port(),
            cuts,
            state,
        }
    }

    /// Cuts all connections and refuses new ones.
    pub(crate) fn down(&self) {
        self.state.down.store(true, Ordering::SeqCst);
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
        for stream in self.state.open.lock().expect("no thread panics with it").drain(..) {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Takes connections again.
    pub(crate) fn up(&self) {
        self.state.down.store(false, Ordering::SeqCst);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// COMMITs seen so far.
    pub(crate) fn commits(&self) -> u32 {
        self.state.seen.load(Ordering::SeqCst)
    }
}

fn listen(listener: TcpListener, address: SocketAddr, upstream: &str, state: &Arc<State>) {
    let mut listening = Some(listener);
    loop {
        if state.down.load(Ordering::SeqCst) {
            listening = None;
            thread::sleep(Duration::from_millis(5));
            continue;
        }
        let listener = listening.get_or_insert_with(|| TcpListener::bind(address).expect("the port is still ours"));
        listener.set_nonblocking(true).expect("a listener");
        match listener.accept() {
            Ok((client, _)) => {
                client.set_nonblocking(false).expect("a stream");
                let Ok(server) = TcpStream::connect(upstream) else { continue };
                let mut open = state.open.lock().expect("no thread panics with it");
                open.extend([&client, &server].map(|stream| stream.try_clone().expect("a handle")));
                drop(open);
                let state = Arc::clone(state);
                thread::spawn(move || serve(&client, server, &state));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(2)),
            Err(error) => panic!("{error}"),
        }
    }
}

struct State {
    plan: Vec<(u32, Cut)>,
    seen: AtomicU32,
    cuts: Arc<AtomicU32>,
    down: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// Alone, or behind what says that it need not wait for the disk.
fn is_commit(bytes: &[u8]) -> bool {
    let [b'Q', _, _, _, _, text @ ..] = bytes else { return false };
    let text = text.get(..250.min(text.len())).unwrap_or_default().to_ascii_lowercase();
    text.starts_with(b"commit\0") || text.ends_with(b"; commit\0")
}

fn serve(client: &TcpStream, server: TcpStream, state: &State) {
    // Set when the answers of the server must not reach the client any more.
    let muted = Arc::new(Mutex::new(false));
    let (mut from_server, mut to_client) = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
    let answers_muted = Arc::clone(&muted);
    let answers = thread::spawn(move || {
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
        if is_commit(bytes) {
            let number = state.seen.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some((_, cut)) = state.plan.iter().find(|(at, _)| *at == number) {
                *muted.lock().expect("no thread panics with it") = true;
                state.cuts.fetch_add(1, Ordering::SeqCst);
                if *cut == Cut::AfterCommit {
                    to_server.write_all(bytes).expect("the server listens");
                    // Its answer goes nowhere, but says that the commit is durable.
                    answers.join().expect("the server answers");
                }
                if *cut == Cut::Unnoticed {
                    drop(client.shutdown(Shutdown::Both));
                    // Open until the test process ends, or the server ends it.
                    std::mem::forget((server, to_server));
                    return;
                }
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
