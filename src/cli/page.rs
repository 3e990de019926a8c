//! A verification as one HTML page, for people who were not there: an auditor, a printer, a phone.
//!
//! It needs nothing but itself and loads nothing. Whatever comes from a database is text in it: the
//! template escapes it, control and invisible characters are spelt out, and the page's own policy
//! runs no script but the one that sorts its tables, without which it says as much.

use std::time::Duration;

use askama::Template;

use super::figures;
use super::output::visible;
use super::verdict::{self, Counted};
use crate::verify::report::{StreamVerdict, Verdict, VerifyReport};
use crate::{Error, ErrorKind, Result};

mod bar;
mod difference;

use bar::Bar;
use difference::Row;

/// The page.
#[derive(Template)]
#[template(path = "verify.html")]
struct Page {
    /// Names the styles and the script that are the page's own: nobody who wrote a row knew it.
    nonce: String,
    project: String,
    environment: String,
    /// `equal`, `different`, `unsettled` or `unchecked`: word, class and sign.
    status: &'static str,
    sentence: String,
    when: String,
    restrictions: Vec<String>,
    warnings: Vec<String>,
    tiles: Vec<Tile>,
    streams: Vec<Stream>,
    total: Option<Stream>,
    has: Rare,
    connections: Vec<Connection>,
    version: String,
    id: String,
    format: u32,
}

/// A figure of the whole report.
struct Tile {
    name: &'static str,
    count: String,
    /// Class of its colour, if it is one that should be 0.
    class: &'static str,
}

/// Figures that are shown where there are any.
struct Rare {
    filtered: bool,
    expired: bool,
    unsettled: bool,
}

/// A figure of a stream, as people read it and as it is sorted.
struct Figure {
    name: &'static str,
    number: u64,
    shown: String,
    class: &'static str,
}

/// A stream.
struct Stream {
    anchor: String,
    name: String,
    source: String,
    target: String,
    status: &'static str,
    figures: Vec<Figure>,
    bar: Bar,
    /// `1 row missing and 2 extra`; empty where nothing differs.
    found: String,
    rows: Vec<Row>,
    not_listed: Option<String>,
    extra_before: Option<String>,
    notes: Vec<String>,
    fingerprint: String,
    source_read_at: String,
    target_read_at: String,
    took: String,
    speed: String,
}

/// A connection that was read.
struct Connection {
    name: String,
    kind: String,
    version: String,
    moment: String,
}

/// The report as a page.
///
/// # Errors
/// [`ErrorKind::Internal`] where the template fails, which is a defect.
pub fn render(report: &VerifyReport) -> Result<String> {
    Page::of(report)
        .render()
        .map_err(|error| Error::new(ErrorKind::Internal, "a report has no page").because(error))
}

impl Page {
    fn of(report: &VerifyReport) -> Self {
        let counted = Counted::all(report);
        let has = Rare {
            filtered: counted.filtered > 0,
            expired: counted.expired > 0,
            unsettled: counted.unsettled > 0,
        };
        let streams = report
            .streams
            .iter()
            .enumerate()
            .map(|(at, stream)| Stream::of(at, stream, &has));
        Self {
            nonce: uuid::Uuid::new_v4().simple().to_string(),
            project: visible(&report.project),
            environment: visible(&report.environment),
            status: verdict::word(report.status),
            sentence: capital(&verdict::sentence(report)),
            when: when(report),
            restrictions: report.restrictions.iter().map(|text| visible(text)).collect(),
            warnings: report.warnings.iter().map(|text| visible(text)).collect(),
            tiles: tiles(&counted, looked(report)),
            streams: streams.collect(),
            total: (report.streams.len() > 1).then(|| Stream::total(report, &counted, &has)),
            has,
            connections: report.connections.iter().map(Connection::of).collect(),
            version: visible(&report.version),
            id: visible(&report.id),
            format: report.format,
        }
    }

    /// Streams that have more to tell than their figures.
    fn telling(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(|stream| stream.tells())
    }
}

/// From when to when.
fn when(report: &VerifyReport) -> String {
    format!("{} to {}", moment(&report.started_at), moment(&report.ended_at))
}

