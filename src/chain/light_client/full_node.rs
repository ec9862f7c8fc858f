//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/full-node.md>
//!
//! The specification hands over blocks where ours takes headers: a node has those at hand when the blocks are on disk.

use tree_hash::TreeHash;

use super::{error::ensure, helpers::NO_SYNC_COMMITTEE, *};
use crate::{
    ssz::{merkleize, proof::field_branch},
    types::{preset::*, *},
};

/// The branch of a field of the state, or of `finalized_checkpoint.root`; `None` for any other generalized index.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/full-node.md#compute_merkle_proof>
pub fn compute_merkle_proof(state: &mut BeaconState, index: u64) -> Option<Vec<Hash256>> {
    let field_roots = state.field_roots();
    let depth = field_roots.len().next_power_of_two().ilog2();
    let below = index.checked_ilog2()?.checked_sub(depth)?;
    let place = get_subtree_index(index >> below) as usize;
    let field = fields(state.fork_name).get(place)?;
    let inner = match (below, field, index % 2) {
        (0, _, _) => None,
        (1, Field::FinalizedCheckpoint, 1) => Some(state.finalized_checkpoint.epoch.tree_hash_root()),
        _ => return None,
    };
    Some(inner.into_iter().chain(field_branch(&field_roots, place)).collect())
}

/// The branch at `gindex`, with zeros before it if Electra's is longer.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/light-client/fork.md#normalize_merkle_branch>
fn normalized_branch<const LEN: usize>(
    state: &mut BeaconState,
    gindex: u64,
) -> Result<[Hash256; LEN], LightClientError> {
    let branch = compute_merkle_proof(state, gindex).filter(|branch| branch.len() <= LEN);
    let branch = branch.ok_or(LightClientError { object: "branch", rule: "the state must be of its slot's fork" })?;
    let mut normalized = [Hash256::ZERO; LEN];
    normalized[LEN - branch.len()..].copy_from_slice(&branch);
    Ok(normalized)
}

/// The header of a block, since Capella with its payload's.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/deneb/light-client/full-node.md#modified-block_to_light_client_header>
pub fn block_to_light_client_header(block: &SignedBeaconBlock) -> LightClientHeader {
    let BeaconBlock { slot, proposer_index, parent_root, state_root, body } = &block.message;
    let field_roots = body.field_roots();
    let mut header = LightClientHeader::default();
    if body.layout >= BodyLayout::Capella {
        let branch = field_branch(&field_roots, get_subtree_index(EXECUTION_PAYLOAD_GINDEX) as usize);
        header.execution = body.execution_payload_header();
        header.execution_branch = branch.try_into().unwrap_or_default();
    }
    let depth = field_roots.len().next_power_of_two().ilog2() as usize;
    header.beacon = BeaconBlockHeader {
        slot: *slot,
        proposer_index: *proposer_index,
        parent_root: *parent_root,
        state_root: *state_root,
        body_root: merkleize(field_roots, 0, depth),
    };
    header
}

/// Where a light client starts that trusts `header`'s block. `state` is the block's, before any empty slot.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/full-node.md#create_light_client_bootstrap>
///
/// # Errors
/// When there are no light clients yet, or the state is not the block's.
pub fn create_light_client_bootstrap(
    state: &mut BeaconState,
    header: &LightClientHeader,
    config: &Config,
) -> Result<LightClientBootstrap, LightClientError> {
    let rule = |holds, rule| ensure(holds, "bootstrap", rule);
    rule(state.fork_name >= ForkName::Altair, "there are no light clients before Altair")?;
    rule(is_post_state(state, header), "the state must be the block's")?;
    let gindex = current_sync_committee_gindex_at_slot(state.slot, config);
    Ok(LightClientBootstrap {
        fork_name: state.fork_name,
        header: header.clone(),
        current_sync_committee: state.current_sync_committee.clone(),
        current_sync_committee_branch: normalized_branch(state, gindex)?,
    })
}

/// What `block`'s sync aggregate, a signature of its parent, is worth to a light client.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/full-node.md#create_light_client_update>
///
/// `attested_state` is the parent's, before any empty slot. `finalized_header` is of the block that the attested state has
/// as finalized, the empty one if that is genesis, `None` if it is not at hand.
///
/// # Errors
/// When nobody signed, or they do not belong together.
pub fn create_light_client_update(
    block: &SignedBeaconBlock,
    attested_state: &mut BeaconState,
    attested_header: &LightClientHeader,
    finalized_header: Option<&LightClientHeader>,
    config: &Config,
) -> Result<LightClientUpdate, LightClientError> {
    let rule = |holds, rule| ensure(holds, "update", rule);
    let sync_aggregate = block.message.body.sync_aggregate.clone();
    rule(attested_state.fork_name >= ForkName::Altair, "there are no light clients before Altair")?;
    let participants = sync_aggregate.sync_committee_bits.num_set_bits() as u64;
    rule(participants >= MIN_SYNC_COMMITTEE_PARTICIPANTS, "somebody must have signed it")?;
    rule(is_post_state(attested_state, attested_header), "the attested state must be the attested block's")?;
    let is_parent = attested_header.beacon.tree_hash_root() == block.message.parent_root;
    rule(is_parent, "the attested block must be the block's parent")?;

    let mut update = LightClientUpdate {
        fork_name: attested_state.fork_name,
        attested_header: attested_header.clone(),
        next_sync_committee: NO_SYNC_COMMITTEE.clone(),
        next_sync_committee_branch: SyncCommitteeBranch::default(),
        finalized_header: LightClientHeader::default(),
        finality_branch: FinalityBranch::default(),
        sync_aggregate,
        signature_slot: block.message.slot,
    };
    // The next committee is of use only to those who know the one that signed.
    if compute_sync_committee_period_at_slot(attested_header.beacon.slot)
        == compute_sync_committee_period_at_slot(block.message.slot)
    {
        update.next_sync_committee = attested_state.next_sync_committee.clone();
        let gindex = next_sync_committee_gindex_at_slot(attested_state.slot, config);
        update.next_sync_committee_branch = normalized_branch(attested_state, gindex)?;
    }
    if let Some(finalized_header) = finalized_header {
        let is_genesis = finalized_header.beacon.slot == GENESIS_SLOT;
        let root = if is_genesis { Hash256::ZERO } else { finalized_header.beacon.tree_hash_root() };
        rule(
            root == attested_state.finalized_checkpoint.root,
            "the finalized block must be that of the attested state",
        )?;
        if !is_genesis {
            update.finalized_header = finalized_header.clone();
        }
        let gindex = finalized_root_gindex_at_slot(attested_state.slot, config);
        update.finality_branch = normalized_branch(attested_state, gindex)?;
    }
    Ok(update)
}

