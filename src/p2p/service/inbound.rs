//! Peers' requests to us.

use std::{sync::Arc, time::Duration, time::Instant};

use async_channel::Sender;
use libp2p::{PeerId, Stream, StreamProtocol};
use ssz::Encode as _;
use tracing::debug;

use super::{GOODBYE_TIME, Outcome, Service, outbound::MAX_CONCURRENT_REQUESTS};
use crate::{
    metrics::{self, GOODBYES_RECEIVED, QUEUE_DROPPED, REQUESTS_SERVED},
    p2p::{
        codec::CodecError,
        events::{InboundRequest, RequestKind},
        messages::{GoodbyeReason, goodbye},
        patience::Repeats,
        peer::PeerState,
        protocol::{Method, Protocol},
        score::Reason,
        server::{self, Answer, ErrorCode, Request},
    },
};

/// Requests being served to all peers at once: each holds a block and a stream.
const MAX_SERVING: usize = 64;
/// The same for one peer, over all kinds: a quarter of the places is more than an honest peer needs at a time.
const MAX_SERVING_PER_PEER: usize = MAX_SERVING / 4;
/// And of one kind: two are allowed, and a peer that has read an answer may ask again before we have noticed.
const MAX_SERVING_OF_KIND: u8 = 2 * MAX_CONCURRENT_REQUESTS;
/// Refusals being written at once; a peer that asks still more is not answered.
const MAX_REFUSING: usize = 16;
/// What writing a refusal may take.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

impl Service {
    pub(super) fn on_inbound_stream(&mut self, id: PeerId, stream: Stream, protocol: &StreamProtocol) {
        let Some(protocol) = Protocol::from_id(protocol) else { return };
        let method = protocol.method();
        let busy = self.serving() >= MAX_SERVING;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let busy = busy || peer.serving.iter().copied().map(usize::from).sum::<usize>() >= MAX_SERVING_PER_PEER;
        let serving = &mut peer.serving[method as usize];
        if *serving >= MAX_SERVING_OF_KIND {
            self.refuse(id, stream, protocol, "more than two requests of a kind at once");
            return self.punish(id, Reason::TooManyRequests);
        }
        if busy {
            return self.refuse(id, stream, protocol, "busy");
        }
        *serving += 1;
        let (session, limit) = (peer.session, self.config.response_timeout);
        let outcomes = self.outcome_sender.clone();
        smol::spawn(serve(stream, protocol, id, session, limit, outcomes)).detach();
    }

    fn serving(&self) -> usize {
        self.peers.values().flat_map(|peer| peer.serving).map(usize::from).sum()
    }

    fn refuse(&mut self, peer: PeerId, mut stream: Stream, protocol: Protocol, why: &'static str) {
        count(protocol.method(), "rate_limited");
        debug!(%peer, method = protocol.method().label(), why, "request refused");
        if self.refusing >= MAX_REFUSING {
            return;
        }
        self.refusing += 1;
        let outcomes = self.outcome_sender.clone();
        smol::spawn(async move {
            let answer = Answer::Error(ErrorCode::RateLimited, why);
            let _ = server::write_answer(&mut stream, answer, REFUSAL_TIME).await;
            let _ = outcomes.send(Outcome::Refused).await;
        })
        .detach();
    }

    pub(super) fn on_refused(&mut self) {
        self.refusing = self.refusing.saturating_sub(1);
    }

    /// A request was read: answer it from what we know, or pass it on to who has the blocks.
    pub(super) fn on_asked(
        &mut self,
        id: PeerId,
        session: u64,
        protocol: Protocol,
        request: Result<Request, CodecError>,
        answer: Sender<Answer>,
    ) {
        if self.peers.get(&id).is_none_or(|peer| peer.session != session) {
            return;
        }
        // The request's task waits for one answer, and there is room for it.
        let reply = |with: Answer| {
            let _ = answer.try_send(with);
        };
        match request {
            Ok(Request::Status(status)) => {
                let v1 = protocol == Protocol::StatusV1;
                reply(Answer::One(if v1 { self.status.to_v1_bytes() } else { self.status.as_ssz_bytes() }));
                self.on_status(id, status);
            }
            Ok(Request::MetaData) => {
                let v2 = protocol == Protocol::MetaDataV2;
                reply(Answer::One(if v2 { self.metadata.to_v2_bytes() } else { self.metadata.as_ssz_bytes() }));
            }
            Ok(Request::Ping(seq)) => {
                reply(Answer::One(self.metadata.seq_number.as_ssz_bytes()));
                self.on_sequence_number(id, seq);
            }
            Ok(Request::Goodbye(code)) => {
                reply(Answer::One(code.as_ssz_bytes()));
                self.on_goodbye(id, code);
            }
            Ok(Request::Chain(kind)) => reply(self.pass_on(id, kind)),
            Err(error) => {
                debug!(peer = %id, method = protocol.method().label(), %error, "bad request");
                reply(Answer::Error(ErrorCode::InvalidRequest, "the request cannot be decoded"));
                match error {
                    // The connection's fault, as far as we know.
                    CodecError::Io(_) => {}
                    CodecError::Stalled(_) => self.on_late(id, |peer| &mut peer.requests),
                    _ => self.punish(id, Reason::RequestMalformed),
                }
            }
        }
    }

