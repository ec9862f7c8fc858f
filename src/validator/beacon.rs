//! The calls of the Beacon API that a validator client makes.
//! <https://ethereum.github.io/beacon-APIs/#/Validator>

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use ssz::Encode;

use crate::types::*;

/// Longest wait for an answer: past that, the duty's moment is gone.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Largest answer that is read: a block of the largest size, ten megabytes, and 40 blobs with their proofs.
const MAX_BODY: u64 = 16 << 20;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct BeaconError {
    /// What was called.
    pub path: String,
    /// What went wrong; the node's own message where it sent one.
    pub reason: String,
}

/// A beacon node's API. Calls block.
#[derive(Clone, Debug)]
pub struct BeaconClient {
    base: String,
    agent: ureq::Agent,
}

/// When a validator proposes.
#[derive(Clone, Debug, Deserialize)]
pub struct ProposerDuty {
    /// Who.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// When.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
}

/// When and where a validator attests.
#[derive(Clone, Debug, Deserialize)]
pub struct AttesterDuty {
    /// Who.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// When.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// In which committee of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: CommitteeIndex,
    /// How many members it has.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_length: u64,
    /// How many committees the slot has.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committees_at_slot: u64,
}

/// A validator's places in the sync committee.
#[derive(Clone, Debug, Deserialize)]
pub struct SyncDuty {
    /// Who.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// Places in the committee.
    #[serde(with = "serde_utils::quoted_u64_vec")]
    pub validator_sync_committee_indices: Vec<u64>,
}

/// What a node is told of an attester, so that it takes part in the committee's subnet.
#[derive(Clone, Debug, Serialize)]
pub struct CommitteeSubscription {
    /// Who.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// In which committee of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: CommitteeIndex,
    /// How many committees the slot has.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committees_at_slot: u64,
    /// When.
    #[serde(with = "serde_utils::quoted_u64")]
    pub slot: Slot,
    /// Whether it will aggregate.
    pub is_aggregator: bool,
}

/// What a node is told of a member of the sync committee.
#[derive(Clone, Debug, Serialize)]
pub struct SyncSubscription {
    /// Who.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// Places in the committee.
    #[serde(with = "serde_utils::quoted_u64_vec")]
    pub sync_committee_indices: Vec<u64>,
    /// The first epoch in which it is not a member any more.
    #[serde(with = "serde_utils::quoted_u64")]
    pub until_epoch: Epoch,
}

/// Who gets the fees of a validator's blocks.
#[derive(Clone, Debug, Serialize)]
pub struct Preparation {
    /// Who proposes.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_index: ValidatorIndex,
    /// Who gets them.
    pub fee_recipient: Address,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Root {
    root: Hash256,
}

impl BeaconClient {
    /// A client of the node at `base`, such as `http://127.0.0.1:5052`.
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        BeaconClient { base: base.trim_end_matches('/').into(), agent: config.into() }
    }

    /// Who proposes in the slots of an epoch.
    pub fn proposer_duties(&self, epoch: Epoch) -> Result<Vec<ProposerDuty>, BeaconError> {
        self.get(&format!("/eth/v1/validator/duties/proposer/{epoch}"))
    }

    /// When these validators attest in an epoch.
    pub fn attester_duties(&self, epoch: Epoch, who: &[ValidatorIndex]) -> Result<Vec<AttesterDuty>, BeaconError> {
        self.ask(&format!("/eth/v1/validator/duties/attester/{epoch}"), &indices(who))
    }

    /// Which of these validators are in the sync committee of an epoch.
    pub fn sync_duties(&self, epoch: Epoch, who: &[ValidatorIndex]) -> Result<Vec<SyncDuty>, BeaconError> {
        self.ask(&format!("/eth/v1/validator/duties/sync/{epoch}"), &indices(who))
    }

    /// Tells who will attest where.
    pub fn subscribe_committees(&self, all: &[CommitteeSubscription], fork: ForkName) -> Result<(), BeaconError> {
        self.post("/eth/v1/validator/beacon_committee_subscriptions", all, fork)
    }

    /// Tells who is in the sync committee.
    pub fn subscribe_sync(&self, all: &[SyncSubscription], fork: ForkName) -> Result<(), BeaconError> {
        self.post("/eth/v1/validator/sync_committee_subscriptions", all, fork)
    }

    /// Tells who proposes when it is drawn, so that payloads are begun ahead of time.
    pub fn prepare_proposers(&self, all: &[Preparation], fork: ForkName) -> Result<(), BeaconError> {
        self.post("/eth/v1/validator/prepare_beacon_proposer", all, fork)
    }

    /// A block to sign, with its blobs.
    pub fn produce_block(
        &self,
        slot: Slot,
        randao_reveal: &BLSSignature,
        fork: ForkName,
    ) -> Result<BlockContents, BeaconError> {
        let path = format!("/eth/v3/validator/blocks/{slot}?randao_reveal={randao_reveal}");
        let bytes = self.get_ssz(&path)?;
        BlockContents::from_ssz_bytes(fork, &bytes)
            .map_err(|error| BeaconError { path, reason: format!("not a block: {error:?}") })
    }

