//! A stranger's connection without libp2p's swarm: it opens and answers streams by hand, so that it can break every rule.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use async_channel::{Receiver, Sender};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Stream as _};
use hornero::p2p::{self, Muxers};
use libp2p::{
    Multiaddr, PeerId, Transport as _,
    core::{
        Endpoint,
        muxing::{StreamMuxerBox, StreamMuxerExt as _},
        transport::{DialOpts, ListenerId, PortUse},
    },
    identity::Keypair,
};
use quinn::{ClientConfig, EndpointConfig, SmolRuntime, TransportConfig, VarInt, crypto::rustls::QuicClientConfig};

const MULTISTREAM: &str = "/multistream/1.0.0";
/// Streams of the node that wait for us.
const ASKED: usize = 64;

/// One stream.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}
pub type Pipe = Box<dyn Duplex>;
/// Where strangers' tasks run: not where the chain is made.
pub type Work = Arc<smol::Executor<'static>>;

/// The connection; it ends when this is dropped.
pub struct Line {
    pub peer: PeerId,
    pub executor: Work,
    opens: Sender<Sender<Pipe>>,
    /// Streams that the node opened and that nobody has looked at.
    asked: Receiver<Pipe>,
}

impl Line {
    /// Over TCP, from this address.
    pub async fn tcp(executor: &Work, from: IpAddr, node: &Multiaddr, muxers: Muxers) -> io::Result<Line> {
        let key = Keypair::generate_secp256k1();
        let mut transport = p2p::plain_transport(&key, muxers).map_err(io::Error::other)?;
        // What is listened on is dialled from.
        let local = Multiaddr::empty().with(from.into()).with(libp2p::multiaddr::Protocol::Tcp(0));
        transport.listen_on(ListenerId::next(), local).map_err(io::Error::other)?;
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let (_, muxer) =
            transport.dial(node.clone(), options).map_err(io::Error::other)?.await.map_err(io::Error::other)?;
        let (opens, to_open) = async_channel::bounded(1);
        let (inbound, asked) = async_channel::bounded(ASKED);
        executor.spawn(drive(muxer, to_open, inbound)).detach();
        Ok(Line { peer: key.public().to_peer_id(), executor: executor.clone(), opens, asked })
    }

    /// By QUIC, from this address; of each stream the node may send so many bytes more than we have read.
    pub async fn quic(executor: &Work, from: IpAddr, node: SocketAddr, window: u32) -> io::Result<Line> {
        let key = Keypair::generate_secp256k1();
        let tls = libp2p_tls::make_client_config(&key, None).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(io::Error::other)?));
        let mut limits = TransportConfig::default();
        limits.stream_receive_window(VarInt::from_u32(window));
        config.transport_config(Arc::new(limits));
        let socket = UdpSocket::bind((from, 0))?;
        let endpoint = quinn::Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(SmolRuntime))?;
        let connection = endpoint.connect_with(config, node, "l").map_err(io::Error::other)?.await?;
        let (opens, to_open) = async_channel::bounded::<Sender<Pipe>>(1);
        let (inbound, asked) = async_channel::bounded(ASKED);
        let accepting = connection.clone();
        executor
            .spawn(async move {
                while let Ok((send, receive)) = accepting.accept_bi().await {
                    let _ = inbound.try_send(Box::new(Bi { send, receive }) as Pipe);
                }
            })
            .detach();
        executor
            .spawn(async move {
                while let Ok(reply) = to_open.recv().await {
                    let Ok((send, receive)) = connection.open_bi().await else { return };
                    let _ = reply.try_send(Box::new(Bi { send, receive }) as Pipe);
                }
                connection.close(VarInt::from_u32(0), b"");
            })
            .detach();
        Ok(Line { peer: key.public().to_peer_id(), executor: executor.clone(), opens, asked })
    }

    /// Opens a stream of this protocol.
    pub async fn open(&self, protocol: &str) -> io::Result<Pipe> {
        let (reply, opened) = async_channel::bounded(1);
        self.opens.send(reply).await.map_err(io::Error::other)?;
        let mut pipe = opened.recv().await.map_err(io::Error::other)?;
        pipe.write_all(&[frame(MULTISTREAM), frame(protocol)].concat()).await?;
        pipe.flush().await?;
        for expected in [MULTISTREAM, protocol] {
            if read_line(&mut pipe).await? != expected {
                return Err(io::Error::other("the node does not speak it"));
            }
        }
        Ok(pipe)
    }

    /// Says `bytes`, closes, and reads the answer to its end.
    pub async fn ask(&self, protocol: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut pipe = self.open(protocol).await?;
        pipe.write_all(bytes).await?;
        pipe.close().await?;
        let mut answer = Vec::new();
        pipe.read_to_end(&mut answer).await?;
        Ok(answer)
    }

    /// The next stream that the node opens, and its protocol. Fails when the connection has ended.
    pub async fn asked(&self) -> io::Result<(String, Pipe)> {
        loop {
            let mut pipe = self.asked.recv().await.map_err(io::Error::other)?;
            if let Ok(protocol) = agree(&mut pipe).await {
                return Ok((protocol, pipe));
            }
        }
    }
}

