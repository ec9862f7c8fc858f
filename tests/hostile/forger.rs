//! Somebody who owns validators: blocks that are signed well, and that only the transition, or a state that is not at hand, refuses.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use async_channel::Sender;
use hornero::{
    chain::{
        ChainHandle,
        produce::{BlockInputs, build_block},
    },
    crypto::{DOMAIN_BEACON_PROPOSER, PubkeyCache},
    engine::{Engine, StandIn},
    transition::{Context, process_slots},
    types::*,
    validator::{InteropKeys, Signer},
};
use ssz::Encode as _;

/// Until the maker's validator client has ended.
const HANDED_OVER: u64 = 2;
/// How far back a stranger's own slots reach.
const SLOTS_BACK: u64 = 2 * preset::SLOTS_PER_EPOCH;

pub struct Forger {
    chain: ChainHandle,
    signer: Signer,
    keys: Arc<InteropKeys>,
    cache: PubkeyCache,
    noise: usize,
    /// The maker's client with these keys. With the first forgery they change sides, so that their slots have no other block.
    client: Mutex<Option<Sender<()>>>,
    /// The first slot in which they are nobody else's.
    first: OnceLock<Slot>,
    /// The block of the newest slot of theirs, true but for its state root.
    newest: Mutex<Option<BeaconBlock>>,
    /// What we may be asked for, by its root.
    held: Mutex<HashMap<Hash256, Vec<u8>>>,
    /// Slots and proposers of blocks without parents that were sent.
    used: Mutex<HashSet<(Slot, ValidatorIndex)>>,
    count: AtomicU64,
}

impl Forger {
    pub fn new(chain: ChainHandle, keys: Arc<InteropKeys>, noise: usize, client: Sender<()>) -> Forger {
        let signer =
            Signer { config: chain.config().clone(), genesis_validators_root: chain.genesis_validators_root() };
        Forger {
            chain,
            signer,
            keys,
            cache: PubkeyCache::default(),
            noise,
            client: Mutex::new(Some(client)),
            first: OnceLock::new(),
            newest: Mutex::default(),
            held: Mutex::default(),
            used: Mutex::default(),
            count: AtomicU64::new(0),
        }
    }

    /// The block of the newest slot in which it is the turn of a validator of ours: all is right but the state root, which is looked
    /// at last. The same until there is another such slot.
    pub fn false_block(&self) -> Option<SignedBeaconBlock> {
        self.newest().map(|block| self.sign(block))
    }

    /// Another one of the same slot and proposer.
    pub fn another_false_block(&self) -> Option<SignedBeaconBlock> {
        let mut block = self.newest()?;
        block.state_root = self.number();
        Some(self.sign(block))
    }

    /// A block on one that is epochs old, by a validator whose turn it is not: nobody can tell without a state of its own epoch.
    /// As long as all are younger, on any of them.
    pub fn stray(&self) -> SignedBeaconBlock {
        self.first_slot();
        let (snapshot, number) = (self.chain.snapshot(), self.count.fetch_add(1, Ordering::Relaxed));
        let now = self.chain.clock().slot();
        let mut parents: Vec<_> = snapshot.blocks.iter().map(|(root, info)| (info.slot, *root)).collect();
        parents.sort_unstable();
        parents.retain(|(slot, _)| *slot < now);
        let is_old = |slot: &Slot| compute_epoch_at_slot(*slot) + 2 <= compute_epoch_at_slot(now);
        let old = parents.iter().filter(|(slot, _)| is_old(slot)).count();
        let among = if old > 0 { &parents[..old] } else { &parents[..] };
        let parent = among.get(number as usize % among.len().max(1)).map_or(snapshot.head_root, |(_, root)| *root);
        self.sign(self.empty(now, self.owned(number), parent))
    }

    /// A block on a false one, or any other that is known to be invalid.
    pub fn child(&self, parent: Hash256) -> SignedBeaconBlock {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.sign(self.empty(self.chain.clock().slot(), self.owned(number), parent))
    }

