//! Pages in a real browser: nothing on the console, no request to a network, enough contrast in
//! light and dark, words for each picture, no text cut off, nothing wider than a small window.
//!
//! `TANDEM_PAGES=DIR` keeps the pages and a picture of each. `make test` brings a browser on
//! Debian; without one these tests fail.

#[path = "../common/mod.rs"]
mod common;
mod devtools;

use std::fs;
use std::path::Path;

use common::program::Room;
use devtools::{Browser, find};
use serde_json::{Value, json};

/// Finds faults of the page that is open.
const CHECKS: &str = include_str!("checks.js");

/// Tasks of every type with blanks, experts with gates, couplings, weights of a balancer, and an
/// observed conflict.
const EVERYTHING: &str = "
[data]
train = \"all.csv\"
split = [0.6, 0.2, 0.2]
[trunk]
layers = [8]
[architecture]
kind = \"mmoe\"
experts = 3
[task.kind]
layers = [4]
[task.other]
layers = [4]
[task.yes]
type = \"binary\"
[task.many]
type = \"multilabel\"
target = [\"m0\", \"m1\", \"m2\"]
[task.size]
type = \"regression\"
target = [\"s0\", \"s1\"]
[task.much]
type = \"regression\"
target = \"s2\"
loss = \"quantile\"
quantile = 0.9
[task.visits]
type = \"count\"
[[coupling]]
kind = \"soft_sharing\"
strength = 0.05
pairs = [[\"kind\", \"other\"]]
[balance]
method = \"uncertainty\"
observe = 2
[train]
epochs = 4
batch_size = 32
";

/// A table for [`EVERYTHING`], with blank labels and names of different lengths.
fn everything() -> String {
    let mut table = String::from(
        "x0,x1,a column with a rather long name,kind,other,yes,m0,m1,m2,s0,s1,s2,visits\n",
    );
    for row in 0..600 {
        let [x, z, w] = [(37, 101), (59, 103), (71, 97)].map(|(step, of)| row * step % of);
        let blank = |text: String, of: i32| if row % of == 0 { String::new() } else { text };
        let cells = [
            x.to_string(),
            z.to_string(),
            w.to_string(),
            blank(
                ["short", "a class with a long name", "中文类别"][(x / 34) as usize % 3].into(),
                7,
            ),
            ["red", "green", "blue"][((x + z) / 70) as usize % 3].into(),
            blank(if x + w > 100 { "yes" } else { "no" }.into(), 5),
            i32::from(x > 50).to_string(),
            blank(i32::from(z > 50).to_string(), 3),
            i32::from(w > 90).to_string(),
            (f64::from(2 * x - z) / 7.0).to_string(),
            blank((1_000_000 + 12_345 * w).to_string(), 4),
            (z * z).to_string(),
            (x / 20 + row % 2).to_string(),
        ];
        table += &(cells.join(",") + "\n");
    }
    table
}

/// Opens a page in four ways and returns what is wrong with it.
fn faults(browser: &mut Browser, page: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (width, is_dark) in [(1280, false), (1280, true), (400, false), (400, true)] {
        browser.open(page, width, is_dark);
        let seen = browser.evaluate(CHECKS);
        let how = format!("{width} {}", if is_dark { "dark" } else { "light" });
        assert!(seen["texts"].as_u64() > Some(50), "{how}: {seen}");
        let is_light = seen["paper"] == json!([255, 255, 255]);
        assert_eq!(is_light, !is_dark, "{how}: {}", seen["paper"]);
        let of = seen["faults"].as_array().unwrap().iter();
        found.extend(of.map(|fault| format!("{how}: {}", fault.as_str().unwrap())));
        let requests = browser.told("Network.requestWillBeSent").into_iter().filter(|request| {
            let url = request["request"]["url"].as_str().unwrap().to_owned();
            !url.starts_with("data:") && !url.ends_with("report.html")
        });
        found.extend(requests.map(|request| format!("{how}: a request: {request}")));
        for told in ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"] {
            found.extend(browser.told(told).iter().map(|told| format!("{how}: console: {told}")));
        }
        if let Some(folder) = std::env::var_os("TANDEM_PAGES") {
            let name = page.parent().unwrap().file_name().unwrap().to_string_lossy();
            let name = format!("{name}-{}.png", how.replace(' ', "-"));
            browser.picture(&Path::new(&folder).join(name));
        }
    }
    found
}

/// The browser of this machine; having none is a failure.
fn browser() -> Browser {
    let none = "no browser: install Chromium (make browser does on Debian), or name one of its family \
                by TANDEM_BROWSER";
    Browser::start(&find().expect(none))
}

#[test]
fn pages_are_sound_in_a_browser() {
    let mut browser = browser();
    let room = Room::new(EVERYTHING);
    room.write("all.csv", everything());
    room.train("everything", &["--importance"]).expect(0);
    room.train("again", &["--seed", "1", "--set", "train.epochs=5"]).expect(0);
    let device = ["--device", "cpu"];
    room.run(&[&["demo", "--epochs", "1", "--out", "demo", "--importance"][..], &device].concat())
        .expect(0);
    room.on_reference(&["report", "everything", "again", "demo", "--out", "several"]).expect(0);
    fs::remove_file(room.path("again/report.json")).unwrap();
    fs::remove_file(room.path("all.csv")).unwrap();
    room.on_reference(&["report", "again"]).expect(0);
    for name in ["everything", "demo", "several", "again"] {
        let page = room.path(name).join("report.html");
        assert!(fs::metadata(&page).unwrap().len() < 2_000_000, "{name}");
        let found = faults(&mut browser, &page);
        assert!(found.is_empty(), "{name}: {} faults\n{}", found.len(), found.join("\n"));
    }
}

/// The checks find what is wrong: each piece of this page is one fault.
#[test]
fn faults_are_found() {
    let mut browser = browser();
    let room = Room::new("");
    let page = "<!DOCTYPE html><html lang=\"en\"><title>t</title><body style=\"background:#fff\">
        <h1>a</h1><h3>b</h3><p style=\"color:#999\">pale</p><table><tr><th>x</th></tr></table>
        <svg viewBox=\"0 0 100 50\"><rect width=\"100\" height=\"50\" fill=\"#000\"/>
        <text x=\"95\" y=\"20\" fill=\"#222\">cut off</text>
        <text x=\"5\" y=\"40\" fill=\"#222\">dark</text></svg>
        <div style=\"width:900px\">wide</div><img src=\"http://127.0.0.1:9/x.png\">
        <script>console.log('told')</script></body></html>";
    room.write("report.html", page);
    browser.open(&room.path("report.html"), 400, false);
    let seen: Value = browser.evaluate(CHECKS);
    let found = seen["faults"].to_string();
    for piece in [
        "contrast 2.85",
        "heading 1 skips",
        "without caption",
        "th without scope",
        "no role",
        "no words",
        "cut off in",
        "contrast 1.3",
        "pixels wide in 400",
        "a script",
    ] {
        assert!(found.contains(piece), "{piece}: {found}");
    }
    let asked = browser.told("Network.requestWillBeSent");
    assert!(asked.iter().any(|r| r["request"]["url"] == "http://127.0.0.1:9/x.png"), "{asked:?}");
    assert_eq!(browser.told("Runtime.consoleAPICalled").len(), 1);
}
