//! Genesis: the first state, from the deposits that were made before.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#genesis>

use tree_hash::TreeHash as _;

use super::{
    Context, TransitionError, checked_sum, get_active_validator_indices, process_deposit,
    upgrade::run_scheduled_upgrades,
};
use crate::{
    ssz::{Column, hash_pair, mix_in_length},
    types::{preset::*, *},
};

/// The state that a block of the deposit contract's chain leads to: who has deposited enough by then is active from the
/// first epoch on. A network whose configuration has later forks from genesis on gets them at once.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#genesis>
///
/// # Errors
/// A deposit whose branch does not lead to the root of the deposits so far, or a sum that overflows.
pub fn initialize_beacon_state_from_eth1(
    eth1_block_hash: Hash256,
    eth1_timestamp: u64,
    deposits: &[Deposit],
    ctx: &Context,
) -> Result<BeaconState, TransitionError> {
    let version = ctx.config.version_of(ForkName::Phase0);
    let body = BeaconBlockBody { layout: ForkName::Phase0.into(), ..BeaconBlockBody::default() };
    let mut state = BeaconState {
        fork_name: ForkName::Phase0,
        genesis_time: checked_sum(eth1_timestamp, ctx.config.genesis_delay, "the genesis time")?,
        fork: Fork { previous_version: version, current_version: version, epoch: GENESIS_EPOCH },
        latest_block_header: BeaconBlockHeader { body_root: body.tree_hash_root(), ..BeaconBlockHeader::default() },
        block_roots: Column::filled(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT),
        state_roots: Column::filled(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT),
        eth1_data: Eth1Data {
            deposit_count: deposits.len() as u64,
            block_hash: eth1_block_hash,
            ..Eth1Data::default()
        },
        randao_mixes: Column::filled(eth1_block_hash, EPOCHS_PER_HISTORICAL_VECTOR),
        slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
        ..BeaconState::default()
    };
    let mut tree = DepositTree::default();
    for deposit in deposits {
        tree.push(deposit.data.tree_hash_root());
        state.eth1_data.deposit_root = tree.root();
        process_deposit(&mut state, deposit, ctx)?;
    }
    activate(&mut state);
    state.genesis_validators_root = state.validators.hash_tree_root();
    run_scheduled_upgrades(&mut state, ctx)?;
    Ok(state)
}

/// Activates the validators with a full balance.
fn activate(state: &mut BeaconState) {
    for (index, balance) in state.balances.iter().enumerate() {
        state.validators.update(index, |validator| {
            validator.effective_balance = (balance - balance % EFFECTIVE_BALANCE_INCREMENT).min(MAX_EFFECTIVE_BALANCE);
            if validator.effective_balance == MAX_EFFECTIVE_BALANCE {
                validator.activation_eligibility_epoch = GENESIS_EPOCH;
                validator.activation_epoch = GENESIS_EPOCH;
            }
        });
    }
}

/// Whether a chain may begin with `state`: not too early, and with enough validators.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#genesis-state>
pub fn is_valid_genesis_state(state: &BeaconState, ctx: &Context) -> bool {
    let active = get_active_validator_indices(state, GENESIS_EPOCH).len() as u64;
    state.genesis_time >= ctx.config.min_genesis_time && active >= ctx.config.min_genesis_active_validator_count
}

/// The deposit contract's tree, of which only the complete subtrees left of the next leaf are kept.
#[derive(Default)]
struct DepositTree {
    /// By height; those of heights that the count has no bit for mean nothing.
    subtrees: [Hash256; DEPOSIT_CONTRACT_TREE_DEPTH as usize],
    count: usize,
}

impl DepositTree {
    fn has_subtree(&self, height: usize) -> bool {
        self.count >> height & 1 == 1
    }

    fn push(&mut self, leaf: Hash256) {
        let (mut node, mut height) = (leaf, 0);
        while self.has_subtree(height) {
            node = hash_pair(&self.subtrees[height], &node);
            height += 1;
        }
        self.subtrees[height] = node;
        self.count += 1;
    }

