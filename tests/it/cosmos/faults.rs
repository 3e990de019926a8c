//! Whatever goes wrong on the way to an account: the same documents, each once, or an end in order
//! that says what to do.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{Cosmos, fault, status};
use super::toy::{Documents, TOYS, Toy, toys};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;
use crate::harness::{Ended, until};

/// An account with documents in four partitions.
fn account(count: u32) -> (Cosmos, Documents) {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:4"]);
    let (documents, text) = toys(count, 60);
    cosmos.seed(TOYS, &text);
    (cosmos, documents)
}

/// An answer with a status and a sub-status, so often.
fn answered(status: u16, substatus: u32, count: u64) -> Fault {
    let what = What::Status {
        status,
        substatus: Some(substatus),
        retry_after_ms: None,
    };
    fault(what, count)
}

/// After so many pages of documents.
fn later(skip: u64, fault: Fault) -> Fault {
    Fault {
        on: vec![Kind::Query],
        skip,
        ..fault
    }
}

#[test]
fn what_passes_leaves_no_trace_in_the_target() {
    let (cosmos, documents) = account(300);
    for (name, faults) in [
        ("a storm of 429", vec![later(2, status(429, 60))]),
        ("429 before the first page", vec![status(429, 30)]),
        ("503 before the first page", vec![status(503, 9)]),
        ("503", vec![later(3, status(503, 14))]),
        ("500", vec![later(1, status(500, 14))]),
        ("408", vec![later(4, status(408, 14))]),
        ("a split that goes on", vec![later(3, answered(410, 1007, 24))]),
        ("connections that are reset", vec![later(2, fault(What::Reset, 20))]),
        ("pages that break off", vec![later(2, fault(What::Cut, 20))]),
        (
            "all of it",
            vec![
                later(1, status(503, 2)),
                later(2, fault(What::Cut, 3)),
                later(4, status(429, 9)),
                later(6, fault(What::Reset, 9)),
                later(9, status(500, 3)),
                later(12, fault(What::Cut, 9)),
            ],
        ),
    ] {
        for toy in [Toy::into_sqlite(&cosmos), Toy::into_postgres(&cosmos)] {
            cosmos.faults(&faults);
            assert_eq!(toy.run(&["--batch-size", "12"]), [300, 300, 0, 0, 0], "{name}");
            toy.expect(&documents);
            let wanted: Vec<_> = faults.iter().map(|fault| fault.count.unwrap_or(1)).collect();
            assert_eq!(cosmos.hits(), wanted, "{name}: it did not happen");
            cosmos.faults(&[]);
        }
    }
}

#[test]
fn an_answer_that_does_not_come_is_asked_for_again() {
    let (cosmos, documents) = account(100);
    let toy = Toy::into_sqlite(&cosmos);
    toy.configure("retry_seconds_max = 5", "");
    cosmos.faults(&[later(3, fault(What::Delay(30_000), 1))]);
    let began = Instant::now();
    assert_eq!(toy.run(&["--batch-size", "12"]), [100, 100, 0, 0, 0]);
    toy.expect(&documents);
    let took = began.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(25)).contains(&took), "{took:?}");
}

#[test]
fn after_too_long_without_a_page_the_run_ends_and_the_next_one_goes_on() {
    let (cosmos, documents) = account(300);
    for (storm, says) in [
        (
            status(429, 1_000_000),
            "too many requests for the throughput of the container",
        ),
        (status(503, 1_000_000), "the service cannot answer now"),
        (fault(What::Reset, 1_000_000), "nobody answers"),
    ] {
        for toy in [Toy::into_sqlite(&cosmos), Toy::into_postgres(&cosmos)] {
            toy.configure("retry_seconds_max = 2", "");
            cosmos.faults(&[later(6, storm.clone())]);
            let began = Instant::now();
            let ended = toy
                .project
                .run(&["run", "mappings/demo", "--batch-size", "12", "--output", "json"]);
            let took = began.elapsed();
            ended
                .expect(3)
                .says(says)
                .says("gave up after 2 s")
                .says("dbferry run mappings/demo");
            assert!(took < Duration::from_secs(15), "{took:?}");
            let moved = toy.documents().len() as u64;
            assert!(moved > 0 && moved < 300, "{moved}");
            cosmos.faults(&[]);
            assert_eq!(toy.run(&[]), [300 - moved, 300 - moved, 0, 0, 0]);
            toy.expect(&documents);
        }
    }
}

fn start(toy: &Toy) -> Child {
    toy.project.start(&["run", "mappings/demo", "--batch-size", "12"])
}

/// Interrupts a run, which has little time to end in order.
#[track_caller]
fn interrupt(child: Child) -> Ended {
    let began = Instant::now();
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
    let ended = Ended::of_child(child);
    let took = began.elapsed();
    ended.expect(130);
    assert!(took < Duration::from_secs(3), "{took:?}");
    ended
}

