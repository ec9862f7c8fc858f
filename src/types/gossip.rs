//! What is gossiped: topics, and the messages on them.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/fulu/p2p-interface.md#the-gossip-domain-gossipsub>

use std::sync::Arc;

use ssz::{Decode, DecodeError, Encode};

use super::*;

/// A topic, on whatever fork is current. A number is that of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are the specification's
pub enum Topic {
    BeaconBlock,
    BeaconAggregateAndProof,
    BeaconAttestation(u64),
    VoluntaryExit,
    ProposerSlashing,
    AttesterSlashing,
    SyncCommitteeContributionAndProof,
    SyncCommittee(u64),
    BlsToExecutionChange,
    LightClientFinalityUpdate,
    LightClientOptimisticUpdate,
    DataColumnSidecar(u64),
}

impl Topic {
    /// Those without subnets.
    pub const GLOBAL: [Topic; 9] = [
        Topic::BeaconBlock,
        Topic::BeaconAggregateAndProof,
        Topic::VoluntaryExit,
        Topic::ProposerSlashing,
        Topic::AttesterSlashing,
        Topic::SyncCommitteeContributionAndProof,
        Topic::BlsToExecutionChange,
        Topic::LightClientFinalityUpdate,
        Topic::LightClientOptimisticUpdate,
    ];

    /// One of each kind; of those with subnets the first.
    pub const KINDS: [Topic; 12] = [
        Topic::BeaconBlock,
        Topic::BeaconAggregateAndProof,
        Topic::VoluntaryExit,
        Topic::ProposerSlashing,
        Topic::AttesterSlashing,
        Topic::SyncCommitteeContributionAndProof,
        Topic::BlsToExecutionChange,
        Topic::BeaconAttestation(0),
        Topic::SyncCommittee(0),
        Topic::DataColumnSidecar(0),
        Topic::LightClientFinalityUpdate,
        Topic::LightClientOptimisticUpdate,
    ];

    /// The name without the subnet: the label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Topic::BeaconBlock => "beacon_block",
            Topic::BeaconAggregateAndProof => "beacon_aggregate_and_proof",
            Topic::BeaconAttestation(_) => "beacon_attestation",
            Topic::VoluntaryExit => "voluntary_exit",
            Topic::ProposerSlashing => "proposer_slashing",
            Topic::AttesterSlashing => "attester_slashing",
            Topic::SyncCommitteeContributionAndProof => "sync_committee_contribution_and_proof",
            Topic::SyncCommittee(_) => "sync_committee",
            Topic::BlsToExecutionChange => "bls_to_execution_change",
            Topic::LightClientFinalityUpdate => "light_client_finality_update",
            Topic::LightClientOptimisticUpdate => "light_client_optimistic_update",
            Topic::DataColumnSidecar(_) => "data_column_sidecar",
        }
    }

    /// The subnet's number.
    pub const fn subnet(self) -> Option<u64> {
        match self {
            Topic::BeaconAttestation(subnet) | Topic::SyncCommittee(subnet) | Topic::DataColumnSidecar(subnet) => {
                Some(subnet)
            }
            _ => None,
        }
    }

    /// The name inside the topic string.
    pub fn name(self) -> String {
        match self.subnet() {
            Some(subnet) => format!("{}_{subnet}", self.label()),
            None => self.label().into(),
        }
    }

    /// The topic of this name.
    pub fn from_name(name: &str) -> Option<Topic> {
        let found = Topic::GLOBAL.into_iter().find(|topic| topic.label() == name);
        if found.is_some() {
            return found;
        }
        let (label, subnet) = name.rsplit_once('_')?;
        let subnet: u64 = subnet.parse().ok()?;
        let all = [Topic::BeaconAttestation(subnet), Topic::SyncCommittee(subnet), Topic::DataColumnSidecar(subnet)];
        // Numbers have one way to be written.
        all.into_iter().find(|topic| topic.label() == label && topic.name() == name)
    }
}

/// A small message: everything that is gossiped but blocks and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GossipMessage {
    Aggregate(Arc<SignedAggregateAndProof>),
    /// With its subnet.
    Attestation(Arc<SingleAttestation>, u64),
    VoluntaryExit(Arc<SignedVoluntaryExit>),
    ProposerSlashing(Arc<ProposerSlashing>),
    AttesterSlashing(Arc<AttesterSlashing>),
    Contribution(Arc<SignedContributionAndProof>),
    /// With its subnet.
    SyncMessage(Arc<SyncCommitteeMessage>, u64),
    BlsToExecutionChange(Arc<SignedBLSToExecutionChange>),
    FinalityUpdate(Arc<LightClientFinalityUpdate>),
    OptimisticUpdate(Arc<LightClientOptimisticUpdate>),
}

impl GossipMessage {
    /// Where it belongs.
    pub const fn topic(&self) -> Topic {
        match self {
            GossipMessage::Aggregate(_) => Topic::BeaconAggregateAndProof,
            GossipMessage::Attestation(_, subnet) => Topic::BeaconAttestation(*subnet),
            GossipMessage::VoluntaryExit(_) => Topic::VoluntaryExit,
            GossipMessage::ProposerSlashing(_) => Topic::ProposerSlashing,
            GossipMessage::AttesterSlashing(_) => Topic::AttesterSlashing,
            GossipMessage::Contribution(_) => Topic::SyncCommitteeContributionAndProof,
            GossipMessage::SyncMessage(_, subnet) => Topic::SyncCommittee(*subnet),
            GossipMessage::BlsToExecutionChange(_) => Topic::BlsToExecutionChange,
            GossipMessage::FinalityUpdate(_) => Topic::LightClientFinalityUpdate,
            GossipMessage::OptimisticUpdate(_) => Topic::LightClientOptimisticUpdate,
        }
    }

