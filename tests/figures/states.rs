//! What docs/decisions/0009-state-differences.md says was measured: states on disk at full size.
//!
//!     cargo run --release --example state_figures -- make FOLDER 1000000 160   # a state and blocks on it, as files
//!     cargo run --release --example state_figures -- sizes FOLDER              # differences after so many epochs
//!     cargo run --release --example state_figures -- follow FOLDER stop        # checkpoint, blocks, and a clean stop
//!     cargo run --release --example state_figures -- follow FOLDER kill        # the same, and no stop
//!     cargo run --release --example state_figures -- resume FOLDER             # a start from what is there
//!
//! With 2300000 validators, the state is of mainnet's shape. The log tells the stages of a start.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use hornero::{
    chain::{self, BlockSource, Capacities, Chain, ChainConfig, Clock, Start, network::Peer},
    crypto::PubkeyCache,
    db::{Database, DbConfig, Difference},
    metrics::{peak_resident_bytes, resident_bytes},
    node::bench::synthetic::{self, Contents},
    transition::{Context, process_slots},
    types::{BeaconState, Config, ForkName, Hash256, SignedBeaconBlock, preset::SLOTS_PER_EPOCH},
};
use ssz::Encode;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// Above this many records, the state is of mainnet's shape.
const ONE_MILLION: u64 = 1_000_000;

fn main() -> Done<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [mode, folder, rest @ ..] = arguments.as_slice() else { return Err("see the head of this file".into()) };
    let folder = PathBuf::from(folder);
    match (mode.as_str(), rest) {
        ("make", [records, blocks]) => make(&folder, records.parse()?, blocks.parse()?),
        ("sizes", []) => sizes(&folder),
        ("follow", [end]) => smol::block_on(follow(&folder, end == "stop")),
        ("resume", []) => resume(&folder),
        _ => Err("see the head of this file".into()),
    }
}

fn config() -> Arc<Config> {
    Arc::new(Config::default().in_fork_from_genesis(ForkName::Fulu))
}

/// Prints how long it took since `before`, and the memory.
fn say(what: &str, before: Instant) {
    let mib = |bytes: Option<u64>| bytes.unwrap_or(0) >> 20;
    let (now, peak) = (mib(resident_bytes()), mib(peak_resident_bytes()));
    println!("{what}: {:.3} s; resident {now} MiB, at most {peak}", before.elapsed().as_secs_f64());
}

fn make(folder: &Path, records: u64, blocks: u64) -> Done<()> {
    fs::create_dir_all(folder.join("blocks"))?;
    let (config, keys, before) = (config(), PubkeyCache::default(), Instant::now());
    let ctx = Context { config: &config, keys: &keys };
    let mut state = if records > ONE_MILLION { synthetic::mainnet_state(records)? } else { synthetic::state(records)? };
    state.hash_tree_root();
    say("state made", before);
    for n in 0..=blocks {
        let (block, next) = (state.slot + 1..)
            .find_map(|slot| {
                // Where the proposer was slashed there is no block.
                synthetic::block(&state, slot, &Contents::MAINNET, &ctx).ok()
            })
            .ok_or("no slot has a proposer")?;
        state = next;
        let name = if n == 0 { "block.ssz".into() } else { format!("blocks/{n:05}.ssz") };
        fs::write(folder.join(name), block.as_ssz_bytes())?;
        if n == 0 {
            state.write_to(&mut io::BufWriter::new(fs::File::create(folder.join("state.ssz"))?))?;
        }
    }
    say(&format!("{blocks} blocks made"), before);
    Ok(())
}

fn read_state(folder: &Path) -> Done<BeaconState> {
    let mut file = io::BufReader::new(fs::File::open(folder.join("state.ssz"))?);
    Ok(BeaconState::from_reader(ForkName::Fulu, &mut file)?)
}

fn read_block(path: &Path) -> Done<SignedBeaconBlock> {
    Ok(SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &fs::read(path)?).map_err(|e| format!("{e:?}"))?)
}

