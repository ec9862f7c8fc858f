//! A chain in one process without network, clock or tasks: blocks made by production, votes aggregated by the pools, and
//! everything verified by the transition as if it came from strangers.

use std::collections::BTreeMap;

use tree_hash::TreeHash as _;

use super::genesis::{Genesis, devnet_config, interop_genesis};
use crate::{
    chain::{
        pools::{AttestationPool, ForBlock, SUBCOMMITTEE_SIZE, SyncPool, Votes},
        produce::{BlockInputs, build_block},
    },
    crypto::{DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_SYNC_COMMITTEE, PubkeyCache, SecretKey},
    engine::Engine,
    transition::{
        Checks, Context, find_shuffling, get_block_root, get_sync_committee_indices, process_slots, state_transition,
    },
    types::{preset::*, *},
    validator::{InteropKeys, Signer},
};

/// Enough for every slot to have a committee with members on both sides of a split.
const VALIDATORS: u64 = 4 * SLOTS_PER_EPOCH;

pub(super) struct Simulation {
    config: Config,
    cache: PubkeyCache,
    keys: InteropKeys,
    signer: Signer,
    /// The post-state of the last block.
    state: BeaconState,
    attestations: AttestationPool,
    sync: SyncPool,
}

impl Simulation {
    pub(super) fn new() -> Self {
        Simulation::with_genesis().0
    }

    /// A chain at its genesis, and that genesis.
    pub(super) fn with_genesis() -> (Self, Config, Genesis) {
        let config = devnet_config(1_700_000_000, 1000);
        let genesis = interop_genesis(&config, VALIDATORS).unwrap();
        (Simulation::from(&genesis, &config), config, genesis)
    }

    fn from(Genesis { state, .. }: &Genesis, config: &Config) -> Self {
        let (state, config) = (state.clone(), config.clone());
        Simulation {
            signer: Signer { config: config.clone().into(), genesis_validators_root: state.genesis_validators_root },
            config,
            cache: PubkeyCache::default(),
            keys: InteropKeys::new(0..VALIDATORS),
            state,
            attestations: AttestationPool::default(),
            sync: SyncPool::default(),
        }
    }

    fn secret(&self, validator: impl Into<u64>) -> &SecretKey {
        self.keys.secret(validator.into()).unwrap()
    }

    fn context(&self) -> Context<'_> {
        Context { config: &self.config, keys: &self.cache }
    }

    /// The last block's state, advanced to a slot.
    fn at(&self, slot: Slot) -> BeaconState {
        let mut state = self.state.clone();
        if state.slot < slot {
            process_slots(&mut state, slot, &self.context()).unwrap();
        }
        state
    }

    /// Makes the block of a slot from what the pools have, signs it, and applies it with all checks.
    fn propose(&mut self, slot: Slot) -> BeaconBlock {
        self.propose_signed(slot).message
    }

    pub(super) fn propose_signed(&mut self, slot: Slot) -> SignedBeaconBlock {
        let state = self.at(slot);
        let proposer = state.proposer_lookahead[(slot % SLOTS_PER_EPOCH) as usize];
        let parent = state.latest_block_header.tree_hash_root();
        let pooled = ForBlock {
            attestations: self.attestations.candidates(),
            operations: Default::default(),
            sync_aggregate: self.sync.sync_aggregate(slot - 1, parent),
            fee_recipients: Default::default(),
        };
        let inputs = BlockInputs {
            randao_reveal: self.signer.randao_reveal(self.secret(proposer), slot),
            graffiti: Hash256::repeat_byte(1),
            pooled: Some(pooled),
            engine: Engine::StandIn(Default::default()),
        };
        let message = build_block(state, inputs, &self.context()).unwrap().block;
        let signature = self.signer.sign(self.secret(proposer), &message, DOMAIN_BEACON_PROPOSER, slot);
        let signed = SignedBeaconBlock { message, signature };
        let mut state = self.state.clone();
        state_transition(&mut state, &signed, &self.context(), Checks::ALL).unwrap();
        self.state = state;
        signed
    }

    /// The members of a slot's committees for whom `votes` says so vote for the head.
    fn attest(&mut self, slot: Slot, votes: impl Fn(ValidatorIndex) -> bool) {
        let mut state = self.at(slot);
        let head = head_of(&mut state);
        let epoch = compute_epoch_at_slot(slot);
        let is_boundary = slot == compute_start_slot_at_epoch(epoch);
        let root = if is_boundary { head } else { get_block_root(&state, epoch).unwrap() };
        let data = AttestationData {
            slot,
            index: 0,
            beacon_block_root: head,
            source: state.current_justified_checkpoint,
            target: Checkpoint { epoch, root },
        };
        let shuffling = find_shuffling(&state, epoch).unwrap();
        for committee in 0..shuffling.committees_per_slot {
            let members = shuffling.committee(slot, committee).unwrap();
            for (place, member) in members.iter().enumerate().filter(|(_, member)| votes(u64::from(**member))) {
                let signature = self.signer.sign(self.secret(*member), &data, DOMAIN_BEACON_ATTESTER, slot);
                let signature = crate::crypto::Signature::from_bytes(&signature).unwrap();
                let votes = Votes::single(members.len(), &[place], &signature).unwrap();
                assert!(self.attestations.insert(&data, data.tree_hash_root(), committee, votes));
            }
        }
    }

    /// The whole sync committee signs the head.
    fn sign_head(&mut self, slot: Slot) {
        let mut state = self.at(slot + 1);
        let head = head_of(&mut self.at(slot));
        let members = get_sync_committee_indices(&mut state).unwrap();
        // A small registry's members have many places, and signing is what takes the time.
        let mut signatures = BTreeMap::new();
        for (place, member) in members.iter().enumerate() {
            let signature = *signatures
                .entry(*member)
                .or_insert_with(|| self.signer.sign(self.secret(*member), &head, DOMAIN_SYNC_COMMITTEE, slot));
            let signature = crate::crypto::Signature::from_bytes(&signature).unwrap();
            let votes = Votes::single(SUBCOMMITTEE_SIZE, &[place % SUBCOMMITTEE_SIZE], &signature).unwrap();
            self.sync.insert(slot, head, place / SUBCOMMITTEE_SIZE, votes);
        }
    }
}

