//! The page of a verification, in a real browser: no script errors, hostile rows stay text, tables
//! sort, and a phone needs no scrolling sideways.
//!
//! `DBFERRY_TEST_PAGES=FOLDER` keeps the pages and pictures of them, to look at.

use std::path::{Path, PathBuf};
use std::process::Command;

use dbferry::cli::page;
use dbferry::verify::report::{
    ColumnDifference, ConnectionRead, Difference, DifferenceKind, FORMAT, Shown, StreamVerdict, Value, Verdict, VerifyReport,
};

use crate::harness::write;

fn text(text: &str) -> Value {
    Value {
        text: Some(text.to_owned()),
        masked: false,
        cut_from: None,
    }
}

const NULL: Value = Value {
    text: None,
    masked: false,
    cut_from: None,
};

const MASKED: Value = Value {
    text: None,
    masked: true,
    cut_from: None,
};

fn column(name: &str, source: Value, target: Value) -> ColumnDifference {
    ColumnDifference {
        column: name.to_owned(),
        source,
        target,
    }
}

fn row(kind: DifferenceKind, key: &[(&str, Value)], columns: Vec<ColumnDifference>) -> Difference {
    let key = key.iter().map(|(column, value)| Shown {
        column: (*column).to_owned(),
        value: value.clone(),
    });
    Difference {
        kind,
        key: key.collect(),
        id: "9c56cc51b374c3ba189210d5b6d4bf57".to_owned(),
        columns,
    }
}

fn stream(name: &str, source: &str, target: &str, rows: u64) -> StreamVerdict {
    StreamVerdict {
        name: name.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        status: Verdict::Equal,
        fingerprint: "5f8b1c7a90d24e36b1a7c3d9e0f24416".to_owned(),
        source_rows: rows,
        filtered: 0,
        expired: 0,
        rejected: 0,
        covered_rows: rows,
        target_rows: rows,
        missing: 0,
        extra: 0,
        extra_checked: true,
        extra_before: None,
        different: 0,
        unsettled: 0,
        sampled: None,
        source_read_at: "2026-11-22T00:14:03.120000Z".to_owned(),
        target_read_at: "2026-11-22T00:14:03.480000Z".to_owned(),
        seconds: 2.31,
        rows_per_second: 431_204,
        differences: Vec::new(),
        not_listed: 0,
        notes: Vec::new(),
    }
}

fn report(status: Verdict, streams: Vec<StreamVerdict>) -> VerifyReport {
    let connection = |name: &str, kind: &str, version: &str, moment: Option<&str>| ConnectionRead {
        name: name.to_owned(),
        kind: kind.to_owned(),
        version: Some(version.to_owned()),
        moment: moment.map(str::to_owned),
        key_prefix: None,
    };
    VerifyReport {
        format: FORMAT,
        id: "3e0b8f52-6f0d-4f5a-9a1e-7d1c2b3a4f50".to_owned(),
        project: "game".to_owned(),
        environment: "production".to_owned(),
        version: "0.1.0".to_owned(),
        status,
        started_at: "2026-11-22T00:14:02.000000Z".to_owned(),
        ended_at: "2026-11-22T00:14:09.400000Z".to_owned(),
        seconds: 7.4,
        restrictions: Vec::new(),
        connections: vec![
            connection(
                "pocketbase",
                "pocketbase",
                "SQLite 3.50.2",
                Some("frozen at 2026-11-22 00:14:02 UTC"),
            ),
            connection("game", "postgres", "15.14", Some("snapshot 00000003-0000001B-1")),
            connection("redis", "redis", "7.0.15", None),
        ],
        streams,
        warnings: Vec::new(),
    }
}