    /// Hands a request to the chain, whose answer goes straight to the request's task.
    fn pass_on(&mut self, peer: PeerId, kind: RequestKind) -> Answer {
        let limit = kind.limit();
        if limit == 0 {
            return Answer::Error(ErrorCode::InvalidRequest, "nothing is asked for");
        }
        let Some(known) = self.peers.get_mut(&peer) else {
            return Answer::Error(ErrorCode::ServerError, "disconnected");
        };
        let what = Repeats::name_of(&kind);
        if what.is_some_and(|what| known.repeats.is_too_often(what, limit, Instant::now())) {
            self.punish(peer, Reason::RequestRepeated);
            return Answer::Error(ErrorCode::RateLimited, "asked for too often");
        }
        let pace = known.pace.clone();
        let (reply, from) = async_channel::bounded(1);
        if self.out.requests.try_send(InboundRequest { peer, kind, reply }).is_err() {
            metrics::inc(&QUEUE_DROPPED, &[("queue", "p2p_requests")]);
            return Answer::Error(ErrorCode::ServerError, "busy");
        }
        Answer::Chunks { what, from, limit, paces: [pace, Arc::clone(&self.pace)], budget: self.budget.clone() }
    }

    fn on_goodbye(&mut self, id: PeerId, code: u64) {
        let words = GoodbyeReason::describe(code);
        debug!(peer = %id, code, words, "peer says goodbye");
        metrics::inc(&GOODBYES_RECEIVED, &[("reason", words)]);
        self.heed_goodbye(id, code);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.goodbye = Some(code);
            peer.state = PeerState::Disconnecting;
            peer.leave_by = Some(Instant::now() + GOODBYE_TIME);
        }
    }

    /// Who sent us away is left alone for as long as the reason is likely to last. Coming back at once would only be one more
    /// thing that is held against us, and a mark against the address of our whole house.
    fn heed_goodbye(&mut self, id: PeerId, code: u64) {
        const OTHER_NETWORK: u64 = GoodbyeReason::IrrelevantNetwork as u64;
        const TOO_MANY: u64 = GoodbyeReason::TooManyPeers as u64;
        match code {
            OTHER_NETWORK | goodbye::UNVERIFIABLE | goodbye::BANNED..=goodbye::BANNED_ADDRESS => {
                self.on_useless(id, Instant::now());
            }
            // Scores are forgotten by halves in ten minutes: a peer that we were told to stay with is worth a visit sooner.
            TOO_MANY | goodbye::BAD_SCORE => self.on_crowded(&id, Instant::now()),
            _ => {}
        }
    }

    pub(super) fn on_served(
        &mut self,
        id: PeerId,
        session: u64,
        (protocol, what): (Protocol, Option<u64>),
        result: Result<Option<ErrorCode>, CodecError>,
    ) {
        let method = protocol.method();
        let (stalled, whole) = (matches!(result, Err(CodecError::Stalled(_))), matches!(result, Ok(None)));
        count(
            method,
            match result {
                Ok(None) => "ok",
                Ok(Some(ErrorCode::InvalidRequest)) => "invalid",
                Ok(Some(ErrorCode::ResourceUnavailable)) => "unavailable",
                Ok(Some(_)) => "error",
                Err(CodecError::Withheld) => "withheld",
                Err(_) => "failed",
            },
        );
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.session == session) else { return };
        let serving = &mut peer.serving[method as usize];
        *serving = serving.saturating_sub(1);
        if method == Method::Goodbye && peer.state == PeerState::Disconnecting {
            self.disconnect(id);
        } else if stalled {
            // Who asks and does not read holds a place that others want.
            self.on_late(id, |peer| &mut peer.requests);
        } else if whole {
            what.into_iter().for_each(|what| peer.repeats.given(what, Instant::now()));
            self.on_well(id, |peer| &mut peer.requests);
        }
    }
}

fn count(method: Method, result: &'static str) {
    metrics::inc(&REQUESTS_SERVED, &[("method", method.label()), ("result", result)]);
}

/// One request of a peer, from its first byte to the last of the answer.
async fn serve(
    mut stream: Stream,
    protocol: Protocol,
    peer: PeerId,
    session: u64,
    limit: Duration,
    outcomes: Sender<Outcome>,
) {
    let request = server::read_request(&mut stream, protocol, limit).await;
    let (sender, answer) = async_channel::bounded(1);
    if outcomes.send(Outcome::Asked { peer, session, protocol, request, answer: sender }).await.is_err() {
        return;
    }
    // An error: the peer left meanwhile.
    let answer = answer.recv().await.unwrap_or(Answer::Error(ErrorCode::ServerError, "disconnected"));
    let what = if let Answer::Chunks { what, .. } = &answer { *what } else { None };
    let result = server::write_answer(&mut stream, answer, limit).await;
    let _ = outcomes.send(Outcome::Served { peer, session, protocol, what, result }).await;
}
