//! The asking side of a request, on one stream.

use std::{sync::Arc, time::Duration};

use async_channel::Sender;
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use smol::{Timer, future};

use super::{
    codec::{self, Bounds, CodecError, MAX_ERROR_MESSAGE},
    config::Forks,
    protocol::Protocol,
    rpc_error::RpcError,
};
use crate::types::{ForkDigest, Hash256, SignedBeaconBlock, Slot};

/// Where the blocks of an answer go.
pub(super) type BlockSender = Sender<Result<Arc<SignedBeaconBlock>, RpcError>>;

/// The asker of blocks must take one within this time. While it does not, an mplex connection stands still.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(20);

/// Which blocks were asked for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Range { start_slot: Slot, count: u64 },
    Roots(Vec<Hash256>),
}

impl Wanted {
    /// How many blocks may come.
    fn limit(&self) -> usize {
        match self {
            Wanted::Range { count, .. } => *count as usize,
            Wanted::Roots(roots) => roots.len(),
        }
    }
}

/// Sends the request and closes our side. `body` is `None` for a request without content.
pub(super) async fn ask<S: AsyncWrite + Unpin>(
    stream: &mut S,
    body: Option<&[u8]>,
    limit: Duration,
) -> Result<(), RpcError> {
    let write = async {
        if let Some(body) = body {
            stream.write_all(&codec::encode_payload(body)).await?;
        }
        stream.close().await?;
        Ok(())
    };
    Ok(codec::within(limit, write).await?)
}

/// Reads the one chunk of an answer that must have one.
pub(super) async fn read_one<S: AsyncRead + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    limit: Duration,
) -> Result<Vec<u8>, RpcError> {
    match read_chunk(stream, protocol, limit).await? {
        Some((_, ssz)) => Ok(ssz),
        // A peer that is busy, or about to leave. Not polite, and no attack.
        None => Err(RpcError::Connection("closed without an answer".into())),
    }
}

/// Reads blocks and hands them on, one by one: no more is read than the taker has room for.
pub(super) async fn read_blocks<S: AsyncRead + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    wanted: &Wanted,
    forks: &Forks,
    limit: Duration,
    to: &BlockSender,
) -> Result<(), RpcError> {
    let mut last_slot = None;
    for _ in 0..wanted.limit() {
        let Some((context, ssz)) = read_chunk(stream, protocol, limit).await? else { return Ok(()) };
        let fork = context.and_then(|digest| forks.fork_of(digest));
        let fork = fork.ok_or(RpcError::Unrelated("a block of an unknown fork"))?;
        let block = SignedBeaconBlock::from_ssz_bytes(fork, &ssz)
            .map_err(|e| RpcError::Malformed(format!("a block: {e:?}")))?;
        drop(ssz);
        check_slot(wanted, block.message.slot, &mut last_slot)?;
        if !hand_on(to, Arc::new(block)).await {
            // Nobody wants the rest. Dropping the stream resets it.
            return Ok(());
        }
    }
    Ok(())
}

/// A range comes in ascending order, without leaving the range.
fn check_slot(wanted: &Wanted, slot: Slot, last: &mut Option<Slot>) -> Result<(), RpcError> {
    let Wanted::Range { start_slot, count } = wanted else { return Ok(()) };
    if slot < *start_slot || slot - start_slot >= *count {
        return Err(RpcError::Unrelated("a block outside of the range"));
    }
    if last.replace(slot).is_some_and(|last| last >= slot) {
        return Err(RpcError::Unrelated("blocks out of order"));
    }
    Ok(())
}

async fn hand_on(to: &BlockSender, block: Arc<SignedBeaconBlock>) -> bool {
    let late = async {
        Timer::after(CONSUMER_TIMEOUT).await;
        false
    };
    future::or(async { to.send(Ok(block)).await.is_ok() }, late).await
}

/// Reads one chunk: its fork, if the protocol has one, and its SSZ. `None` at the end of the answer.
async fn read_chunk<S: AsyncRead + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    limit: Duration,
) -> Result<Option<(Option<ForkDigest>, Vec<u8>)>, RpcError> {
    match codec::read_byte(stream, limit).await? {
        None => Ok(None),
        Some(0) => {
            let mut context = None;
            if protocol.has_context() {
                let mut digest = ForkDigest::default();
                codec::read_exact(stream, digest.as_mut_slice(), limit).await?;
                context = Some(digest);
            }
            let ssz = codec::read_payload(stream, protocol.response_bounds(), limit).await?;
            Ok(Some((context, ssz)))
        }
        Some(code) => Err(refusal(stream, code, limit).await),
    }
}

/// The peer's error, with its words if they can be read.
async fn refusal<S: AsyncRead + Unpin>(stream: &mut S, code: u8, limit: Duration) -> RpcError {
    let words = codec::read_payload(stream, Bounds { min: 0, max: MAX_ERROR_MESSAGE }, limit).await;
    let message = match words {
        Ok(bytes) => printable(&bytes),
        Err(CodecError::OutOfBounds { .. }) => return RpcError::Malformed("an error message that is too long".into()),
        Err(_) => String::new(),
    };
    RpcError::Refused { code, message }
}

/// A stranger's words, made safe for a log or a terminal.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_must_be_ascending_and_inside() {
        let wanted = Wanted::Range { start_slot: 10, count: 5 };
        let check = |slots: &[Slot]| {
            let mut last = None;
            slots.iter().try_for_each(|slot| check_slot(&wanted, *slot, &mut last))
        };
        assert!(check(&[10, 12, 14]).is_ok());
        for bad in [&[9][..], &[15], &[u64::MAX], &[11, 11], &[12, 11]] {
            assert!(matches!(check(bad), Err(RpcError::Unrelated(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_strangers_words_cannot_move_the_cursor() {
        assert_eq!(printable(b"no\x1b[2Jthing\n"), "no?[2Jthing?");
    }
}
