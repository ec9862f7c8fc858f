//! Keys and values of the index. Keys are big-endian, so that sled keeps them in the order of their numbers.

use super::difference::Difference;
use crate::types::{ColumnIndex, Hash256, Slot, preset::PRESET_BASE};

/// Version of the layout on disk. A directory with another one is refused. Differences of states and columns came later
/// and need no other version: a directory without them is one that has none, and who does not know them does without.
pub(super) const SCHEMA_VERSION: u32 = 1;
/// Version of a directory with blinded blocks: who does not know them would miss them. A directory gets it with the first.
pub(super) const SCHEMA_WITH_BLINDED: u32 = 2;

/// Slots in one range, the unit in which old blocks are deleted. On mainnet a block takes some 60 to 100 KB, so a range is
/// one or two files of 64 MB and the required five months of history are about a thousand files.
pub const SLOTS_PER_SEGMENT: u64 = 1024;

/// The range that `slot` is in.
pub(super) fn range_of(slot: Slot) -> u64 {
    slot / SLOTS_PER_SEGMENT
}

/// The first slot of `range`; saturates.
pub(super) fn first_slot_of(range: u64) -> Slot {
    range.saturating_mul(SLOTS_PER_SEGMENT)
}

/// A segment file: a range of slots, and which of the range's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentId {
    pub range: u64,
    pub part: u32,
}

impl SegmentId {
    pub(super) fn file_name(self) -> String {
        format!("{:010}-{:03}.seg", self.range, self.part)
    }

    pub(super) fn from_file_name(name: &str) -> Option<SegmentId> {
        let (range, part) = name.strip_suffix(".seg")?.split_once('-')?;
        let id = SegmentId { range: range.parse().ok()?, part: part.parse().ok()? };
        (id.file_name() == name && id.range <= range_of(Slot::MAX)).then_some(id)
    }

    pub(super) fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.range.to_be_bytes());
        key[8..].copy_from_slice(&self.part.to_be_bytes());
        key
    }

    pub(super) fn from_key(key: &[u8]) -> Option<SegmentId> {
        let key: &[u8; 12] = key.try_into().ok()?;
        Some(SegmentId { range: u64_at(key, 0)?, part: u32_at(key, 8)? })
    }
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub segment: SegmentId,
    pub offset: u64,
    pub stored_len: u32,
}

/// In which form a block is stored, and so in whose files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// Without its payload's lists.
    Blinded,
}

impl Form {
    pub(super) const BOTH: [Form; 2] = [Form::Whole, Form::Blinded];
}

/// What the index knows of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockEntry {
    pub form: Form,
    pub location: Location,
    pub slot: Slot,
    pub parent_root: Hash256,
}

/// Bytes of an entry of a whole block. That of a blinded one has a byte more, [`BLINDED`].
const ENTRY_LEN: usize = 64;
const BLINDED: u8 = 1;

impl BlockEntry {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(ENTRY_LEN + 1);
        value.extend_from_slice(&self.location.segment.key());
        value.extend_from_slice(&self.location.offset.to_be_bytes());
        value.extend_from_slice(&self.location.stored_len.to_be_bytes());
        value.extend_from_slice(&self.slot.to_be_bytes());
        value.extend_from_slice(self.parent_root.as_slice());
        if self.form == Form::Blinded {
            value.push(BLINDED);
        }
        value
    }

    pub(super) fn decode(value: &[u8]) -> Option<BlockEntry> {
        let (value, form) = match value.split_at_checked(ENTRY_LEN)? {
            (value, []) => (value, Form::Whole),
            (value, [BLINDED]) => (value, Form::Blinded),
            _ => return None,
        };
        Some(BlockEntry {
            form,
            location: Location {
                segment: SegmentId::from_key(&value[..12])?,
                offset: u64_at(value, 12)?,
                stored_len: u32_at(value, 20)?,
            },
            slot: u64_at(value, 24)?,
            parent_root: Hash256::from_slice(&value[32..]),
        })
    }
}

/// What the index knows of a state's difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DifferenceEntry {
    pub difference: Difference,
    pub pieces: Vec<Location>,
}

impl DifferenceEntry {
    /// Without the root, which is its key.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Difference { root: _, slot, anchor, state_root } = &self.difference;
        let mut value = [&slot.to_be_bytes()[..], anchor.as_slice(), state_root.as_slice()].concat();
        for piece in &self.pieces {
            value.extend_from_slice(&piece.segment.key());
            value.extend_from_slice(&piece.offset.to_be_bytes());
            value.extend_from_slice(&piece.stored_len.to_be_bytes());
        }
        value
    }

    pub(super) fn decode(root: Hash256, value: &[u8]) -> Option<DifferenceEntry> {
        let slot = u64_at(value, 0)?;
        let (anchor, state_root) = (root_from(value.get(8..40)?)?, root_from(value.get(40..72)?)?);
        let place = |place: &[u8]| {
            let segment = SegmentId::from_key(place.get(..12)?)?;
            Some(Location { segment, offset: u64_at(place, 12)?, stored_len: u32_at(place, 20)? })
        };
        let pieces = value[72..].chunks(24).map(place).collect::<Option<_>>()?;
        Some(DifferenceEntry { difference: Difference { root, slot, anchor, state_root }, pieces })
    }
}

