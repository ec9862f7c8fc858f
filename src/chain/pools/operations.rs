//! The operations pool: slashings, exits and changes of credentials that wait for a block of ours.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    transition::{get_validator, is_slashable_validator},
    types::{
        preset::{BLS_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH},
        *,
    },
};

/// Proposer slashings kept: the blocks of an hour hold more than have ever been.
pub const MAX_PROPOSER_SLASHINGS_POOLED: usize = 128;
/// Attester slashings kept. One may be 2 MB, though all so far were some kilobytes; a block has room for one.
pub const MAX_ATTESTER_SLASHINGS_POOLED: usize = 16;
/// Exits kept: some epochs of what mainnet lets out.
pub const MAX_EXITS_POOLED: usize = 1024;
/// Changes of credentials kept, 268 bytes each: those of a day with blocks full of them.
pub const MAX_CHANGES_POOLED: usize = 1 << 13;
/// Of each kind, so many are offered for a block: several times what fits, as some turn out not to be includable yet.
pub const OFFERED: usize = 64;

/// Operations to choose from for a block; the oldest first.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Operations {
    pub proposer_slashings: Vec<Arc<ProposerSlashing>>,
    pub attester_slashings: Vec<Arc<AttesterSlashing>>,
    pub voluntary_exits: Vec<Arc<SignedVoluntaryExit>>,
    pub bls_to_execution_changes: Vec<Arc<SignedBLSToExecutionChange>>,
}

/// Operations of one kind, by validator. The oldest are dropped when there are too many.
#[derive(Debug)]
struct Kind<T> {
    by_validator: BTreeMap<ValidatorIndex, Arc<T>>,
    order: VecDeque<ValidatorIndex>,
    limit: usize,
}

impl<T> Kind<T> {
    fn new(limit: usize) -> Kind<T> {
        Kind { by_validator: BTreeMap::new(), order: VecDeque::new(), limit }
    }

    fn insert(&mut self, index: ValidatorIndex, operation: Arc<T>) {
        if self.by_validator.contains_key(&index) {
            return;
        }
        if self.order.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_validator.remove(&oldest);
        }
        self.order.push_back(index);
        self.by_validator.insert(index, operation);
    }

    /// Bytes on the heap; `of_operation` says what one has there besides itself.
    fn bytes(&self, of_operation: impl Fn(&T) -> usize) -> usize {
        let operations = self.by_validator.values();
        operations.map(|operation| size_of::<(ValidatorIndex, Arc<T>, T)>() + of_operation(operation)).sum()
    }

    /// Drops what is of no use any more, and gives the oldest of the rest.
    fn offer(&mut self, is_of_use: impl Fn(ValidatorIndex, &T) -> bool) -> Vec<Arc<T>> {
        self.by_validator.retain(|index, operation| is_of_use(*index, operation));
        self.order.retain(|index| self.by_validator.contains_key(index));
        self.order.iter().take(OFFERED).filter_map(|index| self.by_validator.get(index)).cloned().collect()
    }
}

/// The pool. Every operation in it was verified by whoever put it in.
#[derive(Debug)]
pub struct OperationPool {
    proposer_slashings: Kind<ProposerSlashing>,
    /// By the first validator that gave both votes.
    attester_slashings: Kind<AttesterSlashing>,
    voluntary_exits: Kind<SignedVoluntaryExit>,
    bls_to_execution_changes: Kind<SignedBLSToExecutionChange>,
}

impl Default for OperationPool {
    fn default() -> Self {
        OperationPool {
            proposer_slashings: Kind::new(MAX_PROPOSER_SLASHINGS_POOLED),
            attester_slashings: Kind::new(MAX_ATTESTER_SLASHINGS_POOLED),
            voluntary_exits: Kind::new(MAX_EXITS_POOLED),
            bls_to_execution_changes: Kind::new(MAX_CHANGES_POOLED),
        }
    }
}

