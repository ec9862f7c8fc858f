//! What the stand-in answers to each method.

use ethereum_hashing::hash_fixed;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Chain, Fault, StandInState};
use crate::{
    engine::{
        Activation, BlobRules, ClientVersion, Engine, ForkPlan, ForkchoiceState, LatestBlock, PayloadAttributes,
        PayloadId, PayloadStatus, PooledBlob, Rules,
        client::{
            BlobAndProofV1, BlobAndProofV2, CAPABILITIES, ETH_CHAIN_ID, ETH_CONFIG, ETH_GET_BLOCK_BY_NUMBER,
            ETH_SYNCING, EXCHANGE_CAPABILITIES, ForkMethods, GET_BLOBS_V1, GET_BLOBS_V2, GET_BLOBS_V3,
            GET_CLIENT_VERSION_V1, GET_PAYLOAD_BODIES_BY_HASH_V1, GET_PAYLOAD_BODIES_BY_RANGE_V1,
        },
        json::{
            AttributesOf, BlobJson, BodyJson, Bytes, Failure, ForkchoiceReply, PayloadEnvelope, PayloadEnvelopeV2,
            PayloadOf, PayloadV3, Quantity, RequestsList, StatusJson, payload_from_value,
        },
        stand_in,
    },
    types::{ExecutionPayload, ExecutionPayloadHeader, ForkName, Hash256},
};

/// Items that may be asked for at once: what the API wants at least.
const MAX_BODIES: usize = 32;
const MAX_BLOBS: usize = 128;

type Answer = Result<Value, Failure>;

fn failure(code: i64, message: impl ToString) -> Failure {
    Failure { code, message: message.to_string(), data: None }
}

fn invalid_params(reason: impl ToString) -> Failure {
    failure(-32602, format!("Invalid params: {}", reason.to_string()))
}

fn unsupported_fork() -> Failure {
    failure(-38005, "Unsupported fork")
}

fn read<T: DeserializeOwned>(value: Option<&Value>) -> Result<T, Failure> {
    let value = value.ok_or_else(|| invalid_params("one is missing"))?;
    T::deserialize(value).map_err(invalid_params)
}

fn write(value: &impl serde::Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| failure(-32603, error))
}

impl StandInState {
    /// Answers a call.
    pub(super) fn call(&self, method: &str, params: Vec<Value>) -> Answer {
        let fault = self.faults.get();
        if let Fault::Failing(words) = &fault {
            return Err(Failure { code: -32000, message: "Server error".into(), data: Some(json!({"err": words})) });
        }
        let mut chain = self.chain();
        chain.tree.invalid_from = match fault {
            Fault::InvalidFrom(height) => Some(height),
            _ => None,
        };
        let name = |method: &crate::engine::Method| method.name;
        if method == EXCHANGE_CAPABILITIES.name {
            return write(&CAPABILITIES.map(|method| method.name));
        } else if method == GET_CLIENT_VERSION_V1.name {
            let version = ClientVersion { name: "Hornero's stand-in".into(), ..ClientVersion::ours() };
            return write(&[version]);
        } else if method == ETH_CHAIN_ID.name {
            return write(&Quantity(self.chain_id));
        } else if method == ETH_CONFIG.name {
            return self.plan();
        } else if method == ETH_SYNCING.name {
            return Ok(syncing(&chain, &fault));
        } else if method == ETH_GET_BLOCK_BY_NUMBER.name {
            return Ok(header(chain.tree.head()));
        } else if method == GET_PAYLOAD_BODIES_BY_HASH_V1.name {
            return bodies_by_hash(&chain, &params);
        } else if method == GET_PAYLOAD_BODIES_BY_RANGE_V1.name {
            return bodies_by_range(&chain, &params);
        } else if [GET_BLOBS_V1, GET_BLOBS_V2, GET_BLOBS_V3].iter().any(|known| known.name == method) {
            return self.blobs(&chain, &fault, method, &params);
        }
        let any = |pick: fn(&ForkMethods) -> &crate::engine::Method| {
            ForkName::ALL.into_iter().filter_map(ForkMethods::of).any(|methods| name(pick(methods)) == method)
        };
        if any(|methods| &methods.new_payload) {
            return self.new_payload(&mut chain, &fault, method, params);
        } else if any(|methods| &methods.forkchoice_updated) {
            return self.forkchoice_updated(&mut chain, &fault, method, params);
        } else if any(|methods| &methods.get_payload) {
            return self.get_payload(&chain, method, &params);
        }
        Err(failure(-32601, "Method not found"))
    }

    /// Its forks, as seen now.
    fn plan(&self) -> Answer {
        let begun = self.schedule.iter().filter(|activation| activation.time <= self.now()).count();
        let current = self.schedule[..begun].last().or(self.schedule.first());
        let current = rules(current.ok_or_else(|| failure(-32601, "Method not found"))?);
        let coming = &self.schedule[begun..];
        write(&ForkPlan { current, next: coming.first().map(rules), last: coming.last().map(rules) })
    }

