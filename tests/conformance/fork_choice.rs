//! `fork_choice`, `fast_confirmation` and `sync/optimistic`: what a store does, step by step. It is the node's own store and import; only the
//! tasks around it are missing.

mod steps;

use std::{collections::HashMap, sync::Arc};

use hornero::{
    chain::availability::{are_blobs_available, is_data_available, verify_data_column_sidecar_inclusion_proof},
    crypto::PubkeyCache,
    fork_choice::{HeadFacts, OnAttestationError, PayloadStatus, Store, check_merge, import_block},
    transition::{
        Checks, Context, SignatureCollector, get_committee_count_per_slot, get_indexed_attestation, get_shuffling,
        is_slashable_attestation_data, is_valid_indexed_attestation, process_slots,
    },
    types::*,
};

use super::{case::Case, config, states::read};
use steps::{Answer, Expected, Head, RootAtEpoch, Step};

/// What the node gets of a block's blobs.
enum Data {
    /// Nothing is said of them.
    None,
    Columns(Vec<DataColumnSidecar>),
    Blobs(Blobs, Vec<KZGProof>),
}

/// A store and the states that the node keeps beside it.
struct Node<'a> {
    case: &'a Case,
    config: Arc<Config>,
    keys: PubkeyCache,
    checks: Checks,
    store: Store,
    states: HashMap<Hash256, BeaconState>,
    answers: HashMap<Hash256, Answer>,
    pow_blocks: HashMap<Hash256, PowBlock>,
    /// Attestations of a slot that is not over, if the vectors send them when they are made.
    early: Vec<Attestation>,
}

pub fn run(case: &Case) -> Result<(), String> {
    let mut node = Node::new(case)?;
    let steps: Vec<Step> = case.yaml("steps")?;
    if case.has("meta.yaml") {
        case.read("meta.yaml")?;
    }
    for (number, step) in steps.into_iter().enumerate() {
        node.take(step).map_err(|error| format!("step {number}: {error}"))?;
    }
    Ok(())
}

