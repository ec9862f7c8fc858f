//! Measures an allocator by the node's own work, for docs/decisions/0010-allocator.md:
//! `cargo run --release --example churn -- RECORDS EPOCHS`, with `LD_PRELOAD` of another allocator, or glibc's `MALLOC_*`.
//!
//! Blocks with full attestations are made and imported for hundreds of epochs, half of them without finality, on the same
//! blocking pool that the node uses; as many states are kept as the node keeps, and dropped in the same order. Meanwhile
//! all validators are written as JSON. Told are the bytes that live, as the program asked for them, against those resident.
//! Linux only: reads `/proc/self`.

#[path = "../one_gib/maker.rs"]
mod maker;

use std::{collections::VecDeque, env, fmt::Write as _, fs, sync::Arc};

use hornero::{
    crypto::PubkeyCache,
    fork_choice::import_block,
    node::bench::synthetic,
    transition::{Checks, Context},
    types::{BeaconState, Config, SignedBeaconBlock, Slot, compute_start_slot_at_epoch},
};
use maker::{Maker, Votes};
use peak_alloc::PeakAlloc;
use ssz::Encode;

/// Counts what lives; takes it from the system's allocator, which may be preloaded.
#[global_allocator]
static LIVING: PeakAlloc = PeakAlloc;

/// As the node keeps: the latest blocks' states, and those at epochs' ends.
const RECENT: usize = 16;
const BOUNDARIES: usize = 4;
/// Blocks waiting somewhere, as bytes and decoded.
const BLOCKS: usize = 64;
/// Slots of an epoch that have a block.
const SLOTS: [Slot; 3] = [0, 9, 20];
/// A piece of an answer.
const PIECE: usize = 1 << 16;
/// Lines of the table.
const LINES: u64 = 10;

/// What the node keeps.
#[derive(Default)]
struct Kept {
    recent: VecDeque<Arc<BeaconState>>,
    boundaries: VecDeque<Arc<BeaconState>>,
    blocks: VecDeque<(Vec<u8>, SignedBeaconBlock)>,
}

fn main() {
    let number = |n| env::args().nth(n).and_then(|text| text.parse::<u64>().ok()).expect("RECORDS and EPOCHS");
    let (records, epochs) = (number(1), number(2));
    let mut state = synthetic::mainnet_state(records).expect("there are enough validators");
    state.hash_tree_root();
    let mut head = Arc::new(state);
    let keys = Arc::new(PubkeyCache::default());
    let mut kept = Kept::default();
    println!("{:>6} {:>10} {:>10} {:>7}", "epoch", "living", "resident", "ratio");
    let first = head.current_epoch() + 1;
    for n in 0..epochs {
        let votes = if n < epochs / 2 { Votes::ALL } else { Votes { one_in: 3, ..Votes::ALL } };
        for slot in SLOTS.map(|slot| compute_start_slot_at_epoch(first + n) + slot) {
            let (parent, keys) = (head.clone(), keys.clone());
            let read = head.clone();
            let answer = smol::unblock(move || written(&read));
            let import = smol::unblock(move || import(&parent, slot, votes, &keys));
            let (block, post) = smol::block_on(import);
            assert!(smol::block_on(answer) > 0);
            head = post;
            keep(&mut kept.blocks, block, BLOCKS);
            keep(&mut kept.recent, head.clone(), RECENT);
        }
        keep(&mut kept.boundaries, head.clone(), BOUNDARIES);
        if (n + 1) % (epochs / LINES).max(1) == 0 {
            line(&(n + 1).to_string());
        }
    }
    kept = Kept::default();
    line("after");
    drop(kept);
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<u64> = stat.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
    // In ticks of 10 ms.
    println!("user {} ms, system {} ms, page faults {}", fields[13] * 10, fields[14] * 10, fields[9]);
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    println!("resident at most: {} MiB", number_of(&status, "VmHWM:") >> 10);
}

/// Makes the block, and imports it as from a stranger.
fn import(
    parent: &BeaconState,
    slot: Slot,
    votes: Votes,
    keys: &PubkeyCache,
) -> ((Vec<u8>, SignedBeaconBlock), Arc<BeaconState>) {
    let config = Config::default();
    let ctx = Context { config: &config, keys };
    let maker = Maker::new(ctx);
    let made = (slot..).find_map(|slot| maker.block(parent, slot, votes).expect("our own block is valid"));
    let bytes = made.expect("someone may propose").0.as_ssz_bytes();
    let block = SignedBeaconBlock::from_ssz_bytes_by_slot(&config, &bytes).expect("our own block");
    let (post, _) = import_block(parent, &block, &ctx, Checks::ALL).expect("our own block is valid");
    ((bytes, block), Arc::new(post))
}

/// All validators, a piece at a time, as the API tells them.
fn written(state: &BeaconState) -> usize {
    let (mut piece, mut total) = (String::new(), 0);
    for validator in state.validators.iter() {
        write!(piece, "{}", serde_json::json!(validator)).expect("memory suffices");
        if piece.len() >= PIECE {
            total += std::mem::take(&mut piece).len();
        }
    }
    total + piece.len()
}

fn keep<T>(kept: &mut VecDeque<T>, item: T, limit: usize) {
    kept.push_back(item);
    if kept.len() > limit {
        kept.pop_front();
    }
}

fn line(epoch: &str) {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let (living, resident) = (LIVING.current_usage() as u64 >> 10, number_of(&status, "RssAnon:"));
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!("{epoch:>6} {:>10.1} {:>10.1} {:>7.3}", mib(living), mib(resident), resident as f64 / living as f64);
}

/// The number after `name`, in KiB.
fn number_of(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}