    fn methods_at(&self, timestamp: u64) -> Result<&'static ForkMethods, Failure> {
        ForkMethods::of(self.fork_at(timestamp)).ok_or_else(unsupported_fork)
    }

    fn new_payload(&self, chain: &mut Chain, fault: &Fault, method: &str, params: Vec<Value>) -> Answer {
        let Quantity(timestamp) = read(params.first().and_then(|payload| payload.get("timestamp")))?;
        let methods = self.methods_at(timestamp)?;
        if methods.new_payload.name != method {
            return Err(unsupported_fork());
        }
        let fork = methods.fork;
        let expected = match fork {
            ForkName::Electra | ForkName::Fulu => 4,
            ForkName::Deneb => 3,
            _ => 1,
        };
        if params.len() != expected {
            return Err(invalid_params(format!("{} where {expected} are needed", params.len())));
        }
        let mut params = params.into_iter();
        let payload = payload_from_value(fork, params.next().unwrap_or_default()).map_err(invalid_params)?;
        let hashes: Vec<Hash256> = params.next().map_or(Ok(Vec::new()), |value| read(Some(&value)))?;
        if let Some(root) = params.next() {
            read::<Hash256>(Some(&root))?;
        }
        if let Some(list) = params.next() {
            read::<RequestsList>(Some(&list))?.decode().map_err(invalid_params)?;
        }
        let hash = payload.block_hash;
        let status = match stand_in::judge_hashes(&payload, &hashes) {
            Some(reason) => PayloadStatus::Invalid { latest_valid_hash: None, reason },
            None => chain.tree.new_payload(payload),
        };
        let status = if *fault == Fault::Syncing { PayloadStatus::Syncing } else { status };
        write(&StatusJson::from_status(&status, hash))
    }

    fn forkchoice_updated(&self, chain: &mut Chain, fault: &Fault, method: &str, params: Vec<Value>) -> Answer {
        let state: ForkchoiceState = read(params.first())?;
        let attributes = params.get(1).filter(|value| !value.is_null());
        let status = match fault {
            Fault::Syncing => PayloadStatus::Syncing,
            _ => chain.tree.forkchoice_updated(state).map_err(|_| failure(-38002, "Invalid forkchoice state"))?,
        };
        let mut payload_id = None;
        if let Some(attributes) = attributes.filter(|_| status == PayloadStatus::Valid) {
            payload_id = Some(Bytes(self.begin(chain, state, method, attributes)?.0.to_vec()));
        }
        write(&ForkchoiceReply { payload_status: StatusJson::from_status(&status, state.head), payload_id })
    }

    /// Makes a payload on top of the head.
    fn begin(
        &self,
        chain: &mut Chain,
        state: ForkchoiceState,
        method: &str,
        value: &Value,
    ) -> Result<PayloadId, Failure> {
        let invalid = |reason: String| failure(-38003, format!("Invalid payload attributes: {reason}"));
        let Quantity(timestamp) = read(value.get("timestamp")).map_err(|error| invalid(error.message))?;
        let methods = self.methods_at(timestamp)?;
        if methods.forkchoice_updated.name != method {
            return Err(unsupported_fork());
        }
        let attributes = AttributesOf::read(methods.fork, value.clone()).map_err(invalid)?;
        let head = chain.tree.head();
        if timestamp < head.timestamp || timestamp == head.timestamp && !self.has_short_slots {
            return Err(invalid("the time is not after the head's".into()));
        }
        let id = payload_id(state.head, &attributes);
        if chain.built.iter().all(|(built, _)| *built != id) {
            let parent = parent_of(head, chain.tree.payload(&head.hash));
            // The maker's blobs have proofs as they are since Fulu.
            let plain = Engine::StandIn(Default::default());
            let maker = if methods.fork >= ForkName::Fulu { &self.maker } else { &plain };
            let built =
                maker.build_payload(methods.fork, &parent, attributes).map_err(|error| failure(-32000, error))?;
            chain.keep(id, built);
        }
        Ok(id)
    }

    fn get_payload(&self, chain: &Chain, method: &str, params: &[Value]) -> Answer {
        let Bytes(id) = read(params.first())?;
        let found = chain.built.iter().find(|(built, _)| built.0[..] == id[..]);
        let (_, built) = found.ok_or_else(|| failure(-38001, "Unknown payload"))?;
        let methods = self.methods_at(built.payload.timestamp)?;
        if methods.get_payload.name != method {
            return Err(unsupported_fork());
        }
        let fork = methods.fork;
        if fork < ForkName::Deneb {
            let payload = write(&PayloadOf { fork, payload: &built.payload })?;
            let envelope = PayloadEnvelopeV2 { execution_payload: payload, block_value: built.value };
            return if fork == ForkName::Bellatrix { Ok(envelope.execution_payload) } else { write(&envelope) };
        }
        write(&PayloadEnvelope {
            execution_payload: PayloadV3(built.payload.clone()),
            block_value: built.value,
            blobs_bundle: built.blobs.clone().into(),
            should_override_builder: false,
            execution_requests: (fork >= ForkName::Electra).then(|| RequestsList::from(&built.requests)),
        })
    }

    fn blobs(&self, chain: &Chain, fault: &Fault, method: &str, params: &[Value]) -> Answer {
        let hashes: Vec<Hash256> = read(params.first())?;
        if hashes.len() > MAX_BLOBS {
            return Err(failure(-38004, "Too large request"));
        }
        let has_cells = self.fork_at(chain.tree.head().timestamp) >= ForkName::Fulu;
        let found = hashes.iter().map(|hash| chain.pool.get(hash));
        if method == GET_BLOBS_V1.name {
            if has_cells {
                return Err(unsupported_fork());
            }
            return write(&found.map(|found| found.and_then(with_one_proof)).collect::<Vec<_>>());
        }
        let found: Vec<_> = found.map(|found| found.map(with_cell_proofs)).collect();
        let is_nothing = method == GET_BLOBS_V2.name && found.iter().any(Option::is_none);
        if *fault == Fault::Syncing || is_nothing {
            return Ok(Value::Null);
        }
        write(&found)
    }
}

