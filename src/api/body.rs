//! Bodies of answers: whole, or in pieces that are made while they are sent.

use std::{
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_channel::{Receiver, Sender};
use futures::Stream;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use smol::{Task, lock::SemaphoreGuardArc};

/// Bytes of a piece: large enough that passing it on costs little, small enough that hundreds fit in memory.
const PIECE: usize = 64 << 10;
/// Pieces made ahead of the client.
const PIECES_AHEAD: usize = 4;

/// An answer's body.
pub(super) enum Body {
    /// All of it.
    Whole(Bytes),
    /// Pieces as they come.
    Pieces(Pieces),
}

/// A body that another task makes. An empty piece says that all was sent: should the maker die, the client sees a broken
/// answer and not a short one.
pub(super) struct Pieces {
    receiver: Pin<Box<Receiver<io::Result<Bytes>>>>,
    left: Option<u64>,
    _maker: Task<()>,
}

impl Body {
    /// No body.
    pub(super) fn empty() -> Body {
        Body::Whole(Bytes::new())
    }

    /// What `write` writes, made on the blocking pool while the client takes it. `len` is the exact length if it is known.
    pub(super) fn written(
        len: Option<u64>,
        place: SemaphoreGuardArc,
        write: impl FnOnce(&mut PieceWriter) -> io::Result<()> + Send + 'static,
    ) -> Body {
        let (sender, receiver) = async_channel::bounded(PIECES_AHEAD);
        let maker = smol::unblock(move || {
            let _place = place;
            let mut writer = PieceWriter { sender, piece: Vec::with_capacity(PIECE) };
            let last = match write(&mut writer).and_then(|()| writer.flush()) {
                Ok(()) => Ok(Bytes::new()),
                Err(error) => Err(error),
            };
            // When the client is gone, nobody wants the last piece.
            let _ = writer.sender.send_blocking(last);
        });
        Body::Pieces(Pieces { receiver: Box::pin(receiver), left: len, _maker: maker })
    }

    /// Pieces that `maker` sends into the channel.
    pub(super) fn sent(receiver: Receiver<io::Result<Bytes>>, maker: Task<()>) -> Body {
        Body::Pieces(Pieces { receiver: Box::pin(receiver), left: None, _maker: maker })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Body::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Pieces(pieces) => pieces.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Pieces(pieces) => pieces.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Pieces {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match ready!(self.receiver.as_mut().poll_next(cx)) {
            Some(Ok(piece)) if piece.is_empty() => return Poll::Ready(None),
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(Some(Err(io::Error::other("the answer broke off")))),
        };
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// Cuts what is written into pieces. Fails when the client is gone, and waits while it is slow.
pub(super) struct PieceWriter {
    sender: Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.send_blocking(Ok(piece.into())).map_err(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use smol::{block_on, lock::Semaphore};

    use super::*;
    use crate::types::{BeaconState, Hash256, preset::*};

    fn place() -> SemaphoreGuardArc {
        Arc::new(Semaphore::new(1)).try_acquire_arc().unwrap()
    }

    #[test]
    fn a_state_in_pieces_is_the_state() {
        let state = BeaconState {
            block_roots: std::iter::repeat_n(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT).collect(),
            state_roots: std::iter::repeat_n(Hash256::ZERO, SLOTS_PER_HISTORICAL_ROOT).collect(),
            randao_mixes: std::iter::repeat_n(Hash256::ZERO, EPOCHS_PER_HISTORICAL_VECTOR).collect(),
            slashings: std::iter::repeat_n(7, EPOCHS_PER_SLASHINGS_VECTOR).collect(),
            proposer_lookahead: std::iter::repeat_n(7, PROPOSER_LOOKAHEAD_LENGTH).collect(),
            balances: (0..100_000).collect(),
            ..BeaconState::default()
        };
        let (expected, len) = (state.to_ssz_bytes(), state.ssz_len() as u64);
        let body = Body::written(Some(len), place(), move |out| state.write_to(out));
        assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
        assert!(block_on(body.collect()).unwrap().to_bytes() == expected);
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_short_answer() {
        let failing = |out: &mut PieceWriter| {
            out.write_all(&[1; 3 * PIECE])?;
            Err(io::Error::other("the disk is gone"))
        };
        let error = block_on(Body::written(None, place(), failing).collect()).unwrap_err();
        assert!(error.to_string().contains("disk"), "{error}");

        let (sender, receiver) = async_channel::bounded(2);
        sender.try_send(Ok(Bytes::from_static(b"half"))).unwrap();
        drop(sender);
        assert!(block_on(Body::sent(receiver, smol::spawn(async {})).collect()).is_err());
    }

    #[test]
    fn the_maker_is_held_back_and_ends_with_its_client() {
        let (progress, made) = async_channel::bounded(1000);
        let endless = move |out: &mut PieceWriter| {
            loop {
                out.write_all(&[0; PIECE])?;
                // The channel is longer than what can be made.
                progress.try_send(()).map_err(io::Error::other)?;
            }
        };
        let mut body = Body::written(None, place(), endless);
        for _ in 0..3 {
            assert_eq!(block_on(body.frame()).unwrap().unwrap().into_data().unwrap().len(), PIECE);
        }
        drop(body);
        let count = block_on(async {
            let mut count = 0;
            while made.recv().await.is_ok() {
                count += 1;
            }
            count
        });
        assert!(count <= 3 + PIECES_AHEAD + 1, "{count} pieces were made for 3 taken");
    }
}
