//! The `ssz_snappy` encoding of request/response: a length, then snappy frames.
//! <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#ssz-snappy-encoding-strategy>
//!
//! The reader trusts nothing: the length is checked against the type's bounds before anything is read, memory grows only
//! with bytes that did arrive, and every read has a time limit.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use futures::{AsyncRead, AsyncReadExt as _};
use smol::{Timer, future};

/// `MAX_PAYLOAD_SIZE`: the longest SSZ in one gossip message or response chunk.
pub const MAX_PAYLOAD_SIZE: usize = 10 * 1024 * 1024;
/// The longest error message, in bytes.
pub(super) const MAX_ERROR_MESSAGE: usize = 256;

/// What a snappy stream starts with.
const STREAM_IDENTIFIER: &[u8; 6] = b"sNaPpY";
/// One frame holds at most this much data.
const MAX_FRAME_DATA: usize = 65_536;
/// ... which compressed may be this long, with its checksum.
const MAX_FRAME_LEN: usize = CHECKSUM_LEN + 32 + MAX_FRAME_DATA + MAX_FRAME_DATA / 6;
const CHECKSUM_LEN: usize = 4;
/// A `u64` in base 128.
const MAX_VARINT_LEN: u32 = 10;
/// The slowest peer that we wait for, bytes per second, as it writes and as it reads: it limits how long one chunk may take as a whole.
pub(super) const MIN_BYTES_PER_SECOND: u64 = 32 * 1024;

/// `max_compressed_len` of the specification.
pub(super) const fn max_compressed_len(n: usize) -> usize {
    32 + n + n / 6
}

/// The lengths that an SSZ type may have, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub min: usize,
    pub max: usize,
}

impl Bounds {
    /// A type of fixed length.
    pub const fn exact(len: usize) -> Bounds {
        Bounds { min: len, max: len }
    }
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("nothing came for {0:?}")]
    Stalled(Duration),
    #[error("the bandwidth budget had no room for the rest of the answer")]
    Withheld,
    #[error("the stream ended inside a message")]
    UnexpectedEnd,
    #[error("the length prefix is not a minimal varint")]
    BadLength,
    #[error("a length of {got} bytes where {} to {} are allowed", bounds.min, bounds.max)]
    OutOfBounds { got: u64, bounds: Bounds },
    #[error("more bytes than the length prefix promised")]
    TooLong,
    #[error("snappy: {0}")]
    Snappy(&'static str),
    #[error("bytes after the end of the message")]
    Trailing,
    #[error("not valid SSZ: {0}")]
    Ssz(String),
}

/// Encodes `ssz` as length and snappy frames.
pub(super) fn encode_payload(ssz: &[u8]) -> Vec<u8> {
    let mut buffer = unsigned_varint::encode::u64_buffer();
    let prefix = unsigned_varint::encode::u64(ssz.len() as u64, &mut buffer);
    let mut out = Vec::with_capacity(prefix.len() + 32 + ssz.len() / 2);
    out.extend_from_slice(prefix);
    let mut frames = snap::write::FrameEncoder::new(out);
    frames.write_all(ssz).and_then(|()| frames.flush()).expect("a vector takes all");
    frames.into_inner().expect("flushed above")
}

/// Reads one message whose SSZ length must lie in `bounds`. No single piece may take longer than `idle`.
pub(super) async fn read_payload<R: AsyncRead + Unpin>(
    source: &mut R,
    bounds: Bounds,
    idle: Duration,
) -> Result<Vec<u8>, CodecError> {
    let declared = read_length(source, idle).await?;
    let declared = match usize::try_from(declared) {
        Ok(n) if (bounds.min..=bounds.max).contains(&n) => n,
        _ => return Err(CodecError::OutOfBounds { got: declared, bounds }),
    };
    let whole = idle + Duration::from_secs(declared as u64 / MIN_BYTES_PER_SECOND);
    let frames =
        Frames { source, idle, budget: max_compressed_len(declared), declared, started: false, out: Vec::new() };
    within(whole, frames.read()).await
}

/// Reads one byte, or `None` at the end of the stream.
pub(super) async fn read_byte<R: AsyncRead + Unpin>(source: &mut R, idle: Duration) -> Result<Option<u8>, CodecError> {
    let mut byte = [0];
    let n = within(idle, async { Ok(source.read(&mut byte).await?) }).await?;
    Ok((n == 1).then_some(byte[0]))
}

