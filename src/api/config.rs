//! The network's configuration, as clients compare it with theirs: every number is text.

use serde_json::{Map, Value, json};

use super::{
    Api,
    request::Request,
    response::{Answer, ApiError, data},
};
use crate::types::{Config, preset::*};

/// Names and values of constants of the preset.
macro_rules! constants {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), $name as u64)),*] };
}

pub(super) fn spec(api: &Api, _: &Request) -> Answer {
    let config = api.chain().config();
    let Value::Object(values) = serde_json::to_value(&**config).map_err(ApiError::internal)? else {
        return Err(ApiError::internal("the configuration is not a map"));
    };
    let mut all: Map<String, Value> = values.into_iter().map(|(key, value)| (key, as_text(value))).collect();
    for (name, value) in preset_values().into_iter().chain(derived_values(config)) {
        all.insert(name.into(), value.to_string().into());
    }
    for (name, value) in DOMAINS.iter().chain(PREFIXES) {
        all.insert((*name).into(), (*value).into());
    }
    data(all)
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::Array(items) => items.into_iter().map(as_text).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, as_text(value))).collect::<Map<_, _>>().into(),
        other => other,
    }
}

fn preset_values() -> Vec<(&'static str, u64)> {
    constants![
        // Phase 0.
        MAX_COMMITTEES_PER_SLOT,
        TARGET_COMMITTEE_SIZE,
        MAX_VALIDATORS_PER_COMMITTEE,
        SHUFFLE_ROUND_COUNT,
        HYSTERESIS_QUOTIENT,
        HYSTERESIS_DOWNWARD_MULTIPLIER,
        HYSTERESIS_UPWARD_MULTIPLIER,
        MIN_DEPOSIT_AMOUNT,
        MAX_EFFECTIVE_BALANCE,
        EFFECTIVE_BALANCE_INCREMENT,
        MIN_ATTESTATION_INCLUSION_DELAY,
        SLOTS_PER_EPOCH,
        MIN_SEED_LOOKAHEAD,
        MAX_SEED_LOOKAHEAD,
        EPOCHS_PER_ETH1_VOTING_PERIOD,
        SLOTS_PER_HISTORICAL_ROOT,
        MIN_EPOCHS_TO_INACTIVITY_PENALTY,
        EPOCHS_PER_HISTORICAL_VECTOR,
        EPOCHS_PER_SLASHINGS_VECTOR,
        HISTORICAL_ROOTS_LIMIT,
        VALIDATOR_REGISTRY_LIMIT,
        BASE_REWARD_FACTOR,
        WHISTLEBLOWER_REWARD_QUOTIENT,
        PROPOSER_REWARD_QUOTIENT,
        INACTIVITY_PENALTY_QUOTIENT,
        MIN_SLASHING_PENALTY_QUOTIENT,
        PROPORTIONAL_SLASHING_MULTIPLIER,
        MAX_PROPOSER_SLASHINGS,
        MAX_ATTESTER_SLASHINGS,
        MAX_ATTESTATIONS,
        MAX_DEPOSITS,
        MAX_VOLUNTARY_EXITS,
        // Altair to Deneb.
        INACTIVITY_PENALTY_QUOTIENT_ALTAIR,
        MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR,
        PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR,
        SYNC_COMMITTEE_SIZE,
        EPOCHS_PER_SYNC_COMMITTEE_PERIOD,
        MIN_SYNC_COMMITTEE_PARTICIPANTS,
        UPDATE_TIMEOUT,
        INACTIVITY_PENALTY_QUOTIENT_BELLATRIX,
        MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX,
        PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX,
        MAX_BYTES_PER_TRANSACTION,
        MAX_TRANSACTIONS_PER_PAYLOAD,
        BYTES_PER_LOGS_BLOOM,
        MAX_EXTRA_DATA_BYTES,
        MAX_BLS_TO_EXECUTION_CHANGES,
        MAX_WITHDRAWALS_PER_PAYLOAD,
        MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP,
        MAX_BLOB_COMMITMENTS_PER_BLOCK,
        KZG_COMMITMENT_INCLUSION_PROOF_DEPTH,
        FIELD_ELEMENTS_PER_BLOB,
        // Electra.
        MIN_ACTIVATION_BALANCE,
        MAX_EFFECTIVE_BALANCE_ELECTRA,
        MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA,
        WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA,
        PENDING_DEPOSITS_LIMIT,
        PENDING_PARTIAL_WITHDRAWALS_LIMIT,
        PENDING_CONSOLIDATIONS_LIMIT,
        MAX_ATTESTER_SLASHINGS_ELECTRA,
        MAX_ATTESTATIONS_ELECTRA,
        MAX_DEPOSIT_REQUESTS_PER_PAYLOAD,
        MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD,
        MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD,
        MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP,
        MAX_PENDING_DEPOSITS_PER_EPOCH,
        // Fulu.
        KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH,
        FIELD_ELEMENTS_PER_CELL,
        FIELD_ELEMENTS_PER_EXT_BLOB,
        CELLS_PER_EXT_BLOB,
        NUMBER_OF_COLUMNS,
        // Constants that no preset changes.
        GENESIS_SLOT,
        GENESIS_EPOCH,
        FAR_FUTURE_EPOCH,
        DEPOSIT_CONTRACT_TREE_DEPTH,
        JUSTIFICATION_BITS_LENGTH,
        UNSET_DEPOSIT_REQUESTS_START_INDEX,
        FULL_EXIT_REQUEST_AMOUNT,
        TIMELY_SOURCE_FLAG_INDEX,
        TIMELY_TARGET_FLAG_INDEX,
        TIMELY_HEAD_FLAG_INDEX,
        TIMELY_SOURCE_WEIGHT,
        TIMELY_TARGET_WEIGHT,
        TIMELY_HEAD_WEIGHT,
        SYNC_REWARD_WEIGHT,
        PROPOSER_WEIGHT,
        WEIGHT_DENOMINATOR,
        SYNC_COMMITTEE_SUBNET_COUNT,
        TARGET_AGGREGATORS_PER_COMMITTEE,
        TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
    ]
    .to_vec()
}

