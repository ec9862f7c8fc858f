//! The chain that the node is to follow: made once, kept in a folder, no state of it in memory afterwards.

use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use hornero::{crypto::PubkeyCache, node::bench::synthetic, transition::Context, types::*};
use serde::{Deserialize, Serialize};
use ssz::Encode;

use super::maker::{Maker, Votes};

/// Blocks with full attestations after the checkpoint.
const FULL_BLOCKS: u64 = 64;
/// Blocks of each of two branches.
const FORK_BLOCKS: u64 = 8;
/// Epochs that are not finalized.
const LEAK_EPOCHS: u64 = 64;
/// Slots of such an epoch that have a block.
const LEAK_SLOTS: [u64; 2] = [5, 21];
/// One in so many votes in those epochs, and only for the slots just before a block.
const LEAK_VOTES: u64 = 3;

/// A block's place in the chain; its bytes are in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub slot: Slot,
    pub root: Hash256,
}

/// The whole chain by its stages.
#[derive(Debug, Serialize, Deserialize)]
pub struct Chain {
    pub genesis_time: u64,
    pub genesis_validators_root: Hash256,
    pub slot_duration_ms: u64,
    pub records: u64,
    pub anchor: Link,
    /// Finalizing, every slot a block with everybody's votes of eight slots.
    pub full: Vec<Link>,
    /// Two branches on the last of these; the second has no votes for itself.
    pub branches: [Vec<Link>; 2],
    /// From the first branch through the end of the epoch.
    pub boundary: Vec<Link>,
    /// Nothing is justified any more.
    pub leak: Vec<Link>,
}

impl Chain {
    /// The chain of which the peer says that it is the best, from the anchor on.
    pub fn canonical(&self) -> impl Iterator<Item = &Link> {
        let anchor = std::iter::once(&self.anchor);
        anchor.chain(&self.full).chain(&self.branches[0]).chain(&self.boundary).chain(&self.leak)
    }

    pub fn config(&self) -> Config {
        Config { config_name: "one_gib".into(), slot_duration_ms: self.slot_duration_ms, ..Config::default() }
    }

    /// What `--network` takes.
    pub fn write_network(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let yaml = format!("PRESET_BASE: mainnet\nCONFIG_NAME: one_gib\nSLOT_DURATION_MS: {}\n", self.slot_duration_ms);
        fs::write(folder.join("config.yaml"), yaml).unwrap();
    }
}

pub fn block_file(folder: &Path, root: &Hash256) -> PathBuf {
    folder.join(format!("{root:?}.ssz"))
}

pub fn state_file(folder: &Path) -> PathBuf {
    folder.join("state.ssz")
}

/// The chain in `folder`, which is made if it is not there yet.
pub fn load_or_make(folder: &Path, records: u64, slot_duration_ms: u64) -> Chain {
    let index = folder.join("chain.json");
    if let Ok(text) = fs::read_to_string(&index) {
        let chain: Chain = serde_json::from_str(&text).expect("the chain's index is readable; remove its folder");
        assert_eq!((chain.records, chain.slot_duration_ms), (records, slot_duration_ms), "another chain is kept there");
        return chain;
    }
    fs::create_dir_all(folder).unwrap();
    let chain = make(folder, records, slot_duration_ms);
    fs::write(index, serde_json::to_string(&chain).unwrap()).unwrap();
    chain
}

struct Work<'a> {
    maker: Maker<'a>,
    folder: &'a Path,
}

impl Work<'_> {
    /// Makes blocks on `state`, which becomes the last one's.
    fn blocks(&self, state: &mut BeaconState, slots: impl Iterator<Item = Slot>, votes: Votes) -> Vec<Link> {
        slots.filter_map(|slot| self.block(state, slot, votes)).collect()
    }

    /// Makes a block on `state`, which becomes its own, unless the slot's proposer was slashed.
    fn block(&self, state: &mut BeaconState, slot: Slot, votes: Votes) -> Option<Link> {
        let (block, after) = self.maker.block(state, slot, votes).expect("our own block is valid")?;
        *state = after;
        let root = block.root();
        fs::write(block_file(self.folder, &root), block.as_ssz_bytes()).unwrap();
        Some(Link { slot, root })
    }
}

fn make(folder: &Path, records: u64, slot_duration_ms: u64) -> Chain {
    let config = Config { slot_duration_ms, ..Config::default() };
    let keys = PubkeyCache::default();
    let mut state = synthetic::mainnet_state(records).expect("there are enough validators");
    let first = compute_start_slot_at_epoch(state.current_epoch() + 1);
    // The clock has reached the chain's end when the node starts, which so follows as fast as it can.
    let boundary_epoch = compute_epoch_at_slot(first + FULL_BLOCKS + 2 * FORK_BLOCKS) + 1;
    let end = compute_start_slot_at_epoch(boundary_epoch + LEAK_EPOCHS + 1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    state.genesis_time = now - end * slot_duration_ms / 1000;
    state.latest_execution_payload_header.timestamp = state.genesis_time + state.slot * slot_duration_ms / 1000;

    let work = Work { maker: Maker::new(Context { config: &config, keys: &keys }), folder };
    let anchor = (first..).find_map(|slot| work.block(&mut state, slot, Votes::ALL)).expect("someone may propose");
    let mut out = BufWriter::new(fs::File::create(state_file(folder)).unwrap());
    state.write_to(&mut out).unwrap();
    std::io::Write::flush(&mut out).unwrap();

    let last_full = anchor.slot + FULL_BLOCKS;
    let full = work.blocks(&mut state, anchor.slot + 1..=last_full, Votes::ALL);
    // Every other slot for each branch, so that nobody proposes twice.
    let of_branch = |first: Slot| (0..FORK_BLOCKS).map(move |n| first + 2 * n);
    let mut other = state.clone();
    let first_branch = work.blocks(&mut state, of_branch(last_full + 1), Votes::ALL);
    let common = Votes { until: last_full, ..Votes::ALL };
    let second_branch = work.blocks(&mut other, of_branch(last_full + 2), common);
    drop(other);

    let next = last_full + 2 * FORK_BLOCKS + 1;
    let boundary = work.blocks(&mut state, next..=compute_start_slot_at_epoch(boundary_epoch), Votes::ALL);
    let epochs = boundary_epoch + 1..=boundary_epoch + LEAK_EPOCHS;
    let slots = epochs.flat_map(|epoch| LEAK_SLOTS.map(|slot| compute_start_slot_at_epoch(epoch) + slot));
    let leak = work.blocks(&mut state, slots, Votes { one_in: LEAK_VOTES, ..Votes::ALL });
    Chain {
        genesis_time: state.genesis_time,
        genesis_validators_root: state.genesis_validators_root,
        slot_duration_ms,
        records,
        anchor,
        full,
        branches: [first_branch, second_branch],
        boundary,
        leak,
    }
}
