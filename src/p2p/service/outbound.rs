//! Our requests to peers.

use std::{sync::Arc, time::Instant};

use async_channel::Sender;
use libp2p::{PeerId, Stream, StreamProtocol};
use smol::future;
use ssz::{Decode as _, Encode as _};
use ssz_types::VariableList;

use super::{Outcome, Reply, Service};
use crate::{
    metrics::{self, REQUESTS_SENT},
    p2p::{
        budget::{Budget, Use, Way},
        client::{self, BlockSender, ColumnSender},
        config::Forks,
        events::RequestKind,
        messages::{
            BlocksByHead, BlocksByRange, ColumnsByRange, GoodbyeReason, LightClientUpdatesByRange, MetaData, Status,
        },
        peer::PeerState,
        protocol::{Method, Protocol},
        rpc_error::RpcError,
        score::Reason,
        streams::{OpenError, RequestId},
    },
    types::{DataColumnsByRootIdentifier, Hash256, preset::SLOTS_PER_EPOCH},
};

/// `MAX_CONCURRENT_REQUESTS`, each way.
pub(super) const MAX_CONCURRENT_REQUESTS: u8 = 2;

/// A request to a peer.
pub(super) enum Call {
    Status,
    Ping(u64),
    MetaData,
    Goodbye(GoodbyeReason),
    Blocks { wanted: RequestKind, reply: BlockSender },
    Columns { wanted: RequestKind, reply: ColumnSender },
}

impl Call {
    fn method(&self) -> Method {
        match self {
            Call::Status => Method::Status,
            Call::Ping(_) => Method::Ping,
            Call::MetaData => Method::MetaData,
            Call::Goodbye(_) => Method::Goodbye,
            Call::Blocks { wanted, .. } | Call::Columns { wanted, .. } => wanted.method(),
        }
    }

    /// How urgent the answer is. Blocks before our own finality are history, and so are columns before our head: its blocks
    /// were imported without them, and they are asked for because we keep more than we did.
    fn use_of(&self, ours: &Status) -> Use {
        let (Call::Blocks { wanted, .. } | Call::Columns { wanted, .. }) = self else { return Use::Head };
        let (start, count, history_ends) = match wanted {
            RequestKind::BlocksByRange { start_slot, count } => {
                (start_slot, count, ours.finalized_epoch.saturating_mul(SLOTS_PER_EPOCH))
            }
            RequestKind::ColumnsByRange { start_slot, count, .. } => {
                (start_slot, count, ours.head_slot.saturating_add(1))
            }
            _ => return Use::Head,
        };
        if start.saturating_add(*count) <= history_ends { Use::Backfill } else { Use::Custody }
    }

    /// Tells who waits for blocks or columns that there will be none.
    fn fail(&self, error: &RpcError) {
        // Nothing was sent before, so there is room.
        match self {
            Call::Blocks { reply, .. } => drop(reply.try_send(Err(error.clone()))),
            Call::Columns { reply, .. } => drop(reply.try_send(Err(error.clone()))),
            _ => {}
        }
    }
}

/// A request whose stream is not open yet.
pub(super) struct Opening {
    pub peer: PeerId,
    pub since: Instant,
    session: u64,
    call: Call,
}

/// What a request's task needs.
struct Context {
    forks: Arc<Forks>,
    status: Status,
    limit: std::time::Duration,
    budget: Arc<Budget>,
}

