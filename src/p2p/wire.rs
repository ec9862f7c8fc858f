//! The readers of what strangers send, as the service uses them, for checks from outside: the fuzz targets
//! (`docs/fuzzing.md`). A stream is read from a slice, so it never makes anybody wait.

use std::{io, sync::Arc, time::Duration};

use futures::io::Cursor;
use smol::block_on;

use super::{
    budget::Use,
    client,
    codec::{self, Bounds, MAX_PAYLOAD_SIZE},
    config::Forks,
    events::RequestKind,
    gossip,
    protocol::{Method, Protocol},
    server,
    service::decode_answer,
    topic::Topic,
};
use crate::types::{SignedBeaconBlock, preset::NUMBER_OF_COLUMNS};

/// How many versions of requests there are; they are named by number here.
pub const PROTOCOLS: usize = Protocol::ALL.len();
/// Blocks that are asked for.
const BLOCKS: usize = 8;
/// Fuzzed bytes cost no bandwidth.
const FREE: client::Paid = client::Paid { budget: None, for_what: Use::Head };
/// Nothing waits so long: what is read is at hand.
const LIMIT: Duration = Duration::from_secs(60);

/// The SSZ in a gossip message, decompressed within its topic's limits. Errors as gossip rejects the message.
pub fn read_gossip(topic: Topic, message: &[u8]) -> io::Result<Vec<u8>> {
    gossip::decompress(Some(topic), message)
}

/// The SSZ in one length-prefixed payload of snappy frames, of any length that a payload may have; `None` if it is
/// malformed.
pub fn read_payload(stream: &[u8]) -> Option<Vec<u8>> {
    let bounds = Bounds { min: 0, max: MAX_PAYLOAD_SIZE };
    block_on(codec::read_payload(&mut Cursor::new(stream), bounds, LIMIT)).ok()
}

/// A payload for [`read_payload`].
pub fn write_payload(ssz: &[u8]) -> Vec<u8> {
    codec::encode_payload(ssz)
}

/// Reads a whole request of the `n`th protocol. Tells what is asked; `None` if it is malformed.
pub fn read_request(n: usize, stream: &[u8]) -> Option<String> {
    let request = block_on(server::read_request(&mut Cursor::new(stream), Protocol::ALL[n % PROTOCOLS], LIMIT));
    request.ok().map(|request| format!("{request:?}"))
}

/// Reads a whole answer of the `n`th protocol: the blocks in it, and whether it is well-formed up to its end.
pub fn read_answer(n: usize, forks: &Forks, stream: &[u8]) -> (Vec<Arc<SignedBeaconBlock>>, bool) {
    let (protocol, mut stream) = (Protocol::ALL[n % PROTOCOLS], Cursor::new(stream));
    if !protocol.has_context() {
        let ssz = block_on(client::read_one(&mut stream, protocol, LIMIT));
        return (Vec::new(), ssz.is_ok_and(|ssz| decode_answer(protocol, &ssz).is_ok()));
    }
    if matches!(protocol.method(), Method::ColumnsByRange | Method::ColumnsByRoot) {
        let columns = (0..NUMBER_OF_COLUMNS as u64).collect();
        let wanted = RequestKind::ColumnsByRange { start_slot: 0, count: BLOCKS as u64, columns };
        let (sender, _columns) = async_channel::bounded(wanted.limit());
        let read = block_on(client::read_columns(&mut stream, protocol, &wanted, forks, (LIMIT, &FREE), &sender));
        return (Vec::new(), read.is_ok());
    }
    let wanted = RequestKind::BlocksByRange { start_slot: 0, count: BLOCKS as u64 };
    let (sender, blocks) = async_channel::bounded(BLOCKS);
    let read = block_on(client::read_blocks(&mut stream, protocol, &wanted, forks, (LIMIT, &FREE), &sender));
    let blocks = std::iter::from_fn(|| blocks.try_recv().ok()).flatten().collect();
    (blocks, read.is_ok())
}