/// Whether `state` is what `header`'s block left, before any empty slot.
fn is_post_state(state: &mut BeaconState, header: &LightClientHeader) -> bool {
    let latest = BeaconBlockHeader { state_root: state.hash_tree_root(), ..state.latest_block_header };
    state.slot == latest.slot && latest == header.beacon
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/full-node.md#create_light_client_finality_update>
pub fn create_light_client_finality_update(update: &LightClientUpdate) -> LightClientFinalityUpdate {
    LightClientFinalityUpdate {
        fork_name: update.fork_name,
        attested_header: update.attested_header.clone(),
        finalized_header: update.finalized_header.clone(),
        finality_branch: update.finality_branch,
        sync_aggregate: update.sync_aggregate.clone(),
        signature_slot: update.signature_slot,
    }
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/altair/light-client/full-node.md#create_light_client_optimistic_update>
pub fn create_light_client_optimistic_update(update: &LightClientUpdate) -> LightClientOptimisticUpdate {
    LightClientOptimisticUpdate {
        fork_name: update.fork_name,
        attested_header: update.attested_header.clone(),
        sync_aggregate: update.sync_aggregate.clone(),
        signature_slot: update.signature_slot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fork: ForkName) -> SignedBeaconBlock {
        let mut body = BeaconBlockBody::empty(fork);
        if fork >= ForkName::Bellatrix {
            body.execution_payload.block_hash = Hash256::repeat_byte(1);
        }
        let message = BeaconBlock { slot: 5, body, ..BeaconBlock::default() };
        SignedBeaconBlock { message, ..SignedBeaconBlock::default() }
    }

    #[test]
    fn headers_of_every_fork_are_valid_in_theirs_and_after_it() {
        for fork in ForkName::ALL {
            let block = block(fork);
            let header = block_to_light_client_header(&block);
            assert_eq!(header.beacon, block.message.header(), "{fork}");
            let has_payload = header.execution != ExecutionPayloadHeader::default();
            assert_eq!(has_payload, fork >= ForkName::Capella, "{fork}: Bellatrix has one that nobody asked for");
            let next = ForkName::ALL.into_iter().find(|next| *next > fork);
            for config in [Some((fork, 0)), next.map(|next| (next, 9))].into_iter().flatten() {
                let config = Config::default().with_fork_at(config.0, config.1);
                assert!(is_valid_light_client_header(&header, &config), "{fork}");
            }
        }
    }

    #[test]
    fn a_header_of_another_fork_than_its_slots_is_not_valid() {
        let config = |fork| Config::default().with_fork_at(fork, GENESIS_EPOCH);
        let [altair, capella, deneb] = [ForkName::Altair, ForkName::Capella, ForkName::Deneb];
        let header = |fork| block_to_light_client_header(&block(fork));
        assert!(!is_valid_light_client_header(&header(altair), &config(capella)));
        assert!(!is_valid_light_client_header(&header(capella), &config(altair)));
        assert!(!is_valid_light_client_header(&header(capella), &config(deneb)));
        let mut with_blob_gas = header(capella);
        with_blob_gas.execution.blob_gas_used = 1;
        assert!(!is_valid_light_client_header(&with_blob_gas, &config(capella)));
    }

    #[test]
    fn only_fields_and_the_finalized_root_have_branches() {
        let mut state = BeaconState { fork_name: ForkName::Deneb, ..BeaconState::default() };
        state.finalized_checkpoint = Checkpoint { epoch: 3, root: Hash256::repeat_byte(2) };
        let root = state.hash_tree_root();
        let mut branch = |gindex| compute_merkle_proof(&mut state, gindex);
        for gindex in [0, 1, 31, 32 + 28, 104, 107, FINALIZED_ROOT_GINDEX_ELECTRA, u64::MAX] {
            assert_eq!(branch(gindex), None, "{gindex}");
        }
        let of_root = branch(FINALIZED_ROOT_GINDEX).unwrap();
        assert!(is_valid_normalized_merkle_branch(Hash256::repeat_byte(2), &of_root, FINALIZED_ROOT_GINDEX, root));
        let longer = [vec![Hash256::ZERO], of_root.clone()].concat();
        assert!(is_valid_normalized_merkle_branch(Hash256::repeat_byte(2), &longer, FINALIZED_ROOT_GINDEX, root));
        let other = [vec![Hash256::repeat_byte(1)], of_root].concat();
        assert!(!is_valid_normalized_merkle_branch(Hash256::repeat_byte(2), &other, FINALIZED_ROOT_GINDEX, root));
    }
}
