//! A server on a port of its own, and a client.

use std::{net::SocketAddr, sync::Arc};

use hornero::{
    api::{ApiContext, Direction, Identity, Limits, MetaData, NetworkInfo, Peer, PeerState, serve_with},
    metrics,
    types::{Config, preset::PRESET_BASE},
};
use serde_json::Value;

/// A server that ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    _task: smol::Task<std::convert::Infallible>,
}

/// What a server said.
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", text()))
    }
}

impl Server {
    pub fn start(limits: Limits) -> Server {
        smol::block_on(async {
            let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            Server { address, _task: smol::spawn(serve_with(listener, context(), limits)) }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn get(&self, path: &str) -> Reply {
        self.get_as(path, "*/*")
    }

    pub fn get_as(&self, path: &str, accept: &str) -> Reply {
        let url = format!("http://{}{path}", self.address);
        reply(agent().get(url).header("accept", accept).call().unwrap())
    }

    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        let url = format!("http://{}{path}", self.address);
        reply(agent().post(url).header("content-type", content_type).send(body).unwrap())
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn reply(mut response: ureq::http::Response<ureq::Body>) -> Reply {
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_string());
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    Reply { status, content_type: content_type.unwrap_or_default(), body }
}

pub fn config() -> Config {
    let text = format!("PRESET_BASE: {PRESET_BASE}\nCONFIG_NAME: test\nDEPOSIT_CHAIN_ID: 5\n");
    Config::from_yaml(&text).unwrap()
}

fn context() -> ApiContext {
    let network = NetworkInfo { identity: Box::new(identity), peers: Box::new(peers) };
    ApiContext { config: Arc::new(config()), network, exporter: metrics::install() }
}

fn identity() -> Identity {
    Identity {
        peer_id: "16Uiu2HAm5uv2".into(),
        enr: "enr:-abc".into(),
        p2p_addresses: vec!["/ip4/127.0.0.1/tcp/9000/p2p/16Uiu2HAm5uv2".into()],
        discovery_addresses: Vec::new(),
        metadata: MetaData {
            seq_number: 3,
            attnets: "0x0000000000000003".into(),
            syncnets: "0x0f".into(),
            custody_group_count: 4,
        },
    }
}

fn peers() -> Vec<Peer> {
    let peer = |name: &str, direction| Peer {
        peer_id: name.into(),
        enr: None,
        last_seen_p2p_address: "/ip4/127.0.0.1/tcp/9001".into(),
        state: PeerState::Connected,
        direction,
    };
    vec![peer("in", Direction::Inbound), peer("out", Direction::Outbound)]
}