impl Service {
    pub(super) fn ask_status(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.next_status = Instant::now() + self.config.status_interval;
            self.call(id, Call::Status);
        }
    }

    /// Asks a connected peer for blocks or columns.
    pub(super) fn ask_chain(&mut self, id: PeerId, call: Call) {
        match self.peers.get(&id).map(|peer| peer.state) {
            Some(PeerState::Connected) => self.call_when_ready(id, call),
            _ => call.fail(&RpcError::NotConnected),
        }
    }

    /// Begins a request at once, or when the budget allows it.
    fn call_when_ready(&mut self, id: PeerId, call: Call) {
        let for_what = call.use_of(&self.status);
        if self.budget.is_ready(Way::Down, for_what) {
            return self.call(id, call);
        }
        let Some(session) = self.peers.get(&id).map(|peer| peer.session) else { return };
        // Who asks waits for the answer, so there are not more of these than the chain has requests.
        let (budget, outcomes) = (self.budget.clone(), self.outcome_sender.clone());
        smol::spawn(async move {
            match budget.wait(Way::Down, for_what, client::EXPECTED_CHUNK).await {
                Some(_) => drop(outcomes.send(Outcome::MayAsk { peer: id, session, call }).await),
                None => call.fail(&RpcError::OverBudget),
            }
        })
        .detach();
    }

    /// The budget allows a request that had to wait.
    pub(super) fn on_may_ask(&mut self, id: PeerId, session: u64, call: Call) {
        match self.peers.get(&id) {
            Some(peer) if peer.session == session && peer.state == PeerState::Connected => self.call(id, call),
            _ => call.fail(&RpcError::NotConnected),
        }
    }

    /// Begins a request. Its end is an [`Outcome::Answered`].
    pub(super) fn call(&mut self, id: PeerId, call: Call) {
        let method = call.method();
        let Some(peer) = self.peers.get_mut(&id) else { return call.fail(&RpcError::NotConnected) };
        let asked = &mut peer.asked[method as usize];
        if *asked >= MAX_CONCURRENT_REQUESTS {
            return call.fail(&RpcError::Busy);
        }
        *asked += 1;
        let session = peer.session;
        let request = self.new_id();
        let protocols = method.protocols().iter().map(|protocol| protocol.id()).collect();
        self.swarm.behaviour_mut().streams.open(id, request, protocols);
        self.opening.insert(request, Opening { peer: id, since: Instant::now(), session, call });
    }

    /// Gives up requests whose stream did not open.
    pub(super) fn fail_openings(&mut self, which: impl Fn(&Opening) -> bool) {
        let failed: Vec<Opening> =
            self.opening.extract_if(|_, opening| which(opening)).map(|(_, opening)| opening).collect();
        for opening in failed {
            let connected = self.peers.get(&opening.peer).is_some_and(|peer| peer.session == opening.session);
            let error = if connected { RpcError::Timeout } else { RpcError::NotConnected };
            self.on_unopened(&opening, error);
        }
    }

    fn on_unopened(&mut self, opening: &Opening, error: RpcError) {
        opening.call.fail(&error);
        self.on_answered(opening.peer, opening.session, opening.call.method(), Err(error));
    }

    pub(super) fn on_opened(&mut self, id: RequestId, result: Result<(Stream, StreamProtocol), OpenError>) {
        // Without an entry it was given up; dropping the stream resets it.
        let Some(opening) = self.opening.remove(&id) else { return };
        let (stream, protocol) = match result {
            Ok((stream, id)) => match Protocol::from_id(&id) {
                Some(protocol) => (stream, protocol),
                None => return self.on_unopened(&opening, RpcError::Unsupported),
            },
            Err(error) => return self.on_unopened(&opening, error.into()),
        };
        let Opening { peer, session, call, .. } = opening;
        let context = Context {
            forks: self.forks.clone(),
            status: self.status,
            limit: self.config.response_timeout,
            budget: self.budget.clone(),
        };
        let outcomes = self.outcome_sender.clone();
        let method = call.method();
        smol::spawn(async move {
            let result = run(stream, protocol, call, context).await;
            let _ = outcomes.send(Outcome::Answered { peer, session, method, result }).await;
        })
        .detach();
    }

    /// A request of ours ended, well or not.
    pub(super) fn on_answered(&mut self, id: PeerId, session: u64, method: Method, result: Result<Reply, RpcError>) {
        let label = result.as_ref().map_or_else(RpcError::label, |_| "ok");
        metrics::inc(&REQUESTS_SENT, &[("method", method.label()), ("result", label)]);
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.session == session) else { return };
        let asked = &mut peer.asked[method as usize];
        *asked = asked.saturating_sub(1);
        if method == Method::Goodbye {
            return self.disconnect(id);
        }
        if result.is_ok() {
            self.on_well(id, |peer| &mut peer.answers);
        }
        match result {
            Ok(Reply::Status(status)) => self.on_status(id, status),
            Ok(Reply::Pong(seq)) => self.on_sequence_number(id, seq),
            Ok(Reply::MetaData(metadata)) => {
                let groups = metadata.custody_group_count;
                let Some(peer) = self.peers.get_mut(&id) else { return };
                let old = peer.metadata.replace(*metadata).map(|old| old.custody_group_count);
                if old != Some(groups) {
                    self.tell_status(id);
                }
            }
            Ok(Reply::Nothing) => {}
            Err(error) => self.on_failed(id, method, &error),
        }
    }

    fn on_failed(&mut self, id: PeerId, method: Method, error: &RpcError) {
        tracing::debug!(peer = %id, method = method.label(), %error, "request failed");
        match error.reason() {
            Some(Reason::Timeout) => self.on_late(id, |peer| &mut peer.answers),
            Some(reason) => self.punish(id, reason),
            None => {}
        }
        if method == Method::Status && self.peers.get(&id).is_some_and(|peer| peer.status.is_none()) {
            self.leave(id, GoodbyeReason::Fault);
        }
    }

    /// A peer told the version of its metadata; a newer one is fetched.
    pub(super) fn on_sequence_number(&mut self, id: PeerId, seq: u64) {
        let known = self.peers.get(&id).and_then(|peer| peer.metadata.as_ref()).map(|metadata| metadata.seq_number);
        if known.is_none_or(|known| known < seq) {
            self.call(id, Call::MetaData);
        }
    }
}