    /// The root as an SSZ list.
    fn root(&self) -> Hash256 {
        let (mut root, mut empty) = (Hash256::ZERO, Hash256::ZERO);
        for (height, subtree) in self.subtrees.iter().enumerate() {
            root = if self.has_subtree(height) { hash_pair(subtree, &root) } else { hash_pair(&root, &empty) };
            empty = hash_pair(&empty, &empty);
        }
        mix_in_length(&root, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::{DOMAIN_DEPOSIT, PubkeyCache, SecretKey, compute_domain, compute_signing_root, sign},
        transition::process_slots,
    };

    const ETH: Gwei = 1_000_000_000;

    /// Deposits of these amounts, each of its own key, with branches to the root of those until then.
    fn deposits(amounts: &[Gwei], config: &Config) -> Vec<Deposit> {
        let domain = compute_domain(DOMAIN_DEPOSIT, config.genesis_fork_version, Hash256::ZERO);
        let mut leaves = Vec::new();
        let deposit = |(n, amount): (usize, &Gwei)| {
            let mut secret = [0; 32];
            secret[31] = n as u8 + 1;
            let secret = SecretKey::from_bytes(&secret).unwrap();
            let (pubkey, withdrawal_credentials) = (secret.public_key().to_compressed(), Hash256::ZERO);
            let message = DepositMessage { pubkey, withdrawal_credentials, amount: *amount };
            let signature = sign(&secret, compute_signing_root(&message, domain));
            let data = DepositData { pubkey, withdrawal_credentials, amount: *amount, signature };
            leaves.push(data.tree_hash_root());
            Deposit { proof: branch(leaves.clone()).try_into().unwrap(), data }
        };
        amounts.iter().enumerate().map(deposit).collect()
    }

    /// The branch of the last of these leaves, level by level, with the length.
    fn branch(mut nodes: Vec<Hash256>) -> Vec<Hash256> {
        let (count, mut empty, mut siblings) = (nodes.len(), Hash256::ZERO, Vec::new());
        for _ in 0..DEPOSIT_CONTRACT_TREE_DEPTH {
            let is_right = nodes.len().is_multiple_of(2);
            siblings.push(if is_right { nodes[nodes.len() - 2] } else { empty });
            nodes = nodes.chunks(2).map(|pair| hash_pair(&pair[0], pair.get(1).unwrap_or(&empty))).collect();
            empty = hash_pair(&empty, &empty);
        }
        let mut length = Hash256::ZERO;
        length[..8].copy_from_slice(&(count as u64).to_le_bytes());
        siblings.push(length);
        siblings
    }

    #[test]
    fn who_deposited_enough_is_active_in_every_fork_from_genesis_on() {
        for fork in ForkName::ALL {
            let config = Config { min_genesis_active_validator_count: 2, ..Config::default() };
            let (config, keys) = (config.in_fork_from_genesis(fork), PubkeyCache::default());
            let ctx = Context { config: &config, keys: &keys };
            let deposits = deposits(&[32 * ETH, 31 * ETH, 40 * ETH], &config);
            let time = config.min_genesis_time - config.genesis_delay;
            let mut state = initialize_beacon_state_from_eth1(Hash256::ZERO, time, &deposits, &ctx).unwrap();
            assert_eq!((state.fork_name, state.fork.current_version), (fork, config.version_of(fork)));
            assert_eq!(get_active_validator_indices(&state, GENESIS_EPOCH), [0, 2], "{fork}");
            assert!(is_valid_genesis_state(&state, &ctx));
            assert_eq!(state.balances.get(2), Some(&(40 * ETH)));
            let waits = if fork >= ForkName::Electra { 1 } else { 0 };
            assert_eq!(state.pending_deposits.len(), waits, "{fork}: what is too little waits as a deposit");
            process_slots(&mut state, 2 * SLOTS_PER_EPOCH + 1, &ctx).unwrap();
            let again = BeaconState::from_ssz_bytes(fork, &state.to_ssz_bytes()).unwrap();
            assert_eq!(again.clone().hash_tree_root(), state.hash_tree_root());
        }
    }

    #[test]
    fn a_genesis_too_early_or_too_small_is_not_valid() {
        let config = Config { min_genesis_active_validator_count: 2, ..Config::default() };
        let config = config.in_fork_from_genesis(ForkName::Phase0);
        let keys = PubkeyCache::default();
        let ctx = Context { config: &config, keys: &keys };
        let genesis = |time, amounts: &[Gwei]| {
            let deposits = deposits(amounts, &config);
            initialize_beacon_state_from_eth1(Hash256::ZERO, time, &deposits, &ctx).unwrap()
        };
        let time = config.min_genesis_time - config.genesis_delay;
        assert!(!is_valid_genesis_state(&genesis(time - 1, &[32 * ETH; 2]), &ctx));
        assert!(!is_valid_genesis_state(&genesis(time, &[32 * ETH, 31 * ETH]), &ctx));
        assert!(is_valid_genesis_state(&genesis(time, &[32 * ETH; 2]), &ctx));
    }

    #[test]
    fn a_deposit_without_its_branch_is_refused() {
        let (config, keys) = (Config::default(), PubkeyCache::default());
        let ctx = Context { config: &config, keys: &keys };
        let mut deposits = deposits(&[32 * ETH; 2], &config);
        deposits.swap(0, 1);
        assert!(initialize_beacon_state_from_eth1(Hash256::ZERO, 0, &deposits, &ctx).is_err());
    }
}
