//! Reading a segment from a known place to its end: finds whole records, steps over damaged ones, says where it is torn.

use std::{fs::File, io, os::unix::fs::FileExt};

use super::record::{HEADER_LEN, Header, MAGIC};

/// Bytes read at once while looking for the next record after a damaged header.
const SEARCH_CHUNK: usize = 256 << 10;
/// Damaged records that are reported one by one; a file with more is beyond reading a list.
const MAX_REPORTED: usize = 64;

/// A damaged record that has whole ones behind it.
pub(super) struct Damaged {
    pub offset: u64,
    /// None when the header itself is damaged.
    pub header: Option<Header>,
}

/// What a scan found.
pub(super) struct Scan {
    /// Where the last whole record ends. What is behind it is torn.
    pub end: u64,
    pub damaged: Vec<Damaged>,
}

/// Calls `found` for every whole record of `file` between `from` and `len`, with its offset and stored payload.
pub(super) fn scan(file: &File, from: u64, len: u64, mut found: impl FnMut(u64, &Header, &[u8])) -> io::Result<Scan> {
    let mut result = Scan { end: from, damaged: Vec::new() };
    let mut payload = Vec::new();
    let mut at = from;
    while at < len {
        let header = read_header(file, at, len)?.filter(|h| at + h.record_len() <= len);
        if let Some(header) = &header {
            payload.resize(header.stored_len as usize, 0);
            file.read_exact_at(&mut payload, at + HEADER_LEN as u64)?;
            if header.vouches_for(&payload) {
                found(at, header, &payload);
                at += header.record_len();
                result.end = at;
                continue;
            }
        }
        let next = match &header {
            Some(header) => Some(at + header.record_len()),
            None => next_record(file, at + 1, len)?,
        };
        if result.damaged.len() < MAX_REPORTED {
            result.damaged.push(Damaged { offset: at, header });
        }
        let Some(next) = next else { break };
        at = next;
    }
    // What is damaged behind the last whole record is the torn tail, not a record.
    result.damaged.retain(|d| d.offset < result.end);
    Ok(result)
}

fn read_header(file: &File, at: u64, len: u64) -> io::Result<Option<Header>> {
    if at + HEADER_LEN as u64 > len {
        return Ok(None);
    }
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, at)?;
    Ok(Header::decode(&bytes))
}

/// The first place from `from` on where a valid header starts.
fn next_record(file: &File, from: u64, len: u64) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; SEARCH_CHUNK];
    let mut at = from;
    while at + HEADER_LEN as u64 <= len {
        let size = SEARCH_CHUNK.min((len - at) as usize);
        let bytes = &mut chunk[..size];
        file.read_exact_at(bytes, at)?;
        for start in 0..=size - HEADER_LEN {
            if bytes[start..].starts_with(&MAGIC) && Header::decode(&bytes[start..]).is_some() {
                return Ok(Some(at + start as u64));
            }
        }
        // The last bytes may be the start of a header: read them again with what follows.
        at += (size - HEADER_LEN + 1) as u64;
    }
    Ok(None)
}
