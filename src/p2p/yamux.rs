//! Yamux for libp2p, with a bound on what one connection may make us hold. libp2p's own upgrade leaves the window of a
//! connection at 1 GiB and lets nobody change it.
//!
//! <https://github.com/libp2p/specs/blob/master/yamux/README.md>

use std::{
    collections::VecDeque,
    future::{Ready, ready},
    io, iter,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::{
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};
use yamux::{Connection, ConnectionError, Mode, Stream};

use super::transport::MAX_STREAMS;

/// Bytes of one stream that may wait for their reader, at least: the protocol's own window.
const STREAM_WINDOW: usize = 256 << 10;
/// What all streams together may have beyond that: where we read fast, a window grows, to 5 MiB/s at 400 ms.
const GROWTH: usize = 2 << 20;
/// Streams that the peer opened and that wait to be taken. The swarm takes them as fast as it can.
const MAX_WAITING: usize = MAX_STREAMS;

/// Offers the protocol to the other side.
#[derive(Clone, Debug)]
pub struct Config(yamux::Config);

impl Default for Config {
    fn default() -> Config {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(MAX_STREAMS);
        config.set_max_connection_receive_window(Some(MAX_STREAMS * STREAM_WINDOW + GROWTH));
        Config(config)
    }
}

impl UpgradeInfo for Config {
    type Info = &'static str;
    type InfoIter = iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<S> for Config {
    type Output = Muxer<S>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<S>>>;

    fn upgrade_inbound(self, socket: S, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Server))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<S> for Config {
    type Output = Muxer<S>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<S>>>;

    fn upgrade_outbound(self, socket: S, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Client))))
    }
}

/// A connection with many streams.
pub struct Muxer<S> {
    connection: Connection<S>,
    /// Streams that the peer opened while nobody asked for one.
    waiting: VecDeque<Stream>,
    /// Who asked for one.
    taker: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Muxer<S> {
    fn new(connection: Connection<S>) -> Muxer<S> {
        Muxer { connection, waiting: VecDeque::new(), taker: None }
    }

    /// Moves the connection on until the peer opens a stream.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match ready!(self.connection.poll_next_inbound(cx)) {
            Some(opened) => Poll::Ready(opened.map_err(to_io)),
            None => Poll::Ready(Err(to_io(ConnectionError::Closed))),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<S> {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let opened = self.poll_connection(cx);
        if opened.is_pending() {
            self.taker = Some(cx.waker().clone());
        }
        opened
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        self.connection.poll_new_outbound(cx).map_err(to_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_close(cx).map_err(to_io)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let stream = ready!(self.poll_connection(cx))?;
        // One too many is dropped, which resets it.
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(stream);
            if let Some(taker) = self.taker.take() {
                taker.wake();
            }
        }
        // There may be more to do; others first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn to_io(error: ConnectionError) -> io::Error {
    match error {
        ConnectionError::Io(error) => error,
        other => io::Error::other(other),
    }
}
