//! The genesis of a devnet: a Fulu state with the well-known interop validators, and the configuration that goes with it.
//!
//! It follows what the specification's own tests do, and what other clients' interop tools do: the validators are active
//! from the start, without deposits, and the sync committee is the same in the first two periods.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/tests/core/pyspec/eth_consensus_specs/test/helpers/genesis.py>

use ethereum_hashing::hash_fixed;
use tree_hash::TreeHash as _;

use crate::{
    ssz::Column,
    transition::{
        TransitionError, get_beacon_proposer_index, get_next_sync_committee, get_shuffling,
        initialize_proposer_lookahead,
    },
    types::{preset::*, *},
    validator::interop_secret_key,
};

/// The randomness of a chain without history, and the hash of the deposit contract's block.
const SEED: Hash256 = Hash256::repeat_byte(0xda);
/// Hash of the execution chain's genesis block; the stand-in's chain starts from it.
const GENESIS_BLOCK_HASH: Hash256 = Hash256::repeat_byte(0x42);
/// The last byte of a devnet's fork versions.
const VERSION_SUFFIX: u8 = 0x48;

/// A chain's beginning.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The state, hashed.
    pub state: BeaconState,
    /// Its block, which nobody signed.
    pub block: SignedBeaconBlock,
}

impl Genesis {
    /// The same on another execution chain, which begins with this block.
    pub fn on_execution_chain(mut self, block_hash: Hash256) -> Genesis {
        self.state.latest_execution_payload_header.block_hash = block_hash;
        self.block.message.state_root = self.state.hash_tree_root();
        self
    }
}

/// The configuration of a devnet: every fork up to Fulu from the first slot, in this build's preset.
pub fn devnet_config(genesis_time: u64, slot_duration_ms: u64) -> Config {
    let version = |fork: u8| Version::new([fork, 0, 0, VERSION_SUFFIX]);
    Config {
        config_name: "hornero-devnet".into(),
        min_genesis_time: genesis_time,
        genesis_delay: 0,
        slot_duration_ms,
        genesis_fork_version: version(0),
        altair_fork_version: version(1),
        bellatrix_fork_version: version(2),
        capella_fork_version: version(3),
        deneb_fork_version: version(4),
        electra_fork_version: version(5),
        fulu_fork_version: version(6),
        gloas_fork_version: version(7),
        // As in the specification's minimal configuration: a few validators can come and go.
        churn_limit_quotient: 32,
        min_per_epoch_churn_limit_electra: 64_000_000_000,
        max_per_epoch_activation_exit_churn_limit: 128_000_000_000,
        shard_committee_period: 64,
        eth1_follow_distance: 16,
        ..Config::default().in_fork_from_genesis(ForkName::Fulu)
    }
}

/// The genesis of a devnet with the interop validators `0..validators`.
///
/// # Errors
/// When there are too few validators to give every slot a proposer: none at all.
pub fn interop_genesis(config: &Config, validators: u64) -> Result<Genesis, TransitionError> {
    let mut state = empty_state(config, validators);
    for index in 0..validators {
        state.validators.push(validator(index));
        state.balances.push(MAX_EFFECTIVE_BALANCE);
        state.previous_epoch_participation.push(0);
        state.current_epoch_participation.push(0);
        state.inactivity_scores.push(0);
    }
    state.genesis_validators_root = state.validators.hash_tree_root();
    state.current_sync_committee = Hashed::new(get_next_sync_committee(&state)?);
    state.next_sync_committee = state.current_sync_committee.clone();
    state.proposer_lookahead = initialize_proposer_lookahead(&state)?;
    get_beacon_proposer_index(&state)?;
    for epoch in [0, 1] {
        get_shuffling(&mut state, epoch)?;
    }
    let message = BeaconBlock {
        slot: GENESIS_SLOT,
        proposer_index: 0,
        parent_root: Hash256::ZERO,
        state_root: state.hash_tree_root(),
        body: BeaconBlockBody::default(),
    };
    Ok(Genesis { state, block: SignedBeaconBlock { message, signature: BLSSignature::ZERO } })
}

