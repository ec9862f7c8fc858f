//! The answering side of a request, on one stream.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use async_channel::Receiver;
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use smol::{Timer, future};
use ssz::Decode as _;

use super::{
    budget::{Budget, Use, Way},
    codec::{self, CodecError, MAX_ERROR_MESSAGE, MIN_BYTES_PER_SECOND},
    events::RequestKind,
    messages::{BlocksByHead, BlocksByRange, ColumnsByRange, LightClientUpdatesByRange, Status},
    pace::Pace,
    protocol::{MAX_REQUEST_BLOCKS, MAX_REQUEST_LIGHT_CLIENT_UPDATES, Protocol},
};
use crate::types::{ColumnIndex, DataColumnsByRootIdentifier, ForkDigest, Hash256, preset::NUMBER_OF_COLUMNS};

/// The one who answers for the chain must give each piece within this time.
const PRODUCER_TIMEOUT: Duration = Duration::from_secs(10);
/// A whole request must come within so many times the limit of one piece.
const REQUEST_TIMES: u32 = 2;
/// Of so many bytes each must be taken within the time for one step: who reads nothing is found out by the first ones that
/// do not fit into the connection's window, however long the answer is.
const PIECE: usize = 64 << 10;

/// What is written may still be in the transport's buffer (256 KiB with QUIC) when the answer is closed; the slowest reader takes
/// so much longer.
const CLOSING: Duration = Duration::from_secs(8);

/// A response's result code.
/// <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#responding-side>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorCode {
    /// The request is malformed or makes no sense.
    InvalidRequest = 1,
    /// We failed.
    ServerError = 2,
    /// We do not have it.
    ResourceUnavailable = 3,
    /// Too many requests at once. By convention of the field, not of the specification: see docs/spec_deviations.md.
    RateLimited = 139,
}

/// One piece of the answer to a request for what only the chain has.
#[derive(Clone, Debug)]
pub enum ResponseChunk {
    /// A `SignedBeaconBlock`, a `DataColumnSidecar`, or what a light client is given.
    Item {
        /// The fork that it is of.
        fork_digest: ForkDigest,
        /// Its SSZ.
        ssz: Vec<u8>,
    },
    /// The end, with a reason.
    Error(ErrorCode, String),
}

/// A request, decoded.
#[derive(Debug)]
pub(super) enum Request {
    Status(Status),
    Goodbye(u64),
    Ping(u64),
    MetaData,
    Chain(RequestKind),
}

/// What the service lets the stream's task answer.
pub(super) enum Answer {
    One(Vec<u8>),
    Chunks {
        what: Option<u64>,
        from: Receiver<ResponseChunk>,
        limit: usize,
        paces: [Arc<Pace>; 2],
        budget: Arc<Budget>,
    },
    Error(ErrorCode, &'static str),
}

/// Reads the request to its end.
pub(super) async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    limit: Duration,
) -> Result<Request, CodecError> {
    // The longest request has 135 KB; bytes that drip in, each in time, must come to an end, too.
    let body = codec::within(REQUEST_TIMES * limit, async {
        let body = match protocol.request_bounds() {
            Some(bounds) => codec::read_payload(stream, bounds, limit).await?,
            None => Vec::new(),
        };
        match codec::read_byte(stream, limit).await? {
            Some(_) => Err(CodecError::Trailing),
            None => Ok(body),
        }
    });
    decode(protocol, &body.await?)
}

