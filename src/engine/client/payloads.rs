//! Payloads: judged, made, and asked for again.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{
    ExecutionClient,
    blobs::versioned_hashes,
    error::ClientError,
    http,
    method::{ForkMethods, GET_PAYLOAD_BODIES_BY_HASH_V1, GET_PAYLOAD_BODIES_BY_RANGE_V1, Method},
};
use crate::{
    engine::{
        BuiltPayload, ForkchoiceState, PayloadAttributes, PayloadBody, PayloadId, PayloadStatus,
        json::{
            AttributesOf, BodyJson, Bytes, ForkchoiceReply, PayloadEnvelope, PayloadEnvelopeV2, PayloadOf, Quantity,
            RequestsList, StatusJson, payload_from_value,
        },
    },
    types::{BeaconBlock, ForkName, Hash256, SignedBeaconBlock},
};

/// Bodies asked for at once: what every client must support.
/// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/shanghai.md#engine_getpayloadbodiesbyhashv1>
pub const MAX_BODIES: usize = 32;

fn methods_of(fork: ForkName) -> Result<&'static ForkMethods, ClientError> {
    ForkMethods::of(fork).ok_or(ClientError::NoPayloads(fork))
}

fn nonsense(method: Method, reason: impl ToString) -> ClientError {
    ClientError::Nonsense { method: method.name, reason: reason.to_string() }
}

/// A call of `engine_newPayload` for a block of `fork`.
fn new_payload_body(method: Method, fork: ForkName, block: &BeaconBlock) -> Result<Vec<u8>, ClientError> {
    let body = &block.body;
    let payload = PayloadOf { fork, payload: &body.execution_payload };
    if fork < ForkName::Deneb {
        return http::encode(method, &[payload]);
    }
    let hashes = versioned_hashes(&body.blob_kzg_commitments);
    if fork < ForkName::Electra {
        return http::encode(method, &(payload, hashes, block.parent_root));
    }
    http::encode(method, &(payload, hashes, block.parent_root, RequestsList::from(&body.execution_requests)))
}

impl ExecutionClient {
    /// Has the payload of a block judged, with the hashes of its blobs, its parent's root and its requests. `fork` is the
    /// block's.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/prague.md#engine_newpayloadv4>
    ///
    /// # Errors
    /// When the client can't be asked or does not tell. That says nothing of the payload.
    pub async fn new_payload(
        &self,
        fork: ForkName,
        block: Arc<SignedBeaconBlock>,
    ) -> Result<PayloadStatus, ClientError> {
        let method = methods_of(fork)?.new_payload;
        let hash = block.message.body.execution_payload.block_hash;
        let status: Option<StatusJson> =
            self.call(method, move || new_payload_body(method, fork, &block.message)).await?;
        let status = status.ok_or_else(|| nonsense(method, "it is null"))?;
        status.of(hash).map_err(|reason| nonsense(method, reason))
    }

    /// Tells the fork choice, and begins to make a payload on top of its head if there are attributes for one. `fork` is that of
    /// the attributes' time, or without attributes that of the head. One is told after the other.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/cancun.md#engine_forkchoiceupdatedv3>
    ///
    /// # Errors
    /// When the client can't be asked, or refuses. With [`ClientError::InvalidAttributes`] it took the fork choice.
    pub async fn forkchoice_updated(
        &self,
        fork: ForkName,
        state: ForkchoiceState,
        attributes: Option<PayloadAttributes>,
    ) -> Result<(PayloadStatus, Option<PayloadId>), ClientError> {
        let _telling = self.shared.telling.lock().await;
        self.tell(fork, state, attributes).await
    }

    /// The same, by who holds the lock.
    pub(super) async fn tell(
        &self,
        fork: ForkName,
        state: ForkchoiceState,
        attributes: Option<PayloadAttributes>,
    ) -> Result<(PayloadStatus, Option<PayloadId>), ClientError> {
        let method = methods_of(fork)?.forkchoice_updated;
        let attributes = match attributes {
            None => None,
            Some(attributes) => Some(
                AttributesOf::new(fork, attributes)
                    .ok_or_else(|| ClientError::InvalidAttributes("too many withdrawals".into()))?,
            ),
        };
        self.shared.told.store(Arc::new(state));
        let reply: ForkchoiceReply = self.call_for(method, &(state, attributes)).await?;
        let status = reply.payload_status.of(state.head).map_err(|reason| nonsense(method, reason))?;
        let id = match reply.payload_id {
            None => None,
            Some(Bytes(bytes)) => {
                let id = bytes.try_into().map_err(|_| nonsense(method, "the payload's id has not 8 bytes"))?;
                Some(PayloadId(id))
            }
        };
        Ok((status, id))
    }