/// A report as it may come from a real move.
fn usual() -> VerifyReport {
    let id = |id: &str| [("id", text(id))];
    let mut players = stream("players", "pocketbase (query)", "game.players", 1_204_377);
    players.status = Verdict::Different;
    players.rejected = 212;
    players.covered_rows = 1_204_165;
    players.target_rows = 1_204_166;
    (players.missing, players.extra, players.different) = (2, 3, 5);
    players.extra_before = Some(1);
    players.not_listed = 4;
    players.notes = vec!["2 streams write this table: what is extra is extra to both of them".to_owned()];
    players.differences = vec![
        row(
            DifferenceKind::Missing,
            &id("0b1f7a52-3f1c-5d0e-8d2b-6d0a7b9c1e2f"),
            Vec::new(),
        ),
        row(
            DifferenceKind::Different,
            &id("2c9d4e18-77aa-5b3f-9c41-0f2e8d7b6a51"),
            vec![
                column("email", MASKED, MASKED),
                column("skill_rating", text("1287.50"), text("1287.25")),
                column(
                    "updated_at",
                    text("2026-10-04 11:52:07.123456+00"),
                    text("2026-10-04 11:52:07.123+00"),
                ),
            ],
        ),
        row(
            DifferenceKind::Different,
            &id("4f00a1b2-90cd-5e6f-8a1b-2c3d4e5f6071"),
            vec![
                column("username", text("night_owl"), text("night_owl ")),
                column("region", NULL, text("")),
                column(
                    "inventory",
                    text(
                        r#"[{"item_id":"sword-07","quantity":1,"metadata":{"enchanted":true,"level":7}},{"item_id":"potion","quantity":12}]"#,
                    ),
                    text(
                        r#"[{"item_id":"sword-07","quantity":1,"metadata":{"enchanted":true,"level":8}},{"item_id":"potion","quantity":12}]"#,
                    ),
                ),
            ],
        ),
        row(DifferenceKind::Extra, &[("id", MASKED)], Vec::new()),
    ];
    let mut sessions = stream("game_sessions", "pocketbase.participants", "game.game_sessions", 5_830_114);
    sessions.filtered = 1_204;
    sessions.covered_rows = 5_828_910;
    sessions.target_rows = 5_828_910;
    let mut states = stream("game_states", "pocketbase (query)", "redis game:{id}:state", 318);
    states.expired = 12;
    states.covered_rows = 306;
    states.target_rows = 306;
    let games = stream("games", "pocketbase.matches", "game.games", 880_412);
    report(Verdict::Different, vec![players, games, sessions, states])
}

/// Texts that would like to be more than that.
fn hostile() -> VerifyReport {
    let script = "<script>document.title = 'owned'</script>";
    let texts = [
        script,
        "]]><!-- --></td></table><h1>owned</h1>",
        "\"' onmouseover='x' <img src=x onerror=document.title='owned'>",
        "{{ 7 * 7 }} {% endfor %} ${title} &lt; &#60;",
        "null \u{0} escape \u{1b}[2J bell \u{7} tab\tline\nend",
        "bidi \u{202e}gnirts\u{2066} zero\u{200b}width \u{feff} שלום العربية",
    ];
    let mut rows: Vec<_> = texts
        .iter()
        .map(|hostile| {
            row(
                DifferenceKind::Different,
                &[(*hostile, text(hostile)), ("n", text("10"))],
                vec![column(hostile, text(hostile), text(&format!("{hostile}!")))],
            )
        })
        .collect();
    let long = "x".repeat(10_000);
    let mut cut = text(&"wide ".repeat(40));
    cut.cut_from = Some(123_456);
    rows.push(row(
        DifferenceKind::Different,
        &[("id", text(&long)), ("n", text("9"))],
        vec![
            column("long", text(&long), text(&format!("{long}y"))),
            column("cut", cut.clone(), cut),
        ],
    ));
    let mut bad = stream(script, "a\"b.c", "d'e.<f>", 7);
    bad.status = Verdict::Different;
    bad.different = 7;
    bad.differences = rows;
    bad.notes = texts.iter().map(|text| (*text).to_owned()).collect();
    let mut report = report(Verdict::Different, vec![bad, stream(&"n".repeat(200), "a.b", "c.d", 3)]);
    "</title><script>document.title = 'owned'</script>".clone_into(&mut report.project);
    report.warnings = texts.iter().map(|text| (*text).to_owned()).collect();
    report.restrictions = vec![script.to_owned()];
    script.clone_into(&mut report.id);
    report
}

/// Folder of one test's pages, and whether it stays.
struct Pages {
    folder: PathBuf,
    scratch: Option<tempfile::TempDir>,
}

impl Pages {
    fn new() -> Self {
        if let Some(folder) = std::env::var_os("DBFERRY_TEST_PAGES") {
            return Self {
                folder: PathBuf::from(folder),
                scratch: None,
            };
        }
        let scratch = tempfile::tempdir().expect("a folder");
        Self {
            folder: scratch.path().to_owned(),
            scratch: Some(scratch),
        }
    }

    fn keeps(&self) -> bool {
        self.scratch.is_none()
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        write(&path, text);
        path
    }

    /// A page that shows another one in a frame of that width, and does something with it: `doc` is
    /// its document. What is left in `told` is the answer.
    fn framed(&self, name: &str, page: &str, width: u32, script: &str) -> PathBuf {
        self.put(
            name,
            &format!(
                "<!doctype html><meta charset=utf-8><style>body{{margin:0}}iframe{{border:0;width:{width}px;height:2400px}}</style>\
                 <iframe src='{page}'></iframe><pre id=told></pre><script>\
                 document.querySelector('iframe').onload = event => {{\
                   const doc = event.target.contentDocument, told = {{}};\
                   {script}\
                   document.getElementById('told').textContent = JSON.stringify(told);\
                 }};</script>"
            ),
        )
    }
}