/// Agrees to the first protocol that is Ethereum's.
async fn agree(pipe: &mut Pipe) -> io::Result<String> {
    loop {
        let offered = read_line(pipe).await?;
        let is_known = offered == MULTISTREAM || offered.contains("/eth2/") || offered.contains("/meshsub/");
        pipe.write_all(&frame(if is_known { &offered } else { "na" })).await?;
        pipe.flush().await?;
        if is_known && offered != MULTISTREAM {
            return Ok(offered);
        }
    }
}

fn frame(text: &str) -> Vec<u8> {
    let mut buffer = unsigned_varint::encode::usize_buffer();
    let length = unsigned_varint::encode::usize(text.len() + 1, &mut buffer);
    [length, text.as_bytes(), b"\n"].concat()
}

async fn read_line(pipe: &mut Pipe) -> io::Result<String> {
    let mut byte = [0];
    let mut length = 0;
    for shift in [0, 7] {
        pipe.read_exact(&mut byte).await?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            break;
        }
    }
    let mut line = vec![0; length];
    pipe.read_exact(&mut line).await?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Keeps a multiplexed connection going until it ends, or nobody wants it any more.
async fn drive(mut muxer: StreamMuxerBox, to_open: Receiver<Sender<Pipe>>, inbound: Sender<Pipe>) {
    let mut to_open = pin!(to_open);
    let mut wanted: Option<Sender<Pipe>> = None;
    poll_fn(|cx: &mut Context<'_>| {
        loop {
            let mut has_moved = false;
            match muxer.poll_unpin(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => has_moved = true,
                Poll::Pending => {}
            }
            match muxer.poll_inbound_unpin(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(stream)) => {
                    has_moved = true;
                    let _ = inbound.try_send(Box::new(stream) as Pipe);
                }
                Poll::Pending => {}
            }
            if wanted.is_none() {
                match to_open.as_mut().poll_next(cx) {
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Ready(reply) => wanted = reply,
                    Poll::Pending => {}
                }
            }
            if wanted.is_some() {
                match muxer.poll_outbound_unpin(cx) {
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(stream)) => {
                        has_moved = true;
                        let _ = wanted.take().map(|reply| reply.try_send(Box::new(stream) as Pipe));
                    }
                    Poll::Pending => {}
                }
            }
            if !has_moved {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Both halves of a QUIC stream.
struct Bi {
    send: quinn::SendStream,
    receive: quinn::RecvStream,
}

impl AsyncRead for Bi {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        AsyncRead::poll_read(Pin::new(&mut self.receive), cx, buffer)
    }
}

impl AsyncWrite for Bi {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_close(Pin::new(&mut self.send), cx)
    }
}
