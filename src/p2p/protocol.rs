//! The request/response protocols that we speak, and the sizes they allow.

use libp2p::StreamProtocol;

use super::codec::{Bounds, MAX_PAYLOAD_SIZE};
use crate::types::preset::NUMBER_OF_COLUMNS;

/// `MAX_REQUEST_BLOCKS_DENEB`: blocks in one request at most.
pub const MAX_REQUEST_BLOCKS: usize = 128;
/// `MAX_REQUEST_LIGHT_CLIENT_UPDATES`: periods in one request at most.
pub const MAX_REQUEST_LIGHT_CLIENT_UPDATES: usize = 128;
/// A `DataColumnSidecar` without its lists: index, three offsets, header and signature, four nodes.
const COLUMN_FIXED_LEN: usize = 8 + 3 * 4 + 208 + 4 * 32;
/// Blobs in a block that a column's size allows for: many times what any network plans.
const MAX_BLOBS: usize = 512;
/// What a blob adds to a column: a cell, a commitment and a proof.
const LEN_PER_BLOB: usize = 2048 + 48 + 48;
/// The longest light client object: two headers, a sync committee, branches and a signature are under 30 KB.
const MAX_LIGHT_CLIENT_SIZE: usize = 64 * 1024;
/// One `DataColumnsByRootIdentifier` without columns, with its offset in the list.
const MIN_IDENTIFIER_LEN: usize = 4 + 32 + 4;
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
    BlocksByHead,
    ColumnsByRange,
    ColumnsByRoot,
    LightClientBootstrap,
    LightClientUpdates,
    LightClientFinalityUpdate,
    LightClientOptimisticUpdate,
}

impl Method {
    /// How many there are, for tables by method.
    pub const COUNT: usize = 13;

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Method::Status => "status",
            Method::Goodbye => "goodbye",
            Method::Ping => "ping",
            Method::MetaData => "metadata",
            Method::BlocksByRange => "beacon_blocks_by_range",
            Method::BlocksByRoot => "beacon_blocks_by_root",
            Method::BlocksByHead => "beacon_blocks_by_head",
            Method::ColumnsByRange => "data_column_sidecars_by_range",
            Method::ColumnsByRoot => "data_column_sidecars_by_root",
            Method::LightClientBootstrap => "light_client_bootstrap",
            Method::LightClientUpdates => "light_client_updates_by_range",
            Method::LightClientFinalityUpdate => "light_client_finality_update",
            Method::LightClientOptimisticUpdate => "light_client_optimistic_update",
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
            Method::BlocksByHead => &[Protocol::BlocksByHeadV1],
            Method::ColumnsByRange => &[Protocol::ColumnsByRangeV1],
            Method::ColumnsByRoot => &[Protocol::ColumnsByRootV1],
            Method::LightClientBootstrap => &[Protocol::LightClientBootstrapV1],
            Method::LightClientUpdates => &[Protocol::LightClientUpdatesV1],
            Method::LightClientFinalityUpdate => &[Protocol::LightClientFinalityUpdateV1],
            Method::LightClientOptimisticUpdate => &[Protocol::LightClientOptimisticUpdateV1],
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
    BlocksByHeadV1,
    ColumnsByRangeV1,
    ColumnsByRootV1,
    LightClientBootstrapV1,
    LightClientUpdatesV1,
    LightClientFinalityUpdateV1,
    LightClientOptimisticUpdateV1,
}

impl Protocol {
    /// All that we serve.
    pub const ALL: [Protocol; 15] = [
        Protocol::StatusV2,
        Protocol::StatusV1,
        Protocol::GoodbyeV1,
        Protocol::PingV1,
        Protocol::MetaDataV3,
        Protocol::MetaDataV2,
        Protocol::BlocksByRangeV2,
        Protocol::BlocksByRootV2,
        Protocol::BlocksByHeadV1,
        Protocol::ColumnsByRangeV1,
        Protocol::ColumnsByRootV1,
        Protocol::LightClientBootstrapV1,
        Protocol::LightClientUpdatesV1,
        Protocol::LightClientFinalityUpdateV1,
        Protocol::LightClientOptimisticUpdateV1,
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
            Protocol::BlocksByHeadV1 => "/eth2/beacon_chain/req/beacon_blocks_by_head/1/ssz_snappy",
            Protocol::ColumnsByRangeV1 => "/eth2/beacon_chain/req/data_column_sidecars_by_range/1/ssz_snappy",
            Protocol::ColumnsByRootV1 => "/eth2/beacon_chain/req/data_column_sidecars_by_root/1/ssz_snappy",
            Protocol::LightClientBootstrapV1 => "/eth2/beacon_chain/req/light_client_bootstrap/1/ssz_snappy",
            Protocol::LightClientUpdatesV1 => "/eth2/beacon_chain/req/light_client_updates_by_range/1/ssz_snappy",
            Protocol::LightClientFinalityUpdateV1 => "/eth2/beacon_chain/req/light_client_finality_update/1/ssz_snappy",
            Protocol::LightClientOptimisticUpdateV1 => {
                "/eth2/beacon_chain/req/light_client_optimistic_update/1/ssz_snappy"
            }
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
            Protocol::BlocksByHeadV1 => Method::BlocksByHead,
            Protocol::ColumnsByRangeV1 => Method::ColumnsByRange,
            Protocol::ColumnsByRootV1 => Method::ColumnsByRoot,
            Protocol::LightClientBootstrapV1 => Method::LightClientBootstrap,
            Protocol::LightClientUpdatesV1 => Method::LightClientUpdates,
            Protocol::LightClientFinalityUpdateV1 => Method::LightClientFinalityUpdate,
            Protocol::LightClientOptimisticUpdateV1 => Method::LightClientOptimisticUpdate,
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
            Protocol::BlocksByHeadV1 => Some(Bounds::exact(40)),
            Protocol::ColumnsByRangeV1 => Some(Bounds { min: 20, max: 20 + 8 * NUMBER_OF_COLUMNS }),
            Protocol::ColumnsByRootV1 => Some(Bounds {
                min: MIN_IDENTIFIER_LEN,
                max: MAX_REQUEST_BLOCKS * (MIN_IDENTIFIER_LEN + 8 * NUMBER_OF_COLUMNS),
            }),
            Protocol::LightClientBootstrapV1 => Some(Bounds::exact(32)),
            Protocol::LightClientUpdatesV1 => Some(Bounds::exact(16)),
            Protocol::LightClientFinalityUpdateV1 | Protocol::LightClientOptimisticUpdateV1 => None,
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
            Protocol::BlocksByRangeV2 | Protocol::BlocksByRootV2 | Protocol::BlocksByHeadV1 => {
                Bounds { min: MIN_BLOCK_SIZE, max: MAX_PAYLOAD_SIZE }
            }
            Protocol::ColumnsByRangeV1 | Protocol::ColumnsByRootV1 => {
                Bounds { min: COLUMN_FIXED_LEN, max: COLUMN_FIXED_LEN + MAX_BLOBS * LEN_PER_BLOB }
            }
            Protocol::LightClientBootstrapV1
            | Protocol::LightClientUpdatesV1
            | Protocol::LightClientFinalityUpdateV1
            | Protocol::LightClientOptimisticUpdateV1 => Bounds { min: 1, max: MAX_LIGHT_CLIENT_SIZE },
        }
    }

    /// Whether each chunk of the response names its fork in four bytes.
    pub const fn has_context(self) -> bool {
        !matches!(self.method(), Method::Status | Method::Goodbye | Method::Ping | Method::MetaData)
    }
}
