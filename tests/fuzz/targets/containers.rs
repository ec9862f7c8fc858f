//! Containers as SSZ: what is accepted encodes to the same bytes, its root can be taken, and memory stays in proportion.
//! The first byte chooses the container.
#![no_main]

use hornero_fuzz::{check_ssz, table};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((line, ssz)) = data.split_first() else { return };
    let (_, again) = table::CONTAINERS[usize::from(*line) % table::CONTAINERS.len()];
    check_ssz(ssz, table::MEMORY_BESIDES, again);
});