/// `2026-11-22T00:00:00.123456Z` as `2026-11-22 00:00:00 UTC`.
fn moment(text: &str) -> String {
    match text.split_once('T') {
        Some((date, time)) if time.ends_with('Z') => {
            let time = time.trim_end_matches('Z');
            let time = time.split('.').next().unwrap_or(time);
            visible(&format!("{date} {time} UTC"))
        }
        _ if text.is_empty() => "–".to_owned(),
        _ => visible(text),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Whether rows that the target alone has were looked for in all streams.
fn looked(report: &VerifyReport) -> bool {
    report.streams.iter().all(|stream| stream.extra_checked)
}

fn tiles(counted: &Counted, looked: bool) -> Vec<Tile> {
    let tile = |name, number, class| Tile {
        name,
        count: shown(name, number, looked),
        class: if number > 0 { class } else { "" },
    };
    let mut tiles = vec![
        tile("source rows", counted.source_rows, ""),
        tile("covered", counted.covered, ""),
        tile("rejected", counted.rejected, "rejected"),
        tile("target rows", counted.target_rows, ""),
        tile("missing", counted.missing, "missing"),
        tile("extra", counted.extra, "extra"),
        tile("different", counted.different, "different"),
    ];
    if counted.unsettled > 0 {
        tiles.push(tile("unsettled", counted.unsettled, "unsettled"));
    }
    tiles
}

/// A figure; extra rows that nobody looked for are not none.
fn shown(name: &str, number: u64, looked: bool) -> String {
    match number {
        0 if !looked && name == "extra" => "–".to_owned(),
        _ => figures::count(number),
    }
}

fn counts(counted: &Counted, has: &Rare, looked: bool) -> Vec<Figure> {
    let all = [
        ("source rows", counted.source_rows, "", true),
        ("filtered", counted.filtered, "", has.filtered),
        ("expired", counted.expired, "", has.expired),
        ("rejected", counted.rejected, "rejected", true),
        ("covered", counted.covered, "", true),
        ("target rows", counted.target_rows, "", true),
        ("missing", counted.missing, "missing", true),
        ("extra", counted.extra, "extra", true),
        ("different", counted.different, "different", true),
        ("unsettled", counted.unsettled, "unsettled", has.unsettled),
    ];
    let there = all.into_iter().filter(|(.., there)| *there);
    there
        .map(|(name, number, class, _)| Figure {
            name,
            number,
            shown: shown(name, number, looked),
            class: if number == 0 { "none" } else { class },
        })
        .collect()
}

impl Stream {
    fn of(at: usize, stream: &StreamVerdict, has: &Rare) -> Self {
        let counted = Counted::of(stream);
        let time = Duration::try_from_secs_f64(stream.seconds).unwrap_or_default();
        Self {
            anchor: format!("stream-{}", at + 1),
            name: visible(&stream.name),
            source: visible(&stream.source),
            target: visible(&stream.target),
            status: verdict::word(stream.status),
            figures: counts(&counted, has, stream.extra_checked),
            bar: Bar::of(&counted, stream.status == Verdict::Unchecked),
            found: counted.found().unwrap_or_default(),
            rows: stream.differences.iter().flat_map(Row::all).collect(),
            not_listed: (stream.not_listed > 0).then(|| figures::counted(stream.not_listed, "difference")),
            extra_before: extra_before(stream),
            notes: stream.notes.iter().map(|text| visible(text)).collect(),
            fingerprint: visible(&stream.fingerprint),
            source_read_at: moment(&stream.source_read_at),
            target_read_at: moment(&stream.target_read_at),
            took: figures::duration(time),
            speed: figures::count(stream.rows_per_second),
        }
    }

    /// The sums of all streams, in the form of one.
    fn total(report: &VerifyReport, counted: &Counted, has: &Rare) -> Self {
        Self {
            anchor: String::new(),
            name: "All streams".to_owned(),
            source: String::new(),
            target: String::new(),
            status: verdict::word(report.status),
            figures: counts(counted, has, looked(report)),
            bar: Bar::of(counted, report.status == Verdict::Unchecked),
            found: String::new(),
            rows: Vec::new(),
            not_listed: None,
            extra_before: None,
            notes: Vec::new(),
            fingerprint: String::new(),
            source_read_at: String::new(),
            target_read_at: String::new(),
            took: String::new(),
            speed: String::new(),
        }
    }

    fn tells(&self) -> bool {
        !self.rows.is_empty() || self.not_listed.is_some() || !self.notes.is_empty()
    }
}

fn extra_before(stream: &StreamVerdict) -> Option<String> {
    let rows = stream.extra_before.filter(|_| stream.extra > 0)?;
    Some(format!(
        "{} of {} there before the first run.",
        figures::count(rows),
        match stream.extra {
            1 => "1 extra row was".to_owned(),
            extra => format!("{} extra rows were", figures::count(extra)),
        }
    ))
}

impl Connection {
    fn of(read: &crate::verify::report::ConnectionRead) -> Self {
        let told = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), visible);
        Self {
            name: visible(&read.name),
            kind: match &read.key_prefix {
                Some(prefix) => format!("{}, keys of {}", visible(&read.kind), visible(prefix)),
                None => visible(&read.kind),
            },
            version: told(&read.version),
            moment: told(&read.moment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verdict::tests::{different, report, stream};

    #[test]
    fn a_page_is_whole_and_loads_nothing() {
        let page = render(&different()).expect("a page");
        assert!(page.starts_with("<!doctype html>"), "{}", &page[..40]);
        for remote in ["http://", "https://", "src=", "@import", "url("] {
            // The name space of SVG is a name, not an address to load.
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(remote), "{remote}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn nothing_of_a_report_is_markup() {
        let mut hostile = stream("<script>alert(1)</script>");
        hostile.source = "\"><img onerror=x>".to_owned();
        hostile.notes = vec!["]]>\u{202e}'--><u>".to_owned()];
        let mut report = report(Verdict::Different, vec![hostile]);
        report.project = "</title><script>".to_owned();
        report.id = "' onload='".to_owned();
        report.warnings = vec!["\u{0}".to_owned()];
        let page = render(&report).expect("a page");
        assert_eq!(page.matches("<script").count(), 1, "the page's own");
        assert!(!page.contains("<img") && !page.contains("<u>"));
        assert!(!page.contains(['\u{0}', '\u{202e}']));
        assert!(page.contains(r"\u{202e}") && page.contains(r"\u{0}"));
    }
}
