//! `ssz_static`: each container from SSZ and back, its root, and its text form as YAML.

use std::fmt::Debug;

use hornero::types::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_yaml_ng::Value;
use ssz::{Decode, DecodeError, Encode};
use tree_hash::TreeHash;

use super::{case::Case, light_client, state_text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roots {
    root: Hash256,
}

pub fn run(case: &Case) -> Result<(), String> {
    let fork = case.fork()?;
    if let Some(check) = earlier(fork, &case.handler) {
        return check(case);
    }
    match case.handler.as_str() {
        "AggregateAndProof" => check::<AggregateAndProof>(case),
        "Attestation" => check::<Attestation>(case),
        "AttestationData" => check::<AttestationData>(case),
        "AttesterSlashing" => check::<AttesterSlashing>(case),
        "BLSToExecutionChange" => check::<BLSToExecutionChange>(case),
        "BeaconBlock" => check_with(case, |bytes| BeaconBlock::from_ssz_bytes(fork, bytes)),
        "BeaconBlockBody" => check_with(case, |bytes| BeaconBlockBody::from_ssz_bytes(fork, bytes)),
        "BeaconBlockHeader" => check::<BeaconBlockHeader>(case),
        "BeaconState" => check_state(case),
        "BlobIdentifier" => check::<BlobIdentifier>(case),
        "BlobSidecar" => check::<BlobSidecar>(case),
        "Checkpoint" => check::<Checkpoint>(case),
        "ConsolidationRequest" => check::<ConsolidationRequest>(case),
        "ContributionAndProof" => check::<ContributionAndProof>(case),
        "DataColumnSidecar" => check::<DataColumnSidecar>(case),
        "DataColumnsByRootIdentifier" => check::<DataColumnsByRootIdentifier>(case),
        "Deposit" => check::<Deposit>(case),
        "DepositData" => check::<DepositData>(case),
        "DepositMessage" => check::<DepositMessage>(case),
        "DepositRequest" => check::<DepositRequest>(case),
        "Eth1Block" => check::<Eth1Block>(case),
        "Eth1Data" => check::<Eth1Data>(case),
        "ExecutionPayload" => check::<ExecutionPayload>(case),
        "ExecutionPayloadHeader" => check::<ExecutionPayloadHeader>(case),
        "ExecutionRequests" => check::<ExecutionRequests>(case),
        "Fork" => check::<Fork>(case),
        "ForkData" => check::<ForkData>(case),
        "HistoricalBatch" => check::<HistoricalBatch>(case),
        "HistoricalSummary" => check::<HistoricalSummary>(case),
        "IndexedAttestation" => check::<IndexedAttestation>(case),
        name if name.starts_with("LightClient") => light_client::check_form(case),
        "MatrixEntry" => check::<MatrixEntry>(case),
        "PartialDataColumnGroupID" => check::<PartialDataColumnGroupID>(case),
        "PartialDataColumnHeader" => check::<PartialDataColumnHeader>(case),
        "PartialDataColumnPartsMetadata" => check::<PartialDataColumnPartsMetadata>(case),
        "PartialDataColumnSidecar" => check::<PartialDataColumnSidecar>(case),
        "PendingAttestation" => check::<PendingAttestation>(case),
        "PendingConsolidation" => check::<PendingConsolidation>(case),
        "PendingDeposit" => check::<PendingDeposit>(case),
        "PendingPartialWithdrawal" => check::<PendingPartialWithdrawal>(case),
        "PowBlock" => check::<PowBlock>(case),
        "ProposerSlashing" => check::<ProposerSlashing>(case),
        "SignedAggregateAndProof" => check::<SignedAggregateAndProof>(case),
        "SignedBLSToExecutionChange" => check::<SignedBLSToExecutionChange>(case),
        "SignedBeaconBlock" => check_with(case, |bytes| SignedBeaconBlock::from_ssz_bytes(fork, bytes)),
        "SignedBeaconBlockHeader" => check::<SignedBeaconBlockHeader>(case),
        "SignedContributionAndProof" => check::<SignedContributionAndProof>(case),
        "SignedVoluntaryExit" => check::<SignedVoluntaryExit>(case),
        "SigningData" => check::<SigningData>(case),
        "SingleAttestation" => check::<SingleAttestation>(case),
        "SyncAggregate" => check::<SyncAggregate>(case),
        "SyncAggregatorSelectionData" => check::<SyncAggregatorSelectionData>(case),
        "SyncCommittee" => check::<SyncCommittee>(case),
        "SyncCommitteeContribution" => check::<SyncCommitteeContribution>(case),
        "SyncCommitteeMessage" => check::<SyncCommitteeMessage>(case),
        "Validator" => check::<Validator>(case),
        "VoluntaryExit" => check::<VoluntaryExit>(case),
        "Withdrawal" => check::<Withdrawal>(case),
        "WithdrawalRequest" => check::<WithdrawalRequest>(case),
        other => Err(format!("no type {other}")),
    }
}

/// The check of a type that had another shape in `fork`.
fn earlier(fork: ForkName, name: &str) -> Option<super::sets::Runner> {
    if fork < ForkName::Electra {
        match name {
            "AggregateAndProof" => return Some(check::<AggregateAndProofPhase0>),
            "Attestation" => return Some(check::<AttestationPhase0>),
            "AttesterSlashing" => return Some(check::<AttesterSlashingPhase0>),
            "IndexedAttestation" => return Some(check::<IndexedAttestationPhase0>),
            "SignedAggregateAndProof" => return Some(check::<SignedAggregateAndProofPhase0>),
            _ => {}
        }
    }
    match (fork, name) {
        (ForkName::Bellatrix, "ExecutionPayload") => Some(check::<ExecutionPayloadBellatrix>),
        (ForkName::Capella, "ExecutionPayload") => Some(check::<ExecutionPayloadCapella>),
        (ForkName::Bellatrix, "ExecutionPayloadHeader") => Some(check::<ExecutionPayloadHeaderBellatrix>),
        (ForkName::Capella, "ExecutionPayloadHeader") => Some(check::<ExecutionPayloadHeaderCapella>),
        _ => None,
    }
}

/// Binary both ways, root, text both ways.
fn check<T>(case: &Case) -> Result<(), String>
where
    T: Decode + Encode + TreeHash + Serialize + DeserializeOwned + PartialEq + Debug,
{
    check_with(case, T::from_ssz_bytes)
}

/// As [`check`], for a type that needs to be told its fork.
fn check_with<T>(case: &Case, decode: impl Fn(&[u8]) -> Result<T, DecodeError>) -> Result<(), String>
where
    T: Encode + TreeHash + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let bytes = case.ssz_bytes("serialized")?;
    let value = decode(&bytes).map_err(|error| format!("{error:?}"))?;
    if value.as_ssz_bytes() != bytes {
        return Err("encodes to other bytes".into());
    }
    check_root(case, value.tree_hash_root())?;
    let text = quote_numbers(case.yaml("value")?);
    let ours = serde_yaml_ng::to_value(&value).map_err(|error| format!("to text: {error}"))?;
    check_text(&ours, &text)?;
    let parsed: T = serde_yaml_ng::from_value(text).map_err(|error| format!("value.yaml: {error}"))?;
    if parsed == value { Ok(()) } else { Err("value.yaml parses to another value".into()) }
}

