//! Which fields a block's body has.

use crate::types::ForkName;

/// The fork that last changed the fields of a block's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are the forks'
pub enum BodyLayout {
    Phase0,
    Altair,
    Bellatrix,
    Capella,
    Deneb,
    Electra,
}

impl Default for BodyLayout {
    fn default() -> Self {
        ForkName::default().into()
    }
}

impl From<ForkName> for BodyLayout {
    fn from(fork: ForkName) -> BodyLayout {
        match fork {
            ForkName::Phase0 => BodyLayout::Phase0,
            ForkName::Altair => BodyLayout::Altair,
            ForkName::Bellatrix => BodyLayout::Bellatrix,
            ForkName::Capella => BodyLayout::Capella,
            ForkName::Deneb => BodyLayout::Deneb,
            ForkName::Electra | ForkName::Fulu => BodyLayout::Electra,
        }
    }
}

/// A field of a block's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    RandaoReveal,
    Eth1Data,
    Graffiti,
    ProposerSlashings,
    AttesterSlashings,
    Attestations,
    Deposits,
    VoluntaryExits,
    SyncAggregate,
    ExecutionPayload,
    BlsToExecutionChanges,
    BlobKzgCommitments,
    ExecutionRequests,
}

/// All fields: their order in SSZ, their names in JSON.
pub(super) const FIELDS: [(Field, &str); 13] = [
    (Field::RandaoReveal, "randao_reveal"),
    (Field::Eth1Data, "eth1_data"),
    (Field::Graffiti, "graffiti"),
    (Field::ProposerSlashings, "proposer_slashings"),
    (Field::AttesterSlashings, "attester_slashings"),
    (Field::Attestations, "attestations"),
    (Field::Deposits, "deposits"),
    (Field::VoluntaryExits, "voluntary_exits"),
    (Field::SyncAggregate, "sync_aggregate"),
    (Field::ExecutionPayload, "execution_payload"),
    (Field::BlsToExecutionChanges, "bls_to_execution_changes"),
    (Field::BlobKzgCommitments, "blob_kzg_commitments"),
    (Field::ExecutionRequests, "execution_requests"),
];

impl BodyLayout {
    /// The fields of this layout, in order: up to now, forks only added fields at the end.
    pub(super) fn fields(self) -> &'static [(Field, &'static str)] {
        match self {
            BodyLayout::Phase0 => &FIELDS[..8],
            BodyLayout::Altair => &FIELDS[..9],
            BodyLayout::Bellatrix => &FIELDS[..10],
            BodyLayout::Capella => &FIELDS[..11],
            BodyLayout::Deneb => &FIELDS[..12],
            BodyLayout::Electra => &FIELDS,
        }
    }

    /// The fork that brought it.
    pub(super) fn first_fork(self) -> ForkName {
        match self {
            BodyLayout::Phase0 => ForkName::Phase0,
            BodyLayout::Altair => ForkName::Altair,
            BodyLayout::Bellatrix => ForkName::Bellatrix,
            BodyLayout::Capella => ForkName::Capella,
            BodyLayout::Deneb => ForkName::Deneb,
            BodyLayout::Electra => ForkName::Electra,
        }
    }

    /// `MAX_ATTESTER_SLASHINGS`, `MAX_ATTESTER_SLASHINGS_ELECTRA`.
    pub(super) fn max_attester_slashings(self) -> usize {
        if self < BodyLayout::Electra { 2 } else { 1 }
    }

    /// `MAX_ATTESTATIONS`, `MAX_ATTESTATIONS_ELECTRA`.
    pub(super) fn max_attestations(self) -> usize {
        if self < BodyLayout::Electra { 128 } else { 8 }
    }
}