/// What a browser printed: on stdout, and what scripts complained of.
struct Browsed {
    stdout: String,
    complaints: Vec<String>,
}

impl Browsed {
    /// What a frame's script has told.
    fn told(&self) -> serde_json::Value {
        assert_eq!(self.complaints, Vec::<String>::new());
        let text = self.stdout.split("<pre id=\"told\">").nth(1).expect("an answer");
        let text = text.split("</pre>").next().expect("its end");
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

fn browse(page: &Path, arguments: &[&str]) -> Browsed {
    let profile = tempfile::tempdir().expect("a folder");
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args([
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium is not installed: `scripts/services.sh up` installs it");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let complaints = stderr.lines().filter(|line| line.contains(":CONSOLE"));
    Browsed {
        complaints: complaints.map(str::to_owned).collect(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

#[test]
fn hostile_rows_are_text_in_a_browser() {
    let pages = Pages::new();
    pages.put("hostile.html", &page::render(&hostile()).expect("a page"));
    let script = "
        const cells = [...doc.querySelectorAll('.differences td')].map(cell => cell.textContent);
        told.title = doc.title;
        told.scripts = doc.scripts.length;
        told.strange = doc.querySelectorAll('img, iframe, object, embed, link, table table, h1 ~ h1').length;
        told.handlers = [...doc.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length;
        told.loaded = event.target.contentWindow.performance.getEntriesByType('resource').length;
        told.shown = ['<script>document', ']]><!-- -->', '{{ 7 * 7 }}', '&lt; &#60;', '\\\\u{0} escape \\\\u{1b}[2J', '\\\\u{202e}gnirts', 'x'.repeat(10000)]
            .map(text => cells.some(cell => cell.includes(text)));
        told.invisible = /[\\u0000-\\u0008\\u202a-\\u202e\\u2066-\\u2069\\u200b\\ufeff]/.test(doc.documentElement.textContent);
    ";
    let told = browse(
        &pages.framed("hostile-frame.html", "hostile.html", 1200, script),
        &["--dump-dom"],
    )
    .told();
    assert!(
        told["title"].as_str().is_some_and(|title| title.contains("<script>")),
        "{told}"
    );
    for (name, expected) in [("scripts", 1), ("strange", 0), ("handlers", 0), ("loaded", 0)] {
        assert_eq!(told[name], expected, "{name}: {told}");
    }
    assert_eq!(
        told["shown"],
        serde_json::json!([true, true, true, true, true, true, true]),
        "{told}"
    );
    assert_eq!(told["invisible"], false, "{told}");
}

#[test]
fn tables_sort_and_say_by_what() {
    let pages = Pages::new();
    pages.put("usual.html", &page::render(&usual()).expect("a page"));
    let script = "
        const names = () => [...doc.querySelectorAll('.streams tbody th')].map(cell => cell.firstChild.textContent);
        const head = text => [...doc.querySelectorAll('.streams thead button')].find(button => button.textContent === text);
        told.before = names();
        head('source rows').click(); told.most = names();
        told.says = head('source rows').parentNode.getAttribute('aria-sort');
        head('source rows').click(); told.fewest = names();
        head('stream').click(); told.named = names();
        told.sums = doc.querySelector('.streams tfoot th').textContent.startsWith('All streams');
        const kinds = () => [...doc.querySelectorAll('.differences tbody .badge')].map(cell => cell.textContent);
        doc.querySelector('.differences thead button').click(); told.kinds = kinds();
    ";
    let told = browse(&pages.framed("usual-frame.html", "usual.html", 1200, script), &["--dump-dom"]).told();
    assert_eq!(
        told["before"],
        serde_json::json!(["players", "games", "game_sessions", "game_states"])
    );
    assert_eq!(
        told["most"],
        serde_json::json!(["game_sessions", "players", "games", "game_states"])
    );
    assert_eq!(told["says"], "descending");
    assert_eq!(
        told["fewest"],
        serde_json::json!(["game_states", "games", "players", "game_sessions"])
    );
    assert_eq!(
        told["named"],
        serde_json::json!(["game_sessions", "game_states", "games", "players"])
    );
    assert_eq!(told["sums"], true);
    let different = ["different"; 6];
    assert_eq!(
        told["kinds"],
        serde_json::json!([&different[..], &["extra", "missing"]].concat())
    );
}

#[test]
fn a_phone_scrolls_downwards_only() {
    let pages = Pages::new();
    for (name, report) in [("usual", usual()), ("hostile", hostile())] {
        pages.put(&format!("{name}.html"), &page::render(&report).expect("a page"));
        for width in [320, 390, 768, 1024] {
            let script = "
                const root = doc.documentElement;
                told.width = event.target.contentWindow.innerWidth;
                told.over = root.scrollWidth - root.clientWidth;
                told.cards = event.target.contentWindow.getComputedStyle(doc.querySelector('.streams thead')).display === 'none';
            ";
            let frame = pages.framed(&format!("{name}-{width}.html"), &format!("{name}.html"), width, script);
            let told = browse(&frame, &["--dump-dom"]).told();
            assert_eq!(told["width"], width, "{name}: {told}");
            assert_eq!(told["over"], 0, "{name}: {told}");
            assert_eq!(told["cards"], width < 800, "{name} {width}: {told}");
        }
    }
}

#[test]
fn a_page_without_scripts_and_on_paper_has_all_of_it() {
    let pages = Pages::new();
    let page = pages.put("paper.html", &page::render(&usual()).expect("a page"));
    let paper = pages.folder.join("paper.pdf");
    let printed = browse(
        &page,
        &[&format!("--print-to-pdf={}", paper.display()), "--no-pdf-header-footer"],
    );
    assert_eq!(printed.complaints, Vec::<String>::new());
    assert!(std::fs::read(&paper).expect("a document").starts_with(b"%PDF"));
    let whole = std::fs::read_to_string(&page).expect("a page");
    // A browser without paper, of the width that a sheet has between its margins.
    let sheet = whole
        .replace("@media print", "@media all")
        .replace("@media screen and (max", "@media not all and (max");
    pages.put("sheet.html", &sheet);
    let script = "told.over = doc.documentElement.scrollWidth - doc.documentElement.clientWidth;";
    let told = browse(&pages.framed("sheet-frame.html", "sheet.html", 690, script), &["--dump-dom"]).told();
    assert_eq!(told["over"], 0, "{told}");
    let (before, after) = whole.split_once("<script").expect("its script");
    let after = after.split_once("</script>").map(|(_, after)| after).expect("its end");
    let plain = browse(&pages.put("plain.html", &format!("{before}{after}")), &["--dump-dom"]);
    assert!(!plain.stdout.contains("<button"), "nothing to press that does nothing");
    for text in [
        "night_owl",
        "1,204,377",
        "2 rows missing, 3 extra and 5 different",
        "4 differences more",
    ] {
        assert!(plain.stdout.contains(text), "{text}");
    }
    if pages.keeps() {
        pictures(&pages);
    }
}

/// Pictures of the pages, for people.
fn pictures(pages: &Pages) {
    pages.put("usual.html", &page::render(&usual()).expect("a page"));
    pages.put("hostile.html", &page::render(&hostile()).expect("a page"));
    let equal = ["players", "games", "game_sessions"]
        .map(|name| stream(name, &format!("pocketbase.{name}"), &format!("game.{name}"), 12_345));
    pages.put(
        "equal.html",
        &page::render(&report(Verdict::Equal, equal.to_vec())).expect("a page"),
    );
    let mut sampled = report(Verdict::Unchecked, equal.to_vec());
    sampled.restrictions = vec!["only a sample of about 1000 rows of each stream".to_owned()];
    sampled.streams[0].status = Verdict::Unchecked;
    sampled.streams[0].unsettled = 4;
    pages.put("unchecked.html", &page::render(&sampled).expect("a page"));
    for name in ["usual", "hostile", "equal", "unchecked"] {
        let page = pages.folder.join(format!("{name}.html"));
        let phone = pages.framed(&format!("{name}-phone.html"), &format!("{name}.html"), 390, "");
        for (look, page, size, more) in [
            ("light", &page, "1280,1900", "--blink-settings=preferredColorScheme=1"),
            ("dark", &page, "1280,1900", "--blink-settings=preferredColorScheme=0"),
            ("phone", &phone, "500,2400", "--blink-settings=preferredColorScheme=1"),
        ] {
            let picture = pages.folder.join(format!("{name}-{look}.png"));
            let size = format!("--window-size={size}");
            browse(page, &[&format!("--screenshot={}", picture.display()), &size, more]);
        }
    }
}

#[test]
fn reports_are_what_their_schema_says_and_can_be_read_back() {
    let schema = jsonschema::validator_for(&dbferry::verify::report::json_schema()).expect("a schema");
    for report in [usual(), hostile()] {
        let mut document = serde_json::to_value(&report).expect("JSON");
        document["error"] = serde_json::Value::Null;
        let faults: Vec<_> = schema.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new());
        let read: VerifyReport = serde_json::from_value(document).expect("a report");
        assert_eq!(read, report);
    }
}
