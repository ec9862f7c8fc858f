//! Signed blocks as SSZ, of every fork: as `containers`. The first byte chooses the fork.
#![no_main]

use hornero_fuzz::{check_ssz, table};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((fork, ssz)) = data.split_first() else { return };
    check_ssz(ssz, table::MEMORY_BESIDES_A_BLOCK, |ssz| table::block(table::fork(*fork), ssz));
});
