//! Reading and writing the parts that light clients' containers are made of, in the form of any fork.

use serde::{Serialize, Serializer};
use ssz::{BYTES_PER_LENGTH_OFFSET, Decode, DecodeError, Encode, SszDecoder, SszDecoderBuilder};
use tree_hash::TreeHash;

use super::*;
use crate::{ssz::merkleize, types::ExecutionPayloadHeaderCapella};

/// Bytes of a node of a branch.
const NODE_LEN: usize = 32;
/// Nodes of the branch of a block's payload; of a longer one, which is of the state, forks before Electra lack the first.
const EXECUTION_BRANCH_LEN: usize = 4;

/// What a part is, as far as its length goes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Beacon,
    Execution,
    /// So many nodes in memory.
    Branch(usize),
    Header,
    SyncCommittee,
    SyncAggregate,
    Slot,
}

impl Kind {
    /// The parts of a header.
    pub fn of_header(fork_name: ForkName) -> &'static [Kind] {
        let all = &[Kind::Beacon, Kind::Execution, Kind::Branch(EXECUTION_BRANCH_LEN)];
        if fork_name < ForkName::Capella { &all[..1] } else { all }
    }

    /// Bytes that it takes; `None` if they vary.
    fn fixed_len(self, fork_name: ForkName) -> Option<usize> {
        match self {
            Kind::Beacon => Some(<BeaconBlockHeader as Decode>::ssz_fixed_len()),
            Kind::Execution => None,
            Kind::Branch(nodes) => Some((nodes - first_on_wire(fork_name, nodes)) * NODE_LEN),
            Kind::Header if fork_name < ForkName::Capella => Kind::Beacon.fixed_len(fork_name),
            Kind::Header => None,
            Kind::SyncCommittee => Some(<SyncCommittee as Decode>::ssz_fixed_len()),
            Kind::SyncAggregate => Some(<SyncAggregate as Decode>::ssz_fixed_len()),
            Kind::Slot => Some(<Slot as Decode>::ssz_fixed_len()),
        }
    }
}

/// How many nodes of a branch of `nodes` are not on the wire.
fn first_on_wire(fork_name: ForkName, nodes: usize) -> usize {
    usize::from(fork_name < ForkName::Electra && nodes > EXECUTION_BRANCH_LEN)
}

/// The parts of a container's encoding, to be taken in order.
pub(super) struct Parts<'a> {
    fork_name: ForkName,
    decoder: SszDecoder<'a>,
}

impl<'a> Parts<'a> {
    /// Errors when offsets or the length are not as parts of these kinds need them.
    pub fn split(fork_name: ForkName, bytes: &'a [u8], kinds: &[Kind]) -> Result<Self, DecodeError> {
        if fork_name < ForkName::Altair {
            return Err(DecodeError::BytesInvalid("there are no light clients before Altair".into()));
        }
        let mut builder = SszDecoderBuilder::new(bytes);
        for kind in kinds {
            let len = kind.fixed_len(fork_name);
            builder.register_type_parameterized(len.is_some(), len.unwrap_or(BYTES_PER_LENGTH_OFFSET))?;
        }
        Ok(Parts { fork_name, decoder: builder.build()? })
    }

    /// A part that all forks have alike.
    pub fn plain<T: Decode>(&mut self) -> Result<T, DecodeError> {
        self.decoder.decode_next()
    }

    pub fn sync_committee(&mut self) -> Result<Hashed<SyncCommittee>, DecodeError> {
        self.decoder.decode_next().map(Hashed::new)
    }

    pub fn header(&mut self) -> Result<LightClientHeader, DecodeError> {
        self.decoder.decode_next_with(|bytes| LightClientHeader::from_ssz_bytes(self.fork_name, bytes))
    }

    pub fn execution(&mut self) -> Result<ExecutionPayloadHeader, DecodeError> {
        self.decoder.decode_next_with(|bytes| ExecutionPayloadHeader::decode_as(self.fork_name, bytes))
    }

    pub fn branch<const NODES: usize>(&mut self) -> Result<[Hash256; NODES], DecodeError> {
        let mut branch = [Hash256::ZERO; NODES];
        let on_wire = &mut branch[first_on_wire(self.fork_name, NODES)..];
        self.decoder.decode_next_with(|bytes| {
            // `split` cut off as many bytes as there are nodes.
            for (node, bytes) in on_wire.iter_mut().zip(bytes.chunks_exact(NODE_LEN)) {
                *node = Hash256::from_slice(bytes);
            }
            Ok(())
        })?;
        Ok(branch)
    }
}

/// A field of a container by name.
pub(super) type Field<'a> = (&'static str, Part<'a>);