/// As [`check`], for the state, which has its own codec.
fn check_state(case: &Case) -> Result<(), String> {
    let bytes = case.ssz_bytes("serialized")?;
    let mut state = BeaconState::from_ssz_bytes(case.fork()?, &bytes).map_err(|error| error.to_string())?;
    if state.to_ssz_bytes() != bytes {
        return Err("encodes to other bytes".into());
    }
    check_root(case, state.hash_tree_root())?;
    check_text(&quote_numbers(state_text::to_value(&state)), &quote_numbers(case.yaml("value")?))
}

pub fn check_text(ours: &Value, theirs: &Value) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("as text: {}", first_difference(ours, theirs))) }
}

pub fn check_root(case: &Case, ours: Hash256) -> Result<(), String> {
    let Roots { root } = case.yaml("roots")?;
    if ours == root { Ok(()) } else { Err(format!("root {ours} instead of {root}")) }
}

/// The vectors have plain numbers, where the API has numbers in quotes; otherwise the two agree.
pub fn quote_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Sequence(items) => items.into_iter().map(quote_numbers).collect::<Vec<_>>().into(),
        Value::Mapping(fields) => Value::Mapping(fields.into_iter().map(|(k, v)| (k, quote_numbers(v))).collect()),
        other => other,
    }
}

/// Where two trees differ first, for the message.
pub fn first_difference(ours: &Value, theirs: &Value) -> String {
    match (ours, theirs) {
        (Value::Mapping(a), Value::Mapping(b)) if a.len() == b.len() => {
            let differing = b.iter().find(|(key, value)| a.get(*key) != Some(*value));
            differing.map_or("order".into(), |(key, value)| match a.get(key) {
                Some(ours) => format!("{}: {}", key.as_str().unwrap_or("?"), first_difference(ours, value)),
                None => format!("{} is missing", key.as_str().unwrap_or("?")),
            })
        }
        (Value::Sequence(a), Value::Sequence(b)) if a.len() == b.len() => {
            let differing = a.iter().zip(b).enumerate().find(|(_, (a, b))| a != b);
            differing.map_or("order".into(), |(i, (a, b))| format!("[{i}]: {}", first_difference(a, b)))
        }
        _ => {
            let short = |value| format!("{value:?}").chars().take(100).collect::<String>();
            format!("{} instead of {}", short(ours), short(theirs))
        }
    }
}
