//! What a checkpoint costs at its peak: the columns of the state, not its bytes beside them, however slowly they come.

#[path = "checkpoint/provider.rs"]
mod provider;

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use hornero::{
    chain::checkpoint::{Expectations, Sources, fetch},
    db::{Database, DbConfig},
    ssz::Column,
    types::{preset::*, *},
};
use peak_alloc::PeakAlloc;
use provider::{Answer, Provider};
use ssz::Encode;
use tree_hash::TreeHash;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const VALIDATORS: u64 = 60_000;
const SLOT: Slot = 4 * SLOTS_PER_EPOCH;
/// What may be held beside the state: buffers of the connection and of snappy, a chunk of records, the block and its hashes.
const BESIDE: usize = 1 << 20;

/// A state in which nothing can be shared with its neighbour, and its block.
fn state_and_block(config: &Config) -> (BeaconState, SignedBeaconBlock) {
    let mut state = BeaconState {
        genesis_time: 1_700_000_000,
        slot: SLOT,
        fork: Fork { current_version: config.fulu_fork_version, ..Fork::default() },
        block_roots: Column::filled(Hash256::repeat_byte(1), SLOTS_PER_HISTORICAL_ROOT),
        state_roots: Column::filled(Hash256::repeat_byte(2), SLOTS_PER_HISTORICAL_ROOT),
        randao_mixes: Column::filled(Hash256::repeat_byte(3), EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        proposer_lookahead: Column::filled(0, PROPOSER_LOOKAHEAD_LENGTH),
        ..BeaconState::default()
    };
    for n in 0..VALIDATORS {
        state.validators.push(Validator {
            pubkey: BLSPubkey::left_padding_from(&n.to_be_bytes()),
            withdrawal_credentials: Hash256::left_padding_from(&n.to_be_bytes()),
            effective_balance: 32 * EFFECTIVE_BALANCE_INCREMENT,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch: 0,
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        });
        state.balances.push(32 * EFFECTIVE_BALANCE_INCREMENT + n);
        state.inactivity_scores.push(n % 7);
        state.previous_epoch_participation.push(n as u8 % 8);
        state.current_epoch_participation.push(n as u8 % 5);
    }
    let body = BeaconBlockBody { randao_reveal: G2_POINT_AT_INFINITY, ..BeaconBlockBody::empty(ForkName::Fulu) };
    let parent_root = Hash256::repeat_byte(4);
    let mut message = BeaconBlock { slot: SLOT, proposer_index: 0, parent_root, state_root: Hash256::ZERO, body };
    state.latest_block_header = message.header();
    state.latest_block_header.state_root = Hash256::ZERO;
    message.state_root = state.hash_tree_root();
    (state, SignedBeaconBlock { message, signature: G2_POINT_AT_INFINITY })
}

/// What `work` allocates at most beside what there was before it, and what it gives.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (ALLOCATOR.peak_usage().saturating_sub(before), result)
}

/// One test, because all threads of this process are counted.
#[test]
fn a_checkpoint_costs_its_columns_and_little_more() {
    let config = Config::default().in_fork_from_genesis(ForkName::Fulu);
    let (state, block) = state_and_block(&config);
    let (bytes, root, block_bytes) = (state.to_ssz_bytes(), block.message.tree_hash_root(), block.as_ssz_bytes());
    drop(state);
    let ssz_len = bytes.len();
    // The provider's copy is shared, so that serving it costs nothing that is counted as ours.
    let bytes: &'static [u8] = bytes.leak();
    let expected = Expectations {
        config: &config,
        genesis_validators_root: None,
        block_root: Some(root),
        now: 1_700_000_000 + (SLOT + 64) * config.slot_duration_ms / 1000,
        ignore_weak_subjectivity: false,
    };
    let mut costs = Vec::new();
    for is_slow in [false, true] {
        let block = block_bytes.clone();
        let provider = Provider::start(move |path| match path.contains("/debug/") {
            true if is_slow => Answer::InPieces(bytes, 100_000),
            true => Answer::InPieces(bytes, bytes.len()),
            false => Answer::Ssz(block.clone()),
        });
        let sources =
            Sources { urls: vec![provider.url], may_fail: false, stall_timeout: Some(Duration::from_secs(60)) };
        let (peak, anchor) = peak_of(|| fetch(&sources, &expected, |_| {}).unwrap());
        let columns = anchor.state.bytes_beside(&BeaconState::default());
        assert!(peak < columns + ssz_len / 20 + BESIDE, "{peak} for {columns} of columns, {ssz_len} of SSZ");
        costs.push(peak);

        // To disk and back costs no second state.
        let dir = tempfile::tempdir().unwrap();
        let db = DbConfig { reserve: 0, ..DbConfig::new(Hash256::ZERO, config.clone().into()) };
        let (db, _) = Database::open(dir.path(), &db).unwrap();
        let write = |out: &mut dyn Write| anchor.state.write_to(&mut Slow(out));
        let (writing, written) = peak_of(|| db.put_state(root, SLOT, write));
        written.unwrap();
        assert!(writing < BESIDE, "{writing} to write {ssz_len}");
        let (reading, again) = peak_of(|| {
            let mut reader = Trickle(db.state_reader(root).unwrap().unwrap());
            BeaconState::from_reader(ForkName::Fulu, &mut reader).unwrap()
        });
        assert!(reading < columns + BESIDE, "{reading} for {columns} of columns");
        assert_eq!(again.slot, SLOT);
    }
    assert!(costs[1] < costs[0] + BESIDE, "fast and slow: {costs:?}");
}

/// A disk that takes little at a time.
struct Slow<'a>(&'a mut dyn Write);

impl Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1000)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A disk that gives little at a time.
struct Trickle<R>(R);

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(1000);
        self.0.read(&mut buffer[..len])
    }
}