fn decode(protocol: Protocol, body: &[u8]) -> Result<Request, CodecError> {
    let request = match protocol {
        Protocol::StatusV1 => Status::from_v1_bytes(body).map(Request::Status),
        Protocol::StatusV2 => Status::from_ssz_bytes(body).map(Request::Status),
        Protocol::GoodbyeV1 => u64::from_ssz_bytes(body).map(Request::Goodbye),
        Protocol::PingV1 => u64::from_ssz_bytes(body).map(Request::Ping),
        Protocol::MetaDataV2 | Protocol::MetaDataV3 => Ok(Request::MetaData),
        Protocol::BlocksByRangeV2 => BlocksByRange::from_ssz_bytes(body).map(range),
        Protocol::BlocksByRootV2 => {
            Vec::<Hash256>::from_ssz_bytes(body).map(|roots| Request::Chain(RequestKind::BlocksByRoot { roots }))
        }
        Protocol::BlocksByHeadV1 => BlocksByHead::from_ssz_bytes(body).map(|BlocksByHead { beacon_root, count }| {
            let count = count.min(MAX_REQUEST_BLOCKS as u64);
            Request::Chain(RequestKind::BlocksByHead { root: beacon_root, count })
        }),
        Protocol::ColumnsByRangeV1 => {
            ColumnsByRange::from_ssz_bytes(body).map(|ColumnsByRange { start_slot, count, columns }| {
                let count = count.min(MAX_REQUEST_BLOCKS as u64);
                Request::Chain(RequestKind::ColumnsByRange { start_slot, count, columns: distinct(&columns) })
            })
        }
        Protocol::ColumnsByRootV1 => Vec::<DataColumnsByRootIdentifier>::from_ssz_bytes(body).map(columns_by_root),
        Protocol::LightClientBootstrapV1 => {
            Hash256::from_ssz_bytes(body).map(|root| Request::Chain(RequestKind::LightClientBootstrap { root }))
        }
        Protocol::LightClientUpdatesV1 => LightClientUpdatesByRange::from_ssz_bytes(body).map(|range| {
            let count = range.count.min(MAX_REQUEST_LIGHT_CLIENT_UPDATES as u64);
            Request::Chain(RequestKind::LightClientUpdates { start_period: range.start_period, count })
        }),
        Protocol::LightClientFinalityUpdateV1 => Ok(Request::Chain(RequestKind::LightClientFinalityUpdate)),
        Protocol::LightClientOptimisticUpdateV1 => Ok(Request::Chain(RequestKind::LightClientOptimisticUpdate)),
    };
    request.map_err(|e| CodecError::Ssz(format!("{e:?}")))
}

/// We serve what we may of a range that is too long. Steps were abolished; who asks for one gets the first block.
fn range(request: BlocksByRange) -> Request {
    let count = if request.step == 1 { request.count.min(MAX_REQUEST_BLOCKS as u64) } else { request.count.min(1) };
    Request::Chain(RequestKind::BlocksByRange { start_slot: request.start_slot, count })
}

/// What is asked for more than once, or of no column, is left out.
fn columns_by_root(mut identifiers: Vec<DataColumnsByRootIdentifier>) -> Request {
    // The size of a request bounds them too, but allows for more that have no columns.
    identifiers.truncate(MAX_REQUEST_BLOCKS);
    let mut seen = HashSet::new();
    let wanted = identifiers.into_iter().map(|it| (it.block_root, distinct(&it.columns)));
    let wanted = wanted.filter(|(root, columns)| !columns.is_empty() && seen.insert(*root)).collect();
    Request::Chain(RequestKind::ColumnsByRoot { wanted })
}

/// Ascending, each once, without those that cannot be.
pub(super) fn distinct(columns: &[ColumnIndex]) -> Vec<ColumnIndex> {
    let all = columns.iter().copied().filter(|column| *column < NUMBER_OF_COLUMNS as u64);
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Writes the answer and closes the stream. `Ok(code)`: the code of an error that was sent.
pub(super) async fn write_answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    answer: Answer,
    limit: Duration,
) -> Result<Option<ErrorCode>, CodecError> {
    let code = match answer {
        Answer::One(ssz) => {
            write_chunk(stream, None, &ssz, limit).await?;
            None
        }
        Answer::Error(code, text) => {
            write_error(stream, code, text, limit).await?;
            Some(code)
        }
        Answer::Chunks { from, limit: chunks, paces, budget, .. } => {
            write_chunks(stream, from, chunks, (&paces, &budget), limit).await?
        }
    };
    codec::within(limit + CLOSING, async { Ok(stream.close().await?) }).await?;
    Ok(code)
}

