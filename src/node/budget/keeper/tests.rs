use std::sync::Arc;

use super::*;
use crate::{
    chain::{BlockSource, Capacities, Chain, ChainConfig, Clock, Start, network::Peer, start},
    db::{Database, DbConfig},
    node::{budget::ORDER, genesis::Genesis, simulation::Simulation},
    types::{Hash256, SignedBeaconBlock, Slot},
};

const LIMIT: MemoryLimit = MemoryLimit { bytes: 1 << 30, why: "the test's" };

/// A chain that runs, and where its blocks come from.
struct Node {
    chain: ChainHandle,
    blocks: Simulation,
    clock: Clock,
    _tasks: Vec<smol::Task<()>>,
    _inputs: crate::chain::ChainInputs,
    _dir: tempfile::TempDir,
}

impl Node {
    fn new() -> Node {
        let (blocks, config, Genesis { state, block }) = Simulation::with_genesis();
        let (dir, config) = (tempfile::tempdir().unwrap(), Arc::new(config));
        let clock = Clock::manual(state.genesis_time, &config, state.genesis_time * 1000);
        let db = DbConfig::new(state.genesis_validators_root, config.clone());
        let (network, _) = async_channel::bounded(1);
        let setup = ChainConfig {
            config,
            db: Database::open(dir.path(), &db).unwrap().0,
            start: Start::Checkpoint { state: Box::new(state), block: Box::new(block) },
            node_id: None,
            clock: Some(clock.clone()),
            network,
            execution: None,
            pools: None,
            capacities: Capacities::default(),
            backfill: false,
            prune_payloads: false,
        };
        let Chain { handle, inputs, tasks } = start(setup).unwrap();
        let run = |task: &crate::chain::ChainTask| {
            let task = (task.start)();
            smol::spawn(async move { drop(task.await) })
        };
        Node { chain: handle, blocks, clock, _tasks: tasks.iter().map(run).collect(), _inputs: inputs, _dir: dir }
    }

    /// Imports the block of a slot, which becomes the head.
    fn go_on(&mut self, slot: Slot) -> Hash256 {
        self.clock.set_ms(self.clock.start_of(slot) + 100);
        let block: SignedBeaconBlock = self.blocks.propose_signed(slot);
        let root = block.root();
        let source = BlockSource::ByRange(Peer("a".into()));
        assert_eq!(smol::block_on(self.chain.import_block(Arc::new(block), source)), Ok(root));
        assert_eq!(self.chain.snapshot().head_root, root);
        root
    }

    /// Waits until there are no more states than that.
    fn wait_for_states(&self, keeper: &Keeper, at_most: usize) {
        smol::block_on(async {
            while self.chain.state_sizes().count > at_most {
                self.chain.limit_states(keeper.state_limits()).await;
                smol::future::yield_now().await;
            }
        });
    }
}

#[test]
fn with_little_memory_a_node_has_few_states_and_goes_on() {
    let mut node = Node::new();
    let mut keeper = Keeper::new(node.chain.clone(), &LIMIT);
    smol::block_on(keeper.begin(LIMIT.why));
    assert_eq!(node.chain.state_sizes().limits.bytes, 160 << 20);
    let roots: Vec<_> = (1..=12).map(|slot| node.go_on(slot)).collect();
    smol::block_on(keeper.on_reading(500 << 20));
    assert!(node.chain.state_sizes().count >= 12);
    // As if something else had taken all memory.
    smol::block_on(keeper.on_reading(LIMIT.bytes));
    assert_eq!(keeper.budget.shrunk(), ORDER);
    node.wait_for_states(&keeper, PINNED + FEW_STATES);
    for slot in 13..=20 {
        node.go_on(slot);
        node.wait_for_states(&keeper, PINNED + FEW_STATES);
    }
    // What was dropped is there for those who ask, but is not kept.
    let asked = smol::block_on(node.chain.state_by_block_root(roots[5])).unwrap();
    assert_eq!(asked.slot, 6);
    node.wait_for_states(&keeper, PINNED + FEW_STATES);
    // All is well again for long enough.
    for _ in 0..10_000 {
        smol::block_on(keeper.on_reading(100 << 20));
    }
    assert_eq!(keeper.budget.shrunk(), []);
    assert_eq!(keeper.state_limits(), keeper.limits);
    for slot in 21..=32 {
        node.go_on(slot);
    }
    assert!(node.chain.state_sizes().count >= 12);
}

#[test]
fn all_caches_of_a_chain_are_counted_once() {
    let mut node = Node::new();
    for slot in 1..=3 {
        node.go_on(slot);
    }
    let caches = node.chain.cache_bytes();
    let of = |name: &str| caches.iter().find(|cache| cache.cache == name).unwrap().bytes;
    let sizes = node.chain.state_sizes();
    assert_eq!((of("anchor"), of("hot states")), (sizes.anchor, sizes.bytes));
    assert!(sizes.anchor > 10_000 && sizes.bytes > 10_000, "{sizes:?}");
    assert!(of("known blocks") > 0 && of("database index") > 0);
    let mut names: Vec<_> = caches.iter().map(|cache| cache.cache).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), caches.len());
}

#[test]
fn what_does_not_fit_is_said() {
    assert_eq!(needed(280 << 20), (420 + 64) << 20);
}
