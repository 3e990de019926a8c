//! Serves the Cosmos DB emulator of the tests on loopback, for benchmarks and for trying things out:
//!
//! ```sh
//! cargo run --example cosmos-emulator -- NostriaDB/Documents:/pubkey:4
//! ```
//!
//! The first line of output is the account's endpoint. It ends when its standard input does, so that
//! it never outlives who started it. `--port N` chooses the port, `--key BASE64` the only key that is
//! let in, `--seed database/container=FILE` writes the documents of a file, one to a line, and
//! `--fill database/container=COUNTxBYTES` so many documents of about that size, of which five have
//! a `pubkey` in common.

#[path = "../tests/emulator/mod.rs"]
mod emulator;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use emulator::{Container, Emulator, Settings};

/// What the command line asked for.
#[derive(Default)]
struct Arguments {
    settings: Settings,
    /// (database, container, file).
    seeds: Vec<(String, String, String)>,
    /// (database, container, documents, bytes of each).
    fills: Vec<(String, String, u32, usize)>,
}

/// Documents that are written at once.
const PORTION: u32 = 5_000;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Arguments { settings, seeds, fills } = arguments(std::env::args().skip(1))?;
    let emulator = Emulator::start(&settings)?;
    for (database, container, file) in seeds {
        seed(emulator.url(), &database, &container, &std::fs::read(file)?)?;
    }
    for (database, container, documents, bytes) in fills {
        for first in (0..documents).step_by(usize::try_from(PORTION)?) {
            let portion = first..documents.min(first.saturating_add(PORTION));
            let lines: String = portion.map(|number| document(number, bytes)).collect();
            seed(emulator.url(), &database, &container, lines.as_bytes())?;
        }
    }
    let mut output = std::io::stdout();
    writeln!(output, "{}", emulator.url())?;
    output.flush()?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut found = Arguments::default();
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--port" => found.settings.port = value()?.parse().map_err(|_| "--port wants a number")?,
            "--key" => found.settings.key = Some(value()?),
            "--seed" => {
                let (database, container, file) = named(&value()?).ok_or("--seed wants database/container=FILE")?;
                found.seeds.push((database, container, file));
            }
            "--fill" => {
                let wrong = || "--fill wants database/container=COUNTxBYTES".to_owned();
                let (database, container, size) = named(&value()?).ok_or_else(wrong)?;
                let (documents, bytes) = size.split_once('x').ok_or_else(wrong)?;
                let documents = documents.parse().map_err(|_| wrong())?;
                let bytes = bytes.parse().map_err(|_| wrong())?;
                found.fills.push((database, container, documents, bytes));
            }
            container => found.settings.containers.push(container.parse::<Container>()?),
        }
    }
    Ok(found)
}

/// `database/container=REST`.
fn named(value: &str) -> Option<(String, String, String)> {
    let (name, rest) = value.split_once('=')?;
    let (database, container) = name.split_once('/')?;
    Some((database.to_owned(), container.to_owned(), rest.to_owned()))
}

/// A document in a line of its own, without what the service adds.
fn document(number: u32, bytes: usize) -> String {
    let head = format!(
        r#"{{"id":"document-{number}","pubkey":"{:064x}","type":"note","number":{number},"text":""#,
        number / 5
    );
    let text = "0123456789".chars().cycle().take(bytes.saturating_sub(head.len() + 2));
    format!("{head}{}\"}}\n", text.collect::<String>())
}

/// By the server's own means, as anybody would.
fn seed(url: &str, database: &str, container: &str, lines: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "POST /__control/seed?database={database}&container={container} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        lines.len()
    )?;
    stream.write_all(lines)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(format!(
        "{database}/{container}: {}",
        answer.rsplit("\r\n\r\n").next().unwrap_or_default()
    )
    .into())
}
