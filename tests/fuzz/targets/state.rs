//! States as SSZ from a stream, of every fork: as `containers`, in pieces as large as the second byte says. The first byte
//! chooses the fork.
#![no_main]

use hornero_fuzz::{check_ssz, table};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [fork, piece, ssz @ ..] = data else { return };
    let piece = (usize::from(*piece) * 40).max(1);
    check_ssz(ssz, table::MEMORY_BESIDES_A_STATE, |ssz| table::state_in_pieces(table::fork(*fork), ssz, piece));
});
