//! Blocks on any state whose validator `i` has the secret key `i + 1`: valid, with all their signatures, made by the very
//! transition that the node runs.

use ethereum_hashing::hash;
use hornero::{
    crypto::{
        DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_RANDAO, DOMAIN_SYNC_COMMITTEE, SecretKey,
        compute_signing_root,
    },
    transition::{
        Context, SignatureCollector, TransitionError, compute_time_at_slot, get_beacon_proposer_index, get_block_root,
        get_block_root_at_slot, get_domain, get_expected_withdrawals, get_randao_mix, get_shuffling,
        get_sync_committee_indices, process_block, process_slots,
    },
    types::{preset::*, *},
};
use ssz_types::{BitList, BitVector, VariableList};
use tree_hash::TreeHash;

/// As many aggregates as a block has room for, each of all committees of a slot.
const AGGREGATES: u64 = MAX_ATTESTATIONS_ELECTRA as u64;
/// A payload of some 100 KB that does not compress, as on mainnet.
const TRANSACTIONS: usize = 200;
const HASHES_PER_TRANSACTION: u64 = 16;

/// Who votes: one in `one_in` of those whose turn it is; and of which slots, at most up to `until`.
#[derive(Clone, Copy)]
pub struct Votes {
    pub one_in: u64,
    pub until: Slot,
}

impl Votes {
    /// Everybody, for all slots before the block.
    pub const ALL: Votes = Votes { one_in: 1, until: Slot::MAX };

    fn has(&self, validator: u64) -> bool {
        validator.is_multiple_of(self.one_in)
    }
}

pub struct Maker<'a> {
    ctx: Context<'a>,
    transactions: VariableList<Transaction, typenum::U1048576>,
}

impl<'a> Maker<'a> {
    pub fn new(ctx: Context<'a>) -> Self {
        let transaction = |_| {
            let bytes: Vec<u8> = (0..HASHES_PER_TRANSACTION).flat_map(|n| digest("transaction", n).0).collect();
            bytes.try_into().expect("512 bytes are not too many")
        };
        let transactions: Vec<_> = (0..TRANSACTIONS).map(transaction).collect();
        Maker { ctx, transactions: transactions.try_into().expect("200 are not too many") }
    }

    /// The block of `slot` on the block whose post-state is `parent`, and its own post-state, hashed. None where the proposer
    /// was slashed.
    ///
    /// # Errors
    /// When the block would not be valid, which is a mistake here.
    pub fn block(
        &self,
        parent: &BeaconState,
        slot: Slot,
        votes: Votes,
    ) -> Result<Option<(SignedBeaconBlock, BeaconState)>, TransitionError> {
        let mut state = parent.clone();
        process_slots(&mut state, slot, &self.ctx)?;
        let parent_root = state.latest_block_header.tree_hash_root();
        let proposer_index = get_beacon_proposer_index(&state)?;
        if state.validators.slashed(proposer_index as usize) {
            return Ok(None);
        }
        let newest = slot.saturating_sub(1).min(votes.until);
        let attestations = (0..AGGREGATES).map(|back| self.attestation(&mut state, newest - back, votes));
        let attestations = attestations.collect::<Result<_, _>>()?;
        let epoch = state.current_epoch();
        let body = BeaconBlockBody {
            randao_reveal: sign(&state, [proposer_index], &epoch, DOMAIN_RANDAO, epoch),
            eth1_data: state.eth1_data,
            attestations,
            sync_aggregate: self.sync_aggregate(&mut state, parent_root, votes)?,
            execution_payload: self.payload(&state)?,
            ..BeaconBlockBody::empty(ForkName::Fulu)
        };
        let mut message = BeaconBlock { slot, proposer_index, parent_root, state_root: Hash256::ZERO, body };
        process_block(&mut state, &message, &self.ctx, &mut SignatureCollector::new(false))?;
        message.state_root = state.hash_tree_root();
        let signature = sign(&state, [proposer_index], &message.tree_hash_root(), DOMAIN_BEACON_PROPOSER, epoch);
        Ok(Some((SignedBeaconBlock { message, signature }, state)))
    }

