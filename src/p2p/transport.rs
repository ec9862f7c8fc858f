//! TCP, encrypted with noise, multiplexed with yamux or mplex.

use std::time::Duration;

use libp2p::{
    PeerId, Transport as _,
    core::{
        muxing::StreamMuxerBox,
        transport::Boxed,
        upgrade::{SelectUpgrade, Version},
    },
    identity::Keypair,
    noise, yamux,
};
use libp2p_mplex::{Config as Mplex, MaxBufferBehaviour};

use super::{config::P2pError, counted::Counted, tcp::SmolTcp};

/// From the first byte to a multiplexed connection.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams at once per connection: gossip both ways, identify, and two requests of each kind both ways need fewer.
const MAX_STREAMS: usize = 64;
/// Frames of one stream that mplex holds for us; then it stops reading the connection. Mplex has no flow control, so a
/// reader that rests must rest shortly (see `client::CONSUMER_TIMEOUT`).
const MPLEX_BUFFERED_FRAMES: usize = 64;

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

/// The whole stack below the swarm.
pub fn build(key: &Keypair, muxers: Muxers) -> Result<Boxed<(PeerId, StreamMuxerBox)>, P2pError> {
    let noise = noise::Config::new(key).map_err(|e| P2pError::Setup(format!("noise: {e}")))?;
    let secured = SmolTcp::default().map(|stream, _| Counted::new(stream)).upgrade(Version::V1Lazy).authenticate(noise);
    let boxed = match muxers {
        Muxers::Both => secured
            .multiplex(SelectUpgrade::new(yamux_config(), mplex_config()))
            .timeout(HANDSHAKE_TIMEOUT)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed(),
        Muxers::Yamux => secured
            .multiplex(yamux_config())
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

fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config
}

fn mplex_config() -> Mplex {
    let mut config = Mplex::new();
    config.set_max_num_streams(MAX_STREAMS);
    config.set_max_buffer_size(MPLEX_BUFFERED_FRAMES);
    config.set_max_buffer_behaviour(MaxBufferBehaviour::Block);
    config
}
