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