/// Fills `buf`.
pub(super) async fn read_exact<R: AsyncRead + Unpin>(
    source: &mut R,
    buf: &mut [u8],
    idle: Duration,
) -> Result<(), CodecError> {
    within(idle, async {
        source.read_exact(buf).await.map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => CodecError::UnexpectedEnd,
            _ => CodecError::Io(e),
        })
    })
    .await
}

/// Gives `work` no more than `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, CodecError>>,
) -> Result<T, CodecError> {
    let late = async {
        Timer::after(limit).await;
        Err(CodecError::Stalled(limit))
    };
    future::or(work, late).await
}

async fn read_length<R: AsyncRead + Unpin>(source: &mut R, idle: Duration) -> Result<u64, CodecError> {
    let mut value = 0u64;
    for index in 0..MAX_VARINT_LEN {
        let byte = read_byte(source, idle).await?.ok_or(CodecError::UnexpectedEnd)?;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * index);
        if shifted >> (7 * index) != bits {
            return Err(CodecError::BadLength);
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return if byte == 0 && index > 0 { Err(CodecError::BadLength) } else { Ok(value) };
        }
    }
    Err(CodecError::BadLength)
}

/// Reads snappy frames until the declared length is reached.
/// <https://github.com/google/snappy/blob/main/framing_format.txt>
struct Frames<'a, R> {
    source: &'a mut R,
    idle: Duration,
    /// Compressed bytes that may still be read.
    budget: usize,
    /// Length of the SSZ.
    declared: usize,
    /// Whether the stream identifier was seen.
    started: bool,
    out: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Frames<'_, R> {
    async fn read(mut self) -> Result<Vec<u8>, CodecError> {
        let mut frame = Vec::new();
        while self.out.len() < self.declared {
            let kind = self.read_frame(&mut frame).await?;
            self.take(kind, &frame)?;
        }
        Ok(self.out)
    }

    /// Reads one frame's body into `frame`; returns its kind.
    async fn read_frame(&mut self, frame: &mut Vec<u8>) -> Result<u8, CodecError> {
        let mut header = [0; 4];
        self.spend(header.len())?;
        read_exact(self.source, &mut header, self.idle).await?;
        let [kind, low, middle, high] = header;
        let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
        self.spend(len)?;
        if len > MAX_FRAME_LEN {
            return Err(CodecError::Snappy("a frame that is too long"));
        }
        frame.resize(len, 0);
        read_exact(self.source, frame, self.idle).await?;
        Ok(kind)
    }

    fn spend(&mut self, len: usize) -> Result<(), CodecError> {
        self.budget = self.budget.checked_sub(len).ok_or(CodecError::TooLong)?;
        Ok(())
    }

    fn take(&mut self, kind: u8, frame: &[u8]) -> Result<(), CodecError> {
        match kind {
            0xff if frame == STREAM_IDENTIFIER => {
                self.started = true;
                Ok(())
            }
            0xff => Err(CodecError::Snappy("a wrong stream identifier")),
            _ if !self.started => Err(CodecError::Snappy("no stream identifier")),
            0x00 | 0x01 => self.take_data(kind == 0x00, frame),
            0x02..=0x7f => Err(CodecError::Snappy("a frame of an unknown kind")),
            // Padding, and kinds that may be skipped. The budget bounds them.
            0x80..=0xfe => Ok(()),
        }
    }

    fn take_data(&mut self, compressed: bool, frame: &[u8]) -> Result<(), CodecError> {
        let (checksum, body) =
            frame.split_first_chunk::<CHECKSUM_LEN>().ok_or(CodecError::Snappy("a frame without checksum"))?;
        let len = if compressed {
            snap::raw::decompress_len(body).map_err(|_| CodecError::Snappy("a bad length inside a frame"))?
        } else {
            body.len()
        };
        // Before anything is decompressed or kept.
        if len > MAX_FRAME_DATA {
            return Err(CodecError::Snappy("a frame with too much data"));
        }
        if len > self.declared - self.out.len() {
            return Err(CodecError::TooLong);
        }
        let start = self.out.len();
        if compressed {
            self.out.resize(start + len, 0);
            snap::raw::Decoder::new()
                .decompress(body, &mut self.out[start..])
                .map_err(|_| CodecError::Snappy("a frame that does not decompress"))?;
        } else {
            self.out.extend_from_slice(body);
        }
        if masked_crc32c(&self.out[start..]) != u32::from_le_bytes(*checksum) {
            return Err(CodecError::Snappy("a wrong checksum"));
        }
        Ok(())
    }
}

/// The checksum of snappy's frames.
fn masked_crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc32c_table();
    let crc = !data.iter().fold(!0u32, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

const fn crc32c_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