/// Root of the state's last block.
fn head_of(state: &mut BeaconState) -> Hash256 {
    let mut header = state.latest_block_header;
    if header.state_root.is_zero() {
        header.state_root = state.hash_tree_root();
    }
    header.tree_hash_root()
}

#[test]
fn a_chain_of_our_own_blocks_finalizes() {
    let mut chain = Simulation::new();
    let last = 4 * SLOTS_PER_EPOCH + 1;
    for slot in 1..=last {
        let block = chain.propose(slot);
        if slot > 1 {
            assert_eq!(block.body.attestations.len(), 1, "all committees' votes fit one attestation (slot {slot})");
            assert_eq!(block.body.attestations[0].aggregation_bits.num_set_bits() as u64, VALIDATORS / SLOTS_PER_EPOCH);
            let signed = block.body.sync_aggregate.sync_committee_bits.num_set_bits();
            assert_eq!(signed, SYNC_COMMITTEE_SIZE, "slot {slot}");
        }
        chain.attest(slot, |_| true);
        chain.sign_head(slot);
    }
    assert_eq!(chain.state.current_justified_checkpoint.epoch, 3);
    assert_eq!(chain.state.finalized_checkpoint.epoch, 2);
    assert!(chain.state.next_withdrawal_index > 0, "rewards were withdrawn on the way");
}

#[test]
fn late_and_split_votes_are_all_brought_in() {
    let mut chain = Simulation::new();
    let last = 4 * SLOTS_PER_EPOCH + 1;
    for slot in 1..=last {
        // Every fifth proposer is away, and half of the attesters vote before the block comes.
        chain.attest_before_block(slot);
        if !slot.is_multiple_of(5) {
            chain.propose(slot);
        }
        chain.attest(slot, |validator| validator % 2 == 1);
    }
    let voted = chain.state.previous_epoch_participation.iter().filter(|flags| **flags != 0).count() as u64;
    assert!(voted > VALIDATORS * 9 / 10, "{voted} of {VALIDATORS}");
    assert_eq!(chain.state.finalized_checkpoint.epoch, 2);
}

impl Simulation {
    fn attest_before_block(&mut self, slot: Slot) {
        // At the first slot of an epoch that would be a vote for another target, worth nothing.
        if !slot.is_multiple_of(SLOTS_PER_EPOCH) {
            self.attest(slot, |validator| validator % 2 == 0);
        }
    }
}
