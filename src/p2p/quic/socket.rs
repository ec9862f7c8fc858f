//! The UDP socket below QUIC: its buffers, and a count of its bytes.

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use quinn::{
    AsyncUdpSocket, EndpointConfig, Runtime as _, SmolRuntime, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use socket2::{Domain, Socket, Type};
use tracing::warn;

use crate::p2p::meter::Meter;

/// What may wait for us in the kernel: 4 MiB are a third of a second at 100 Mbit/s, for a board that is busy.
const RECEIVE_BUFFER: usize = 4 << 20;
/// What may wait in the kernel to go out.
const SEND_BUFFER: usize = 1 << 20;
/// Below this, packets get lost while a block is being processed; the usual default is 208 KiB.
const SMALL_BUFFER: usize = 1 << 20;

/// An endpoint on `addr`, for connections to it too if `server` is given.
pub(super) fn endpoint(
    addr: SocketAddr,
    server: Option<quinn::ServerConfig>,
    total: Meter,
) -> io::Result<quinn::Endpoint> {
    let listens = server.is_some();
    let socket = Counted { inner: SmolRuntime.wrap_udp_socket(bind(addr, listens)?)?, total };
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![1]);
    quinn::Endpoint::new_with_abstract_socket(config, server, Arc::new(socket), Arc::new(SmolRuntime))
}

fn bind(addr: SocketAddr, listens: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
    if addr.is_ipv6() {
        // IPv4 has its own socket, on the same port if the user wants.
        socket.set_only_v6(true)?;
    }
    // The kernel gives what it may; it does not fail when that is less.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    // Linux counts its own bookkeeping too and reports twice of what it gives.
    let given = socket.recv_buffer_size()? / 2;
    if listens && given < SMALL_BUFFER {
        warn!(
            "the system allows only {} KiB for packets that wait (QUIC); run: sysctl -w net.core.rmem_max={RECEIVE_BUFFER}",
            given >> 10
        );
    }
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// A socket that counts its bytes, for `/metrics` and the budget: all but the headers of IP and UDP.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn AsyncUdpSocket>,
    total: Meter,
}

impl AsyncUdpSocket for Counted {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        self.inner.try_send(transmit)?;
        self.total.sent(transmit.contents.len());
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        self.total.received(meta.iter().take(count).map(|meta| meta.len).sum());
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
