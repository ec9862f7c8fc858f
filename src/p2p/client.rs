//! The asking side of a request, on one stream.

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use async_channel::Sender;
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use smol::{Timer, future};
use ssz::Decode as _;
use tree_hash::TreeHash as _;

use super::{
    budget::{Budget, Grant, Use, Way},
    codec::{self, Bounds, CodecError, MAX_ERROR_MESSAGE},
    config::Forks,
    events::RequestKind,
    protocol::Protocol,
    rpc_error::RpcError,
};
use crate::types::{ColumnIndex, DataColumnSidecar, ForkDigest, ForkName, Hash256, SignedBeaconBlock, Slot};

/// Where the blocks of an answer go.
pub(super) type BlockSender = Sender<Result<Arc<SignedBeaconBlock>, RpcError>>;
/// Where the columns of an answer go.
pub(super) type ColumnSender = Sender<Result<Arc<DataColumnSidecar>, RpcError>>;

/// Who asked must take one block or column within this time. While it does not, an mplex connection stands still.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(20);

/// What a block or column is taken for before it came. What it really was is counted as it comes.
pub(super) const EXPECTED_CHUNK: usize = 64 << 10;

/// What an answer is for, and what it is paid from; nothing, for bytes that did not come from the network.
pub(super) struct Paid {
    pub budget: Option<Arc<Budget>>,
    pub for_what: Use,
}

