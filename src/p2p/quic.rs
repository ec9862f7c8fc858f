//! QUIC for libp2p on smol: quinn below, libp2p's certificates above. libp2p 0.57 itself offers it only on tokio.
//!
//! <https://github.com/libp2p/specs/blob/master/quic/README.md>

mod connection;
mod limits;
mod socket;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures::{FutureExt as _, future::BoxFuture};
use libp2p::{
    PeerId,
    core::{
        Transport,
        multiaddr::{Multiaddr, Protocol},
        transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    },
    identity::Keypair,
};
use quinn::rustls::pki_types::CertificateDer;
use smol::{Timer, future};

use self::limits::{HANDSHAKE_TIMEOUT, PROVE_ADDRESS_FROM};
use super::meter::{Meter, Meters};

pub use self::connection::Connection;

/// The name that TLS wants of a server. Peers are known by their keys, so any name will do.
const SERVER_NAME: &str = "l";

/// The multiaddr of a UDP socket that speaks QUIC.
pub fn to_multiaddr(addr: SocketAddr) -> Multiaddr {
    Multiaddr::empty().with(addr.ip().into()).with(Protocol::Udp(addr.port())).with(Protocol::QuicV1)
}

/// The UDP socket that `addr` names, or `None` when it names anything but QUIC of version 1.
pub fn to_socket_addr(addr: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = addr.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let Protocol::Udp(port) = parts.next()? else { return None };
    if parts.next()? != Protocol::QuicV1 {
        return None;
    }
    match parts.next() {
        None | Some(Protocol::P2p(_)) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

type Upgrade = BoxFuture<'static, io::Result<(PeerId, Connection)>>;
type Event = TransportEvent<Upgrade, io::Error>;

/// One listening socket.
struct Listener {
    endpoint: quinn::Endpoint,
    local: SocketAddr,
    /// Whether the swarm knows the address.
    announced: bool,
    closed: bool,
    accepting: BoxFuture<'static, Option<quinn::Incoming>>,
}

/// The next handshake that somebody begins; `None` when the endpoint is closed.
fn accept(endpoint: &quinn::Endpoint) -> BoxFuture<'static, Option<quinn::Incoming>> {
    let endpoint = endpoint.clone();
    async move { endpoint.accept().await }.boxed()
}

/// The transport: dials and listens over IPv4 and IPv6.
pub struct SmolQuic {
    client: quinn::ClientConfig,
    server: quinn::ServerConfig,
    meters: Meters,
    listeners: HashMap<ListenerId, Listener>,
    /// Sockets to dial from, by whether they are of IPv4: the listening ones where there are some, so that a router opens
    /// the port on which others find us.
    dialers: HashMap<bool, quinn::Endpoint>,
    /// Handshakes under way that others began.
    handshakes: Arc<AtomicUsize>,
    waker: Option<Waker>,
}

impl SmolQuic {
    /// A transport for the node with this key. Fails when the key cannot sign a certificate.
    pub fn new(key: &Keypair, meters: Meters) -> Result<SmolQuic, String> {
        let (client, server) = limits::configs(key)?;
        Ok(SmolQuic {
            client,
            server,
            meters,
            listeners: HashMap::new(),
            dialers: HashMap::new(),
            handshakes: Arc::default(),
            waker: None,
        })
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The socket to dial `addr` from.
    fn dialer(&mut self, addr: SocketAddr) -> io::Result<quinn::Endpoint> {
        if let Some(endpoint) = self.dialers.get(&addr.is_ipv4()) {
            return Ok(endpoint.clone());
        }
        let any: IpAddr =
            if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
        let endpoint = socket::endpoint(SocketAddr::new(any, 0), None, self.meters.of_quic())?;
        self.dialers.insert(addr.is_ipv4(), endpoint.clone());
        Ok(endpoint)
    }
}

impl Transport for SmolQuic {
    type Output = (PeerId, Connection);
    type Error = io::Error;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let wanted = to_socket_addr(&addr).ok_or(TransportError::MultiaddrNotSupported(addr))?;
        let endpoint = socket::endpoint(wanted, Some(self.server.clone()), self.meters.of_quic());
        let endpoint = endpoint.map_err(TransportError::Other)?;
        let local = endpoint.local_addr().map_err(TransportError::Other)?;
        self.dialers.insert(local.is_ipv4(), endpoint.clone());
        let accepting = accept(&endpoint);
        self.listeners.insert(id, Listener { endpoint, local, announced: false, closed: false, accepting });
        self.wake();
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let existed = self.listeners.get_mut(&id).map(|listener| listener.closed = true).is_some();
        self.wake();
        existed
    }

    fn dial(&mut self, addr: Multiaddr, _: DialOpts) -> Result<Upgrade, TransportError<io::Error>> {
        let socket = to_socket_addr(&addr)
            .filter(|socket| socket.port() != 0 && !socket.ip().is_unspecified())
            .ok_or_else(|| TransportError::MultiaddrNotSupported(addr.clone()))?;
        let endpoint = self.dialer(socket).map_err(TransportError::Other)?;
        let (client, meter) = (self.client.clone(), self.meters.open(&addr));
        Ok(async move {
            let connecting = endpoint.connect_with(client, socket, SERVER_NAME).map_err(io::Error::other)?;
            finish(connecting, meter).await
        }
        .boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        let SmolQuic { listeners, meters, handshakes, waker, .. } = &mut *self;
        for (id, listener) in listeners.iter_mut() {
            if let Some(event) = listener.poll(*id, meters, handshakes, cx) {
                return Poll::Ready(event);
            }
        }
        if let Some(listener_id) = listeners.iter().find(|(_, listener)| listener.closed).map(|(id, _)| *id) {
            listeners.remove(&listener_id);
            return Poll::Ready(TransportEvent::ListenerClosed { listener_id, reason: Ok(()) });
        }
        *waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Listener {
    fn poll(
        &mut self,
        listener_id: ListenerId,
        meters: &Meters,
        handshakes: &Arc<AtomicUsize>,
        cx: &mut Context<'_>,
    ) -> Option<Event> {
        if !self.announced {
            self.announced = true;
            return Some(TransportEvent::NewAddress { listener_id, listen_addr: to_multiaddr(self.local) });
        }
        while !self.closed {
            let Poll::Ready(next) = self.accepting.poll_unpin(cx) else { return None };
            let Some(incoming) = next else {
                self.closed = true;
                return None;
            };
            self.accepting = accept(&self.endpoint);
            // A forged address costs its owner nothing: when there are many handshakes, the address must be proved first.
            if handshakes.load(Ordering::Relaxed) >= PROVE_ADDRESS_FROM && !incoming.remote_address_validated() {
                // Only an address that is proved already cannot be asked to prove itself.
                let _ = incoming.retry();
                continue;
            }
            let send_back_addr = to_multiaddr(incoming.remote_address());
            let upgrade = answer(incoming, meters.open(&send_back_addr), handshakes.clone()).boxed();
            let local_addr = to_multiaddr(self.local);
            return Some(TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr });
        }
        None
    }
}

/// A handshake that somebody began. Nothing is done, and no memory taken, before the swarm has let it in and polls.
async fn answer(
    incoming: quinn::Incoming,
    meter: Arc<Meter>,
    handshakes: Arc<AtomicUsize>,
) -> io::Result<(PeerId, Connection)> {
    let _counted = Handshake::new(handshakes);
    finish(incoming.accept()?, meter).await
}

/// The end of a handshake: who is there?
async fn finish(connecting: quinn::Connecting, meter: Arc<Meter>) -> io::Result<(PeerId, Connection)> {
    let late = async {
        Timer::after(HANDSHAKE_TIMEOUT).await;
        Err(io::Error::from(io::ErrorKind::TimedOut))
    };
    let connection = future::or(async { Ok(connecting.await?) }, late).await?;
    let identity = connection.peer_identity().and_then(|it| it.downcast::<Vec<CertificateDer<'static>>>().ok());
    let certificates = identity.ok_or_else(|| io::Error::other("the peer showed no certificate"))?;
    let first = certificates.first().ok_or_else(|| io::Error::other("the peer showed no certificate"))?;
    let peer = libp2p_tls::certificate::parse(first).map_err(io::Error::other)?.peer_id();
    Ok((peer, Connection::new(connection, meter)))
}

/// Counts a handshake while it lasts.
struct Handshake(Arc<AtomicUsize>);

impl Handshake {
    fn new(count: Arc<AtomicUsize>) -> Handshake {
        count.fetch_add(1, Ordering::Relaxed);
        Handshake(count)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_quic_of_version_1_is_understood() {
        let parse = |text: &str| to_socket_addr(&text.parse().unwrap());
        assert_eq!(parse("/ip4/10.0.0.1/udp/9001/quic-v1"), Some("10.0.0.1:9001".parse().unwrap()));
        assert_eq!(parse("/ip6/::1/udp/9001/quic-v1"), Some("[::1]:9001".parse().unwrap()));
        assert_eq!(parse("/ip4/10.0.0.1/udp/9001"), None);
        assert_eq!(parse("/ip4/10.0.0.1/udp/9001/quic"), None);
        assert_eq!(parse("/ip4/10.0.0.1/tcp/9001"), None);
        assert_eq!(parse("/dns4/example.org/udp/9001/quic-v1"), None);
    }
}
