//! The methods that we call, and which of them a fork's payloads need.

use std::time::Duration;

use crate::types::ForkName;

/// A method of the execution client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// As it is called.
    pub name: &'static str,
    /// How long we wait: what the API says.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/common.md#timeouts>
    pub timeout: Duration,
    /// Bytes of an answer that we take. The answers hold nearly two hexadecimal digits for each byte.
    pub answer_bytes: u64,
}

/// For what runs a payload.
const LONG: Duration = Duration::from_secs(8);
/// For what only looks something up.
const SHORT: Duration = Duration::from_secs(1);
/// For what reads many blocks from disk.
const BODIES: Duration = Duration::from_secs(10);

/// A status with an explanation, a list of methods, a header.
const SMALL: u64 = 1 << 20;
/// A payload of 10 MiB, the most that EIP-7934 allows, and 72 blobs with their proofs, more than any schedule has.
const PAYLOAD: u64 = (2 * 10 + 20) << 20;
/// 32 bodies of 1 MiB, ten times what mainnet's blocks have. More is asked for again in smaller pieces.
const MANY_BODIES: u64 = (2 * 32) << 20;
/// Blobs, which come with 128 proofs: 72 of them.
const BLOBS: u64 = 20 << 20;

const fn short(name: &'static str, answer_bytes: u64) -> Method {
    Method { name, timeout: SHORT, answer_bytes }
}

const fn long(name: &'static str) -> Method {
    Method { name, timeout: LONG, answer_bytes: SMALL }
}

const fn bodies(name: &'static str) -> Method {
    Method { name, timeout: BODIES, answer_bytes: MANY_BODIES }
}

pub const EXCHANGE_CAPABILITIES: Method = short("engine_exchangeCapabilities", SMALL);
pub const GET_CLIENT_VERSION_V1: Method = short("engine_getClientVersionV1", SMALL);
pub const NEW_PAYLOAD_V1: Method = long("engine_newPayloadV1");
pub const NEW_PAYLOAD_V2: Method = long("engine_newPayloadV2");
pub const NEW_PAYLOAD_V3: Method = long("engine_newPayloadV3");
pub const NEW_PAYLOAD_V4: Method = long("engine_newPayloadV4");
pub const FORKCHOICE_UPDATED_V1: Method = long("engine_forkchoiceUpdatedV1");
pub const FORKCHOICE_UPDATED_V2: Method = long("engine_forkchoiceUpdatedV2");
pub const FORKCHOICE_UPDATED_V3: Method = long("engine_forkchoiceUpdatedV3");
pub const GET_PAYLOAD_V1: Method = short("engine_getPayloadV1", PAYLOAD);
pub const GET_PAYLOAD_V2: Method = short("engine_getPayloadV2", PAYLOAD);
pub const GET_PAYLOAD_V3: Method = short("engine_getPayloadV3", PAYLOAD);
pub const GET_PAYLOAD_V4: Method = short("engine_getPayloadV4", PAYLOAD);
pub const GET_PAYLOAD_V5: Method = short("engine_getPayloadV5", PAYLOAD);
pub const GET_PAYLOAD_BODIES_BY_HASH_V1: Method = bodies("engine_getPayloadBodiesByHashV1");
pub const GET_PAYLOAD_BODIES_BY_RANGE_V1: Method = bodies("engine_getPayloadBodiesByRangeV1");
pub const GET_BLOBS_V1: Method = short("engine_getBlobsV1", BLOBS);
pub const GET_BLOBS_V2: Method = short("engine_getBlobsV2", BLOBS);
pub const GET_BLOBS_V3: Method = short("engine_getBlobsV3", BLOBS);
pub const ETH_CHAIN_ID: Method = short("eth_chainId", SMALL);
/// EIP-7910, which is not of the Engine API.
pub const ETH_CONFIG: Method = short("eth_config", SMALL);
pub const ETH_SYNCING: Method = short("eth_syncing", SMALL);
/// Without transactions: their hashes only.
pub const ETH_GET_BLOCK_BY_NUMBER: Method = short("eth_getBlockByNumber", SMALL);

/// What we say that we call. `engine_exchangeCapabilities` does not name itself.
pub const CAPABILITIES: [Method; 18] = [
    GET_CLIENT_VERSION_V1,
    NEW_PAYLOAD_V1,
    NEW_PAYLOAD_V2,
    NEW_PAYLOAD_V3,
    NEW_PAYLOAD_V4,
    FORKCHOICE_UPDATED_V1,
    FORKCHOICE_UPDATED_V2,
    FORKCHOICE_UPDATED_V3,
    GET_PAYLOAD_V1,
    GET_PAYLOAD_V2,
    GET_PAYLOAD_V3,
    GET_PAYLOAD_V4,
    GET_PAYLOAD_V5,
    GET_PAYLOAD_BODIES_BY_HASH_V1,
    GET_PAYLOAD_BODIES_BY_RANGE_V1,
    GET_BLOBS_V1,
    GET_BLOBS_V2,
    GET_BLOBS_V3,
];

/// The methods for a fork's payloads.
#[derive(Debug)]
pub struct ForkMethods {
    /// The fork of a payload's time.
    pub fork: ForkName,
    /// Judges one.
    pub new_payload: Method,
    /// Begins to make one.
    pub forkchoice_updated: Method,
    /// Gets one that was made.
    pub get_payload: Method,
}

/// Which version of a method is for which fork.
const FORKS: [ForkMethods; 5] = [
    row(ForkName::Bellatrix, NEW_PAYLOAD_V1, FORKCHOICE_UPDATED_V1, GET_PAYLOAD_V1),
    row(ForkName::Capella, NEW_PAYLOAD_V2, FORKCHOICE_UPDATED_V2, GET_PAYLOAD_V2),
    row(ForkName::Deneb, NEW_PAYLOAD_V3, FORKCHOICE_UPDATED_V3, GET_PAYLOAD_V3),
    row(ForkName::Electra, NEW_PAYLOAD_V4, FORKCHOICE_UPDATED_V3, GET_PAYLOAD_V4),
    row(ForkName::Fulu, NEW_PAYLOAD_V4, FORKCHOICE_UPDATED_V3, GET_PAYLOAD_V5),
];

const fn row(fork: ForkName, new_payload: Method, forkchoice_updated: Method, get_payload: Method) -> ForkMethods {
    ForkMethods { fork, new_payload, forkchoice_updated, get_payload }
}

impl ForkMethods {
    /// Those of `fork`; none before Bellatrix, which has no payloads.
    pub fn of(fork: ForkName) -> Option<&'static ForkMethods> {
        FORKS.iter().find(|methods| methods.fork == fork)
    }

    /// Those that a client must have for `fork`.
    pub fn needed(&self) -> [Method; 3] {
        [self.new_payload, self.forkchoice_updated, self.get_payload]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fork_with_payloads_has_its_methods() {
        for fork in ForkName::ALL {
            assert_eq!(ForkMethods::of(fork).is_some(), fork >= ForkName::Bellatrix, "{fork}");
        }
        let fulu = ForkMethods::of(ForkName::Fulu).unwrap();
        assert_eq!(
            fulu.needed().map(|method| method.name),
            ["engine_newPayloadV4", "engine_forkchoiceUpdatedV3", "engine_getPayloadV5"]
        );
        assert!(FORKS.iter().flat_map(ForkMethods::needed).all(|method| CAPABILITIES.contains(&method)));
    }
}