impl Node<'_> {
    fn new(case: &Case) -> Result<Node<'_>, String> {
        let config = Arc::new(config::of(case)?);
        let mut state = read(case, "anchor_state")?;
        let bytes = case.ssz_bytes("anchor_block")?;
        let block = BeaconBlock::from_ssz_bytes(case.fork()?, &bytes).map_err(|error| format!("{error:?}"))?;
        if block.state_root != state.hash_tree_root() {
            return Err("the anchor's state root differs from ours".into());
        }
        let store = Store::from_anchor(&mut state, &block.header(), config.clone()).map_err(text)?;
        let checks = Checks { signatures: case.bls_is_on()?, ..Checks::ALL };
        let states = HashMap::from([(store.nodes()[0].root, state)]);
        Ok(Node {
            case,
            config,
            keys: PubkeyCache::default(),
            checks,
            store,
            states,
            answers: HashMap::new(),
            pow_blocks: HashMap::new(),
            early: Vec::new(),
        })
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        let valid = step.valid;
        let outcome = match step {
            Step { tick: Some(seconds), .. } => {
                self.store.on_tick(seconds * 1000);
                std::mem::take(&mut self.early).iter().try_for_each(|attestation| self.on_attestation(attestation))
            }
            Step { block: Some(name), columns, blobs, proofs, .. } => {
                let block = self.case.block(&name)?;
                let data = match (columns, blobs) {
                    (Some(names), _) => {
                        Data::Columns(names.iter().map(|name| self.case.ssz(name)).collect::<Result<_, _>>()?)
                    }
                    (None, Some(name)) => Data::Blobs(self.case.ssz(&name)?, proofs),
                    (None, None) => Data::None,
                };
                self.on_block(&block, &data, valid)
            }
            Step { attestation: Some(name), .. } => self.on_attestation(&self.attestation(&name)?),
            Step { attester_slashing: Some(name), .. } => self.on_attester_slashing(&self.attester_slashing(&name)?),
            Step { pow_block: Some(name), .. } => {
                let block: PowBlock = self.case.ssz(&name)?;
                self.pow_blocks.insert(block.block_hash, block);
                Ok(())
            }
            Step { block_hash: Some(hash), payload_status: Some(answer), .. } => {
                self.answers.insert(hash, answer);
                Ok(())
            }
            Step { checks: Some(expected), .. } => return self.check(&expected),
            _ => return Err("an unknown kind of step".into()),
        };
        match outcome {
            Err(error) if valid => Err(format!("refused: {error}")),
            Ok(()) if !valid => Err("taken, but it is invalid".into()),
            _ => Ok(()),
        }
    }

    fn attestation(&self, name: &str) -> Result<Attestation, String> {
        if self.case.fork()? >= ForkName::Electra {
            return self.case.ssz(name);
        }
        Ok(self.case.ssz::<AttestationPhase0>(name)?.into())
    }

    fn attester_slashing(&self, name: &str) -> Result<AttesterSlashing, String> {
        if self.case.fork()? >= ForkName::Electra {
            return self.case.ssz(name);
        }
        Ok(self.case.ssz::<AttesterSlashingPhase0>(name)?.into())
    }

    fn on_block(&mut self, block: &SignedBeaconBlock, data: &Data, valid: bool) -> Result<(), String> {
        let (message, root) = (&block.message, block.root());
        if self.store.contains(&root) {
            return Ok(());
        }
        self.store.validate_on_block(message.slot, &message.parent_root).map_err(text)?;
        self.check_data(message, data, valid)?;
        let ctx = Context { config: &self.config, keys: &self.keys };
        let parent_state = &self.states[&message.parent_root];
        let (state, mut imported) = import_block(parent_state, block, &ctx, self.checks).map_err(text)?;
        if imported.root != root {
            return Err("the imported block has another root".into());
        }
        let get_pow_block = |hash: &Hash256| self.pow_blocks.get(hash).cloned();
        check_merge(&self.config, parent_state, message, get_pow_block).map_err(text)?;
        imported.payload_status = self.ask_execution(message)?;
        self.store.on_block(imported).map_err(text)?;
        self.states.insert(root, state);
        Ok(())
    }

    fn check_data(&self, block: &BeaconBlock, data: &Data, valid: bool) -> Result<(), String> {
        let commitments = &block.body.blob_kzg_commitments;
        let is_available = match data {
            Data::Columns(columns) => {
                !columns.is_empty() && { is_data_available(&self.config, &columns.iter().collect::<Vec<_>>()) }
            }
            Data::Blobs(blobs, proofs) => are_blobs_available(blobs, proofs, commitments),
            Data::None => self.case.fork()? == ForkName::Fulu || are_blobs_available(&[], &[], commitments),
        };
        if !is_available {
            return Err("its data is not available".into());
        }
        if let Data::Columns(columns) = data
            && valid
            && !columns.iter().all(verify_data_column_sidecar_inclusion_proof)
        {
            return Err("a column's commitments are not those of its block".into());
        }
        Ok(())
    }

    /// Where the vectors say nothing of payloads, they are valid.
    fn ask_execution(&mut self, block: &BeaconBlock) -> Result<PayloadStatus, String> {
        let Some(answer) = self.answers.get(&block.body.execution_payload.block_hash) else {
            return Ok(PayloadStatus::Valid);
        };
        match answer.status.as_str() {
            "VALID" => Ok(PayloadStatus::Valid),
            "SYNCING" | "ACCEPTED" => Ok(PayloadStatus::NotValidated),
            "INVALID" => {
                self.store.on_invalid_child(&block.parent_root, answer.latest_valid_hash).map_err(text)?;
                Err("its payload is invalid".into())
            }
            other => Err(format!("the payload status {other} is unknown")),
        }
    }

    fn on_attestation(&mut self, attestation: &Attestation) -> Result<(), String> {
        let target = attestation.data.target;
        match self.store.validate_on_attestation(&attestation.data, false) {
            Err(OnAttestationError::SlotNotOver { .. }) if self.case.runner == "fast_confirmation" => {
                self.early.push(attestation.clone());
                return Ok(());
            }
            other => other.map_err(text)?,
        }
        let mut target_state = self.states[&target.root].clone();
        if target_state.slot < compute_start_slot_at_epoch(target.epoch) {
            let ctx = Context { config: &self.config, keys: &self.keys };
            process_slots(&mut target_state, compute_start_slot_at_epoch(target.epoch), &ctx).map_err(text)?;
        }
        let indexed = get_indexed_attestation(&mut target_state, attestation).map_err(text)?;
        self.check_signed(&target_state, &indexed)?;
        self.store.on_attestation(&indexed.data, &indexed.attesting_indices, false).map_err(text)
    }

    fn on_attester_slashing(&mut self, slashing: &AttesterSlashing) -> Result<(), String> {
        let (first, second) = (&slashing.attestation_1, &slashing.attestation_2);
        if !is_slashable_attestation_data(&first.data, &second.data) {
            return Err("the votes do not contradict each other".into());
        }
        let state = &self.states[&self.store.justified_checkpoint().root];
        self.check_signed(state, first)?;
        self.check_signed(state, second)?;
        self.store.on_attester_slashing(slashing);
        Ok(())
    }

    fn check_signed(&self, state: &BeaconState, indexed: &IndexedAttestation) -> Result<(), String> {
        let ctx = Context { config: &self.config, keys: &self.keys };
        let mut signatures = SignatureCollector::new(self.checks.signatures);
        is_valid_indexed_attestation(state, indexed, &ctx, &mut signatures).map_err(text)?;
        signatures.verify().map_err(text)
    }

    fn check(&mut self, expected: &Expected) -> Result<(), String> {
        // What must hold must hold after a restart, too.
        self.store = Store::from_snapshot(&self.store.to_snapshot(), self.config.clone()).map_err(text)?;
        if let Some(checkpoint) = self.store.missing_balances() {
            return Err(format!("the balances of {checkpoint:?} are missing"));
        }
        let head_root = self.store.get_head();
        let head_slot = self.store.node(&head_root).ok_or("the head is unknown")?.slot;
        let store = &self.store;
        same("time", &expected.time, store.time_ms() / 1000)?;
        same("genesis_time", &expected.genesis_time, store.genesis_time())?;
        same("head", &expected.head, Head { slot: head_slot, root: head_root })?;
        same("justified_checkpoint", &expected.justified_checkpoint, checkpoint(store.justified_checkpoint()))?;
        same("finalized_checkpoint", &expected.finalized_checkpoint, checkpoint(store.finalized_checkpoint()))?;
        same("proposer_boost_root", &expected.proposer_boost_root, store.proposer_boost_root())?;
        self.check_fast_confirmation(expected, head_root)?;
        if expected.get_proposer_head.is_some() {
            let committees = self.committees_of(head_root, head_slot)?;
            let slot = self.store.get_current_slot();
            let ours = self.store.get_proposer_head(&head_root, slot, &committees);
            same("get_proposer_head", &expected.get_proposer_head, ours)?;
        }
        Ok(())
    }

    fn check_fast_confirmation(&mut self, expected: &Expected, head: Hash256) -> Result<(), String> {
        if expected.confirmed_root.is_none() {
            return Ok(());
        }
        let ctx = Context { config: &self.config, keys: &self.keys };
        let slot = self.store.get_current_slot();
        let facts = HeadFacts::of_state(head, &self.states[&head], slot, &ctx).map_err(text)?;
        self.store.on_fast_confirmation(&facts).map_err(text)?;
        let rule = self.store.fast_confirmation();
        same(
            "previous_epoch_observed_justified_checkpoint",
            &expected.previous_epoch_observed_justified_checkpoint,
            checkpoint(rule.previous_epoch_observed_justified_checkpoint()),
        )?;
        same(
            "current_epoch_observed_justified_checkpoint",
            &expected.current_epoch_observed_justified_checkpoint,
            checkpoint(rule.current_epoch_observed_justified_checkpoint()),
        )?;
        same(
            "previous_epoch_greatest_unrealized_checkpoint",
            &expected.previous_epoch_greatest_unrealized_checkpoint,
            checkpoint(rule.previous_epoch_greatest_unrealized_checkpoint()),
        )?;
        same("previous_slot_head", &expected.previous_slot_head, rule.previous_slot_head())?;
        same("current_slot_head", &expected.current_slot_head, rule.current_slot_head())?;
        same("confirmed_root", &expected.confirmed_root, rule.confirmed_root())?;
        let safe = self.store.get_safe_execution_block_hash();
        same("safe_execution_block_hash", &expected.safe_execution_block_hash, safe)
    }

    /// The members of all committees of a block's slot.
    fn committees_of(&mut self, root: Hash256, slot: Slot) -> Result<Vec<u32>, String> {
        let state = self.states.get_mut(&root).ok_or("the head's state is unknown")?;
        let shuffling = get_shuffling(state, compute_epoch_at_slot(slot)).map_err(text)?;
        let count = get_committee_count_per_slot(shuffling.shuffled.len() as u64);
        Ok((0..count).filter_map(|index| shuffling.committee(slot, index)).flatten().copied().collect())
    }
}

fn checkpoint(checkpoint: Checkpoint) -> RootAtEpoch {
    RootAtEpoch { epoch: checkpoint.epoch, root: checkpoint.root }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &Option<T>, ours: T) -> Result<(), String> {
    match expected {
        Some(expected) if *expected != ours => Err(format!("{what} is {ours:?} instead of {expected:?}")),
        _ => Ok(()),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
