//! A body as JSON. Its fields tell its layout, so that it can be read without knowing the fork.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap as _};

use super::{BeaconBlockBody, BlobKZGCommitments, BodyLayout, layout::Field};
use crate::types::*;

impl Serialize for BeaconBlockBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.layout.fields();
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (field, name) in fields {
            match field {
                Field::RandaoReveal => map.serialize_entry(name, &self.randao_reveal)?,
                Field::Eth1Data => map.serialize_entry(name, &self.eth1_data)?,
                Field::Graffiti => map.serialize_entry(name, &self.graffiti)?,
                Field::ProposerSlashings => map.serialize_entry(name, &self.proposer_slashings)?,
                Field::AttesterSlashings => map.serialize_entry(name, &self.attester_slashings)?,
                Field::Attestations if self.layout < BodyLayout::Electra => {
                    map.serialize_entry(name, &self.attestations_phase0())?;
                }
                Field::Attestations => map.serialize_entry(name, &self.attestations)?,
                Field::Deposits => map.serialize_entry(name, &self.deposits)?,
                Field::VoluntaryExits => map.serialize_entry(name, &self.voluntary_exits)?,
                Field::SyncAggregate => map.serialize_entry(name, &self.sync_aggregate)?,
                Field::ExecutionPayload => match self.layout {
                    BodyLayout::Bellatrix => {
                        map.serialize_entry(name, &ExecutionPayloadBellatrix::from(&self.execution_payload))?;
                    }
                    BodyLayout::Capella => {
                        map.serialize_entry(name, &ExecutionPayloadCapella::from(&self.execution_payload))?;
                    }
                    _ => map.serialize_entry(name, &self.execution_payload)?,
                },
                Field::BlsToExecutionChanges => map.serialize_entry(name, &self.bls_to_execution_changes)?,
                Field::BlobKzgCommitments => map.serialize_entry(name, &self.blob_kzg_commitments)?,
                Field::ExecutionRequests => map.serialize_entry(name, &self.execution_requests)?,
            }
        }
        map.end()
    }
}

/// A body of any layout, as read. The later fields tell the layout.
#[derive(Deserialize)]
struct AnyBody {
    randao_reveal: BLSSignature,
    eth1_data: Eth1Data,
    graffiti: Hash256,
    proposer_slashings: ssz_types::VariableList<ProposerSlashing, typenum::U16>,
    attester_slashings: Vec<AttesterSlashing>,
    attestations: Vec<AnyAttestation>,
    deposits: ssz_types::VariableList<Deposit, typenum::U16>,
    voluntary_exits: ssz_types::VariableList<SignedVoluntaryExit, typenum::U16>,
    sync_aggregate: Option<SyncAggregate>,
    execution_payload: Option<AnyPayload>,
    bls_to_execution_changes: Option<ssz_types::VariableList<SignedBLSToExecutionChange, typenum::U16>>,
    blob_kzg_commitments: Option<BlobKZGCommitments>,
    execution_requests: Option<ExecutionRequests>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyAttestation {
    Electra(Attestation),
    Phase0(AttestationPhase0),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyPayload {
    Deneb(ExecutionPayload),
    Capella(ExecutionPayloadCapella),
    Bellatrix(ExecutionPayloadBellatrix),
}

impl AnyBody {
    /// The layout that has exactly the fields which are there, in the shapes that they have.
    fn layout(&self) -> Option<BodyLayout> {
        let present = [
            self.sync_aggregate.is_some(),
            self.execution_payload.is_some(),
            self.bls_to_execution_changes.is_some(),
            self.blob_kzg_commitments.is_some(),
            self.execution_requests.is_some(),
        ];
        let layout = match present {
            [false, false, false, false, false] => BodyLayout::Phase0,
            [true, false, false, false, false] => BodyLayout::Altair,
            [true, true, false, false, false] => BodyLayout::Bellatrix,
            [true, true, true, false, false] => BodyLayout::Capella,
            [true, true, true, true, false] => BodyLayout::Deneb,
            [true, true, true, true, true] => BodyLayout::Electra,
            _ => return None,
        };
        let payload_fits = match &self.execution_payload {
            None => true,
            Some(AnyPayload::Bellatrix(_)) => layout == BodyLayout::Bellatrix,
            Some(AnyPayload::Capella(_)) => layout == BodyLayout::Capella,
            Some(AnyPayload::Deneb(_)) => layout >= BodyLayout::Deneb,
        };
        let is_electra = |attestation: &AnyAttestation| matches!(attestation, AnyAttestation::Electra(_));
        let attestations_fit = self.attestations.iter().all(|a| is_electra(a) == (layout >= BodyLayout::Electra));
        let slashings_fit = layout >= BodyLayout::Electra
            || self.attester_slashings.iter().all(|slashing| AttesterSlashingPhase0::try_from(slashing).is_ok());
        let few_enough = self.attestations.len() <= layout.max_attestations()
            && self.attester_slashings.len() <= layout.max_attester_slashings();
        (payload_fits && attestations_fit && slashings_fit && few_enough).then_some(layout)
    }
}

impl<'de> Deserialize<'de> for BeaconBlockBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = AnyBody::deserialize(deserializer)?;
        let layout = body.layout().ok_or_else(|| D::Error::custom("no fork's block has these fields"))?;
        let attestations = body.attestations.into_iter().map(|attestation| match attestation {
            AnyAttestation::Electra(attestation) => attestation,
            AnyAttestation::Phase0(attestation) => attestation.into(),
        });
        let execution_payload = body.execution_payload.map(|payload| match payload {
            AnyPayload::Deneb(payload) => payload,
            AnyPayload::Capella(payload) => payload.into(),
            AnyPayload::Bellatrix(payload) => payload.into(),
        });
        Ok(BeaconBlockBody {
            layout,
            randao_reveal: body.randao_reveal,
            eth1_data: body.eth1_data,
            graffiti: body.graffiti,
            proposer_slashings: body.proposer_slashings,
            attester_slashings: body.attester_slashings,
            attestations: attestations.collect(),
            deposits: body.deposits,
            voluntary_exits: body.voluntary_exits,
            sync_aggregate: body.sync_aggregate.unwrap_or_default(),
            execution_payload: execution_payload.unwrap_or_default(),
            bls_to_execution_changes: body.bls_to_execution_changes.unwrap_or_default(),
            blob_kzg_commitments: body.blob_kzg_commitments.unwrap_or_default(),
            execution_requests: body.execution_requests.unwrap_or_default(),
        })
    }
}
