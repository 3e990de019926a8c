//! The figures of a run can be read while it goes on, and an address that is taken moves nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::cosmos::harness::{Cosmos, fault};
use crate::cosmos::toy::{TOYS, Toy, pages, toys};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;
use crate::harness::{Ended, until};

/// An address that nobody listens on.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// What is served there; nothing where nobody listens.
fn scraped(address: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
        )
        .expect("a request");
        stream.read_to_string(&mut text).expect("an answer");
    }
    text
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

#[test]
fn a_run_is_read_while_it_goes_on() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:2"]);
    cosmos.seed(TOYS, &toys(200, 50).1);
    let toy = Toy::into_postgres(&cosmos);
    let address = free();
    toy.configure(
        &format!("portion_rows_max = 20\nbatch_rows_max = 20\n\n[metrics]\naddress = \"{address}\""),
        "",
    );
    cosmos.faults(&[Fault {
        on: vec![Kind::Query],
        skip: 4,
        ..fault(What::Hold, 100)
    }]);
    let run = toy.project.start(&["run", "mappings/demo", "--output", "json"]);
    let stream = r#"{project="demo",stream="toys"}"#;
    let read = format!("dbferry_rows_read_total{stream}");
    until("rows in the figures", || {
        value(&scraped(&address), &read).is_some_and(|rows| rows > 0.0)
    });
    let text = scraped(&address);
    for (series, least) in [
        (format!("dbferry_rows_inserted_total{stream}"), 20.0),
        (format!("dbferry_rows_rejected_total{stream}"), 0.0),
        (format!("dbferry_rows_filtered_total{stream}"), 0.0),
        (format!("dbferry_rows_updated_total{stream}"), 0.0),
        (format!("dbferry_rows_skipped_total{stream}"), 0.0),
        (format!("dbferry_batches_total{stream}"), 1.0),
        (format!("dbferry_bytes_read_total{stream}"), 1000.0),
        (format!("dbferry_retries_total{stream}"), 0.0),
        (format!("dbferry_source_rows{stream}"), 200.0),
        (format!("dbferry_batch_seconds_count{stream}"), 1.0),
        (
            r#"dbferry_stream_state{project="demo",stream="toys",state="moving"}"#.to_owned(),
            1.0,
        ),
        (r#"dbferry_request_units{project="demo",connection="cosmos"}"#.to_owned(), 1.0),
        (
            r#"dbferry_requests_total{project="demo",connection="cosmos"}"#.to_owned(),
            1.0,
        ),
        (
            r#"dbferry_throttled_total{project="demo",connection="cosmos"}"#.to_owned(),
            0.0,
        ),
    ] {
        assert!(
            value(&text, &series).is_some_and(|value| value >= least),
            "{series} in:\n{text}"
        );
    }
    assert!(value(&text, &read).is_some_and(|rows| rows < 200.0), "it is held");
    assert!(!text.contains("toy-") && !text.contains("owner-"), "no cell is in:\n{text}");
    cosmos.faults(&[]);
    let ended = Ended::of_child(run);
    assert_eq!(ended.expect(0).json()["streams"][0]["inserted"], 200);
    assert_eq!(scraped(&address), "", "served as long as the run");
}

#[test]
fn an_address_that_is_taken_moves_nothing() {
    let cosmos = Cosmos::start(&["shop/Toys:/owner:2"]);
    cosmos.seed(TOYS, &toys(20, 5).1);
    let toy = Toy::into_postgres(&cosmos);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let run = toy.project.run(&["run", "mappings/demo", "--metrics", &address]);
    run.expect(3)
        .says(&format!("cannot serve metrics on {address}"))
        .says("choose another address with --metrics");
    assert!(pages(&cosmos.log()).is_empty() && cosmos.log().is_empty());
    assert!(toy.documents().is_empty());
    let wrong = toy.project.run(&["run", "mappings/demo", "--metrics", "localhost"]);
    wrong.expect(2);
    toy.configure("[metrics]\naddress = \"9187\"", "");
    let wrong = toy.project.run(&["run", "mappings/demo"]);
    wrong.expect(2).says("this is no address to listen on");
}