impl OperationPool {
    /// Adds an operation; anything else is left out.
    pub fn insert(&mut self, message: GossipMessage) {
        match message {
            GossipMessage::ProposerSlashing(slashing) => {
                self.proposer_slashings.insert(slashing.signed_header_1.message.proposer_index, slashing);
            }
            GossipMessage::AttesterSlashing(slashing) => {
                let first = slashed(&slashing).next();
                if let Some(first) = first {
                    self.attester_slashings.insert(first, slashing);
                }
            }
            GossipMessage::VoluntaryExit(exit) => self.voluntary_exits.insert(exit.message.validator_index, exit),
            GossipMessage::BlsToExecutionChange(change) => {
                self.bls_to_execution_changes.insert(change.message.validator_index, change);
            }
            _ => {}
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let indices = |attestation: &IndexedAttestation| attestation.attesting_indices.len() * size_of::<u64>();
        self.proposer_slashings.bytes(|_| 0)
            + self.attester_slashings.bytes(|both| indices(&both.attestation_1) + indices(&both.attestation_2))
            + self.voluntary_exits.bytes(|_| 0)
            + self.bls_to_execution_changes.bytes(|_| 0)
    }

    /// What a block on top of `state` may have. What the state says is done, or can never be, is dropped.
    pub fn offer(&mut self, state: &BeaconState) -> Operations {
        let epoch = state.current_epoch();
        let holds = |index, rule: &dyn Fn(&Validator) -> bool| get_validator(state, index).is_ok_and(|v| rule(&v));
        let is_slashable = |index| holds(index, &|validator| is_slashable_validator(validator, epoch));
        let has_key = |validator: &Validator| validator.withdrawal_credentials[0] == BLS_WITHDRAWAL_PREFIX;
        Operations {
            proposer_slashings: self.proposer_slashings.offer(|index, _| is_slashable(index)),
            attester_slashings: self.attester_slashings.offer(|_, slashing| slashed(slashing).any(is_slashable)),
            voluntary_exits: self
                .voluntary_exits
                .offer(|index, _| holds(index, &|validator| validator.exit_epoch == FAR_FUTURE_EPOCH)),
            bls_to_execution_changes: self.bls_to_execution_changes.offer(|index, _| holds(index, &has_key)),
        }
    }
}

/// Who gave both votes; verified slashings name their attesters in order.
fn slashed(slashing: &AttesterSlashing) -> impl Iterator<Item = ValidatorIndex> {
    let second = &slashing.attestation_2.attesting_indices;
    slashing.attestation_1.attesting_indices.iter().copied().filter(|index| second.binary_search(index).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::preset::MIN_ACTIVATION_BALANCE;

    fn exit(index: ValidatorIndex) -> GossipMessage {
        let message = VoluntaryExit { epoch: 0, validator_index: index };
        GossipMessage::VoluntaryExit(Arc::new(SignedVoluntaryExit { message, signature: BLSSignature::ZERO }))
    }

    fn state(validators: u64) -> BeaconState {
        let validator = |n: u64| Validator {
            pubkey: BLSPubkey::left_padding_from(&n.to_be_bytes()),
            withdrawal_credentials: Hash256::ZERO,
            effective_balance: MIN_ACTIVATION_BALANCE,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch: 0,
            exit_epoch: if n == 1 { 7 } else { FAR_FUTURE_EPOCH },
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        };
        BeaconState { validators: (0..validators).map(validator).collect(), ..BeaconState::default() }
    }

    #[test]
    fn what_the_state_has_done_is_dropped() {
        let mut pool = OperationPool::default();
        [2, 1, 0, 2, 99].into_iter().for_each(|index| pool.insert(exit(index)));
        let offered = pool.offer(&state(3)).voluntary_exits;
        // 1 has left, 99 is unknown.
        assert_eq!(offered.iter().map(|exit| exit.message.validator_index).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(pool.voluntary_exits.order.len(), 2);
    }

    #[test]
    fn the_pool_is_bounded_and_drops_the_oldest() {
        let mut pool = OperationPool::default();
        (0..MAX_EXITS_POOLED as u64 + 2).for_each(|index| pool.insert(exit(index)));
        let exits = &pool.voluntary_exits;
        assert_eq!((exits.order.len(), exits.by_validator.len()), (MAX_EXITS_POOLED, MAX_EXITS_POOLED));
        assert!(!exits.by_validator.contains_key(&1) && exits.by_validator.contains_key(&2));
        assert_eq!(pool.offer(&state(2000)).voluntary_exits.len(), OFFERED);
    }

    #[test]
    fn a_slashing_of_many_is_of_use_while_one_can_be_slashed() {
        let vote = |indices: Vec<u64>, source| IndexedAttestation {
            attesting_indices: indices.try_into().unwrap(),
            data: AttestationData { source: Checkpoint { epoch: source, ..Default::default() }, ..Default::default() },
            signature: BLSSignature::ZERO,
        };
        let slashing = AttesterSlashing { attestation_1: vote(vec![0, 2, 3], 0), attestation_2: vote(vec![2, 3], 1) };
        let mut pool = OperationPool::default();
        pool.insert(GossipMessage::AttesterSlashing(Arc::new(slashing)));
        let mut state = state(4);
        state.validators.update(2, |validator| validator.slashed = true);
        assert_eq!(pool.offer(&state).attester_slashings.len(), 1);
        state.validators.update(3, |validator| validator.slashed = true);
        assert!(pool.offer(&state).attester_slashings.is_empty());
    }
}
