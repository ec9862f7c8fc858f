//! A block's SSZ and the roots of its body, driven by the table of fields.

use ssz::{BYTES_PER_LENGTH_OFFSET, Decode, DecodeError, Encode, SszDecoderBuilder, SszEncoder};
use ssz_types::VariableList;
use tree_hash::{Hash256, PackedEncoding, TreeHash, TreeHashType};
use typenum as t;

use super::{BeaconBlock, BeaconBlockBody, BodyLayout, SignedBeaconBlock, layout::Field};
use crate::{
    ssz::{merkleize, mix_in_length},
    types::*,
};

/// Where a signed block's SSZ has its slot: behind the message's offset and the signature.
const SLOT_AT: usize = BYTES_PER_LENGTH_OFFSET + 96;

impl SignedBeaconBlock {
    /// Decodes a block of the fork that its own slot is in.
    ///
    /// # Errors
    /// When the bytes are not such a block, or of a fork that this program does not know.
    pub fn from_ssz_bytes_by_slot(config: &Config, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_ssz_bytes(fork_of_slot(config, bytes)?, bytes)
    }

    /// Decodes `fork`'s block.
    ///
    /// # Errors
    /// When the bytes are not its encoding.
    pub fn from_ssz_bytes(fork: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, |bytes| BeaconBlockBody::from_ssz_bytes(fork, bytes))
    }

    /// Decodes a block whose body is decoded by `body`.
    pub(super) fn decode_with(
        bytes: &[u8],
        body: impl FnOnce(&[u8]) -> Result<BeaconBlockBody, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let mut builder = SszDecoderBuilder::new(bytes);
        builder.register_anonymous_variable_length_item()?;
        builder.register_type::<BLSSignature>()?;
        let mut decoder = builder.build()?;
        Ok(SignedBeaconBlock {
            message: decoder.decode_next_with(|bytes| BeaconBlock::decode_with(bytes, body))?,
            signature: decoder.decode_next()?,
        })
    }
}

/// The fork of the slot that a signed block's SSZ has, blinded or not.
pub(super) fn fork_of_slot(config: &Config, bytes: &[u8]) -> Result<ForkName, DecodeError> {
    let slot = bytes.get(SLOT_AT..SLOT_AT + 8).ok_or(DecodeError::BytesInvalid("too short for a block".into()))?;
    let slot = u64::from_ssz_bytes(slot)?;
    let unknown = || DecodeError::BytesInvalid(format!("slot {slot} is of a fork that this version does not know"));
    config.fork_name(compute_epoch_at_slot(slot)).ok_or_else(unknown)
}

impl BeaconBlock {
    /// Decodes `fork`'s block without its signature.
    ///
    /// # Errors
    /// When the bytes are not its encoding.
    pub fn from_ssz_bytes(fork: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, |bytes| BeaconBlockBody::from_ssz_bytes(fork, bytes))
    }

    fn decode_with(
        bytes: &[u8],
        body: impl FnOnce(&[u8]) -> Result<BeaconBlockBody, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let mut builder = SszDecoderBuilder::new(bytes);
        builder.register_type::<u64>()?;
        builder.register_type::<u64>()?;
        builder.register_type::<Hash256>()?;
        builder.register_type::<Hash256>()?;
        builder.register_anonymous_variable_length_item()?;
        let mut decoder = builder.build()?;
        Ok(BeaconBlock {
            slot: decoder.decode_next()?,
            proposer_index: decoder.decode_next()?,
            parent_root: decoder.decode_next()?,
            state_root: decoder.decode_next()?,
            body: decoder.decode_next_with(body)?,
        })
    }
}

impl BeaconBlockBody {
    /// Decodes the body of a block of `fork`.
    ///
    /// # Errors
    /// When the bytes are not its encoding.
    pub fn from_ssz_bytes(fork: ForkName, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with(fork, bytes, |body, bytes| body.decode_field(Field::ExecutionPayload, bytes))
    }

