//! TCP for libp2p on smol: libp2p 0.57 itself offers only a tokio transport.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_io::{Async, Timer};
use futures::{
    FutureExt,
    future::{BoxFuture, Ready, ready},
};
use libp2p::core::{
    Transport,
    multiaddr::{Multiaddr, Protocol},
    transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use smol::net::TcpStream;
use socket2::{Domain, Socket, Type};

/// Connections that the kernel may hold before we accept them.
const BACKLOG: i32 = 128;
/// Rest after a failed accept. When file descriptors run out, accept fails at once, again and again.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

/// The multiaddr of a TCP socket.
pub fn to_multiaddr(addr: SocketAddr) -> Multiaddr {
    Multiaddr::empty().with(addr.ip().into()).with(Protocol::Tcp(addr.port()))
}

/// The TCP socket that `addr` names, or `None` when it names anything else (a DNS name, a UDP port, a relay).
pub fn to_socket_addr(addr: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = addr.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else { return None };
    match parts.next() {
        None | Some(Protocol::P2p(_)) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// One listening socket.
struct Listener {
    socket: Async<TcpListener>,
    local: SocketAddr,
    /// Whether the swarm knows the address.
    announced: bool,
    /// Set after a failed accept, until it fires.
    pause: Option<Timer>,
}

impl Listener {
    fn bind(addr: SocketAddr) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        if addr.is_ipv6() {
            // IPv4 has its own listener, on the same port if the user wants.
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        let socket: Async<TcpListener> = Async::new(socket.into())?;
        let local = socket.get_ref().local_addr()?;
        Ok(Listener { socket, local, announced: false, pause: None })
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        if let Some(pause) = &mut self.pause {
            if pause.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        loop {
            let result = match self.socket.get_ref().accept() {
                Ok((stream, peer)) => stream.set_nodelay(true).and_then(|()| Ok((TcpStream::try_from(stream)?, peer))),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => match self.socket.poll_readable(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(e)) => Err(e),
                },
                Err(e) => Err(e),
            };
            if result.is_err() {
                self.pause = Some(Timer::after(PAUSE_AFTER_ERROR));
            }
            return Poll::Ready(result);
        }
    }

    fn poll(&mut self, id: ListenerId, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.announced {
            self.announced = true;
            return Poll::Ready(TransportEvent::NewAddress { listener_id: id, listen_addr: to_multiaddr(self.local) });
        }
        self.poll_accept(cx).map(|accepted| match accepted {
            Err(error) => TransportEvent::ListenerError { listener_id: id, error },
            Ok((stream, peer)) => TransportEvent::Incoming {
                listener_id: id,
                local_addr: to_multiaddr(stream.local_addr().unwrap_or(self.local)),
                send_back_addr: to_multiaddr(peer),
                upgrade: ready(Ok(stream)),
            },
        })
    }
}

type Event = TransportEvent<Ready<io::Result<TcpStream>>, io::Error>;

/// The transport: dials and listens over IPv4 and IPv6.
#[derive(Default)]
pub struct SmolTcp {
    listeners: HashMap<ListenerId, Listener>,
    closed: Vec<ListenerId>,
    waker: Option<Waker>,
}

impl SmolTcp {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl SmolTcp {
    /// The address to dial `to` from: the one that we listen on, if it is a single one that reaches there.
    fn source(&self, to: SocketAddr) -> Option<IpAddr> {
        let reaches = |ip: &IpAddr| {
            ip.is_ipv4() == to.is_ipv4() && ip.is_loopback() == to.ip().is_loopback() && !ip.is_unspecified()
        };
        self.listeners.values().map(|listener| listener.local.ip()).find(reaches)
    }
}

/// Connects from `source`, which the system chooses if it is none.
async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(to).await };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    match socket.connect(&to.into()) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) && e.kind() != io::ErrorKind::WouldBlock => {
            return Err(e);
        }
        _ => {}
    }
    let stream: Async<std::net::TcpStream> = Async::new(socket.into())?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream.into()),
    }
}

impl Transport for SmolTcp {
    type Output = TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<TcpStream>>;
    type Dial = BoxFuture<'static, io::Result<TcpStream>>;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let socket = to_socket_addr(&addr).ok_or(TransportError::MultiaddrNotSupported(addr))?;
        let listener = Listener::bind(socket).map_err(TransportError::Other)?;
        self.listeners.insert(id, listener);
        self.wake();
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let existed = self.listeners.remove(&id).is_some();
        if existed {
            self.closed.push(id);
            self.wake();
        }
        existed
    }

    fn dial(&mut self, addr: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let socket = to_socket_addr(&addr)
            .filter(|socket| socket.port() != 0 && !socket.ip().is_unspecified())
            .ok_or(TransportError::MultiaddrNotSupported(addr))?;
        let source = self.source(socket);
        Ok(async move {
            let stream = connect(socket, source).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        .boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(listener_id) = self.closed.pop() {
            return Poll::Ready(TransportEvent::ListenerClosed { listener_id, reason: Ok(()) });
        }
        for (id, listener) in &mut self.listeners {
            if let Poll::Ready(event) = listener.poll(*id, cx) {
                return Poll::Ready(event);
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::{Endpoint, transport::PortUse};

    use super::*;

    #[test]
    fn the_address_that_is_listened_on_is_dialled_from() {
        smol::block_on(async {
            let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let to = listener.local_addr().unwrap();
            let mut transport = SmolTcp::default();
            for (from, expected) in [("/ip4/0.0.0.0/tcp/0", "127.0.0.1"), ("/ip4/127.0.0.7/tcp/0", "127.0.0.7")] {
                transport.listen_on(ListenerId::next(), from.parse().unwrap()).unwrap();
                let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
                let dial = transport.dial(to_multiaddr(to), options).unwrap();
                let (dialled, accepted) = futures::join!(dial, listener.accept());
                assert_eq!(accepted.unwrap().1, dialled.unwrap().local_addr().unwrap());
                assert_eq!(transport.source(to).map_or("127.0.0.1".into(), |ip| ip.to_string()), expected);
            }
        });
    }

    #[test]
    fn only_tcp_sockets_are_understood() {
        let parse = |text: &str| to_socket_addr(&text.parse().unwrap());
        assert_eq!(parse("/ip4/10.0.0.1/tcp/9000"), Some("10.0.0.1:9000".parse().unwrap()));
        assert_eq!(parse("/ip6/::1/tcp/9000"), Some("[::1]:9000".parse().unwrap()));
        assert_eq!(parse("/ip4/10.0.0.1/udp/9000/quic-v1"), None);
        assert_eq!(parse("/dns4/example.org/tcp/9000"), None);
        assert_eq!(parse("/ip4/10.0.0.1/tcp/9000/ws"), None);
    }
}