    /// Hands over a signed block with its blobs.
    pub fn publish_block(&self, contents: &SignedBlockContents, fork: ForkName) -> Result<(), BeaconError> {
        self.post_ssz("/eth/v2/beacon/blocks", &contents.as_ssz_bytes(), fork)
    }

    /// What attesters of a slot vote for.
    pub fn attestation_data(&self, slot: Slot) -> Result<AttestationData, BeaconError> {
        self.get(&format!("/eth/v1/validator/attestation_data?slot={slot}&committee_index=0"))
    }

    /// Hands over attestations.
    pub fn publish_attestations(&self, votes: &[SingleAttestation], fork: ForkName) -> Result<(), BeaconError> {
        self.post("/eth/v2/beacon/pool/attestations", votes, fork)
    }

    /// The node's best aggregate of a committee's votes for `data_root`.
    pub fn aggregate(&self, slot: Slot, data_root: Hash256, committee: u64) -> Result<Attestation, BeaconError> {
        let root = format!("attestation_data_root={data_root:?}");
        self.get(&format!("/eth/v2/validator/aggregate_attestation?{root}&slot={slot}&committee_index={committee}"))
    }

    /// Hands over aggregates.
    pub fn publish_aggregates(&self, all: &[SignedAggregateAndProof], fork: ForkName) -> Result<(), BeaconError> {
        self.post("/eth/v2/validator/aggregate_and_proofs", all, fork)
    }

    /// The node's head.
    pub fn head_root(&self) -> Result<Hash256, BeaconError> {
        self.get::<Root>("/eth/v1/beacon/blocks/head/root").map(|data| data.root)
    }

    /// Hands over sync committee messages.
    pub fn publish_sync_messages(&self, all: &[SyncCommitteeMessage], fork: ForkName) -> Result<(), BeaconError> {
        self.post("/eth/v1/beacon/pool/sync_committees", all, fork)
    }

    /// The node's best contribution of a subcommittee.
    pub fn contribution(&self, slot: Slot, sub: u64, root: Hash256) -> Result<SyncCommitteeContribution, BeaconError> {
        let root = format!("beacon_block_root={root:?}");
        self.get(&format!("/eth/v1/validator/sync_committee_contribution?slot={slot}&subcommittee_index={sub}&{root}"))
    }

    /// Hands over contributions.
    pub fn publish_contributions(&self, all: &[SignedContributionAndProof], fork: ForkName) -> Result<(), BeaconError> {
        self.post("/eth/v1/validator/contribution_and_proofs", all, fork)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, BeaconError> {
        let request = self.agent.get(self.url(path)).header("accept", "application/json");
        self.json(path, request.call())
    }

    fn get_ssz(&self, path: &str) -> Result<Vec<u8>, BeaconError> {
        let request = self.agent.get(self.url(path)).header("accept", "application/octet-stream");
        self.body(path, request.call())
    }

    fn ask<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, BeaconError> {
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        self.json(path, request.send(to_json(path, body)?))
    }

    fn post<T: Serialize + ?Sized>(&self, path: &str, body: &T, fork: ForkName) -> Result<(), BeaconError> {
        let request = self.agent.post(self.url(path)).header("eth-consensus-version", fork.as_str());
        self.body(path, request.header("content-type", "application/json").send(to_json(path, body)?)).map(drop)
    }

    fn post_ssz(&self, path: &str, body: &[u8], fork: ForkName) -> Result<(), BeaconError> {
        let request = self.agent.post(self.url(path)).header("eth-consensus-version", fork.as_str());
        self.body(path, request.header("content-type", "application/octet-stream").send(body)).map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn json<T: DeserializeOwned>(&self, path: &str, answer: Answer) -> Result<T, BeaconError> {
        let bytes = self.body(path, answer)?;
        serde_json::from_slice::<Data<T>>(&bytes)
            .map(|answer| answer.data)
            .map_err(|error| BeaconError { path: path.into(), reason: error.to_string() })
    }

    fn body(&self, path: &str, answer: Answer) -> Result<Vec<u8>, BeaconError> {
        let failed = |reason: String| BeaconError { path: path.into(), reason };
        let mut answer = answer.map_err(|error| failed(error.to_string()))?;
        let body = answer.body_mut().with_config().limit(MAX_BODY).read_to_vec();
        let bytes = body.map_err(|error| failed(error.to_string()))?;
        if answer.status().is_success() {
            return Ok(bytes);
        }
        let message = serde_json::from_slice::<Value>(&bytes).ok();
        let message = message.as_ref().and_then(|answer| answer["message"].as_str()).unwrap_or("no message");
        Err(failed(format!("HTTP {}: {message}", answer.status().as_u16())))
    }
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn to_json<T: Serialize + ?Sized>(path: &str, body: &T) -> Result<Vec<u8>, BeaconError> {
    serde_json::to_vec(body).map_err(|error| BeaconError { path: path.into(), reason: error.to_string() })
}

fn indices(who: &[ValidatorIndex]) -> Vec<String> {
    who.iter().map(u64::to_string).collect()
}
