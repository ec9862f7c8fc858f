//! Requests of every protocol: length, snappy frames, SSZ. A payload that is read is read the same from its own encoding.
//! The first byte chooses the protocol.
#![no_main]

use hornero::p2p::wire;
use hornero_fuzz::within;

/// A frame's data is 22 times its bytes at most, and the vectors that it goes through double.
const MEMORY_PER_BYTE: usize = 64;
/// A frame may announce 76 KiB, which are taken before they come, and 64 KiB of data.
const MEMORY_BESIDES: usize = 512 << 10;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((protocol, stream)) = data.split_first() else { return };
    within(stream.len(), MEMORY_PER_BYTE, MEMORY_BESIDES, || wire::read_request((*protocol).into(), stream));
    let payload = within(stream.len(), MEMORY_PER_BYTE, MEMORY_BESIDES, || wire::read_payload(stream));
    if let Some(ssz) = payload {
        assert_eq!(wire::read_payload(&wire::write_payload(&ssz)), Some(ssz));
    }
});
