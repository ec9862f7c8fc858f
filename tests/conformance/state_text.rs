//! The state as text. The node never writes a whole state as text, so the tests do it, field by field.

use hornero::types::{self, BeaconState};
use serde::Serialize;
use serde_yaml_ng::Value;

/// The state as the vectors write it, through the same accessors that the node uses.
pub fn to_value(state: &BeaconState) -> Value {
    let fields = [
        ("genesis_time", one(&state.genesis_time)),
        ("genesis_validators_root", one(&state.genesis_validators_root)),
        ("slot", one(&state.slot)),
        ("fork", one(&state.fork)),
        ("latest_block_header", one(&state.latest_block_header)),
        ("block_roots", all(state.block_roots.iter())),
        ("state_roots", all(state.state_roots.iter())),
        ("historical_roots", all(state.historical_roots.iter())),
        ("eth1_data", one(&state.eth1_data)),
        ("eth1_data_votes", all(state.eth1_data_votes.iter())),
        ("eth1_deposit_index", one(&state.eth1_deposit_index)),
        ("validators", all(state.validators.iter())),
        ("balances", all(state.balances.iter())),
        ("randao_mixes", all(state.randao_mixes.iter())),
        ("slashings", all(state.slashings.iter())),
        ("previous_epoch_participation", all(state.previous_epoch_participation.iter())),
        ("current_epoch_participation", all(state.current_epoch_participation.iter())),
        ("justification_bits", one(&state.justification_bits)),
        ("previous_justified_checkpoint", one(&state.previous_justified_checkpoint)),
        ("current_justified_checkpoint", one(&state.current_justified_checkpoint)),
        ("finalized_checkpoint", one(&state.finalized_checkpoint)),
        ("inactivity_scores", all(state.inactivity_scores.iter())),
        ("current_sync_committee", one(&*state.current_sync_committee)),
        ("next_sync_committee", one(&*state.next_sync_committee)),
        ("latest_execution_payload_header", one(&state.latest_execution_payload_header)),
        ("next_withdrawal_index", one(&state.next_withdrawal_index)),
        ("next_withdrawal_validator_index", one(&state.next_withdrawal_validator_index)),
        ("historical_summaries", all(state.historical_summaries.iter())),
        ("deposit_requests_start_index", one(&state.deposit_requests_start_index)),
        ("deposit_balance_to_consume", one(&state.deposit_balance_to_consume)),
        ("exit_balance_to_consume", one(&state.exit_balance_to_consume)),
        ("earliest_exit_epoch", one(&state.earliest_exit_epoch)),
        ("consolidation_balance_to_consume", one(&state.consolidation_balance_to_consume)),
        ("earliest_consolidation_epoch", one(&state.earliest_consolidation_epoch)),
        ("pending_deposits", all(state.pending_deposits.iter())),
        ("pending_partial_withdrawals", all(state.pending_partial_withdrawals.iter())),
        ("pending_consolidations", all(state.pending_consolidations.iter())),
        ("proposer_lookahead", all(state.proposer_lookahead.iter())),
    ];
    // Forks only ever added fields at the end.
    let of_fork = fields.into_iter().take(types::fields(state.fork_name).len());
    Value::Mapping(of_fork.map(|(name, value)| (name.into(), value)).collect())
}

fn one<T: Serialize>(value: &T) -> Value {
    serde_yaml_ng::to_value(value).expect("types of the state can be written as text")
}

fn all<T: Serialize>(items: impl Iterator<Item = T>) -> Value {
    Value::Sequence(items.map(|item| one(&item)).collect())
}