fn empty_state(config: &Config, validators: u64) -> BeaconState {
    let version = config.fulu_fork_version;
    BeaconState {
        fork_name: ForkName::Fulu,
        genesis_time: config.min_genesis_time,
        fork: Fork { previous_version: version, current_version: version, epoch: GENESIS_EPOCH },
        latest_block_header: BeaconBlockHeader {
            body_root: BeaconBlockBody::default().tree_hash_root(),
            ..Default::default()
        },
        block_roots: Column::filled(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT),
        state_roots: Column::filled(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT),
        // As many deposits as validators, all of them processed: no block has to bring any.
        eth1_data: Eth1Data { deposit_root: Hash256::ZERO, deposit_count: validators, block_hash: SEED },
        eth1_deposit_index: validators,
        randao_mixes: Column::filled(SEED, EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        latest_execution_payload_header: ExecutionPayloadHeader {
            block_hash: GENESIS_BLOCK_HASH,
            timestamp: config.min_genesis_time,
            ..Default::default()
        },
        deposit_requests_start_index: UNSET_DEPOSIT_REQUESTS_START_INDEX,
        ..Default::default()
    }
}

/// Interop validator `index`, active from genesis. Every second one has an execution address to withdraw to, so that both
/// kinds occur.
fn validator(index: u64) -> Validator {
    let pubkey = interop_secret_key(index).public_key().to_compressed();
    let mut withdrawal_credentials = Hash256::from(hash_fixed(pubkey.as_slice()));
    withdrawal_credentials[0] = BLS_WITHDRAWAL_PREFIX;
    if index % 2 == 1 {
        withdrawal_credentials[0] = ETH1_ADDRESS_WITHDRAWAL_PREFIX;
        withdrawal_credentials[1..12].fill(0);
    }
    Validator {
        pubkey,
        withdrawal_credentials,
        effective_balance: MAX_EFFECTIVE_BALANCE,
        slashed: false,
        activation_eligibility_epoch: GENESIS_EPOCH,
        activation_epoch: GENESIS_EPOCH,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_genesis_is_whole() {
        let config = devnet_config(1_700_000_000, 1000);
        assert_eq!(config.fork_name(0), Some(ForkName::Fulu));
        let Genesis { mut state, block } = interop_genesis(&config, 32).unwrap();
        assert_eq!(state.hash_tree_root(), block.message.state_root);
        let mut header = state.latest_block_header;
        header.state_root = block.message.state_root;
        assert_eq!(header.tree_hash_root(), block.root(), "the header is the block's");
        let mut bytes = Vec::new();
        state.write_to(&mut bytes).unwrap();
        assert_eq!(BeaconState::from_reader(ForkName::Fulu, &mut bytes.as_slice()).unwrap(), state);
        assert_eq!(state.proposer_lookahead.len(), PROPOSER_LOOKAHEAD_LENGTH);
        assert!(state.current_sync_committee.pubkeys.iter().all(|key| state.validators.index_of(key).is_some()));
    }

    #[test]
    fn another_execution_chain_gives_another_genesis() {
        let genesis = interop_genesis(&devnet_config(1_700_000_000, 1000), 8).unwrap();
        let other = genesis.clone().on_execution_chain(Hash256::repeat_byte(7));
        assert_eq!(other.state.latest_execution_payload_header.block_hash, Hash256::repeat_byte(7));
        assert_eq!(other.state.clone().hash_tree_root(), other.block.message.state_root);
        assert_ne!(other.block.root(), genesis.block.root());
    }

    #[test]
    fn the_same_validators_give_the_same_chain_and_others_another() {
        let config = devnet_config(1_700_000_000, 1000);
        let roots = [8, 8, 9].map(|n| interop_genesis(&config, n).unwrap().block.root());
        assert_eq!(roots[0], roots[1]);
        assert_ne!(roots[0], roots[2]);
    }
}
