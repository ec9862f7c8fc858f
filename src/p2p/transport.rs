//! QUIC; and TCP, encrypted with noise, multiplexed with yamux or mplex.

use std::time::Duration;

use futures::future::Either;
use libp2p::{
    Multiaddr, PeerId, Transport as _,
    core::{
        muxing::StreamMuxerBox,
        transport::Boxed,
        upgrade::{SelectUpgrade, Version},
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise,
};
use libp2p_mplex::{Config as Mplex, MaxBufferBehaviour};

use super::{config::P2pError, counted::Counted, meter::Meters, quic::SmolQuic, tcp::SmolTcp, yamux};

/// From the first byte to a multiplexed connection over TCP.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams at once per connection: gossip both ways, identify, and two requests of each kind both ways need fewer.
pub(super) const MAX_STREAMS: usize = 64;
/// The same for mplex, where a stream that nobody reads costs most.
const MPLEX_STREAMS: usize = 32;
/// Frames of one stream that mplex holds for us; then it stops reading the connection. A frame may have 1 MiB: with more than
/// a few, one connection could make us hold gigabytes. Mplex has no flow control, so a reader that rests must rest shortly
/// (see `client::CONSUMER_TIMEOUT`).
const MPLEX_BUFFERED_FRAMES: usize = 1;

/// Which multiplexers are offered, in order of preference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Muxers {
    /// Yamux if the peer has it, else mplex, as the specification asks.
    #[default]
    Both,
    /// Only yamux.
    Yamux,
    /// Only mplex.
    Mplex,
}

/// The whole stack below the swarm: TCP, and QUIC unless it is switched off.
pub fn build(
    key: &Keypair,
    muxers: Muxers,
    quic: bool,
    meters: &Meters,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, P2pError> {
    let tcp = tcp(key, muxers, meters.clone())?;
    if !quic {
        return Ok(tcp);
    }
    let quic = SmolQuic::new(key, meters.clone()).map_err(P2pError::Setup)?;
    let quic = quic.map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    Ok(quic.or_transport(tcp).map(|either, _| Either::into_inner(either)).boxed())
}

/// The same for a peer that is none of ours: tests speak to a node over it as strangers do.
///
/// # Errors
/// When the key is of a kind that noise or TLS does not take.
pub fn plain_transport(key: &Keypair, muxers: Muxers) -> Result<Boxed<(PeerId, StreamMuxerBox)>, P2pError> {
    build(key, muxers, true, &Meters::default())
}

fn tcp(key: &Keypair, muxers: Muxers, meters: Meters) -> Result<Boxed<(PeerId, StreamMuxerBox)>, P2pError> {
    let noise = noise::Config::new(key).map_err(|e| P2pError::Setup(format!("noise: {e}")))?;
    let secured = SmolTcp::default()
        .map(move |stream, endpoint| Counted::new(stream, meters.open_tcp(endpoint.get_remote_address())))
        .upgrade(Version::V1Lazy)
        .authenticate(noise);
    let boxed = match muxers {
        Muxers::Both => secured
            .multiplex(SelectUpgrade::new(yamux::Config::default(), mplex_config()))
            .timeout(HANDSHAKE_TIMEOUT)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed(),
        Muxers::Yamux => secured
            .multiplex(yamux::Config::default())
            .timeout(HANDSHAKE_TIMEOUT)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed(),
        Muxers::Mplex => secured
            .multiplex(mplex_config())
            .timeout(HANDSHAKE_TIMEOUT)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed(),
    };
    Ok(boxed)
}

/// The transports, as metrics and the API name them.
pub(super) const NAMES: [&str; 2] = ["tcp", "quic"];

/// The transport of a connection, one of [`NAMES`].
pub(super) fn name(addr: &Multiaddr) -> &'static str {
    NAMES[usize::from(addr.iter().any(|part| part == Protocol::QuicV1))]
}

fn mplex_config() -> Mplex {
    let mut config = Mplex::new();
    config.set_max_num_streams(MPLEX_STREAMS);
    config.set_max_buffer_size(MPLEX_BUFFERED_FRAMES);
    config.set_max_buffer_behaviour(MaxBufferBehaviour::Block);
    config
}