/// A part of a container.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Beacon(&'a BeaconBlockHeader),
    Execution(&'a ExecutionPayloadHeader),
    Branch(&'a [Hash256]),
    Header(&'a LightClientHeader),
    SyncCommittee(&'a Hashed<SyncCommittee>),
    SyncAggregate(&'a SyncAggregate),
    Slot(Slot),
}

impl Part<'_> {
    fn kind(self) -> Kind {
        match self {
            Part::Beacon(..) => Kind::Beacon,
            Part::Execution(..) => Kind::Execution,
            Part::Branch(nodes) => Kind::Branch(nodes.len()),
            Part::Header(..) => Kind::Header,
            Part::SyncCommittee(..) => Kind::SyncCommittee,
            Part::SyncAggregate(..) => Kind::SyncAggregate,
            Part::Slot(..) => Kind::Slot,
        }
    }

    fn to_ssz_bytes(self, fork_name: ForkName) -> Vec<u8> {
        match self {
            Part::Beacon(header) => header.as_ssz_bytes(),
            Part::Execution(header) => header.encode_as(fork_name),
            Part::Branch(nodes) => nodes[first_on_wire(fork_name, nodes.len())..].concat(),
            Part::Header(header) => header.to_ssz_bytes(fork_name),
            Part::SyncCommittee(committee) => committee.as_ssz_bytes(),
            Part::SyncAggregate(aggregate) => aggregate.as_ssz_bytes(),
            Part::Slot(slot) => slot.as_ssz_bytes(),
        }
    }

    fn hash_tree_root(self, fork_name: ForkName) -> Hash256 {
        match self {
            Part::Beacon(header) => header.tree_hash_root(),
            Part::Execution(header) => header.root_as(fork_name),
            Part::Branch(nodes) => vector_root(&nodes[first_on_wire(fork_name, nodes.len())..]),
            Part::Header(header) => header.hash_tree_root(fork_name),
            Part::SyncCommittee(committee) => committee.root(),
            Part::SyncAggregate(aggregate) => aggregate.tree_hash_root(),
            Part::Slot(slot) => slot.tree_hash_root(),
        }
    }
}

/// The SSZ of a container with these fields.
pub(super) fn to_ssz_bytes(fork_name: ForkName, fields: &[Field]) -> Vec<u8> {
    let fixed_lens = fields.iter().map(|(_, part)| part.kind().fixed_len(fork_name).unwrap_or(BYTES_PER_LENGTH_OFFSET));
    let (mut fixed, mut variable, fixed_len) = (Vec::new(), Vec::new(), fixed_lens.sum::<usize>());
    for (_, part) in fields {
        let bytes = part.to_ssz_bytes(fork_name);
        if part.kind().fixed_len(fork_name).is_some() {
            fixed.extend(bytes);
        } else {
            fixed.extend(ssz::encode_length(fixed_len + variable.len()));
            variable.extend(bytes);
        }
    }
    [fixed, variable].concat()
}

/// The root of a container with these fields.
pub(super) fn hash_tree_root(fork_name: ForkName, fields: &[Field]) -> Hash256 {
    vector_root(&fields.iter().map(|(_, part)| part.hash_tree_root(fork_name)).collect::<Vec<_>>())
}

/// The root of a vector, or of a container with these field roots.
fn vector_root(roots: &[Hash256]) -> Hash256 {
    merkleize(roots.to_vec(), 0, roots.len().next_power_of_two().ilog2() as usize)
}

/// Writes a container as the Beacon API's JSON has it.
pub(super) fn serialize<S: Serializer>(fork_name: ForkName, fields: &[Field], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(fields.iter().map(|(name, part)| (name, Text(fork_name, *part))))
}

/// The text of a part.
pub(super) struct Text<'a>(pub ForkName, pub Part<'a>);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Text(fork_name, part) = *self;
        match part {
            Part::Beacon(header) => header.serialize(serializer),
            Part::Execution(header) if fork_name < ForkName::Deneb => {
                ExecutionPayloadHeaderCapella::from(header).serialize(serializer)
            }
            Part::Execution(header) => header.serialize(serializer),
            Part::Branch(nodes) => nodes[first_on_wire(fork_name, nodes.len())..].serialize(serializer),
            Part::Header(header) => serialize(fork_name, &header.fields(fork_name), serializer),
            Part::SyncCommittee(committee) => SyncCommittee::serialize(committee, serializer),
            Part::SyncAggregate(aggregate) => aggregate.serialize(serializer),
            Part::Slot(slot) => serde_utils::quoted_u64::serialize(&slot, serializer),
        }
    }
}