/// Epochs in which 98% vote for everything, some miss the head, and a few miss all: others in each.
fn sizes(folder: &Path) -> Done<()> {
    let (config, keys) = (config(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut anchor = read_state(folder)?;
    anchor.hash_tree_root();
    let (db, _) =
        Database::open(&folder.join("sizes"), &DbConfig::new(anchor.genesis_validators_root, config.clone()))?;
    let mut state = anchor.clone();
    for epoch in 1..=64u64 {
        let flags = |index: usize, _: &u8| match (index as u64 ^ epoch << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
        {
            x if x % 1000 < 5 => 0,
            x if x % 1000 < 20 => 3,
            _ => 7,
        };
        state.previous_epoch_participation.update_each(flags);
        state.current_epoch_participation.update_each(flags);
        for n in 0..16 * SLOTS_PER_EPOCH {
            // What withdrawals, proposals and sync committees change, here and there.
            let index = (n * 0x9e37_79b9 + epoch * 7919) as usize % state.balances.len();
            let balance = state.balances[index];
            state.balances.set(index, balance - balance % 1_000_000);
        }
        let end = (state.slot / SLOTS_PER_EPOCH + 1) * SLOTS_PER_EPOCH;
        process_slots(&mut state, end, &ctx)?;
        if epoch.is_power_of_two() || epoch == 3 {
            one_size(&db, &anchor, &mut state, epoch)?;
        }
    }
    say("all", Instant::now());
    Ok(())
}

fn one_size(db: &Database, anchor: &BeaconState, state: &mut BeaconState, epoch: u64) -> Done<()> {
    let mut raw = Counted(0);
    state.write_difference(anchor, &mut raw)?;
    let state_root = state.hash_tree_root();
    let new =
        Difference { root: Hash256::with_last_byte(epoch as u8), slot: state.slot, anchor: Hash256::ZERO, state_root };
    let before = Instant::now();
    let stored = db.put_difference(&new, |mut out| state.write_difference(anchor, &mut out))?;
    let written = before.elapsed();
    let before = Instant::now();
    let (_, mut reader) = db.difference(new.root)?.ok_or("stored")?;
    let mut again = BeaconState::from_difference(anchor, &mut reader)?;
    let read = before.elapsed();
    let before = Instant::now();
    assert_eq!(again.hash_tree_root(), state_root);
    let (hashed, beside) = (before.elapsed(), anchor.bytes_beside(state));
    println!(
        "after {epoch} epochs: {} bytes, {stored} on disk; written in {written:?}, read in {read:?}, hashed in {hashed:?}; \
         the anchor costs {beside} bytes beside the state",
        raw.0
    );
    Ok(())
}

struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(folder: &Path, start: Start, clock: Clock, root: Hash256) -> Done<Chain> {
    let before = Instant::now();
    let (db, _) = Database::open(&folder.join("chain"), &DbConfig::new(root, config()))?;
    say("database opened", before);
    let (network, _) = async_channel::bounded(1);
    let capacities = Capacities::default();
    let (config, clock) = (config(), Some(clock));
    let chain = chain::start(ChainConfig {
        config,
        db,
        start,
        node_id: None,
        clock,
        network,
        execution: None,
        pools: None,
        capacities,
        backfill: false,
        prune_payloads: false,
    })?;
    say("chain started", before);
    Ok(chain)
}

/// The last block's slot, or the checkpoint's; the state's genesis and its validators' root.
fn clock(folder: &Path) -> Done<(Clock, Hash256)> {
    let mut head = [0; 40];
    io::Read::read_exact(&mut fs::File::open(folder.join("state.ssz"))?, &mut head)?;
    let genesis = u64::from_le_bytes(head[..8].try_into()?);
    let last = fs::read_dir(folder.join("blocks"))?.filter_map(|entry| Some(entry.ok()?.path())).max();
    let block = read_block(&last.unwrap_or_else(|| folder.join("block.ssz")))?;
    let clock = Clock::manual(genesis, &config(), 0);
    clock.set_ms(clock.start_of(block.message.slot) + 1000);
    Ok((clock, Hash256::from_slice(&head[8..])))
}

async fn follow(folder: &Path, is_stop: bool) -> Done<()> {
    let _ = fs::remove_dir_all(folder.join("chain"));
    let (clock, root) = clock(folder)?;
    let before = Instant::now();
    let (state, block) = (Box::new(read_state(folder)?), Box::new(read_block(&folder.join("block.ssz"))?));
    say("state read", before);
    let chain = start(folder, Start::Checkpoint { state, block }, clock, root)?;
    let tasks: Vec<_> = chain.tasks.iter().map(|task| smol::spawn((task.start)())).collect();
    let mut blocks: Vec<_> =
        fs::read_dir(folder.join("blocks"))?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    blocks.sort();
    let before = Instant::now();
    for path in &blocks {
        let block = Arc::new(read_block(path)?);
        chain.handle.import_block(block, BlockSource::ByRange(Peer("file".into()))).await?;
    }
    say(&format!("{} blocks imported", blocks.len()), before);
    if is_stop {
        let before = Instant::now();
        chain.handle.shutdown().await?;
        say("stopped", before);
    }
    for (difference, bytes) in chain.handle.database().differences()? {
        println!("difference at slot {}: {bytes} bytes", difference.slot);
    }
    println!(
        "{:?}; index in memory: {} bytes at most",
        chain.handle.database().disk_usage()?,
        chain.handle.database().memory_bytes()?
    );
    if !is_stop {
        // As a power cut would, but for what the system still has to write.
        std::process::exit(0);
    }
    for task in tasks {
        task.cancel().await;
    }
    Ok(())
}

fn resume(folder: &Path) -> Done<()> {
    let (clock, root) = clock(folder)?;
    let chain = start(folder, Start::Resume, clock, root)?;
    let snapshot = chain.handle.snapshot();
    let bytes = snapshot.head_state.bytes_beside(&BeaconState::default());
    println!("at slot {} of {}; the head's state has {bytes} bytes", snapshot.head_slot, snapshot.slot);
    Ok(())
}