    /// Whether it is of value for days: everything that a block may include but votes.
    pub const fn is_operation(&self) -> bool {
        matches!(
            self,
            GossipMessage::VoluntaryExit(_)
                | GossipMessage::ProposerSlashing(_)
                | GossipMessage::AttesterSlashing(_)
                | GossipMessage::BlsToExecutionChange(_)
        )
    }

    /// Whether it is for light clients.
    pub const fn is_for_light_clients(&self) -> bool {
        matches!(self, GossipMessage::FinalityUpdate(_) | GossipMessage::OptimisticUpdate(_))
    }

    /// Its SSZ.
    pub fn to_ssz_bytes(&self) -> Vec<u8> {
        match self {
            GossipMessage::Aggregate(message) => message.as_ssz_bytes(),
            GossipMessage::Attestation(message, _) => message.as_ssz_bytes(),
            GossipMessage::VoluntaryExit(message) => message.as_ssz_bytes(),
            GossipMessage::ProposerSlashing(message) => message.as_ssz_bytes(),
            GossipMessage::AttesterSlashing(message) => message.as_ssz_bytes(),
            GossipMessage::Contribution(message) => message.as_ssz_bytes(),
            GossipMessage::SyncMessage(message, _) => message.as_ssz_bytes(),
            GossipMessage::BlsToExecutionChange(message) => message.as_ssz_bytes(),
            GossipMessage::FinalityUpdate(update) => update.to_ssz_bytes(),
            GossipMessage::OptimisticUpdate(update) => update.to_ssz_bytes(),
        }
    }

    /// Reads a message of a topic: those for light clients in the fork's form, all others as they are since Electra.
    ///
    /// # Errors
    /// Bytes that are no message of this topic; also the topics of blocks and columns, which are not small.
    pub fn from_ssz_bytes(topic: Topic, fork: ForkName, bytes: &[u8]) -> Result<GossipMessage, DecodeError> {
        fn read<T: Decode>(bytes: &[u8]) -> Result<Arc<T>, DecodeError> {
            T::from_ssz_bytes(bytes).map(Arc::new)
        }
        Ok(match topic {
            Topic::BeaconAggregateAndProof => GossipMessage::Aggregate(read(bytes)?),
            Topic::BeaconAttestation(subnet) => GossipMessage::Attestation(read(bytes)?, subnet),
            Topic::VoluntaryExit => GossipMessage::VoluntaryExit(read(bytes)?),
            Topic::ProposerSlashing => GossipMessage::ProposerSlashing(read(bytes)?),
            Topic::AttesterSlashing => GossipMessage::AttesterSlashing(read(bytes)?),
            Topic::SyncCommitteeContributionAndProof => GossipMessage::Contribution(read(bytes)?),
            Topic::SyncCommittee(subnet) => GossipMessage::SyncMessage(read(bytes)?, subnet),
            Topic::BlsToExecutionChange => GossipMessage::BlsToExecutionChange(read(bytes)?),
            Topic::LightClientFinalityUpdate => {
                GossipMessage::FinalityUpdate(LightClientFinalityUpdate::from_ssz_bytes(fork, bytes)?.into())
            }
            Topic::LightClientOptimisticUpdate => {
                GossipMessage::OptimisticUpdate(LightClientOptimisticUpdate::from_ssz_bytes(fork, bytes)?.into())
            }
            Topic::BeaconBlock | Topic::DataColumnSidecar(_) => {
                return Err(DecodeError::BytesInvalid("not the topic of a small message".into()));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let subnets = [Topic::BeaconAttestation(63), Topic::SyncCommittee(0), Topic::DataColumnSidecar(127)];
        for topic in Topic::GLOBAL.into_iter().chain(subnets) {
            assert_eq!(Topic::from_name(&topic.name()), Some(topic));
        }
        assert_eq!(Topic::BeaconAttestation(7).name(), "beacon_attestation_7");
        for bad in
            ["beacon_attestation_07", "beacon_attestation_+7", "beacon_attestation_", "sync_committee", "x_1", ""]
        {
            assert_eq!(Topic::from_name(bad), None, "{bad}");
        }
        assert_eq!(Topic::from_name("data_column_sidecar_99999999999999999999"), None);
    }

    #[test]
    fn a_message_goes_there_and_back() {
        let message = SyncCommitteeMessage {
            slot: 3,
            beacon_block_root: Hash256::repeat_byte(1),
            validator_index: 5,
            signature: BLSSignature::repeat_byte(2),
        };
        let message = GossipMessage::SyncMessage(Arc::new(message), 2);
        let bytes = message.to_ssz_bytes();
        let read = |topic, bytes| GossipMessage::from_ssz_bytes(topic, ForkName::Fulu, bytes);
        assert_eq!(read(message.topic(), &bytes).unwrap(), message);
        assert!(read(message.topic(), &bytes[1..]).is_err());
        assert!(read(Topic::BeaconBlock, &bytes).is_err());
    }
}