/// Runs one request on its stream.
async fn run(mut stream: Stream, protocol: Protocol, call: Call, context: Context) -> Result<Reply, RpcError> {
    let limit = context.limit;
    let body = body(protocol, &call, &context.status);
    let paid = client::Paid { for_what: call.use_of(&context.status), budget: Some(context.budget) };
    match call {
        Call::Blocks { wanted, reply } => {
            let work = async {
                client::ask(&mut stream, body.as_deref(), limit).await?;
                client::read_blocks(&mut stream, protocol, &wanted, &context.forks, (limit, &paid), &reply).await
            };
            let result = work.await;
            if let Err(error) = &result {
                hand_over_error(&reply, error.clone(), limit).await;
            }
            result.map(|()| Reply::Nothing)
        }
        Call::Columns { wanted, reply } => {
            let work = async {
                client::ask(&mut stream, body.as_deref(), limit).await?;
                client::read_columns(&mut stream, protocol, &wanted, &context.forks, (limit, &paid), &reply).await
            };
            let result = work.await;
            if let Err(error) = &result {
                hand_over_error(&reply, error.clone(), limit).await;
            }
            result.map(|()| Reply::Nothing)
        }
        _ => {
            client::ask(&mut stream, body.as_deref(), limit).await?;
            let ssz = client::read_one(&mut stream, protocol, limit).await?;
            decode_answer(protocol, &ssz)
        }
    }
}

/// The asker may not have taken yet what came before.
async fn hand_over_error<T>(reply: &Sender<Result<T, RpcError>>, error: RpcError, limit: std::time::Duration) {
    let late = async {
        smol::Timer::after(limit).await;
    };
    let send = async {
        let _ = reply.send(Err(error)).await;
    };
    future::or(send, late).await;
}

fn body(protocol: Protocol, call: &Call, status: &Status) -> Option<Vec<u8>> {
    match call {
        Call::Status if protocol == Protocol::StatusV1 => Some(status.to_v1_bytes()),
        Call::Status => Some(status.as_ssz_bytes()),
        Call::Ping(seq) => Some(seq.as_ssz_bytes()),
        Call::MetaData => None,
        Call::Goodbye(reason) => Some((*reason as u64).as_ssz_bytes()),
        Call::Blocks { wanted, .. } | Call::Columns { wanted, .. } => chain_body(wanted),
    }
}