    /// Decodes a body in whose payload's place is what `payload` decodes.
    pub(super) fn decode_with(
        fork: ForkName,
        bytes: &[u8],
        mut payload: impl FnMut(&mut BeaconBlockBody, &[u8]) -> Result<(), DecodeError>,
    ) -> Result<Self, DecodeError> {
        let mut body = BeaconBlockBody { layout: fork.into(), ..BeaconBlockBody::default() };
        let fields = body.layout.fields();
        let mut builder = SszDecoderBuilder::new(bytes);
        for (field, _) in fields {
            let len = fixed_len(*field);
            builder.register_type_parameterized(len.is_some(), len.unwrap_or(BYTES_PER_LENGTH_OFFSET))?;
        }
        let mut decoder = builder.build()?;
        for (field, _) in fields {
            decoder.decode_next_with(|bytes| match field {
                Field::ExecutionPayload => payload(&mut body, bytes),
                field => body.decode_field(*field, bytes),
            })?;
        }
        Ok(body)
    }

    /// The root of each field, in order: the leaves of the body's tree, for branches to its root.
    pub fn field_roots(&self) -> Vec<Hash256> {
        self.layout.fields().iter().map(|(field, _)| self.field_root(*field)).collect()
    }

    fn decode_field(&mut self, field: Field, bytes: &[u8]) -> Result<(), DecodeError> {
        match field {
            Field::RandaoReveal => self.randao_reveal = Decode::from_ssz_bytes(bytes)?,
            Field::Eth1Data => self.eth1_data = Decode::from_ssz_bytes(bytes)?,
            Field::Graffiti => self.graffiti = Decode::from_ssz_bytes(bytes)?,
            Field::ProposerSlashings => self.proposer_slashings = Decode::from_ssz_bytes(bytes)?,
            Field::AttesterSlashings if self.layout < BodyLayout::Electra => {
                self.attester_slashings = earlier::<AttesterSlashingPhase0, t::U2, _>(bytes)?;
            }
            Field::AttesterSlashings => {
                self.attester_slashings = Vec::from(VariableList::<_, t::U1>::from_ssz_bytes(bytes)?);
            }
            Field::Attestations if self.layout < BodyLayout::Electra => {
                self.attestations = earlier::<AttestationPhase0, t::U128, _>(bytes)?;
            }
            Field::Attestations => self.attestations = Vec::from(VariableList::<_, t::U8>::from_ssz_bytes(bytes)?),
            Field::Deposits => self.deposits = Decode::from_ssz_bytes(bytes)?,
            Field::VoluntaryExits => self.voluntary_exits = Decode::from_ssz_bytes(bytes)?,
            Field::SyncAggregate => self.sync_aggregate = Decode::from_ssz_bytes(bytes)?,
            Field::ExecutionPayload => {
                self.execution_payload = match self.layout {
                    BodyLayout::Bellatrix => ExecutionPayloadBellatrix::from_ssz_bytes(bytes)?.into(),
                    BodyLayout::Capella => ExecutionPayloadCapella::from_ssz_bytes(bytes)?.into(),
                    _ => ExecutionPayload::from_ssz_bytes(bytes)?,
                }
            }
            Field::BlsToExecutionChanges => self.bls_to_execution_changes = Decode::from_ssz_bytes(bytes)?,
            Field::BlobKzgCommitments => self.blob_kzg_commitments = Decode::from_ssz_bytes(bytes)?,
            Field::ExecutionRequests => self.execution_requests = Decode::from_ssz_bytes(bytes)?,
        }
        Ok(())
    }

    /// Encodes the body with what `payload` appends in its payload's place.
    pub(super) fn append_with(&self, out: &mut Vec<u8>, payload: impl Fn(&mut Vec<u8>)) {
        let fields = self.layout.fields();
        let fixed = fields.iter().map(|(field, _)| fixed_len(*field).unwrap_or(BYTES_PER_LENGTH_OFFSET)).sum();
        let mut encoder = SszEncoder::container(out, fixed);
        for (field, _) in fields {
            encoder.append_parameterized(fixed_len(*field).is_some(), |out| match field {
                Field::ExecutionPayload => payload(out),
                field => self.append_field(*field, out),
            });
        }
        encoder.finalize();
    }

