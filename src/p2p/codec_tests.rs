use std::{pin::Pin, task::Context, task::Poll};

use futures::io::Cursor;
use smol::block_on;

use super::*;

const IDLE: Duration = Duration::from_millis(200);
const ANY: Bounds = Bounds { min: 0, max: MAX_PAYLOAD_SIZE };

fn read(bytes: &[u8], bounds: Bounds) -> Result<Vec<u8>, CodecError> {
    block_on(read_payload(&mut Cursor::new(bytes), bounds, IDLE))
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect()
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&(body.len() as u32).to_le_bytes()[..3]);
    out.extend_from_slice(body);
    out
}

fn data_frame(data: &[u8]) -> Vec<u8> {
    frame(1, &[&masked_crc32c(data).to_le_bytes(), data].concat())
}

fn identifier() -> Vec<u8> {
    frame(0xff, STREAM_IDENTIFIER)
}

/// A source that never gives a byte.
struct Silent;

impl AsyncRead for Silent {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

#[test]
fn what_is_written_is_read() {
    for len in [0, 1, 100, 65_535, 65_536, 65_537, 1_000_000] {
        for data in [noise(len), vec![7; len]] {
            assert_eq!(read(&encode_payload(&data), ANY).unwrap(), data);
        }
    }
}

#[test]
fn the_checksum_is_castagnoli_masked() {
    // "123456789" has the CRC-32C 0xe3069283.
    assert_eq!(masked_crc32c(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8));
}

#[test]
fn a_length_outside_the_bounds_is_refused_before_the_body() {
    let bounds = Bounds { min: 8, max: 16 };
    for len in [0usize, 7, 17, 1 << 20] {
        let encoded = encode_payload(&vec![0; len]);
        assert!(matches!(read(&encoded, bounds), Err(CodecError::OutOfBounds { .. })), "{len}");
    }
    // The largest length there is, and nothing behind it.
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert!(matches!(read(&huge, bounds), Err(CodecError::OutOfBounds { got: u64::MAX, .. })));
}

#[test]
fn a_bad_varint_is_refused() {
    for bytes in [&[0x80u8, 0x00][..], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
        assert!(matches!(read(bytes, ANY), Err(CodecError::BadLength)), "{bytes:?}");
    }
}

#[test]
fn a_truncated_message_is_an_unexpected_end() {
    let encoded = encode_payload(&noise(1000));
    for end in [0, 1, 2, 10, encoded.len() - 1] {
        assert!(matches!(read(&encoded[..end], ANY), Err(CodecError::UnexpectedEnd)), "{end}");
    }
}

#[test]
fn a_bomb_is_refused_by_its_length() {
    // The prefix promises 100 bytes; the frame inside holds 64 KiB of zeros in 3 KB.
    let zeros = vec![0; MAX_FRAME_DATA];
    let packed = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
    let body = [&masked_crc32c(&zeros).to_le_bytes()[..], &packed].concat();
    for declared in [100u8, 127] {
        let message = [vec![declared], identifier(), frame(0, &body)].concat();
        assert!(matches!(read(&message, ANY), Err(CodecError::TooLong)));
    }
    // A frame that says it holds 4 GiB.
    let lie = frame(0, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]);
    let message = [vec![0x80, 0x80, 0x40], identifier(), lie].concat();
    assert!(matches!(read(&message, ANY), Err(CodecError::Snappy("a frame with too much data"))));
}

#[test]
fn endless_padding_runs_out_of_budget() {
    let padding = frame(0xfe, &[0; 16]);
    let message = [vec![100], identifier(), padding.repeat(1000)].concat();
    assert!(matches!(read(&message, ANY), Err(CodecError::TooLong)));
    let empty = data_frame(&[]);
    let message = [vec![100], identifier(), empty.repeat(1000)].concat();
    assert!(matches!(read(&message, ANY), Err(CodecError::TooLong)));
}

#[test]
fn broken_frames_are_refused() {
    let good = [vec![3], identifier(), data_frame(b"abc")].concat();
    assert_eq!(read(&good, ANY).unwrap(), b"abc");
    let without_identifier = [vec![3], data_frame(b"abc")].concat();
    let unknown_kind = [vec![3], identifier(), frame(0x02, b"abc")].concat();
    let wrong_identifier = [vec![3], frame(0xff, b"sNaPpy")].concat();
    let no_checksum = [vec![3], identifier(), frame(0x01, b"abc")].concat();
    let mut wrong_checksum = good.clone();
    *wrong_checksum.last_mut().unwrap() ^= 1;
    for bad in [without_identifier, unknown_kind, wrong_identifier, no_checksum, wrong_checksum] {
        assert!(matches!(read(&bad, ANY), Err(CodecError::Snappy(_))), "{bad:?}");
    }
}

#[test]
fn skippable_frames_are_skipped() {
    let message = [vec![3], identifier(), frame(0x80, b"x"), data_frame(b"ab"), data_frame(b"c")].concat();
    assert_eq!(read(&message, ANY).unwrap(), b"abc");
}

#[test]
fn a_silent_peer_is_given_up() {
    assert!(matches!(block_on(read_payload(&mut Silent, ANY, IDLE)), Err(CodecError::Stalled(_))));
}
