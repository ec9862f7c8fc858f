//! The request/response protocols that we speak, and the sizes they allow.

use libp2p::StreamProtocol;

use super::codec::{Bounds, MAX_PAYLOAD_SIZE};

/// `MAX_REQUEST_BLOCKS_DENEB`: blocks in one request at most.
pub const MAX_REQUEST_BLOCKS: usize = 128;
/// The smallest `SignedBeaconBlock` has all its fixed parts; a shorter length prefix is a lie.
const MIN_BLOCK_SIZE: usize = 4 + 96 + 84;

/// A kind of request, in any of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Method {
    Status,
    Goodbye,
    Ping,
    MetaData,
    BlocksByRange,
    BlocksByRoot,
}

impl Method {
    /// How many there are, for tables by method.
    pub const COUNT: usize = 6;

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Method::Status => "status",
            Method::Goodbye => "goodbye",
            Method::Ping => "ping",
            Method::MetaData => "metadata",
            Method::BlocksByRange => "beacon_blocks_by_range",
            Method::BlocksByRoot => "beacon_blocks_by_root",
        }
    }

    /// The versions to offer, best first.
    pub const fn protocols(self) -> &'static [Protocol] {
        match self {
            Method::Status => &[Protocol::StatusV2, Protocol::StatusV1],
            Method::Goodbye => &[Protocol::GoodbyeV1],
            Method::Ping => &[Protocol::PingV1],
            Method::MetaData => &[Protocol::MetaDataV3, Protocol::MetaDataV2],
            Method::BlocksByRange => &[Protocol::BlocksByRangeV2],
            Method::BlocksByRoot => &[Protocol::BlocksByRootV2],
        }
    }
}

/// One version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    StatusV1,
    StatusV2,
    GoodbyeV1,
    PingV1,
    MetaDataV2,
    MetaDataV3,
    BlocksByRangeV2,
    BlocksByRootV2,
}

impl Protocol {
    /// All that we serve.
    pub const ALL: [Protocol; 8] = [
        Protocol::StatusV2,
        Protocol::StatusV1,
        Protocol::GoodbyeV1,
        Protocol::PingV1,
        Protocol::MetaDataV3,
        Protocol::MetaDataV2,
        Protocol::BlocksByRangeV2,
        Protocol::BlocksByRootV2,
    ];

    const fn name(self) -> &'static str {
        match self {
            Protocol::StatusV1 => "/eth2/beacon_chain/req/status/1/ssz_snappy",
            Protocol::StatusV2 => "/eth2/beacon_chain/req/status/2/ssz_snappy",
            Protocol::GoodbyeV1 => "/eth2/beacon_chain/req/goodbye/1/ssz_snappy",
            Protocol::PingV1 => "/eth2/beacon_chain/req/ping/1/ssz_snappy",
            Protocol::MetaDataV2 => "/eth2/beacon_chain/req/metadata/2/ssz_snappy",
            Protocol::MetaDataV3 => "/eth2/beacon_chain/req/metadata/3/ssz_snappy",
            Protocol::BlocksByRangeV2 => "/eth2/beacon_chain/req/beacon_blocks_by_range/2/ssz_snappy",
            Protocol::BlocksByRootV2 => "/eth2/beacon_chain/req/beacon_blocks_by_root/2/ssz_snappy",
        }
    }

    /// As libp2p negotiates it.
    pub const fn id(self) -> StreamProtocol {
        StreamProtocol::new(self.name())
    }

    /// The protocol of a negotiated stream.
    pub fn from_id(id: &StreamProtocol) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.name() == id.as_ref())
    }

    /// The method that this is a version of.
    pub const fn method(self) -> Method {
        match self {
            Protocol::StatusV1 | Protocol::StatusV2 => Method::Status,
            Protocol::GoodbyeV1 => Method::Goodbye,
            Protocol::PingV1 => Method::Ping,
            Protocol::MetaDataV2 | Protocol::MetaDataV3 => Method::MetaData,
            Protocol::BlocksByRangeV2 => Method::BlocksByRange,
            Protocol::BlocksByRootV2 => Method::BlocksByRoot,
        }
    }

    /// Sizes that a request's SSZ may have. `None`: the request has no body.
    pub const fn request_bounds(self) -> Option<Bounds> {
        match self {
            Protocol::StatusV1 => Some(Bounds::exact(84)),
            Protocol::StatusV2 => Some(Bounds::exact(92)),
            Protocol::GoodbyeV1 | Protocol::PingV1 => Some(Bounds::exact(8)),
            Protocol::MetaDataV2 | Protocol::MetaDataV3 => None,
            Protocol::BlocksByRangeV2 => Some(Bounds::exact(24)),
            // Asking for no block at all is refused: it has no use.
            Protocol::BlocksByRootV2 => Some(Bounds { min: 32, max: 32 * MAX_REQUEST_BLOCKS }),
        }
    }

    /// Sizes that the SSZ of one chunk of the response may have.
    pub const fn response_bounds(self) -> Bounds {
        match self {
            Protocol::StatusV1 => Bounds::exact(84),
            Protocol::StatusV2 => Bounds::exact(92),
            Protocol::GoodbyeV1 | Protocol::PingV1 => Bounds::exact(8),
            Protocol::MetaDataV2 => Bounds::exact(17),
            Protocol::MetaDataV3 => Bounds::exact(25),
            Protocol::BlocksByRangeV2 | Protocol::BlocksByRootV2 => {
                Bounds { min: MIN_BLOCK_SIZE, max: MAX_PAYLOAD_SIZE }
            }
        }
    }

    /// Whether each chunk of the response names its fork in four bytes.
    pub const fn has_context(self) -> bool {
        matches!(self, Protocol::BlocksByRangeV2 | Protocol::BlocksByRootV2)
    }
}