    fn append_field(&self, field: Field, out: &mut Vec<u8>) {
        match field {
            Field::RandaoReveal => self.randao_reveal.ssz_append(out),
            Field::Eth1Data => self.eth1_data.ssz_append(out),
            Field::Graffiti => self.graffiti.ssz_append(out),
            Field::ProposerSlashings => self.proposer_slashings.ssz_append(out),
            Field::AttesterSlashings => self.attester_slashings.ssz_append(out),
            Field::Attestations if self.layout < BodyLayout::Electra => self.attestations_phase0().ssz_append(out),
            Field::Attestations => self.attestations.ssz_append(out),
            Field::Deposits => self.deposits.ssz_append(out),
            Field::VoluntaryExits => self.voluntary_exits.ssz_append(out),
            Field::SyncAggregate => self.sync_aggregate.ssz_append(out),
            Field::ExecutionPayload => match self.layout {
                BodyLayout::Bellatrix => ExecutionPayloadBellatrix::from(&self.execution_payload).ssz_append(out),
                BodyLayout::Capella => ExecutionPayloadCapella::from(&self.execution_payload).ssz_append(out),
                _ => self.execution_payload.ssz_append(out),
            },
            Field::BlsToExecutionChanges => self.bls_to_execution_changes.ssz_append(out),
            Field::BlobKzgCommitments => self.blob_kzg_commitments.ssz_append(out),
            Field::ExecutionRequests => self.execution_requests.ssz_append(out),
        }
    }

    /// Bytes of a field of variable length.
    fn variable_len(&self, field: Field) -> usize {
        match field {
            Field::ProposerSlashings => self.proposer_slashings.ssz_bytes_len(),
            Field::AttesterSlashings => self.attester_slashings.ssz_bytes_len(),
            Field::Attestations if self.layout < BodyLayout::Electra => self.attestations_phase0().ssz_bytes_len(),
            Field::Attestations => self.attestations.ssz_bytes_len(),
            Field::Deposits => self.deposits.ssz_bytes_len(),
            Field::VoluntaryExits => self.voluntary_exits.ssz_bytes_len(),
            Field::ExecutionPayload => match self.layout {
                BodyLayout::Bellatrix => ExecutionPayloadBellatrix::from(&self.execution_payload).ssz_bytes_len(),
                BodyLayout::Capella => ExecutionPayloadCapella::from(&self.execution_payload).ssz_bytes_len(),
                _ => self.execution_payload.ssz_bytes_len(),
            },
            Field::BlsToExecutionChanges => self.bls_to_execution_changes.ssz_bytes_len(),
            Field::BlobKzgCommitments => self.blob_kzg_commitments.ssz_bytes_len(),
            Field::ExecutionRequests => self.execution_requests.ssz_bytes_len(),
            Field::RandaoReveal | Field::Eth1Data | Field::Graffiti | Field::SyncAggregate => {
                unreachable!("{field:?} has a fixed length")
            }
        }
    }