    /// The votes of a slot's committees for the chain that the state knows.
    fn attestation(&self, state: &mut BeaconState, slot: Slot, votes: Votes) -> Result<Attestation, TransitionError> {
        let epoch = compute_epoch_at_slot(slot);
        let shuffling = get_shuffling(state, epoch)?;
        let committees = 0..shuffling.committees_per_slot;
        let members: Vec<u64> = committees
            .clone()
            .flat_map(|committee| shuffling.committee(slot, committee).unwrap_or_default())
            .map(|member| u64::from(*member))
            .collect();
        let is_current = epoch == state.current_epoch();
        let source = if is_current { state.current_justified_checkpoint } else { state.previous_justified_checkpoint };
        let data = AttestationData {
            slot,
            index: 0,
            beacon_block_root: get_block_root_at_slot(state, slot)?,
            source,
            target: Checkpoint { epoch, root: get_block_root(state, epoch)? },
        };
        let mut aggregation_bits = BitList::with_capacity(members.len()).expect("committees fit into the bits");
        let voters: Vec<usize> = (0..members.len()).filter(|place| votes.has(members[*place])).collect();
        voters.iter().for_each(|place| aggregation_bits.set(*place, true).expect("within the bits"));
        let mut committee_bits = BitVector::new();
        committees.for_each(|bit| committee_bits.set(bit as usize, true).expect("within the bits"));
        let voters = voters.into_iter().map(|place| members[place]);
        let signature = sign(state, voters, &data, DOMAIN_BEACON_ATTESTER, epoch);
        Ok(Attestation { aggregation_bits, data, signature, committee_bits })
    }

    fn sync_aggregate(
        &self,
        state: &mut BeaconState,
        parent_root: Hash256,
        votes: Votes,
    ) -> Result<SyncAggregate, TransitionError> {
        let members = get_sync_committee_indices(state)?;
        let mut sync_committee_bits = BitVector::new();
        let signers = members.iter().map(|member| u64::from(*member)).enumerate();
        let signers: Vec<(usize, u64)> = signers.filter(|(_, member)| votes.has(*member)).collect();
        signers.iter().for_each(|(place, _)| sync_committee_bits.set(*place, true).expect("within the bits"));
        let epoch = compute_epoch_at_slot(state.slot - 1);
        let members = signers.into_iter().map(|(_, member)| member);
        let sync_committee_signature = sign(state, members, &parent_root, DOMAIN_SYNC_COMMITTEE, epoch);
        Ok(SyncAggregate { sync_committee_bits, sync_committee_signature })
    }

    fn payload(&self, state: &BeaconState) -> Result<ExecutionPayload, TransitionError> {
        let before = &state.latest_execution_payload_header;
        let withdrawals = get_expected_withdrawals(state)?.withdrawals;
        Ok(ExecutionPayload {
            parent_hash: before.block_hash,
            prev_randao: get_randao_mix(state, state.current_epoch()),
            block_number: before.block_number + 1,
            gas_limit: before.gas_limit,
            timestamp: compute_time_at_slot(state, state.slot, &self.ctx)?,
            base_fee_per_gas: before.base_fee_per_gas,
            block_hash: Hash256::from_slice(&hash(before.block_hash.as_slice())),
            transactions: self.transactions.clone(),
            withdrawals: withdrawals.try_into().expect("no more than a payload holds"),
            ..ExecutionPayload::default()
        })
    }
}

/// The joint signature of `validators`; of nobody, the point at infinity.
fn sign(
    state: &BeaconState,
    validators: impl IntoIterator<Item = ValidatorIndex>,
    object: &impl TreeHash,
    domain_type: DomainType,
    epoch: Epoch,
) -> BLSSignature {
    let sum: u128 = validators.into_iter().map(|index| u128::from(index) + 1).sum();
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&sum.to_be_bytes());
    let message = compute_signing_root(object, get_domain(state, domain_type, epoch));
    // Zero is no secret key.
    SecretKey::from_bytes(&bytes).map_or(G2_POINT_AT_INFINITY, |key| key.sign(message).to_bytes())
}

fn digest(tag: &str, number: u64) -> Hash256 {
    Hash256::from_slice(&hash(&[tag.as_bytes(), &number.to_le_bytes()].concat()))
}
