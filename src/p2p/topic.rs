//! Gossip topics: their names, and how large a message on them may be.

use libp2p::gossipsub::IdentTopic;
use ssz::Encode;

use super::codec::MAX_PAYLOAD_SIZE;
pub use crate::types::Topic;
use crate::types::{preset::MAX_ATTESTERS_PER_SLOT, *};

/// Subnets that a topic may name: none has more than the columns.
const MAX_SUBNETS: u64 = 128;
/// `SignedAggregateAndProof` without its bits: two offsets, two signatures and the aggregator, then the attestation's
/// offset, data, signature and committee bits.
const AGGREGATE_FIXED_LEN: usize =
    (4 + 96) + (8 + 4 + 96) + (4 + 128 + 96 + preset::MAX_COMMITTEES_PER_SLOT.div_ceil(8));
/// `AttesterSlashing` without its indices: two offsets, then twice an offset, data and signature.
const ATTESTER_SLASHING_FIXED_LEN: usize = 2 * 4 + 2 * (4 + 128 + 96);
/// `DataColumnSidecar` without its lists: index, three offsets, header and signature, four nodes.
const COLUMN_FIXED_LEN: usize = 8 + 3 * 4 + (112 + 96) + 4 * 32;
/// `LightClientHeader` at most: header, offset, branch, and the payload's header, of which only the extra data varies.
const LIGHT_CLIENT_HEADER_LEN: usize = 112 + 4 + 4 * 32 + 584 + 32;
/// An update without its headers: the first one's offset, the sync aggregate and the slot.
const LIGHT_CLIENT_UPDATE_LEN: usize = 4 + (preset::SYNC_COMMITTEE_SIZE / 8 + 96) + 8;
/// A cell, its commitment and its proof.
const LEN_PER_BLOB: usize = 2048 + 48 + 48;
/// A block of mainnet in 2026, compressed.
const USUAL_BLOCK: usize = 95_000;
/// Members of one of its committees.
const USUAL_COMMITTEE: usize = 464;
/// Blobs of a column that we listen to. Networks have 21 today, and a block's type has room for 4,096.
const MAX_BLOBS: usize = 512;

impl Topic {
    /// The longest SSZ of the topic's type, and of any message.
    pub(super) fn max_size(self) -> usize {
        fn fixed<T: Encode>() -> usize {
            <T as Encode>::ssz_fixed_len()
        }
        match self {
            // The type's own bound is far beyond what a message may carry.
            Topic::BeaconBlock => MAX_PAYLOAD_SIZE,
            Topic::BeaconAggregateAndProof => AGGREGATE_FIXED_LEN + MAX_ATTESTERS_PER_SLOT / 8 + 1,
            Topic::BeaconAttestation(_) => fixed::<SingleAttestation>(),
            Topic::VoluntaryExit => fixed::<SignedVoluntaryExit>(),
            Topic::ProposerSlashing => fixed::<ProposerSlashing>(),
            Topic::AttesterSlashing => ATTESTER_SLASHING_FIXED_LEN + 2 * 8 * MAX_ATTESTERS_PER_SLOT,
            Topic::SyncCommitteeContributionAndProof => fixed::<SignedContributionAndProof>(),
            Topic::SyncCommittee(_) => fixed::<SyncCommitteeMessage>(),
            Topic::BlsToExecutionChange => fixed::<SignedBLSToExecutionChange>(),
            Topic::LightClientFinalityUpdate => LIGHT_CLIENT_UPDATE_LEN + 2 * LIGHT_CLIENT_HEADER_LEN + 4 + 7 * 32,
            Topic::LightClientOptimisticUpdate => LIGHT_CLIENT_UPDATE_LEN + LIGHT_CLIENT_HEADER_LEN,
            Topic::DataColumnSidecar(_) => COLUMN_FIXED_LEN + MAX_BLOBS * LEN_PER_BLOB,
        }
    }

    /// SSZ of a message as mainnet's mostly are, where blocks may have so many blobs; of what hardly ever comes, the longest.
    pub(super) fn usual_size(self, max_blobs: u64) -> usize {
        match self {
            Topic::BeaconBlock => USUAL_BLOCK,
            Topic::BeaconAggregateAndProof => AGGREGATE_FIXED_LEN + USUAL_COMMITTEE / 8 + 1,
            // Blocks without blobs have no columns. A fee that rises and falls holds blobs at two thirds of what may be.
            Topic::DataColumnSidecar(_) if max_blobs == 0 => 0,
            Topic::DataColumnSidecar(_) => COLUMN_FIXED_LEN + (max_blobs as usize * 2).div_ceil(3) * LEN_PER_BLOB,
            _ => self.max_size(),
        }
    }

    /// The topic string on a fork.
    /// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#topics-and-messages>
    pub(super) fn on(self, fork: ForkDigest) -> IdentTopic {
        IdentTopic::new(format!("/eth2/{}/{}/ssz_snappy", hex::encode(fork), self.name()))
    }