    fn field_root(&self, field: Field) -> Hash256 {
        match field {
            Field::RandaoReveal => self.randao_reveal.tree_hash_root(),
            Field::Eth1Data => self.eth1_data.tree_hash_root(),
            Field::Graffiti => self.graffiti.tree_hash_root(),
            Field::ProposerSlashings => self.proposer_slashings.tree_hash_root(),
            Field::AttesterSlashings => {
                let limit = self.layout.max_attester_slashings();
                if self.layout < BodyLayout::Electra {
                    list_root(&self.attester_slashings_phase0(), limit)
                } else {
                    list_root(&self.attester_slashings, limit)
                }
            }
            Field::Attestations => {
                let limit = self.layout.max_attestations();
                if self.layout < BodyLayout::Electra {
                    list_root(&self.attestations_phase0(), limit)
                } else {
                    list_root(&self.attestations, limit)
                }
            }
            Field::Deposits => self.deposits.tree_hash_root(),
            Field::VoluntaryExits => self.voluntary_exits.tree_hash_root(),
            Field::SyncAggregate => self.sync_aggregate.tree_hash_root(),
            Field::ExecutionPayload => match self.layout {
                BodyLayout::Bellatrix => ExecutionPayloadBellatrix::from(&self.execution_payload).tree_hash_root(),
                BodyLayout::Capella => ExecutionPayloadCapella::from(&self.execution_payload).tree_hash_root(),
                _ => self.execution_payload.tree_hash_root(),
            },
            Field::BlsToExecutionChanges => self.bls_to_execution_changes.tree_hash_root(),
            Field::BlobKzgCommitments => self.blob_kzg_commitments.tree_hash_root(),
            Field::ExecutionRequests => self.execution_requests.tree_hash_root(),
        }
    }

    /// The attestations as they were before Electra.
    pub(super) fn attestations_phase0(&self) -> Vec<AttestationPhase0> {
        self.attestations.iter().map(|item| item.try_into().expect(EARLIER)).collect()
    }

    /// The attester slashings as they were before Electra.
    pub(super) fn attester_slashings_phase0(&self) -> Vec<AttesterSlashingPhase0> {
        self.attester_slashings.iter().map(|item| item.try_into().expect(EARLIER)).collect()
    }
}

/// Why converting back does not fail.
const EARLIER: &str = "a body of an earlier layout was made from such items";

/// Decodes a list of items in an earlier shape.
fn earlier<E: Decode + 'static, N: t::Unsigned, T: From<E>>(bytes: &[u8]) -> Result<Vec<T>, DecodeError> {
    Ok(Vec::from(VariableList::<E, N>::from_ssz_bytes(bytes)?).into_iter().map(T::from).collect())
}

fn list_root<T: TreeHash>(items: &[T], limit: usize) -> Hash256 {
    let roots = items.iter().map(T::tree_hash_root).collect();
    mix_in_length(&merkleize(roots, 0, limit.next_power_of_two().ilog2() as usize), items.len())
}

/// Bytes of a field of fixed length; `None` for one of variable length.
fn fixed_len(field: Field) -> Option<usize> {
    match field {
        Field::RandaoReveal => Some(<BLSSignature as Encode>::ssz_fixed_len()),
        Field::Eth1Data => Some(<Eth1Data as Encode>::ssz_fixed_len()),
        Field::Graffiti => Some(<Hash256 as Encode>::ssz_fixed_len()),
        Field::SyncAggregate => Some(<SyncAggregate as Encode>::ssz_fixed_len()),
        _ => None,
    }
}

impl Encode for BeaconBlockBody {
    fn is_ssz_fixed_len() -> bool {
        false
    }

    fn ssz_append(&self, out: &mut Vec<u8>) {
        self.append_with(out, |out| self.append_field(Field::ExecutionPayload, out));
    }

    fn ssz_bytes_len(&self) -> usize {
        let len = |(field, _): &(Field, _)| {
            fixed_len(*field).unwrap_or_else(|| BYTES_PER_LENGTH_OFFSET + self.variable_len(*field))
        };
        self.layout.fields().iter().map(len).sum()
    }
}

impl TreeHash for BeaconBlockBody {
    fn tree_hash_type() -> TreeHashType {
        TreeHashType::Container
    }

    fn tree_hash_packed_encoding(&self) -> PackedEncoding {
        unreachable!("containers are not packed")
    }

    fn tree_hash_packing_factor() -> usize {
        unreachable!("containers are not packed")
    }

    fn tree_hash_root(&self) -> Hash256 {
        body_root(self.field_roots())
    }
}

/// A body's root, of its fields' roots.
pub(super) fn body_root(roots: Vec<Hash256>) -> Hash256 {
    let depth = roots.len().next_power_of_two().ilog2() as usize;
    merkleize(roots, 0, depth)
}
