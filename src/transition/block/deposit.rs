//! Deposits of the former mechanism, with a branch to the contract's root, which Electra was the last to have.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#deposits>

use tree_hash::TreeHash as _;

use super::*;

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#deposits>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-process_deposit>
///
/// # Errors
/// A branch that does not lead to the contract's root. A deposit with a bad signature is passed over: the contract does
/// not check them.
pub fn process_deposit(state: &mut BeaconState, deposit: &Deposit, ctx: &Context) -> Result<(), TransitionError> {
    let is_proven = is_valid_merkle_branch(
        deposit.data.tree_hash_root(),
        &deposit.proof,
        DEPOSIT_CONTRACT_TREE_DEPTH as usize + 1,
        state.eth1_deposit_index,
        state.eth1_data.deposit_root,
    );
    ensure(is_proven, "deposit", "its branch must lead to the root of the deposit contract")?;
    state.eth1_deposit_index = checked_sum(state.eth1_deposit_index, 1, "the number of deposits")?;
    apply_deposit(state, &deposit.data, ctx)
}

/// Adds an unknown validator. What was deposited is its balance at once, or since Electra when the deposit's turn comes.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#deposits>
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/electra/beacon-chain.md#modified-apply_deposit>
///
/// # Errors
/// A balance that overflows.
fn apply_deposit(state: &mut BeaconState, data: &DepositData, ctx: &Context) -> Result<(), TransitionError> {
    let DepositData { pubkey, withdrawal_credentials, amount, signature } = *data;
    let known = state.validators.index_of(&pubkey);
    if known.is_none() && !is_valid_deposit_signature(pubkey, withdrawal_credentials, amount, &signature, ctx) {
        return Ok(());
    }
    if state.fork_name < ForkName::Electra {
        if let Some(index) = known {
            return increase_balance(state, index, amount);
        }
        add_validator_to_registry(state, pubkey, withdrawal_credentials, amount);
        return Ok(());
    }
    if known.is_none() {
        add_validator_to_registry(state, pubkey, withdrawal_credentials, 0);
    }
    // The slot of genesis tells it from a request of the execution layer.
    state.pending_deposits.push(Hashed::new(PendingDeposit {
        pubkey,
        withdrawal_credentials,
        amount,
        signature,
        slot: GENESIS_SLOT,
    }));
    Ok(())
}