impl Paid {
    /// Waits until the next piece of the answer may come.
    async fn next(&self) -> Result<Option<Grant<'_>>, RpcError> {
        let Some(budget) = &self.budget else { return Ok(None) };
        let grant = budget.wait(Way::Down, self.for_what, EXPECTED_CHUNK).await;
        grant.map(Some).ok_or(RpcError::OverBudget)
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
    wanted: &RequestKind,
    forks: &Forks,
    (limit, paid): (Duration, &Paid),
    to: &BlockSender,
) -> Result<(), RpcError> {
    let mut last_slot = None;
    for _ in 0..wanted.limit() {
        let grant = paid.next().await?;
        let Some((fork, ssz)) = read_item(stream, protocol, forks, limit).await? else { return Ok(()) };
        drop(grant);
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

/// Reads columns and hands them on, as [`read_blocks`] does.
pub(super) async fn read_columns<S: AsyncRead + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    wanted: &RequestKind,
    forks: &Forks,
    (limit, paid): (Duration, &Paid),
    to: &ColumnSender,
) -> Result<(), RpcError> {
    let mut expected = Expected::new(wanted);
    for _ in 0..wanted.limit() {
        let grant = paid.next().await?;
        let Some((fork, ssz)) = read_item(stream, protocol, forks, limit).await? else { return Ok(()) };
        drop(grant);
        if fork < ForkName::Fulu {
            return Err(RpcError::Unrelated("a column of a fork without columns"));
        }
        let sidecar =
            DataColumnSidecar::from_ssz_bytes(&ssz).map_err(|e| RpcError::Malformed(format!("a column: {e:?}")))?;
        drop(ssz);
        expected.check(&sidecar)?;
        if !hand_on(to, Arc::new(sidecar)).await {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads the next block or column with its fork; `None` at the end of the answer.
async fn read_item<S: AsyncRead + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    forks: &Forks,
    limit: Duration,
) -> Result<Option<(ForkName, Vec<u8>)>, RpcError> {
    let Some((context, ssz)) = read_chunk(stream, protocol, limit).await? else { return Ok(None) };
    let fork = context.and_then(|digest| forks.fork_of(digest));
    Ok(Some((fork.ok_or(RpcError::Unrelated("an item of an unknown fork"))?, ssz)))
}

/// A range comes in ascending order, without leaving the range; the blocks before a head descend.
fn check_slot(wanted: &RequestKind, slot: Slot, last: &mut Option<Slot>) -> Result<(), RpcError> {
    let last = last.replace(slot);
    let in_order = match wanted {
        RequestKind::BlocksByRange { start_slot, count } => {
            if slot < *start_slot || slot - start_slot >= *count {
                return Err(RpcError::Unrelated("a block outside of the range"));
            }
            last.is_none_or(|last| last < slot)
        }
        RequestKind::BlocksByHead { .. } => last.is_none_or(|last| last > slot),
        _ => true,
    };
    if in_order { Ok(()) } else { Err(RpcError::Unrelated("blocks out of order")) }
}

/// Which columns may still come.
enum Expected {
    /// Those of a range of slots, ascending by slot and column. Of one slot all are of the same block.
    Range { slots: Range<Slot>, columns: Vec<ColumnIndex>, last: Option<(Slot, ColumnIndex, Hash256)> },
    /// These, in any order, each once.
    Roots(HashSet<(Hash256, ColumnIndex)>),
}

impl Expected {
    fn new(wanted: &RequestKind) -> Expected {
        match wanted {
            RequestKind::ColumnsByRange { start_slot, count, columns } => {
                let slots = *start_slot..start_slot.saturating_add(*count);
                Expected::Range { slots, columns: columns.clone(), last: None }
            }
            RequestKind::ColumnsByRoot { wanted } => {
                let each = |(root, columns): &(Hash256, Vec<_>)| {
                    columns.iter().map(|column| (*root, *column)).collect::<Vec<_>>()
                };
                Expected::Roots(wanted.iter().flat_map(each).collect())
            }
            _ => Expected::Roots(HashSet::new()),
        }
    }

    fn check(&mut self, sidecar: &DataColumnSidecar) -> Result<(), RpcError> {
        let header = &sidecar.signed_block_header.message;
        let (slot, index, root) = (header.slot, sidecar.index, header.tree_hash_root());
        match self {
            Expected::Range { slots, columns, last } => {
                if !slots.contains(&slot) || !columns.contains(&index) {
                    return Err(RpcError::Unrelated("a column that was not asked for"));
                }
                let last = last.replace((slot, index, root));
                if last.is_some_and(|(last_slot, last_index, _)| (last_slot, last_index) >= (slot, index)) {
                    return Err(RpcError::Unrelated("columns out of order"));
                }
                if last.is_some_and(|(last_slot, _, last_root)| last_slot == slot && last_root != root) {
                    return Err(RpcError::Unrelated("columns of two blocks of a slot"));
                }
                Ok(())
            }
            Expected::Roots(left) => {
                let is_left = left.remove(&(root, index));
                if is_left { Ok(()) } else { Err(RpcError::Unrelated("a column that was not asked for, or twice")) }
            }
        }
    }
}

async fn hand_on<T>(to: &Sender<Result<Arc<T>, RpcError>>, item: Arc<T>) -> bool {
    let late = async {
        Timer::after(CONSUMER_TIMEOUT).await;
        false
    };
    future::or(async { to.send(Ok(item)).await.is_ok() }, late).await
}

/// Reads one chunk: its fork, if the protocol has one, and its SSZ. `None` at the end of the answer.
pub(super) async fn read_chunk<S: AsyncRead + Unpin>(
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
    use crate::types::SignedBeaconBlockHeader;

    #[test]
    fn a_range_must_be_ascending_and_inside() {
        let wanted = RequestKind::BlocksByRange { start_slot: 10, count: 5 };
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
    fn the_blocks_before_a_head_descend() {
        let wanted = RequestKind::BlocksByHead { root: Hash256::ZERO, count: 5 };
        let mut last = None;
        assert!([9, 7, 6].iter().all(|slot| check_slot(&wanted, *slot, &mut last).is_ok()));
        assert!(check_slot(&wanted, 6, &mut last).is_err());
    }

    fn column(slot: Slot, proposer_index: u64, index: ColumnIndex) -> DataColumnSidecar {
        let mut sidecar = DataColumnSidecar {
            index,
            column: Default::default(),
            kzg_commitments: Default::default(),
            kzg_proofs: Default::default(),
            signed_block_header: SignedBeaconBlockHeader { message: Default::default(), signature: Default::default() },
            kzg_commitments_inclusion_proof: Default::default(),
        };
        sidecar.signed_block_header.message.slot = slot;
        sidecar.signed_block_header.message.proposer_index = proposer_index;
        sidecar
    }

    fn check_all(wanted: &RequestKind, columns: &[DataColumnSidecar]) -> Result<(), RpcError> {
        let mut expected = Expected::new(wanted);
        columns.iter().try_for_each(|column| expected.check(column))
    }

    #[test]
    fn a_range_of_columns_ascends_by_slot_and_column_along_one_chain() {
        let wanted = RequestKind::ColumnsByRange { start_slot: 10, count: 5, columns: vec![3, 7] };
        let check = |columns: &[(Slot, u64, ColumnIndex)]| {
            let columns: Vec<_> = columns.iter().map(|(slot, who, index)| column(*slot, *who, *index)).collect();
            check_all(&wanted, &columns)
        };
        assert_eq!(check(&[(10, 1, 3), (10, 1, 7), (11, 2, 7), (14, 1, 3)]), Ok(()));
        let outside = [[(9, 1, 3)], [(15, 1, 3)], [(10, 1, 4)]];
        let disorder = [[(10, 1, 7), (10, 1, 3)], [(11, 1, 3), (10, 1, 7)], [(10, 1, 3), (10, 1, 3)]];
        let two_blocks = [[(10, 1, 3), (10, 2, 7)]];
        for bad in outside.iter().map(|bad| &bad[..]).chain(disorder.iter().chain(&two_blocks).map(|bad| &bad[..])) {
            assert!(matches!(check(bad), Err(RpcError::Unrelated(_))), "{bad:?}");
        }
    }

    #[test]
    fn of_columns_by_root_each_comes_once_and_none_besides() {
        let (first, second) = (column(10, 1, 3), column(12, 1, 7));
        let root = |column: &DataColumnSidecar| column.signed_block_header.message.tree_hash_root();
        let wanted = RequestKind::ColumnsByRoot { wanted: vec![(root(&first), vec![3, 4]), (root(&second), vec![7])] };
        assert_eq!(check_all(&wanted, &[second.clone(), first.clone()]), Ok(()));
        for bad in [vec![first.clone(), first.clone()], vec![column(10, 2, 3)], vec![column(12, 1, 3)]] {
            assert!(matches!(check_all(&wanted, &bad), Err(RpcError::Unrelated(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_strangers_words_cannot_move_the_cursor() {
        assert_eq!(printable(b"no\x1b[2Jthing\n"), "no?[2Jthing?");
    }
}
