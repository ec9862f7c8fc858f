//! A QUIC connection as libp2p sees it: something that opens and accepts streams.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite, FutureExt as _, future::BoxFuture};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use quinn::{ConnectionError, RecvStream, SendStream, StoppedError, VarInt};

use crate::p2p::meter::Meter;

/// The code of an end without an error, and of a stream that nobody wants any more.
const NO_ERROR: VarInt = VarInt::from_u32(0);

type Opening = BoxFuture<'static, Result<(SendStream, RecvStream), ConnectionError>>;

/// A connection whose peer is known.
pub struct Connection {
    connection: quinn::Connection,
    meter: Arc<Meter>,
    accepting: Option<Opening>,
    opening: Option<Opening>,
    closing: Option<BoxFuture<'static, ConnectionError>>,
}

impl Connection {
    pub(super) fn new(connection: quinn::Connection, meter: Arc<Meter>) -> Connection {
        Connection { connection, meter, accepting: None, opening: None, closing: None }
    }
}

impl StreamMuxer for Connection {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let this = &mut *self;
        let accepting = this.accepting.get_or_insert_with(|| {
            let connection = this.connection.clone();
            async move { connection.accept_bi().await }.boxed()
        });
        let accepted = ready!(accepting.poll_unpin(cx));
        this.accepting = None;
        let answers = true;
        Poll::Ready(Ok(Stream::new(accepted?, answers, this.meter.clone())))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let this = &mut *self;
        let opening = this.opening.get_or_insert_with(|| {
            let connection = this.connection.clone();
            async move { connection.open_bi().await }.boxed()
        });
        let opened = ready!(opening.poll_unpin(cx));
        this.opening = None;
        let answers = false;
        Poll::Ready(Ok(Stream::new(opened?, answers, this.meter.clone())))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        // Peers do not move: see `limits::configs`.
        Poll::Pending
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let closing = this.closing.get_or_insert_with(|| {
            let connection = this.connection.clone();
            connection.close(NO_ERROR, &[]);
            async move { connection.closed().await }.boxed()
        });
        match ready!(closing.poll_unpin(cx)) {
            ConnectionError::LocallyClosed => Poll::Ready(Ok(())),
            error => Poll::Ready(Err(error.into())),
        }
    }
}

/// One stream, both ways.
pub struct Stream {
    send: SendStream,
    receive: RecvStream,
    /// The peer opened it, so that what we say is an answer.
    answers: bool,
    closed: bool,
    /// The end of the answer on its way to the peer.
    taking: Option<BoxFuture<'static, Result<Option<VarInt>, StoppedError>>>,
    meter: Arc<Meter>,
}

impl Stream {
    fn new((send, receive): (SendStream, RecvStream), answers: bool, meter: Arc<Meter>) -> Stream {
        Stream { send, receive, answers, closed: false, taking: None, meter }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let n = ready!(AsyncRead::poll_read(Pin::new(&mut self.receive), cx, buf))?;
        self.meter.received(n);
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(AsyncWrite::poll_write(Pin::new(&mut self.send), cx, buf))?;
        self.meter.sent(n);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    /// An answer is closed when the peer has taken it, or wants no more of it: until then its bytes are in our memory, and whoever
    /// answers should know. A question's end need not be waited for: the answer shows that it came.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.closed {
            ready!(AsyncWrite::poll_close(Pin::new(&mut this.send), cx))?;
            this.closed = true;
            this.taking = this.answers.then(|| this.send.stopped().boxed());
        }
        if let Some(taking) = &mut this.taking {
            let taken = ready!(taking.poll_unpin(cx));
            this.taking = None;
            taken?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    /// What was not closed was broken off, and the reader must see that: quinn alone would end it in good order. What was not taken
    /// in time is waited for no more.
    fn drop(&mut self) {
        if !self.closed || self.taking.is_some() {
            // An error means that it has ended already.
            let _ = self.send.reset(NO_ERROR);
        }
    }
}
