//! Paths and queries of API requests: what is read comes back from its own percent-encoding. Three lines: path, query,
//! `Accept`.
#![no_main]

use hornero::api::wire;
use hornero_fuzz::{table, within};

/// Every `&` begins a pair of strings, every `/` a part.
const MEMORY_PER_BYTE: usize = 160;

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).ok();
    let (Some(path), Some(query)) = (text(), text()) else { return };
    let accept = lines.next().unwrap_or_default();
    let read = || wire::read_target(path, Some(query), accept);
    let Some(target) = within(data.len(), MEMORY_PER_BYTE, table::MEMORY_BESIDES, read) else { return };
    let pairs: Vec<_> = target.query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let again = wire::read_target(path, Some(&pairs.join("&")), accept).expect("its own encoding");
    // A pair without a name and a value has no encoding of its own.
    if target.query.iter().all(|(name, value)| !(name.is_empty() && value.is_empty())) {
        assert_eq!(again, target);
    }
});
