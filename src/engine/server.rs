//! The stand-in as an execution client of its own: the Engine API over HTTP, in a thread of its own, with faults on demand.
//!
//! It keeps a small tree of payloads, so that it answers as the API says: SYNCING for what it can't judge, the latest valid
//! hash for what is not valid, and a payload's id for what it shall make.

mod faults;
mod http;
mod methods;
mod tree;

pub use faults::{Fault, Faults};

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{SocketAddr, TcpListener},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{SystemTime, UNIX_EPOCH},
};

use async_channel::Sender;

use self::tree::Tree;
use super::{Activation, BlobsBundle, BuiltPayload, Engine, LatestBlock, PayloadId, PooledBlob, Secret};
use crate::types::{ForkName, Hash256};

/// Payloads that are kept until they are asked for: a proposer asks for the last one.
const BUILT: usize = 4;
/// Blobs that it remembers: those from the start, and those of payloads that it made.
const POOLED: usize = 64;

/// What a stand-in is told of its chain.
pub struct StandInOptions {
    /// What it shares with the node.
    pub secret: Secret,
    /// Its chain's first block.
    pub genesis: LatestBlock,
    /// Its chain.
    pub chain_id: u64,
    /// Its forks, ascending. Without any it does not offer `eth_config`.
    pub schedule: Vec<Activation>,
    /// Who makes its payloads.
    pub maker: Engine,
    /// Blobs that its pool has from the start, as if their transactions had come from its peers.
    pub pool: BlobsBundle,
    /// Whether slots may be shorter than a second, so that a payload may have the time of the one before.
    pub has_short_slots: bool,
}

/// A stand-in that runs until this is dropped.
pub struct StandInServer {
    address: SocketAddr,
    faults: Faults,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl StandInServer {
    /// Listens on `address` (port 0: any free one).
    ///
    /// # Errors
    /// When it can't listen there, or have a thread.
    pub fn start(address: SocketAddr, options: StandInOptions) -> io::Result<StandInServer> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = async_channel::bounded(1);
        let faults = Faults::default();
        let stand_in = StandInState::new(options, faults.clone());
        let run = move || smol::block_on(http::serve(listener, address, stand_in, stopped));
        let thread = thread::Builder::new().name("stand-in".into()).spawn(run)?;
        Ok(StandInServer { address, faults, stop, thread: Some(thread) })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What goes wrong with it; to be changed at any time.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

impl Drop for StandInServer {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// All that the stand-in knows. Its lock is held for one call at a time.
struct StandInState {
    secret: Secret,
    chain_id: u64,
    schedule: Vec<Activation>,
    maker: Engine,
    has_short_slots: bool,
    faults: Faults,
    chain: Mutex<Chain>,
}

/// What calls change.
struct Chain {
    tree: Tree,
    built: VecDeque<(PayloadId, BuiltPayload)>,
    pool: BTreeMap<Hash256, PooledBlob>,
    /// The pool's names, oldest first.
    pooled: VecDeque<Hash256>,
}

impl StandInState {
    fn new(options: StandInOptions, faults: Faults) -> StandInState {
        let StandInOptions { secret, genesis, chain_id, schedule, maker, pool, has_short_slots } = options;
        let mut chain =
            Chain { tree: Tree::new(genesis), built: VecDeque::new(), pool: BTreeMap::new(), pooled: VecDeque::new() };
        chain.add_to_pool(&pool);
        StandInState { secret, chain_id, schedule, maker, has_short_slots, faults, chain: Mutex::new(chain) }
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fork at a time; the first one before all.
    fn fork_at(&self, timestamp: u64) -> ForkName {
        let reached = self.schedule.iter().rev().find(|activation| activation.time <= timestamp);
        reached.or(self.schedule.first()).map_or(ForkName::default(), |activation| activation.fork)
    }

    /// Its clock, in seconds since 1970.
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        match self.faults.get() {
            Fault::Clock(ahead) => now.saturating_add_signed(ahead),
            _ => now,
        }
    }
}

impl Chain {
    /// Keeps a payload until it is asked for, and its blobs longer.
    fn keep(&mut self, id: PayloadId, built: BuiltPayload) {
        self.add_to_pool(&built.blobs);
        self.built.push_back((id, built));
        while self.built.len() > BUILT {
            self.built.pop_front();
        }
    }

    fn add_to_pool(&mut self, bundle: &BlobsBundle) {
        let per_blob = bundle.proofs.len() / bundle.blobs.len().max(1);
        for (index, (commitment, blob)) in bundle.commitments.iter().zip(&bundle.blobs).enumerate() {
            let hash = super::kzg_commitment_to_versioned_hash(commitment);
            let proofs = bundle.proofs[index * per_blob..][..per_blob].to_vec();
            if self.pool.insert(hash, PooledBlob { blob: blob.clone(), proofs }).is_none() {
                self.pooled.push_back(hash);
            }
        }
        while self.pooled.len() > POOLED {
            self.pooled.pop_front().map(|hash| self.pool.remove(&hash));
        }
    }
}