    /// The fork that a topic string is of.
    pub(super) fn fork_of(text: &str) -> Option<ForkDigest> {
        let (fork, _) = text.strip_prefix("/eth2/")?.split_once('/')?;
        let bytes: [u8; 4] = hex::decode(fork).ok()?.try_into().ok()?;
        Some(ForkDigest::from(bytes))
    }

    /// The topic that a string names, on any fork.
    pub(super) fn parse(text: &str) -> Option<Topic> {
        let (fork, rest) = text.strip_prefix("/eth2/")?.split_once('/')?;
        let name = rest.strip_suffix("/ssz_snappy")?;
        let topic = Topic::from_name(name).filter(|_| fork.len() == 8)?;
        topic.subnet().is_none_or(|subnet| subnet < MAX_SUBNETS).then_some(topic)
    }
}

#[cfg(test)]
mod tests {
    use ssz::Decode as _;

    use super::*;
    use crate::types::SignedAggregateAndProof;

    #[test]
    fn names_go_there_and_back() {
        for topic in Topic::GLOBAL.into_iter().chain([Topic::SyncCommittee(3), Topic::DataColumnSidecar(127)]) {
            assert_eq!(Topic::parse(topic.on(ForkDigest::from([0xab, 1, 2, 3])).hash().as_str()), Some(topic));
        }
        let text = Topic::BeaconBlock.on(ForkDigest::from([0xab, 1, 2, 3])).hash().to_string();
        assert_eq!(text, "/eth2/ab010203/beacon_block/ssz_snappy");
        for bad in [
            "/eth2/ab010203/beacon_block/ssz",
            "/eth2/ab/beacon_block/ssz_snappy",
            "/eth2/beacon_block",
            "",
            "/eth2/ab010203/data_column_sidecar_128/ssz_snappy",
        ] {
            assert_eq!(Topic::parse(bad), None);
        }
    }

    #[test]
    fn types_of_one_size_have_that_size() {
        assert_eq!(Topic::VoluntaryExit.max_size(), 16 + 96);
        assert_eq!(Topic::ProposerSlashing.max_size(), 2 * (112 + 96));
        assert_eq!(Topic::BeaconAttestation(1).max_size(), 8 + 8 + 128 + 96);
        assert_eq!(Topic::SyncCommittee(1).max_size(), 8 + 32 + 8 + 96);
        assert_eq!(Topic::BlsToExecutionChange.max_size(), 8 + 48 + 20 + 96);
    }

    #[test]
    fn the_largest_attester_slashing_fits_exactly() {
        let data = AttestationData::default();
        let indices = ssz_types::VariableList::new(vec![7; MAX_ATTESTERS_PER_SLOT]).unwrap();
        let vote = IndexedAttestation { attesting_indices: indices, data, signature: BLSSignature::ZERO };
        let largest = AttesterSlashing { attestation_1: vote.clone(), attestation_2: vote };
        assert_eq!(largest.as_ssz_bytes().len(), Topic::AttesterSlashing.max_size());
    }

    #[test]
    fn the_largest_light_client_updates_fit_exactly() {
        let execution = ExecutionPayloadHeader { extra_data: vec![1; 32].try_into().unwrap(), ..Default::default() };
        let header = LightClientHeader { execution, ..Default::default() };
        let finality = LightClientFinalityUpdate {
            fork_name: ForkName::Fulu,
            attested_header: header.clone(),
            finalized_header: header.clone(),
            finality_branch: Default::default(),
            sync_aggregate: SyncAggregate::default(),
            signature_slot: 1,
        };
        let optimistic = LightClientOptimisticUpdate {
            fork_name: ForkName::Fulu,
            attested_header: header,
            sync_aggregate: SyncAggregate::default(),
            signature_slot: 1,
        };
        assert_eq!(finality.to_ssz_bytes().len(), Topic::LightClientFinalityUpdate.max_size());
        assert_eq!(optimistic.to_ssz_bytes().len(), Topic::LightClientOptimisticUpdate.max_size());
    }

    #[test]
    fn the_largest_aggregate_fits_exactly() {
        // All offsets and fixed parts in place, and as many bits as the type allows.
        let attestation_fixed = 4 + 128 + 96 + preset::MAX_COMMITTEES_PER_SLOT.div_ceil(8);
        let with_bits = |bits: usize| {
            let mut out = Vec::new();
            out.extend_from_slice(&100u32.to_le_bytes());
            out.extend_from_slice(&[0; 96]);
            out.extend_from_slice(&[0; 8]);
            out.extend_from_slice(&108u32.to_le_bytes());
            out.extend_from_slice(&[0; 96]);
            out.extend_from_slice(&(attestation_fixed as u32).to_le_bytes());
            out.resize(100 + 108 + attestation_fixed, 0);
            out.resize(out.len() + bits / 8, 0xff);
            out.push(1);
            out
        };
        let largest = with_bits(MAX_ATTESTERS_PER_SLOT);
        assert!(SignedAggregateAndProof::from_ssz_bytes(&largest).is_ok());
        assert_eq!(largest.len(), Topic::BeaconAggregateAndProof.max_size());
        assert!(SignedAggregateAndProof::from_ssz_bytes(&with_bits(MAX_ATTESTERS_PER_SLOT + 8)).is_err());
    }
}
