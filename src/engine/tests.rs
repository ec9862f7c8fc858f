//! Every method and every fault over real HTTP, against the stand-in.

mod ahead;
mod faults;
mod methods;
mod setup;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use smol::block_on;
use tempfile::TempDir;

use super::*;
use crate::types::{
    BeaconBlock, BeaconBlockBody, Blob, ForkName, KZGProof, SignedBeaconBlock, preset::CELLS_PER_EXT_BLOB,
};

/// When the chain began, in seconds since 1970.
const GENESIS: u64 = 1_700_000_000;
const CHAIN_ID: u64 = 1337;

/// A stand-in and its client.
struct Bench {
    server: StandInServer,
    client: ExecutionClient,
    folder: TempDir,
    options: fn(Secret) -> StandInOptions,
}

fn genesis() -> LatestBlock {
    LatestBlock { number: 0, hash: Hash256::repeat_byte(0xee), timestamp: GENESIS }
}

fn in_fulu(secret: Secret) -> StandInOptions {
    let (genesis, chain_id, maker, pool) = (genesis(), CHAIN_ID, maker(), BlobsBundle::default());
    let schedule = vec![since(0, ForkName::Fulu)];
    StandInOptions { secret, genesis, chain_id, schedule, maker, pool, has_short_slots: false }
}

/// A fork that begins so many seconds after the chain.
fn since(after: u64, fork: ForkName) -> Activation {
    Activation { time: GENESIS + after, fork, max_blobs: 9 }
}

impl Bench {
    fn new(options: fn(Secret) -> StandInOptions) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (secret, _) = Secret::load_or_make(&folder.path().join("jwt.hex")).unwrap();
        let server = StandInServer::start((Ipv4Addr::LOCALHOST, 0).into(), options(secret.clone())).unwrap();
        let client = ExecutionClient::new(&server.url(), secret);
        Bench { server, client, folder, options }
    }

    /// A second file with another secret.
    fn other_secret(&self) -> Secret {
        Secret::load_or_make(&self.folder.path().join("other.hex")).unwrap().0
    }

    fn choose(&self, fork: ForkName, head: Hash256) -> Result<PayloadStatus, ClientError> {
        let state = ForkchoiceState { head, ..Default::default() };
        block_on(self.client.forkchoice_updated(fork, state, None)).map(|(status, _)| status)
    }

    /// Has a payload made on top of the head, of a slot of a second each.
    fn make(&self, fork: ForkName, head: LatestBlock) -> BuiltPayload {
        let state = ForkchoiceState { head: head.hash, ..Default::default() };
        let attributes = PayloadAttributes { timestamp: head.timestamp + 1, ..attributes() };
        let (status, id) = block_on(self.client.forkchoice_updated(fork, state, Some(attributes))).unwrap();
        assert_eq!(status, PayloadStatus::Valid);
        block_on(self.client.get_payload(fork, id.unwrap())).unwrap()
    }

    fn judge(&self, fork: ForkName, built: &BuiltPayload) -> Result<PayloadStatus, ClientError> {
        block_on(self.client.new_payload(fork, block(fork, built)))
    }

    /// Makes and takes so many payloads; the last ones of each.
    fn extend(&self, fork: ForkName, mut head: LatestBlock, count: usize) -> Vec<BuiltPayload> {
        let mut made = Vec::new();
        for _ in 0..count {
            let built = self.make(fork, head);
            assert_eq!(self.judge(fork, &built), Ok(PayloadStatus::Valid));
            head = latest(&built);
            assert_eq!(self.choose(fork, head.hash), Ok(PayloadStatus::Valid));
            made.push(built);
        }
        made
    }
}

fn latest(built: &BuiltPayload) -> LatestBlock {
    let payload = &built.payload;
    LatestBlock { number: payload.block_number, hash: payload.block_hash, timestamp: payload.timestamp }
}

fn attributes() -> PayloadAttributes {
    PayloadAttributes {
        timestamp: GENESIS + 1,
        prev_randao: Hash256::repeat_byte(1),
        suggested_fee_recipient: Address::repeat_byte(2),
        withdrawals: vec![Withdrawal { index: 1, validator_index: 2, address: Address::repeat_byte(3), amount: 4 }],
        parent_beacon_block_root: Hash256::repeat_byte(5),
    }
}

/// The block that a payload is for.
fn block(fork: ForkName, built: &BuiltPayload) -> Arc<SignedBeaconBlock> {
    let mut body = BeaconBlockBody::empty(fork);
    body.execution_payload = built.payload.clone();
    body.blob_kzg_commitments = built.blobs.commitments.clone().try_into().unwrap();
    body.execution_requests = built.requests.clone();
    let message = BeaconBlock { parent_root: Hash256::repeat_byte(5), body, ..Default::default() };
    Arc::new(SignedBeaconBlock { message, ..Default::default() })
}

/// Who makes the stand-in's payloads: with one blob, two and none, in turn. What the blobs say does not matter here.
fn maker() -> Engine {
    Engine::StandIn(StandIn::with_blobs(BlobsBundle {
        commitments: vec![KZGCommitment::repeat_byte(1), KZGCommitment::repeat_byte(2)],
        proofs: (0..2 * CELLS_PER_EXT_BLOB).map(|number| KZGProof::repeat_byte(number as u8)).collect(),
        blobs: vec![Blob::default(); 2],
    }))
}

/// Long enough to be noticed as a failure, and never reached otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `is_so`, asking the client for signs of life.
fn until(bench: &Bench, is_so: impl Fn(&Bench) -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so(bench) {
        assert!(std::time::Instant::now() < end, "it did not come to be in time");
        let _ = block_on(bench.client.upcheck());
        std::thread::yield_now();
    }
}
