//! A network's `config.yaml`: what is read answers every question about its forks.
#![no_main]

use hornero::types::Config;
use hornero_fuzz::within;

/// The tree of a YAML text has a node of a hundred bytes for two of text, and anchors may be repeated within the parser's
/// own limit.
const MEMORY_PER_BYTE: usize = 1024;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(config) = within(text.len(), MEMORY_PER_BYTE, 4 << 20, || Config::from_yaml(text)) else { return };
    for epoch in [0, 1, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let _ = (config.fork_name(epoch), config.fork_version(epoch), config.get_blob_parameters(epoch));
    }
});