/// The request for what only the chain has.
fn chain_body(wanted: &RequestKind) -> Option<Vec<u8>> {
    let body = match wanted {
        RequestKind::BlocksByRange { start_slot, count } => {
            BlocksByRange { start_slot: *start_slot, count: *count, step: 1 }.as_ssz_bytes()
        }
        RequestKind::BlocksByRoot { roots } => roots.as_ssz_bytes(),
        RequestKind::BlocksByHead { root, count } => BlocksByHead { beacon_root: *root, count: *count }.as_ssz_bytes(),
        RequestKind::ColumnsByRange { start_slot, count, columns } => {
            // At most as many as there are, for they are distinct.
            let columns = VariableList::new(columns.clone()).unwrap_or_default();
            ColumnsByRange { start_slot: *start_slot, count: *count, columns }.as_ssz_bytes()
        }
        RequestKind::ColumnsByRoot { wanted } => {
            let identifier = |(block_root, columns): &(Hash256, Vec<_>)| DataColumnsByRootIdentifier {
                block_root: *block_root,
                columns: VariableList::new(columns.clone()).unwrap_or_default(),
            };
            wanted.iter().map(identifier).collect::<Vec<_>>().as_ssz_bytes()
        }
        RequestKind::LightClientBootstrap { root } => root.as_ssz_bytes(),
        RequestKind::LightClientUpdates { start_period, count } => {
            LightClientUpdatesByRange { start_period: *start_period, count: *count }.as_ssz_bytes()
        }
        RequestKind::LightClientFinalityUpdate | RequestKind::LightClientOptimisticUpdate => return None,
    };
    Some(body)
}

/// Decodes the one chunk of an answer.
pub(in crate::p2p) fn decode_answer(protocol: Protocol, ssz: &[u8]) -> Result<Reply, RpcError> {
    let reply = match protocol {
        Protocol::StatusV1 => Status::from_v1_bytes(ssz).map(Reply::Status),
        Protocol::StatusV2 => Status::from_ssz_bytes(ssz).map(Reply::Status),
        Protocol::PingV1 => u64::from_ssz_bytes(ssz).map(Reply::Pong),
        Protocol::MetaDataV2 => MetaData::from_v2_bytes(ssz).map(|metadata| Reply::MetaData(Box::new(metadata))),
        Protocol::MetaDataV3 => MetaData::from_ssz_bytes(ssz).map(|metadata| Reply::MetaData(Box::new(metadata))),
        _ => Ok(Reply::Nothing),
    };
    reply.map_err(|e| RpcError::Malformed(format!("{e:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Final to the start of epoch 3, with a head in epoch 5.
    const FINAL: u64 = 3 * SLOTS_PER_EPOCH;
    const HEAD: u64 = 5 * SLOTS_PER_EPOCH + 2;

    fn use_of(call: &Call) -> Use {
        call.use_of(&Status { finalized_epoch: 3, head_slot: HEAD, ..Status::default() })
    }

    fn blocks(wanted: RequestKind) -> Use {
        use_of(&Call::Blocks { wanted, reply: async_channel::bounded(1).0 })
    }

    fn columns(wanted: RequestKind) -> Use {
        use_of(&Call::Columns { wanted, reply: async_channel::bounded(1).0 })
    }

    #[test]
    fn what_backfill_asks_for_is_history() {
        let range = |start_slot, end: u64| blocks(RequestKind::BlocksByRange { start_slot, count: end - start_slot });
        assert_eq!(range(FINAL - 20, FINAL), Use::Backfill);
        assert_eq!(range(FINAL - 1, FINAL + 1), Use::Custody, "beyond finality it may be another branch than ours");
        assert_eq!(range(HEAD + 1, HEAD + 65), Use::Custody);
        let range = |start_slot, end: u64| {
            columns(RequestKind::ColumnsByRange { start_slot, count: end - start_slot, columns: vec![3] })
        };
        assert_eq!(range(FINAL - 1, FINAL), Use::Backfill);
        assert_eq!(range(FINAL, HEAD + 1), Use::Backfill, "custody has grown");
        assert_eq!(range(HEAD, HEAD + 2), Use::Custody, "with the blocks that come next");
        assert_eq!(range(0, u64::MAX), Use::Custody);
    }

    #[test]
    fn what_the_head_needs_never_waits() {
        let root = Hash256::repeat_byte(1);
        assert_eq!(blocks(RequestKind::BlocksByRoot { roots: vec![root] }), Use::Head);
        assert_eq!(blocks(RequestKind::BlocksByHead { root, count: 16 }), Use::Head);
        assert_eq!(columns(RequestKind::ColumnsByRoot { wanted: vec![(root, vec![3])] }), Use::Head);
        for call in [Call::Status, Call::Ping(1), Call::MetaData, Call::Goodbye(GoodbyeReason::Fault)] {
            assert_eq!(use_of(&call), Use::Head);
        }
    }
}
