//! Deposits that the execution layer reports.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#deposit-requests>

use super::*;

/// Queues a deposit. Its signature is looked at when its turn comes.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/beacon-chain.md#modified-process_deposit_request>
pub fn process_deposit_request(state: &mut BeaconState, request: &DepositRequest) {
    let is_first = state.deposit_requests_start_index == UNSET_DEPOSIT_REQUESTS_START_INDEX;
    if state.fork_name < ForkName::Fulu && is_first {
        state.deposit_requests_start_index = request.index;
    }
    state.pending_deposits.push(Hashed::new(PendingDeposit {
        pubkey: request.pubkey,
        withdrawal_credentials: request.withdrawal_credentials,
        amount: request.amount,
        signature: request.signature,
        slot: state.slot,
    }));
}
