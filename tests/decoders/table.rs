//! What reads SSZ that others sent. The fuzz targets use the same table.

use hornero::{
    p2p::{MetaData, Status},
    types::*,
};
use ssz::{Decode, Encode};
use tree_hash::TreeHash;

/// Decodes, takes the root, and encodes again. `None` if the bytes are refused.
pub type Again = fn(&[u8]) -> Option<Vec<u8>>;

/// A value and its encoding may take so many times the length of what was read. A list of empty lists is the worst: four
/// bytes an item, which are three words in memory, in a vector that doubles while it grows, and then the encoding is made
/// (measured: 12).
pub const MOST_MEMORY_PER_BYTE: usize = 16;
/// ... and so much besides: buffers of hashes, texts of errors (measured: 8 KiB).
pub const MEMORY_BESIDES: usize = 16 << 10;
/// For a block, whose lists make room for as many items as their offsets announce: 128 attestations in phase 0.
pub const MEMORY_BESIDES_A_BLOCK: usize = 128 << 10;
/// For a state: its columns take a chunk each for their first item (measured: 160 KiB).
pub const MEMORY_BESIDES_A_STATE: usize = 1 << 20;

/// The fork that a seed's byte means, which stays the same when forks come.
pub fn fork(byte: u8) -> ForkName {
    const NAMES: [&str; 7] = ["phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu"];
    ForkName::from_name(NAMES[usize::from(byte) % NAMES.len()]).unwrap_or_default()
}

/// A container with one layout.
pub fn again<T: Decode + Encode + TreeHash>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value = T::from_ssz_bytes(bytes).ok()?;
    value.tree_hash_root();
    Some(value.as_ssz_bytes())
}

fn again_unhashed<T: Decode + Encode>(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(T::from_ssz_bytes(bytes).ok()?.as_ssz_bytes())
}

/// Containers with one layout, by the specification's names.
pub const CONTAINERS: &[(&str, Again)] = &[
    ("AttesterSlashing", again::<AttesterSlashing>),
    ("Attestation", again::<Attestation>),
    ("BeaconBlockHeader", again::<BeaconBlockHeader>),
    ("DataColumnSidecar", again::<DataColumnSidecar>),
    ("DataColumnsByRootIdentifier", again::<DataColumnsByRootIdentifier>),
    ("Deposit", again::<Deposit>),
    ("ExecutionRequests", again::<ExecutionRequests>),
    ("IndexedAttestation", again::<IndexedAttestation>),
    ("MetaData", again_unhashed::<MetaData>),
    ("PartialDataColumnPartsMetadata", again::<PartialDataColumnPartsMetadata>),
    ("PartialDataColumnSidecar", again::<PartialDataColumnSidecar>),
    ("ProposerSlashing", again::<ProposerSlashing>),
    ("SignedAggregateAndProof", again::<SignedAggregateAndProof>),
    ("SignedBLSToExecutionChange", again::<SignedBLSToExecutionChange>),
    ("SignedContributionAndProof", again::<SignedContributionAndProof>),
    ("SignedVoluntaryExit", again::<SignedVoluntaryExit>),
    ("SingleAttestation", again::<SingleAttestation>),
    ("Status", again_unhashed::<Status>),
    ("SyncAggregate", again::<SyncAggregate>),
    ("SyncCommitteeMessage", again::<SyncCommitteeMessage>),
    ("Validator", again::<Validator>),
];

/// A signed block.
pub fn block(fork: ForkName, bytes: &[u8]) -> Option<Vec<u8>> {
    let block = SignedBeaconBlock::from_ssz_bytes(fork, bytes).ok()?;
    block.root();
    Some(block.as_ssz_bytes())
}

/// A state, read from a stream that gives `piece` bytes at a time.
pub fn state_in_pieces(fork: ForkName, bytes: &[u8], piece: usize) -> Option<Vec<u8>> {
    let mut state = BeaconState::from_reader(fork, &mut InPieces { rest: bytes, piece }).ok()?;
    state.hash_tree_root();
    Some(state.to_ssz_bytes())
}

/// A state, from a slice.
pub fn state(fork: ForkName, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut state = BeaconState::from_ssz_bytes(fork, bytes).ok()?;
    state.hash_tree_root();
    Some(state.to_ssz_bytes())
}

/// What comes by network comes in pieces.
struct InPieces<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl std::io::Read for InPieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = out.len().min(self.rest.len()).min(self.piece);
        let (now, rest) = self.rest.split_at(len);
        out[..len].copy_from_slice(now);
        self.rest = rest;
        Ok(len)
    }
}
