//! What ships beside the binary says what the binary does: the systemd unit, the Grafana dashboard, the setup pages.

use hornero::metrics::{ALL, Kind, Metric};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const INSTALLED: &str = "/usr/local/bin/hornero";

/// systemd's measure of exposure times ten: 0 is a service that may do nothing, 100 one that may do all. Ours is at 13; the
/// rest is for what a newer systemd may ask for.
const MOST_EXPOSURE: &str = "--threshold=15";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Runs systemd-analyze on the unit with the binary of this build in place of the installed one.
fn analyze(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let unit = read("systemd/hornero.service");
    assert!(unit.contains(INSTALLED));
    let path = dir.path().join("hornero.service");
    std::fs::write(&path, unit.replace(INSTALLED, env!("CARGO_BIN_EXE_hornero"))).unwrap();
    Command::new("systemd-analyze")
        .args(arguments)
        .arg(&path)
        .output()
        .expect("systemd-analyze does not start: install Debian's package `systemd`")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    let output = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    // An unknown setting is only a warning to systemd, and would be a limit that is not there.
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
}

#[test]
fn the_unit_is_hardened() {
    let output = analyze(&["security", "--offline=yes", "--no-pager", MOST_EXPOSURE]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn the_unit_holds_the_node_to_its_promise() {
    let unit = read("systemd/hornero.service");
    let has = |setting: &str| unit.lines().any(|line| line == setting);
    for setting in ["MemoryMax=1G", "MemorySwapMax=0", "Restart=on-failure", "User=hornero", "StateDirectory=hornero"] {
        assert!(has(setting), "{setting}");
    }
    assert!(has(&format!("ExecStart={INSTALLED} node --datadir /var/lib/hornero $ARGS")));
    assert!(read("systemd/hornero.default").lines().any(|line| line.starts_with("ARGS=\"--network ")));
}

/// Every query of the dashboard: those of the panels and those of the variables.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|v| queries(v, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(query) if key == "expr" || key == "query" => found.push(query.clone()),
                    other => queries(other, found),
                }
            }
        }
        _ => {}
    }
}

fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("assets/grafana-dashboard.json")).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    // The variable that chooses the data source names its kind, which is no query.
    found.retain(|query| query != "prometheus");
    found
}

fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The metric that a name in a query means: itself, or a histogram by one of its series.
fn metric_of(name: &str) -> Option<&'static Metric> {
    let series = |m: &Metric| ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(m.name));
    ALL.iter().copied().find(|m| match m.kind {
        Kind::Histogram(_) => series(m),
        _ => m.name == name,
    })
}

#[test]
fn every_query_of_the_dashboard_names_an_exported_metric() {
    let queries = dashboard_queries();
    assert!(queries.len() > 20, "only {} queries found", queries.len());
    for query in &queries {
        let names: Vec<_> = words(query).filter(|word| word.starts_with("hornero_")).collect();
        assert!(!names.is_empty(), "no metric in: {query}");
        for name in names {
            let metric = metric_of(name).unwrap_or_else(|| panic!("{name} is not exported; in: {query}"));
            let rated = ["rate(", "increase("].iter().any(|f| query.contains(&format!("{f}{name}")));
            assert!(metric.kind != Kind::Counter || rated, "a counter is shown by its rate: {query}");
        }
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_metric_in_the_table_is_set_by_some_room() {
    let table = read("src/metrics/names.rs");
    let constants: Vec<_> =
        table.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": Metric ")).collect();
    assert_eq!(constants.len(), ALL.len(), "a metric is missing in ALL");
    let mut files = Vec::new();
    sources(&project("src"), &mut files);
    files.retain(|file| !file.ends_with("metrics/names.rs") && !file.ends_with("metrics/tests.rs"));
    let code: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let used: BTreeSet<&str> = code.iter().flat_map(|text| words(text)).collect();
    let unused: Vec<_> = constants.iter().map(|(name, _)| name).filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "no room sets {unused:?}");
}

#[test]
fn every_label_of_the_dashboard_belongs_to_its_metric() {
    for query in dashboard_queries() {
        let labels = query.split("by (").skip(1).flat_map(|rest| words(rest.split(')').next().unwrap_or("")));
        let Some(metric) = words(&query).find_map(metric_of) else { panic!("no metric in: {query}") };
        for label in labels.filter(|label| *label != "le") {
            assert!(metric.labels.contains(&label), "{} has no label {label}; in: {query}", metric.name);
        }
    }
}

#[test]
fn the_dashboard_shows_what_the_node_promises() {
    let shown = dashboard_queries().join("\n");
    for name in ["head_slot", "finalized_epoch", "peers", "queue_dropped_total", "process_resident_bytes"] {
        assert!(words(&shown).any(|word| word == format!("hornero_{name}")), "{name}");
    }
}

/// The flags of `hornero node` in a text: those of its commands and of the service's ARGS, and those named in prose.
fn node_flags(text: &str) -> BTreeSet<String> {
    let commands = text.lines().filter(|line| line.contains("hornero node") || line.starts_with("ARGS="));
    let prose = text.split('`').filter(|span| span.starts_with("--") && !span.starts_with("--features"));
    let words = commands.chain(prose).flat_map(|part| part.split([' ', '"', '`']));
    words.filter(|word| word.starts_with("--") && *word != "--help").map(str::to_string).collect()
}

#[test]
fn every_documented_flag_exists() {
    let help = Command::new(env!("CARGO_BIN_EXE_hornero")).args(["node", "--help"]).output().unwrap();
    let help = text(&help);
    for page in ["systemd/hornero.service", "systemd/hornero.default", "docs/setup.md", "docs/es/setup.md"] {
        let flags = node_flags(&read(page));
        assert!(!flags.is_empty(), "{page} shows no command");
        for flag in &flags {
            let known = help.split([' ', '\n', '[', ']']).any(|word| word == flag);
            assert!(known, "{page}: `hornero node` has no flag {flag}");
        }
    }
}

#[test]
fn both_setup_pages_give_the_same_commands() {
    let commands = |path: &str| -> Vec<String> {
        let page = read(path);
        page.split("\n```").skip(1).step_by(2).map(str::to_string).collect()
    };
    let (english, spanish) = (commands("docs/setup.md"), commands("docs/es/setup.md"));
    assert!(!english.is_empty());
    assert_eq!(english, spanish);
}