#[test]
fn a_storm_does_not_hold_up_an_interruption() {
    let (cosmos, documents) = account(300);
    let storm = What::Status {
        status: 429,
        substatus: Some(3200),
        retry_after_ms: Some(4000),
    };
    for toy in [Toy::into_sqlite(&cosmos), Toy::into_postgres(&cosmos)] {
        let storm = fault(storm.clone(), 1_000_000);
        // When ranges are cut, when they are begun, and in between.
        for storm in [storm.clone(), later(0, storm.clone()), later(6, storm)] {
            cosmos.faults(&[storm]);
            let child = start(&toy);
            cosmos.wait_for_fault();
            // Somewhere in the 4 seconds that it was told to wait.
            std::thread::sleep(Duration::from_millis(400));
            interrupt(child);
        }
        let moved = toy.documents().len() as u64;
        assert!(moved > 0 && moved < 300, "what had come is kept: {moved}");
        cosmos.faults(&[]);
        assert_eq!(toy.run(&[]), [300 - moved, 300 - moved, 0, 0, 0]);
        toy.expect(&documents);
    }
}

#[test]
fn neither_do_the_budget_and_a_page_that_does_not_come() {
    let (cosmos, documents) = account(300);
    let toy = Toy::into_postgres(&cosmos);
    toy.configure("", "max_request_units_per_second = 1");
    cosmos.clear_log();
    let child = start(&toy);
    until("some pages", || {
        cosmos.log().iter().filter(|entry| entry.kind.is_page()).count() > 4
    });
    interrupt(child);
    toy.configure("", "");
    cosmos.faults(&[later(2, fault(What::Hold, 1_000))]);
    let child = start(&toy);
    cosmos.wait_for_fault();
    interrupt(child);
    cosmos.faults(&[]);
    toy.project.run(&["run", "mappings/demo"]).expect(0);
    toy.expect(&documents);
}

#[test]
fn what_does_not_pass_is_told_and_nothing_secret_with_it() {
    let (cosmos, documents) = account(300);
    let toy = Toy::into_postgres(&cosmos);
    let secret = "bm90IHRoZSBrZXkgb2YgdGhpcyBhY2NvdW50";
    let told = |toy: &Toy, says: &[&str]| {
        let ended = toy.project.run(&["run", "mappings/demo", "--batch-size", "12"]);
        ended.expect(3);
        for text in says {
            ended.says(text);
        }
        for hidden in [secret, super::harness::KEY, "Injected", "a fault was asked for", "signature"] {
            assert!(!ended.stderr.contains(hidden) && !ended.stdout.contains(hidden), "{ended:?}");
        }
    };
    for (fault, says) in [
        (status(401, 1), "the key or token is refused"),
        (status(403, 1), "access is forbidden"),
        (status(404, 1), "there is no such database, container or document"),
    ] {
        cosmos.faults(&[later(2, fault)]);
        told(&toy, &[says, "reading a page"]);
    }
    cosmos.faults(&[]);
    toy.project.run(&["run", "mappings/demo"]).expect(0);
    toy.expect(&documents);

    let mut wrong_key = Toy::into_sqlite(&cosmos);
    wrong_key.project.set("COSMOS_KEY", secret);
    told(
        &wrong_key,
        &["the key or token is refused", "check the key of the connection"],
    );

    let nowhere = Toy::into_sqlite(&cosmos);
    let config = nowhere.project.text("config/development.toml");
    nowhere
        .project
        .write("config/development.toml", &config.replace("\"shop\"", "\"shops\""));
    told(
        &nowhere,
        &["opening container `Toys`", "there is no such database", "check `database`"],
    );
    nowhere
        .project
        .write("config/development.toml", &config.replace("\"Toys\"", "\"Toy\""));
    told(&nowhere, &["opening container `Toy`", "there is no such database, container"]);
}

#[test]
fn an_account_that_is_not_there_is_told() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:1"]);
    let mut toy = Toy::into_sqlite(&cosmos);
    toy.project.set("COSMOS_ENDPOINT", "http://127.0.0.1:1/");
    let ended = toy.project.run(&["run", "mappings/demo"]);
    ended.expect(3).says("nobody answers").says("check the endpoint");
    // It listens there, and speaks no TLS.
    let https = cosmos.url().replace("http://", "https://");
    toy.project.set("COSMOS_ENDPOINT", &https);
    let ended = toy.project.run(&["run", "mappings/demo"]);
    ended
        .expect(3)
        .says("no encrypted connection that can be trusted comes about")
        .says("certificate");
}

/// A server whose certificate nobody knows.
struct SelfSigned {
    server: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl SelfSigned {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let openssl = |args: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(args).current_dir(folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let made = openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .status();
        assert!(made.expect("openssl").success());
        let server = openssl(&[
            "s_server",
            "-cert",
            "cert.pem",
            "-key",
            "key.pem",
            "-accept",
            &port.to_string(),
            "-www",
        ])
        .spawn()
        .expect("openssl");
        until("the server's port", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            server,
            port,
            _folder: folder,
        }
    }
}

impl Drop for SelfSigned {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

#[test]
fn a_certificate_that_nobody_knows_is_refused_unless_it_is_an_emulators() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:1"]);
    let server = SelfSigned::start();
    let mut toy = Toy::into_sqlite(&cosmos);
    toy.project
        .set("COSMOS_ENDPOINT", &format!("https://127.0.0.1:{}/", server.port));
    let ended = toy.project.run(&["run", "mappings/demo"]);
    ended
        .expect(3)
        .says("no encrypted connection that can be trusted comes about");
    toy.configure("", "accept_emulator_certificate = true");
    let ended = toy.project.run(&["run", "mappings/demo"]);
    assert_ne!(ended.code, Some(0), "it is no account");
    assert!(!ended.stderr.contains("no encrypted connection"), "{}", ended.stderr);
}
