//! Answers of every protocol: result code, fork, length, snappy frames, SSZ; or an error in words. Blocks encode again to
//! what they were decoded from. The first byte chooses the protocol.
#![no_main]

use hornero::{
    p2p::{Forks, wire},
    types::{ForkDigest, ForkName, SignedBeaconBlock, Version},
};
use hornero_fuzz::within;
use ssz::Encode;

/// As for requests, with a block decoded from it.
const MEMORY_PER_BYTE: usize = 22 * 18;
const MEMORY_BESIDES: usize = 512 << 10;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((protocol, stream)) = data.split_first() else { return };
    // Four equal bytes are a fork's digest: its number's.
    let known = ForkName::ALL.into_iter().zip(1..).map(|(fork, n)| (ForkDigest::repeat_byte(n), fork)).collect();
    let forks = Forks { known, ..Forks::only(ForkDigest::ZERO, Version::ZERO) };
    let read = || wire::read_answer((*protocol).into(), &forks, stream);
    let (blocks, _) = within(stream.len(), MEMORY_PER_BYTE, MEMORY_BESIDES, read);
    for block in blocks {
        let ssz = block.as_ssz_bytes();
        let of_a_fork = |fork| SignedBeaconBlock::from_ssz_bytes(fork, &ssz).is_ok_and(|again| again == *block);
        assert!(ForkName::ALL.into_iter().any(of_a_fork), "a block that does not come back");
    }
});
