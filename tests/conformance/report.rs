//! `docs/conformance.md`: what passed, as a committed table. Each build owns the part between its marks.

use std::{fmt::Write as _, fs, path::Path};

use hornero::types::preset::PRESET_BASE;

use super::{pool::Passed, sets::Gaps};

const FILE: &str = "docs/conformance.md";

/// What a new file has around the parts.
const SKELETON: &str = "\
# Conformance

The official vectors of the consensus specification (at a08d8a6e2) that each build passes. `cargo test --test
conformance` (and again with `--features minimal`) runs them all and fails if this page says anything else;
`HORNERO_WRITE_CONFORMANCE=1` makes it write the page. Every file of a case must have been opened.

## Minimal build

<!-- minimal: begin -->
<!-- minimal: end -->

## Mainnet build

<!-- mainnet: begin -->
<!-- mainnet: end -->

## Known gaps

<!-- gaps: begin -->
<!-- gaps: end -->
";

/// The counts as a table.
pub fn table(passed: &Passed) -> String {
    let mut text = String::from("| preset | fork | runner | cases passed |\n|---|---|---|---|\n");
    for ([preset, fork, runner], count) in passed {
        writeln!(text, "| {preset} | {fork} | {runner} | {count} |").expect("a string takes all");
    }
    let sum: usize = passed.values().sum();
    writeln!(text, "| | | all | {sum} |").expect("a string takes all");
    text
}

fn gaps_table(gaps: &Gaps) -> String {
    let mut text = String::from("| preset | fork | runner | cases | why |\n|---|---|---|---|---|\n");
    for ([preset, fork, runner], (count, reason)) in gaps {
        writeln!(text, "| {preset} | {fork} | {runner} | {count} | {reason} |").expect("a string takes all");
    }
    text
}

/// Fails if the committed page does not say the same, or writes it if asked to.
pub fn check_committed(passed: &Passed, gaps: &Gaps) {
    // The specification makes no vectors of other presets.
    if !["minimal", "mainnet"].contains(&PRESET_BASE) {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let base = if committed.is_empty() { SKELETON.to_owned() } else { committed.clone() };
    let parts = [(PRESET_BASE, table(passed)), ("gaps", gaps_table(gaps))];
    let expected = parts.into_iter().fold(base, |page, (name, part)| replace(&page, name, &part));
    if std::env::var_os("HORNERO_WRITE_CONFORMANCE").is_some() {
        fs::write(&path, expected).expect("docs/ can be written");
    } else {
        assert!(committed == expected, "{FILE} differs from this run: set HORNERO_WRITE_CONFORMANCE=1 and commit it");
    }
}

/// `page` with the part between the marks of `name` replaced.
fn replace(page: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let split = page.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(&end)?.1)));
    let (head, tail) =
        split.unwrap_or_else(|| panic!("{FILE} has lost its marks for {name}: remove it and write it anew"));
    format!("{head}{begin}{part}{end}{tail}")
}
