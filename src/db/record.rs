//! One record of a segment file: a header that vouches for itself, and a payload that the header vouches for.
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | magic |
//! | 4 | kind of the payload |
//! | 5 | 0: as it is, 1: snappy (raw format) |
//! | 6..8 | zero |
//! | 8..16 | slot |
//! | 16..48 | block root |
//! | 48..52 | length of the payload as stored |
//! | 52..56 | length of the payload as given |
//! | 56..60 | CRC-32 of the payload as stored |
//! | 60..64 | CRC-32 of bytes 0..60 |
//!
//! Numbers are little-endian. Two checksums, so that a damaged payload does not hide where the next record starts.

use crate::types::{Hash256, Slot};

/// Length of a record's header.
pub(super) const HEADER_LEN: usize = 64;
/// The specification's `MAX_PAYLOAD_SIZE` (10 MiB) bounds what the network can bring; the rest is head-room.
pub(super) const MAX_PAYLOAD: usize = 16 << 20;
/// How every record starts. The last byte is the layout's version.
pub(super) const MAGIC: [u8; 4] = *b"HrR1";

const RAW: u8 = 0;
const SNAPPY: u8 = 1;

/// What a record's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A `SignedBeaconBlock` in SSZ.
    Block = 1,
    /// A piece of a state's difference.
    Difference = 2,
    /// A `DataColumnSidecar` in SSZ.
    Column = 3,
    /// A `SignedBlindedBeaconBlock` in SSZ.
    Blinded = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        [Kind::Block, Kind::Difference, Kind::Column, Kind::Blinded].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    codec: u8,
    pub slot: Slot,
    pub root: Hash256,
    pub stored_len: u32,
    raw_len: u32,
    payload_crc: u32,
}

impl Header {
    /// None unless the checksum, the kind and the lengths are right.
    pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER_LEN] = bytes.get(..HEADER_LEN)?.try_into().ok()?;
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..4] != MAGIC || u32_at(60) != crc32fast::hash(&bytes[..60]) {
            return None;
        }
        let header = Header {
            kind: Kind::from_byte(bytes[4])?,
            codec: bytes[5],
            slot: u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32,
            root: Hash256::from_slice(&bytes[16..48]),
            stored_len: u32_at(48),
            raw_len: u32_at(52),
            payload_crc: u32_at(56),
        };
        let fits = header.stored_len as usize <= MAX_PAYLOAD && header.raw_len as usize <= MAX_PAYLOAD;
        (fits && header.codec <= SNAPPY).then_some(header)
    }

    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind as u8;
        bytes[5] = self.codec;
        bytes[8..16].copy_from_slice(&self.slot.to_le_bytes());
        bytes[16..48].copy_from_slice(self.root.as_slice());
        bytes[48..52].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Length of the whole record on disk.
    pub(super) fn record_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.stored_len)
    }

    /// Whether `stored` is the payload that this header was written for.
    pub(super) fn vouches_for(&self, stored: &[u8]) -> bool {
        stored.len() == self.stored_len as usize && crc32fast::hash(stored) == self.payload_crc
    }

    /// The payload as it was given, out of `stored`. The error says what does not fit.
    pub(super) fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>, &'static str> {
        if !self.vouches_for(stored) {
            return Err("the checksum does not match");
        }
        if self.codec == RAW {
            return Ok(stored.to_vec());
        }
        if snap::raw::decompress_len(stored).ok() != Some(self.raw_len as usize) {
            return Err("the compressed length does not match");
        }
        snap::raw::Decoder::new().decompress_vec(stored).map_err(|_| "it cannot be decompressed")
    }
}

/// Appends a whole record to `out`, compressed where that makes it smaller. `payload` is within [`MAX_PAYLOAD`].
pub(super) fn pack(kind: Kind, slot: Slot, root: Hash256, payload: &[u8], out: &mut Vec<u8>) -> Header {
    let compressed = snap::raw::Encoder::new().compress_vec(payload).ok().filter(|c| c.len() < payload.len());
    let (codec, stored) = compressed.as_deref().map_or((RAW, payload), |c| (SNAPPY, c));
    let header = Header {
        kind,
        codec,
        slot,
        root,
        stored_len: stored.len() as u32,
        raw_len: payload.len() as u32,
        payload_crc: crc32fast::hash(stored),
    };
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(stored);
    header
}