    /// A block on one that only we have, and that will be asked for: with a false state root, or a stray one. Each is of another
    /// slot, or proposer; none when there are no more.
    pub fn orphan(&self) -> Option<SignedBeaconBlock> {
        let now = self.chain.clock().slot();
        let pairs = (now.saturating_sub(SLOTS_BACK) + 1..=now)
            .rev()
            .flat_map(|slot| self.keys.indices().map(move |validator| (slot, validator)));
        let mut used = self.used.lock().unwrap();
        let (slot, proposer) = pairs.into_iter().find(|pair| !used.contains(pair))?;
        used.insert((slot, proposer));
        let parent =
            self.another_false_block().filter(|_| used.len().is_multiple_of(2)).unwrap_or_else(|| self.stray());
        let root = parent.root();
        self.held.lock().unwrap().insert(root, parent.as_ssz_bytes());
        Some(self.sign(self.empty(slot, proposer, root)))
    }

    /// One of those that we made somebody ask for.
    pub fn held(&self, root: &Hash256) -> Option<Vec<u8>> {
        self.held.lock().unwrap().get(root).cloned()
    }

    fn owned(&self, number: u64) -> ValidatorIndex {
        let count = self.keys.indices().count();
        self.keys.indices().nth(number as usize % count).expect("there are some")
    }

    fn number(&self) -> Hash256 {
        Hash256::left_padding_from(&self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes())
    }

    /// Takes the keys from the maker, if that is not done.
    fn first_slot(&self) -> Slot {
        *self.first.get_or_init(|| {
            drop(self.client.lock().unwrap().take());
            self.chain.clock().slot() + HANDED_OVER
        })
    }

    /// Nothing in it is right but what is looked at first.
    fn empty(&self, slot: Slot, proposer_index: ValidatorIndex, parent_root: Hash256) -> BeaconBlock {
        let mut body = BeaconBlockBody::default();
        body.execution_payload.timestamp = self.chain.clock().start_of(slot) / 1000;
        BeaconBlock { slot, proposer_index, parent_root, state_root: self.number(), body }
    }

    fn newest(&self) -> Option<BeaconBlock> {
        let snapshot = self.chain.snapshot();
        let state = &snapshot.head_state;
        let start = compute_start_slot_at_epoch(state.current_epoch());
        let is_ours = |slot: &Slot| {
            let proposer = state.proposer_lookahead.get((slot - start) as usize);
            proposer.is_some_and(|proposer| self.keys.secret(*proposer).is_some())
        };
        let slot = (start.max(self.first_slot())..=self.chain.clock().slot()).rev().find(is_ours);
        let mut newest = self.newest.lock().unwrap();
        if let Some(slot) = slot.filter(|slot| newest.as_ref().is_none_or(|known| known.slot < *slot)) {
            let parent = snapshot.ancestor(snapshot.head_root, slot - 1)?;
            *newest = self.build(slot, parent).or(newest.take());
        }
        newest.clone()
    }

    fn build(&self, slot: Slot, parent: Hash256) -> Option<BeaconBlock> {
        let mut state = (*smol::block_on(self.chain.state_by_block_root(parent))?).clone();
        let context = Context { config: self.chain.config(), keys: &self.cache };
        process_slots(&mut state, slot, &context).ok()?;
        let proposer = state.proposer_lookahead[(slot % preset::SLOTS_PER_EPOCH) as usize];
        let inputs = BlockInputs {
            randao_reveal: self.signer.randao_reveal(self.keys.secret(proposer)?, slot),
            graffiti: Hash256::ZERO,
            pooled: None,
            engine: Engine::StandIn(StandIn::default().with_noise(self.noise)),
        };
        let block = build_block(state, inputs, &context).expect("a block without votes").block;
        Some(BeaconBlock { state_root: self.number(), ..block })
    }

    fn sign(&self, message: BeaconBlock) -> SignedBeaconBlock {
        let key = self.keys.secret(message.proposer_index).expect("a validator of ours");
        let signature = self.signer.sign(key, &message, DOMAIN_BEACON_PROPOSER, message.slot);
        SignedBeaconBlock { message, signature }
    }
}