/// Where one column of a block is: in the files of its block's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColumnPlace {
    pub column: u8,
    pub part: u32,
    pub offset: u64,
    pub stored_len: u32,
}

impl ColumnPlace {
    const LEN: usize = 17;

    /// With the slot of its block.
    pub(super) fn location(&self, slot: Slot) -> Location {
        let segment = SegmentId { range: range_of(slot), part: self.part };
        Location { segment, offset: self.offset, stored_len: self.stored_len }
    }
}

/// What the index knows of a block's columns. One value for all of them: 144 bytes for 8, 2 KiB for 128.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnsEntry {
    pub slot: Slot,
    /// In the order in which they came.
    pub places: Vec<ColumnPlace>,
}

impl ColumnsEntry {
    pub(super) fn place(&self, column: u8) -> Option<ColumnPlace> {
        self.places.iter().find(|place| place.column == column).copied()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(8 + self.places.len() * ColumnPlace::LEN);
        value.extend_from_slice(&self.slot.to_be_bytes());
        for place in &self.places {
            value.push(place.column);
            value.extend_from_slice(&place.part.to_be_bytes());
            value.extend_from_slice(&place.offset.to_be_bytes());
            value.extend_from_slice(&place.stored_len.to_be_bytes());
        }
        value
    }

    pub(super) fn decode(value: &[u8]) -> Option<ColumnsEntry> {
        let slot = u64_at(value, 0)?;
        let place = |place: &[u8]| {
            Some(ColumnPlace {
                column: *place.first()?,
                part: u32_at(place, 1)?,
                offset: u64_at(place, 5)?,
                stored_len: u32_at(place, 13)?,
            })
        };
        let places = value[8..].chunks(ColumnPlace::LEN).map(place).collect::<Option<_>>()?;
        Some(ColumnsEntry { slot, places })
    }
}

/// Index of a `DataColumnSidecar` in SSZ, without decoding it: its first field.
pub(super) fn peek_column(ssz: &[u8]) -> Option<ColumnIndex> {
    Some(u64::from_le_bytes(ssz.get(..8)?.try_into().ok()?))
}

/// Key of the tree that lists blocks by slot.
pub(super) fn slot_root_key(slot: Slot, root: &Hash256) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&slot.to_be_bytes());
    key[8..].copy_from_slice(root.as_slice());
    key
}

/// The slot and root of [`slot_root_key`].
pub(super) fn slot_root(key: &[u8]) -> Option<(Slot, Hash256)> {
    Some((u64_at(key, 0)?, root_from(key.get(8..)?)?))
}

pub(super) fn root_from(bytes: &[u8]) -> Option<Hash256> {
    (bytes.len() == 32).then(|| Hash256::from_slice(bytes))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Slot and parent root of a `SignedBeaconBlock` in SSZ, blinded or not, without decoding it: an offset (4 bytes) and the
/// signature (96) come first, then slot, proposer index and parent root. The same in every fork.
pub(super) fn peek_block(ssz: &[u8]) -> Option<(Slot, Hash256)> {
    let slot = u64::from_le_bytes(ssz.get(100..108)?.try_into().ok()?);
    Some((slot, root_from(ssz.get(116..148)?)?))
}

/// Which chain a data directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Root of the genesis state's validators.
    pub genesis_validators_root: Hash256,
    /// `CONFIG_NAME` of the configuration.
    pub config_name: String,
}

impl Network {
    /// As it is stored and shown; holds the preset of this build.
    pub(super) fn describe(&self) -> String {
        format!("{}, preset {PRESET_BASE}, genesis {}", self.config_name, self.genesis_validators_root)
    }
}

/// The trusted block that this data directory was started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Slot of the block.
    pub slot: Slot,
    /// Root of the block.
    pub block_root: Hash256,
    /// Root of the state after the block.
    pub state_root: Hash256,
}

impl Anchor {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.slot.to_be_bytes()[..], self.block_root.as_slice(), self.state_root.as_slice()].concat()
    }

    pub(super) fn decode(value: &[u8]) -> Option<Anchor> {
        Some(Anchor {
            slot: u64_at(value, 0)?,
            block_root: root_from(value.get(8..40)?)?,
            state_root: root_from(value.get(40..)?)?,
        })
    }
}
