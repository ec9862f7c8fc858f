//! Records (ENR) and multiaddrs, as on the command line: a record comes back from its own text.
#![no_main]

use hornero::p2p::{Enr, parse_peer_address};
use hornero_fuzz::{table, within};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let parse = || parse_peer_address(text);
    let Ok(address) = within(text.len(), table::MOST_MEMORY_PER_BYTE, 64 << 10, parse) else { return };
    if let Some(record) = address.record {
        let again: Enr = record.to_base64().parse().expect("its own text");
        assert_eq!(again, record);
    } else {
        let peer = address.peer.map(|peer| format!("/p2p/{peer}")).unwrap_or_default();
        let again = parse_peer_address(&format!("{}{peer}", address.addr)).expect("its own text");
        assert_eq!((again.addr, again.peer), (address.addr, address.peer));
    }
});
