//! The state as text. The node never writes a whole state as text, so the tests do it, field by field.

use hornero::types::{
    self, BeaconState, ExecutionPayloadHeaderBellatrix, ExecutionPayloadHeaderCapella, Field, ForkName,
};
use serde::Serialize;
use serde_yaml_ng::Value;

/// The state as the vectors write it, through the same accessors that the node uses.
pub fn to_value(state: &BeaconState) -> Value {
    let text = |field: &Field| {
        let (name, value) = match field {
            Field::GenesisTime => ("genesis_time", one(&state.genesis_time)),
            Field::GenesisValidatorsRoot => ("genesis_validators_root", one(&state.genesis_validators_root)),
            Field::Slot => ("slot", one(&state.slot)),
            Field::Fork => ("fork", one(&state.fork)),
            Field::LatestBlockHeader => ("latest_block_header", one(&state.latest_block_header)),
            Field::BlockRoots => ("block_roots", all(state.block_roots.iter())),
            Field::StateRoots => ("state_roots", all(state.state_roots.iter())),
            Field::HistoricalRoots => ("historical_roots", all(state.historical_roots.iter())),
            Field::Eth1Data => ("eth1_data", one(&state.eth1_data)),
            Field::Eth1DataVotes => ("eth1_data_votes", all(state.eth1_data_votes.iter())),
            Field::Eth1DepositIndex => ("eth1_deposit_index", one(&state.eth1_deposit_index)),
            Field::Validators => ("validators", all(state.validators.iter())),
            Field::Balances => ("balances", all(state.balances.iter())),
            Field::RandaoMixes => ("randao_mixes", all(state.randao_mixes.iter())),
            Field::Slashings => ("slashings", all(state.slashings.iter())),
            Field::PreviousEpochAttestations => {
                ("previous_epoch_attestations", one(&state.previous_epoch_attestations))
            }
            Field::CurrentEpochAttestations => ("current_epoch_attestations", one(&state.current_epoch_attestations)),
            Field::PreviousEpochParticipation => {
                ("previous_epoch_participation", all(state.previous_epoch_participation.iter()))
            }
            Field::CurrentEpochParticipation => {
                ("current_epoch_participation", all(state.current_epoch_participation.iter()))
            }
            Field::JustificationBits => ("justification_bits", one(&state.justification_bits)),
            Field::PreviousJustifiedCheckpoint => {
                ("previous_justified_checkpoint", one(&state.previous_justified_checkpoint))
            }
            Field::CurrentJustifiedCheckpoint => {
                ("current_justified_checkpoint", one(&state.current_justified_checkpoint))
            }
            Field::FinalizedCheckpoint => ("finalized_checkpoint", one(&state.finalized_checkpoint)),
            Field::InactivityScores => ("inactivity_scores", all(state.inactivity_scores.iter())),
            Field::CurrentSyncCommittee => ("current_sync_committee", one(&*state.current_sync_committee)),
            Field::NextSyncCommittee => ("next_sync_committee", one(&*state.next_sync_committee)),
            Field::LatestExecutionPayloadHeader => ("latest_execution_payload_header", payload_header(state)),
            Field::NextWithdrawalIndex => ("next_withdrawal_index", one(&state.next_withdrawal_index)),
            Field::NextWithdrawalValidatorIndex => {
                ("next_withdrawal_validator_index", one(&state.next_withdrawal_validator_index))
            }
            Field::HistoricalSummaries => ("historical_summaries", all(state.historical_summaries.iter())),
            Field::DepositRequestsStartIndex => {
                ("deposit_requests_start_index", one(&state.deposit_requests_start_index))
            }
            Field::DepositBalanceToConsume => ("deposit_balance_to_consume", one(&state.deposit_balance_to_consume)),
            Field::ExitBalanceToConsume => ("exit_balance_to_consume", one(&state.exit_balance_to_consume)),
            Field::EarliestExitEpoch => ("earliest_exit_epoch", one(&state.earliest_exit_epoch)),
            Field::ConsolidationBalanceToConsume => {
                ("consolidation_balance_to_consume", one(&state.consolidation_balance_to_consume))
            }
            Field::EarliestConsolidationEpoch => {
                ("earliest_consolidation_epoch", one(&state.earliest_consolidation_epoch))
            }
            Field::PendingDeposits => {
                ("pending_deposits", all(state.pending_deposits.iter().map(|deposit| &**deposit)))
            }
            Field::PendingPartialWithdrawals => {
                ("pending_partial_withdrawals", all(state.pending_partial_withdrawals.iter()))
            }
            Field::PendingConsolidations => ("pending_consolidations", all(state.pending_consolidations.iter())),
            Field::ProposerLookahead => ("proposer_lookahead", all(state.proposer_lookahead.iter())),
        };
        (name.into(), value)
    };
    Value::Mapping(types::fields(state.fork_name).iter().map(text).collect())
}

fn payload_header(state: &BeaconState) -> Value {
    let header = &state.latest_execution_payload_header;
    match state.fork_name {
        ForkName::Bellatrix => one(&ExecutionPayloadHeaderBellatrix::from(header)),
        ForkName::Capella => one(&ExecutionPayloadHeaderCapella::from(header)),
        _ => one(header),
    }
}

fn one<T: Serialize>(value: &T) -> Value {
    serde_yaml_ng::to_value(value).expect("types of the state can be written as text")
}

fn all<T: Serialize>(items: impl Iterator<Item = T>) -> Value {
    Value::Sequence(items.map(|item| one(&item)).collect())
}
