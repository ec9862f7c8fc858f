//! A QUIC connection as libp2p sees it: something that opens and accepts streams.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite, FutureExt as _, future::BoxFuture};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use quinn::{ConnectionError, RecvStream, SendStream, VarInt};

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
        Poll::Ready(Ok(Stream::new(accepted?, this.meter.clone())))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let this = &mut *self;
        let opening = this.opening.get_or_insert_with(|| {
            let connection = this.connection.clone();
            async move { connection.open_bi().await }.boxed()
        });
        let opened = ready!(opening.poll_unpin(cx));
        this.opening = None;
        Poll::Ready(Ok(Stream::new(opened?, this.meter.clone())))
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
    closed: bool,
    meter: Arc<Meter>,
}

impl Stream {
    fn new((send, receive): (SendStream, RecvStream), meter: Arc<Meter>) -> Stream {
        Stream { send, receive, closed: false, meter }
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

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(AsyncWrite::poll_close(Pin::new(&mut self.send), cx))?;
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    /// What was not closed was broken off, and the reader must see that: quinn alone would end it in good order.
    fn drop(&mut self) {
        if !self.closed {
            // An error means that it has ended already.
            let _ = self.send.reset(NO_ERROR);
        }
    }
}
