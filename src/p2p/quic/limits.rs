//! What one QUIC connection may take of us.

use std::{sync::Arc, time::Duration};

use libp2p::identity::Keypair;
use quinn::{
    IdleTimeout, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

use crate::p2p::transport::MAX_STREAMS;

/// From the first packet to a connection whose peer is known.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence after which a connection has ended. Others take 10 s, and the smaller of both counts.
const IDLE_TIMEOUT_MS: u32 = 20_000;
/// A sign of life after so much silence: two of them may be lost within the others' 10 s. Gossip seldom lets it come to that.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// Bytes of one stream that wait for their reader: 5 MiB/s over a line with 100 ms there and back, more than a home has.
const STREAM_WINDOW: u32 = 512 << 10;
/// Bytes of all streams of a connection that wait for their readers; together with what we have sent and was not
/// acknowledged this is what a peer can make us hold: 1.25 MiB, 34 MiB for 24 peers and three newcomers that all do their worst.
const RECEIVE_WINDOW: u32 = 1 << 20;
/// Bytes that we have sent and that the peer has not acknowledged: 1 MiB/s, as fast as we serve one peer, at 250 ms there and back.
const SEND_WINDOW: u64 = 256 << 10;
/// Handshakes at once from which on an address must be proved by a round trip before we do any work for it.
pub(super) const PROVE_ADDRESS_FROM: usize = 4;
/// First packets that wait to be let in or refused, and what they may hold before.
const MAX_INCOMING: usize = 64;
const INCOMING_BYTES: u64 = 16 << 10;

/// The client's and the server's side of the node with this key.
pub(super) fn configs(key: &Keypair) -> Result<(quinn::ClientConfig, quinn::ServerConfig), String> {
    let fail = |e: &dyn std::fmt::Display| format!("QUIC: {e}");
    let transport = Arc::new(transport());
    let tls = libp2p_tls::make_client_config(key, None).map_err(|e| fail(&e))?;
    let mut client = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(|e| fail(&e))?));
    client.transport_config(transport.clone());
    let tls = libp2p_tls::make_server_config(key).map_err(|e| fail(&e))?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(|e| fail(&e))?));
    server
        .transport_config(transport)
        // A peer that moved to another address would escape the limits per address.
        .migration(false)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(MAX_INCOMING as u64 * INCOMING_BYTES);
    Ok((client, server))
}

fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_STREAMS as u32))
        // libp2p uses neither one-way streams nor datagrams.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .allow_spin(false);
    config
}