/// One chunk in memory at a time: the next is taken when the last has been written.
async fn write_chunks<S: AsyncWrite + Unpin>(
    stream: &mut S,
    from: Receiver<ResponseChunk>,
    chunks: usize,
    (paces, budget): (&[Arc<Pace>], &Budget),
    limit: Duration,
) -> Result<Option<ErrorCode>, CodecError> {
    let mut reader = Reader::new(limit);
    for _ in 0..chunks {
        let (code, text) = match next(&from).await {
            None => return Ok(None),
            Some(ResponseChunk::Item { fork_digest, ssz }) => {
                let now = Instant::now();
                let wait = paces.iter().map(|pace| pace.take(ssz.len(), now)).max().unwrap_or_default();
                if !wait.is_zero() {
                    Timer::after(wait).await;
                }
                // A chunk is withheld, and never refused, until who asked has left.
                // <https://github.com/ethereum/consensus-specs/blob/a08d8a6e2/specs/phase0/p2p-interface.md#responding-side>
                let grant = budget.wait(Way::Up, Use::Serving, ssz.len()).await;
                let _grant = grant.ok_or(CodecError::Withheld)?;
                reader.take(ssz.len(), write_chunk(stream, Some(fork_digest), &ssz, limit)).await?;
                continue;
            }
            Some(ResponseChunk::Error(code, text)) => (code, text),
        };
        write_error(stream, code, &text, limit).await?;
        return Ok(Some(code));
    }
    Ok(None)
}

/// How much time the reader of an answer has used, and may: each chunk may make us wait, but not every one.
struct Reader {
    used: Duration,
    allowed: Duration,
}

impl Reader {
    fn new(limit: Duration) -> Reader {
        Reader { used: Duration::ZERO, allowed: limit }
    }

    /// Writes `bytes`. Fails when the whole answer is read more slowly than by the slowest reader that we serve.
    async fn take(
        &mut self,
        bytes: usize,
        write: impl Future<Output = Result<(), CodecError>>,
    ) -> Result<(), CodecError> {
        self.allowed += Duration::from_secs_f64(bytes as f64 / MIN_BYTES_PER_SECOND as f64);
        let begun = Instant::now();
        let written = codec::within(self.allowed.saturating_sub(self.used), write).await;
        self.used += begun.elapsed();
        written
    }
}

/// The next chunk, `None` at the end; a producer that is silent has failed.
async fn next(from: &Receiver<ResponseChunk>) -> Option<ResponseChunk> {
    let late = async {
        Timer::after(PRODUCER_TIMEOUT).await;
        Some(ResponseChunk::Error(ErrorCode::ServerError, "no answer in time".into()))
    };
    future::or(async { from.recv().await.ok() }, late).await
}

async fn write_chunk<S: AsyncWrite + Unpin>(
    stream: &mut S,
    fork: Option<ForkDigest>,
    ssz: &[u8],
    limit: Duration,
) -> Result<(), CodecError> {
    let mut head = vec![0];
    head.extend(fork.iter().flat_map(|digest| digest.0));
    let body = codec::encode_payload(ssz);
    write(stream, &head, &body, limit).await
}

async fn write_error<S: AsyncWrite + Unpin>(
    stream: &mut S,
    code: ErrorCode,
    text: &str,
    limit: Duration,
) -> Result<(), CodecError> {
    let words = &text.as_bytes()[..text.len().min(MAX_ERROR_MESSAGE)];
    write(stream, &[code as u8], &codec::encode_payload(words), limit).await
}

async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    head: &[u8],
    body: &[u8],
    limit: Duration,
) -> Result<(), CodecError> {
    let whole = limit + Duration::from_secs(body.len() as u64 / MIN_BYTES_PER_SECOND);
    codec::within(whole, async {
        for piece in std::iter::once(head).chain(body.chunks(PIECE)) {
            codec::within(limit, async { Ok(stream.write_all(piece).await?) }).await?;
        }
        codec::within(limit, async { Ok(stream.flush().await?) }).await
    })
    .await
}
