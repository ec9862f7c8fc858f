//! The house rules that a compiler does not check: who imports whom, how long a file may be, which channels are allowed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A room, and the rooms that it may import besides itself and `metrics`. Tests inside a room follow the same table.
const ROOMS: &[(&str, &[&str])] = &[
    ("metrics", &[]),
    ("ssz", &[]),
    ("types", &["ssz"]),
    ("crypto", &["types"]),
    ("transition", &["types", "crypto", "ssz"]),
    ("fork_choice", &["types", "transition"]),
    ("db", &["types", "ssz"]),
    ("engine", &["types"]),
    ("p2p", &["types", "ssz"]),
    ("chain", &["ssz", "types", "crypto", "transition", "fork_choice", "db", "engine"]),
    ("api", &["types", "db", "chain"]),
    ("validator", &["types", "crypto"]),
    (
        "node",
        &["ssz", "types", "crypto", "transition", "fork_choice", "db", "engine", "p2p", "chain", "api", "validator"],
    ),
];

/// Longer files hold more than one idea.
const MAX_LINES: usize = 800;

/// A source file: its path from the project's root, its text, and its text with comments and literals blanked out.
struct Source {
    path: PathBuf,
    lines: usize,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut dirs = vec![root.join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("source is text");
                let path = path.strip_prefix(root).expect("below the root").to_path_buf();
                found.push(Source { path, lines: text.lines().count(), code: blank(&text) });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > ROOMS.len(), "the sources were not found");
    found
}

/// The room that a file belongs to; none for `lib.rs` and `main.rs`.
fn room_of(path: &Path) -> Option<String> {
    let first = path.components().nth(1)?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib" && room != "main").then(|| room.to_owned())
}

/// Replaces comments, strings and characters by spaces; lines and columns stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = chars.clone();
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        match end {
            Some(end) => {
                for c in &mut out[at..end.min(chars.len())] {
                    if *c != '\n' {
                        *c = ' ';
                    }
                }
                at = end;
            }
            None => at += 1,
        }
    }
    out.into_iter().collect()
}

/// The end of the comment or literal that starts at `at`, if one does.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or(' ');
    match (chars[at], next(1)) {
        ('/', '/') => Some(find(chars, at, |i| chars[i] == '\n')),
        ('/', '*') => Some(block_comment_end(chars, at)),
        ('r', '"' | '#') if !at.checked_sub(1).is_some_and(|i| is_word(chars[i]) && chars[i] != 'b') => {
            raw_string_end(chars, at)
        }
        ('"', _) => Some(quoted_end(chars, at)),
        ('\'', '\\') => Some(quoted_end(chars, at)),
        ('\'', _) if next(2) == '\'' => Some(at + 3),
        _ => None,
    }
}

fn find(chars: &[char], from: usize, is_end: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|&i| is_end(i)).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != chars[at] {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// None for a raw identifier such as `r#type`.
fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let quote = find(chars, at + 1, |i| chars[i] != '#');
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - at - 1;
    let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|n| chars.get(i + n) == Some(&'#'));
    Some(find(chars, quote + 1, closes) + hashes + 1)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every room that `code` names after `crate::`, with its line; `crate::{a, b::{c, d}}` names `a` and `b`.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(is_word) || code[..at].ends_with('$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[at + "crate::".len()..].trim_start();
        for name in first_names(rest) {
            found.push((line, name));
        }
    }
    found
}

fn first_names(rest: &str) -> Vec<String> {
    let word = |s: &str| s.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let mut names = vec![word(group)];
    let mut depth = 1;
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(word(&group[i + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

fn fail_on(broken: Vec<String>, rule: &str) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let names: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let mut broken = Vec::new();
    for source in sources() {
        let Some(room) = room_of(&source.path) else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        for (line, import) in imports(&source.code) {
            let fine = import == room || import == "metrics" || allowed.contains(&import.as_str());
            if names.contains(import.as_str()) && !fine {
                broken.push(format!("{}:{line}: `{room}` may not import `{import}`", source.path.display()));
            } else if !names.contains(import.as_str()) {
                broken.push(format!("{}:{line}: `crate::{import}` is not a room", source.path.display()));
            }
        }
    }
    fail_on(broken, "a room imports what the table in tests/rooms.rs does not allow:");
}

#[test]
fn the_rooms_are_those_of_the_table() {
    let table: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let on_disk: BTreeSet<String> = sources().iter().filter_map(|s| room_of(&s.path)).collect();
    assert_eq!(on_disk, table, "left: the rooms in src/, right: the table in tests/rooms.rs");
    let lib = sources().into_iter().find(|s| s.path == Path::new("src/lib.rs")).expect("src/lib.rs");
    let declared: BTreeSet<String> = lib
        .code
        .lines()
        .filter_map(|l| l.trim().strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    assert_eq!(declared, table, "left: `pub mod` in src/lib.rs, right: the table in tests/rooms.rs");
}

/// The runtime of discovery, and its types, stay in its thread.
#[test]
fn only_the_thread_of_discovery_knows_its_runtime() {
    let mut broken = Vec::new();
    for source in sources() {
        if source.path.starts_with("src/p2p/discovery") {
            continue;
        }
        for (number, line) in source.code.lines().enumerate() {
            if ["tokio::", "discv5::"].iter().any(|path| line.contains(path)) {
                broken.push(format!("{}:{}: {}", source.path.display(), number + 1, line.trim()));
            }
        }
    }
    fail_on(broken, "tokio and discv5 are named only in src/p2p/discovery/:");
}

#[test]
fn files_stay_short() {
    let broken = sources()
        .into_iter()
        .filter(|s| s.lines > MAX_LINES)
        .map(|s| format!("{}:{}: {} lines", s.path.display(), s.lines, s.lines))
        .collect();
    fail_on(broken, &format!("these files are longer than {MAX_LINES} lines, split them by idea:"));
}

#[test]
fn no_channel_is_unbounded() {
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source.code.lines().enumerate() {
            if makes_unbounded_channel(line) {
                broken.push(format!("{}:{}: {}", source.path.display(), number + 1, line.trim()));
            }
        }
    }
    fail_on(broken, "a queue without a bound; use async_channel::bounded with a named constant:");
}

/// `std::sync::mpsc::channel` has no bound either, though its name does not say so.
fn makes_unbounded_channel(line: &str) -> bool {
    ["unbounded(", "unbounded::<", "unbounded_channel", "mpsc::channel(", "mpsc::channel::<"]
        .iter()
        .any(|sign| line.contains(sign))
}

#[test]
fn the_reader_of_sources_reads_rust() {
    let code = blank(
        "use crate::{db, types::{a, b}}; // crate::api\nlet s = \"crate::node //\"; /* crate::p2p */ crate::ssz::f('\"')",
    );
    let expected = [(1, "db"), (1, "types"), (2, "ssz")].map(|(l, n)| (l, n.to_owned()));
    assert_eq!(imports(&code), expected);
    assert_eq!(
        imports(&blank("let r = r#\"crate::api\"#; fn f<'a>(x: &'a u8) -> crate::db::X")),
        [(1, "db".to_owned())]
    );
    assert!(makes_unbounded_channel("let (a, b) = async_channel::unbounded();"));
    assert!(!makes_unbounded_channel(&blank("// unbounded()")));
}