    /// The payload that a fork choice began, with its blobs and requests. `fork` is that of the payload's time.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/osaka.md#engine_getpayloadv5>
    ///
    /// # Errors
    /// When the client does not have it, or can't be asked.
    pub async fn get_payload(&self, fork: ForkName, id: PayloadId) -> Result<BuiltPayload, ClientError> {
        let method = methods_of(fork)?.get_payload;
        let params = [Bytes(id.0.to_vec())];
        if fork == ForkName::Bellatrix {
            let payload = self.call_for(method, &params).await?;
            let payload = payload_from_value(fork, payload).map_err(|error| nonsense(method, error))?;
            return Ok(BuiltPayload { payload, ..Default::default() });
        }
        if fork == ForkName::Capella {
            let reply: PayloadEnvelopeV2 = self.call_for(method, &params).await?;
            let payload = payload_from_value(fork, reply.execution_payload).map_err(|error| nonsense(method, error))?;
            return Ok(BuiltPayload { payload, value: reply.block_value, ..Default::default() });
        }
        let reply: PayloadEnvelope = self.call_for(method, &params).await?;
        let requests = match reply.execution_requests {
            Some(list) => list.decode().map_err(|reason| nonsense(method, reason))?,
            None if fork >= ForkName::Electra => return Err(nonsense(method, "executionRequests are missing")),
            None => Default::default(),
        };
        let blobs = reply.blobs_bundle.check(fork).map_err(|reason| nonsense(method, reason))?;
        Ok(BuiltPayload { payload: reply.execution_payload.0, value: reply.block_value, blobs, requests })
    }

    /// The bodies of payloads by their hashes, at most [`MAX_BODIES`]; none where the client does not have it.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/shanghai.md#engine_getpayloadbodiesbyhashv1>
    ///
    /// # Errors
    /// When there are too many or they are too large at once, or the client can't be asked.
    pub async fn payload_bodies_by_hash(&self, hashes: &[Hash256]) -> Result<Vec<Option<PayloadBody>>, ClientError> {
        let bodies = self.bodies(GET_PAYLOAD_BODIES_BY_HASH_V1, hashes.len(), &[hashes]).await?;
        if bodies.len() != hashes.len() {
            let reason = format!("{} bodies for {} hashes", bodies.len(), hashes.len());
            return Err(nonsense(GET_PAYLOAD_BODIES_BY_HASH_V1, reason));
        }
        Ok(bodies)
    }

    /// The bodies of the payloads with the numbers `start` to `start + count - 1` of the client's chain, at most [`MAX_BODIES`];
    /// fewer where the chain ends before.
    /// <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/shanghai.md#engine_getpayloadbodiesbyrangev1>
    ///
    /// # Errors
    /// When there are too many or they are too large at once, or the client can't be asked.
    pub async fn payload_bodies_by_range(
        &self,
        start: u64,
        count: usize,
    ) -> Result<Vec<Option<PayloadBody>>, ClientError> {
        let params = [Quantity(start), Quantity(count as u64)];
        let bodies = self.bodies(GET_PAYLOAD_BODIES_BY_RANGE_V1, count, &params).await?;
        if bodies.len() > count {
            let reason = format!("{} bodies where {count} were asked for", bodies.len());
            return Err(nonsense(GET_PAYLOAD_BODIES_BY_RANGE_V1, reason));
        }
        Ok(bodies)
    }

    async fn bodies(
        &self,
        method: Method,
        count: usize,
        params: &impl serde::Serialize,
    ) -> Result<Vec<Option<PayloadBody>>, ClientError> {
        match count {
            0 => return Ok(Vec::new()),
            1..=MAX_BODIES if !self.shared.link.has(method) => {
                return Err(ClientError::Unsupported { method: method.name, words: "it does not list it".into() });
            }
            1..=MAX_BODIES => {}
            _ => return Err(ClientError::TooLarge { method: method.name }),
        }
        let bodies: Vec<Option<BodyJson>> = self.list(method, params).await?;
        let body = |body: BodyJson| PayloadBody { transactions: body.transactions, withdrawals: body.withdrawals };
        Ok(bodies.into_iter().map(|item| item.map(body)).collect())
    }

    async fn list<T>(&self, method: Method, params: &impl serde::Serialize) -> Result<Vec<T>, ClientError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.call_for(method, params).await
    }
}