/// What follows from the configuration, but clients ask for by name.
fn derived_values(config: &Config) -> [(&'static str, u64); 4] {
    [
        ("SECONDS_PER_SLOT", config.slot_duration_ms / 1000),
        ("MIN_EPOCHS_FOR_BLOCK_REQUESTS", config.min_epochs_for_block_requests()),
        ("ATTESTATION_SUBNET_EXTRA_BITS", 0),
        ("ATTESTATION_SUBNET_PREFIX_BITS", 6),
    ]
}

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#domain-types> and its successors.
const DOMAINS: &[(&str, &str)] = &[
    ("DOMAIN_BEACON_PROPOSER", "0x00000000"),
    ("DOMAIN_BEACON_ATTESTER", "0x01000000"),
    ("DOMAIN_RANDAO", "0x02000000"),
    ("DOMAIN_DEPOSIT", "0x03000000"),
    ("DOMAIN_VOLUNTARY_EXIT", "0x04000000"),
    ("DOMAIN_SELECTION_PROOF", "0x05000000"),
    ("DOMAIN_AGGREGATE_AND_PROOF", "0x06000000"),
    ("DOMAIN_SYNC_COMMITTEE", "0x07000000"),
    ("DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF", "0x08000000"),
    ("DOMAIN_CONTRIBUTION_AND_PROOF", "0x09000000"),
    ("DOMAIN_BLS_TO_EXECUTION_CHANGE", "0x0a000000"),
    ("DOMAIN_APPLICATION_MASK", "0x00000001"),
];

/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/beacon-chain.md#withdrawal-prefixes>
const PREFIXES: &[(&str, &str)] = &[
    ("BLS_WITHDRAWAL_PREFIX", "0x00"),
    ("ETH1_ADDRESS_WITHDRAWAL_PREFIX", "0x01"),
    ("COMPOUNDING_WITHDRAWAL_PREFIX", "0x02"),
];

pub(super) fn fork_schedule(api: &Api, _: &Request) -> Answer {
    let c = api.chain().config();
    let forks = [
        (c.genesis_fork_version, GENESIS_EPOCH),
        (c.altair_fork_version, c.altair_fork_epoch),
        (c.bellatrix_fork_version, c.bellatrix_fork_epoch),
        (c.capella_fork_version, c.capella_fork_epoch),
        (c.deneb_fork_version, c.deneb_fork_epoch),
        (c.electra_fork_version, c.electra_fork_epoch),
        (c.fulu_fork_version, c.fulu_fork_epoch),
        (c.gloas_fork_version, c.gloas_fork_epoch),
    ];
    let mut previous = c.genesis_fork_version;
    let schedule: Vec<Value> = forks
        .into_iter()
        .map(|(current, epoch)| {
            let fork = json!({ "previous_version": previous, "current_version": current, "epoch": epoch.to_string() });
            previous = current;
            fork
        })
        .collect();
    data(schedule)
}

pub(super) fn deposit_contract(api: &Api, _: &Request) -> Answer {
    let config = api.chain().config();
    data(json!({ "chain_id": config.deposit_chain_id.to_string(), "address": config.deposit_contract_address }))
}
