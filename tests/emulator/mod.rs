//! A Cosmos DB account for tests: the SDK's own in-memory emulator behind a real socket.
//!
//! dbferry talks to it as to any account, through the unchanged SDK, over HTTP/1.1 or HTTP/2
//! without TLS (which the SDK allows on loopback alone). What the emulator lacks and a test needs is
//! added here: a key that is checked, faults, a log of the requests, a limit of request
//! units, the number of a container's documents. All of it is steered by requests to `/__control/`, see [`control`].
//!
//! An [`Emulator`] listens on a port of its own and ends when it is dropped: every test has one.

pub(crate) mod control;
pub(crate) mod fault;
pub(crate) mod kind;
pub(crate) mod log;

mod account;
mod key;
mod serve;
mod throughput;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use azure_core::http::Url;

use account::Account;
pub(crate) use account::Container;

/// What goes wrong, told as it is: only tests read it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How an emulator is to be.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Port on loopback; 0 takes any that is free.
    pub(crate) port: u16,
    /// The account's key in base64: requests signed with another one are refused with 401. Without
    /// one every request is answered.
    pub(crate) key: Option<String>,
    /// What there is from the start.
    pub(crate) containers: Vec<Container>,
}

/// A running server. Dropping it closes its port.
pub(crate) struct Emulator {
    url: Url,
    // Dropped with the server: connections and tasks end with it.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Emulator {
    /// Starts one.
    pub(crate) fn start(settings: &Settings) -> Result<Self, Failure> {
        // Bound first: the account document names the URL, port and all.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
        listener.set_nonblocking(true)?;
        let url = Url::parse(&format!("http://127.0.0.1:{}/", listener.local_addr()?.port()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("cosmos-emulator")
            .enable_all()
            .build()?;
        // The emulator starts tasks of its own.
        let within = runtime.enter();
        let account = Arc::new(Account::open(url.clone(), settings)?);
        runtime.spawn(serve::listen(tokio::net::TcpListener::from_std(listener)?, account));
        drop(within);
        Ok(Self {
            url,
            runtime: Some(runtime),
        })
    }

    /// The account's endpoint.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Waits for nobody: a request may be held on purpose.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