fn rules(activation: &Activation) -> Rules {
    let Activation { time, max_blobs, .. } = *activation;
    Rules { activation_time: Some(time), blob_schedule: Some(BlobRules { max: max_blobs }) }
}

fn with_one_proof(blob: &PooledBlob) -> Option<BlobAndProofV1> {
    let [proof] = blob.proofs[..] else { return None };
    Some(BlobAndProofV1 { blob: BlobJson(blob.blob.clone()), proof })
}

fn with_cell_proofs(blob: &PooledBlob) -> BlobAndProofV2 {
    BlobAndProofV2 { blob: BlobJson(blob.blob.clone()), proofs: blob.proofs.clone() }
}

fn payload_id(head: Hash256, attributes: &PayloadAttributes) -> PayloadId {
    let mut bytes = head.to_vec();
    bytes.extend(attributes.timestamp.to_be_bytes());
    bytes.extend(attributes.prev_randao);
    bytes.extend(attributes.suggested_fee_recipient);
    bytes.extend(attributes.parent_beacon_block_root);
    for withdrawal in &attributes.withdrawals {
        bytes.extend(withdrawal.index.to_be_bytes());
    }
    let mut id = [0; 8];
    id.copy_from_slice(&hash_fixed(&bytes)[..8]);
    PayloadId(id)
}

/// What the next payload takes over from the one before.
fn parent_of(head: LatestBlock, payload: Option<&ExecutionPayload>) -> ExecutionPayloadHeader {
    let state_root = payload.map_or(Hash256::ZERO, |payload| payload.state_root);
    let LatestBlock { number, hash, timestamp } = head;
    ExecutionPayloadHeader { block_number: number, block_hash: hash, timestamp, state_root, ..Default::default() }
}

fn header(head: LatestBlock) -> Value {
    json!({"number": Quantity(head.number), "hash": head.hash, "timestamp": Quantity(head.timestamp)})
}

fn syncing(chain: &Chain, fault: &Fault) -> Value {
    if *fault != Fault::Syncing && !chain.tree.is_fetching() {
        return Value::Bool(false);
    }
    let number = Quantity(chain.tree.head().number);
    json!({"startingBlock": Quantity(0), "currentBlock": number, "highestBlock": number})
}

fn body(payload: &ExecutionPayload) -> BodyJson {
    BodyJson { transactions: payload.transactions.clone(), withdrawals: Some(payload.withdrawals.clone()) }
}

fn bodies_by_hash(chain: &Chain, params: &[Value]) -> Answer {
    let hashes: Vec<Hash256> = read(params.first())?;
    if hashes.len() > MAX_BODIES {
        return Err(failure(-38004, "Too large request"));
    }
    write(&hashes.iter().map(|hash| chain.tree.payload(hash).map(body)).collect::<Vec<_>>())
}

fn bodies_by_range(chain: &Chain, params: &[Value]) -> Answer {
    let (Quantity(start), Quantity(count)) = (read(params.first())?, read(params.get(1))?);
    if start == 0 || count == 0 {
        return Err(invalid_params("start and count begin at 1"));
    }
    if count > MAX_BODIES as u64 {
        return Err(failure(-38004, "Too large request"));
    }
    let end = start.saturating_add(count).min(chain.tree.head().number + 1);
    write(&(start..end).map(|number| chain.tree.payload_at(number).map(body)).collect::<Vec<_>>())
}
