//! A libp2p behaviour that does one thing: open and accept streams by protocol. What is said on them is not its business.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, InboundUpgrade, OutboundUpgrade, UpgradeInfo, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};

/// Names an attempt to open a stream.
pub type RequestId = u64;

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The peer speaks none of the protocols.
    #[error("the peer does not speak the protocol")]
    Unsupported,
    /// Negotiation took too long.
    #[error("timed out")]
    Timeout,
    /// The connection failed.
    #[error("{0}")]
    Io(std::io::Error),
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A peer opened a stream.
    Inbound {
        /// Who.
        peer: PeerId,
        /// The stream.
        stream: Stream,
        /// What it is to be about.
        protocol: StreamProtocol,
    },
    /// Our attempt succeeded or failed.
    Opened {
        /// The attempt.
        id: RequestId,
        /// The stream and the protocol that the peer chose.
        result: Result<(Stream, StreamProtocol), OpenError>,
    },
}

/// The order to open a stream, on its way to a connection.
#[derive(Debug)]
pub struct Open {
    id: RequestId,
    protocols: Vec<StreamProtocol>,
}

/// The behaviour.
pub struct Behaviour {
    served: Vec<StreamProtocol>,
    actions: VecDeque<ToSwarm<Event, Open>>,
}

impl Behaviour {
    /// Accepts streams of the protocols `served`.
    pub fn new(served: Vec<StreamProtocol>) -> Behaviour {
        Behaviour { served, actions: VecDeque::new() }
    }

    /// Opens a stream to a connected peer with the first of `protocols` that it speaks. The outcome is an
    /// [`Event::Opened`], but none comes when the connection ends before: the caller keeps a time limit.
    pub fn open(&mut self, peer_id: PeerId, id: RequestId, protocols: Vec<StreamProtocol>) {
        let event = Open { id, protocols };
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event });
    }

    fn handler(&self) -> Handler {
        Handler { served: self.served.clone(), to_open: VecDeque::new(), events: VecDeque::new() }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        let event = match event {
            FromHandler::Inbound(stream, protocol) => Event::Inbound { peer, stream, protocol },
            FromHandler::Opened(id, result) => Event::Opened { id, result },
        };
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// What a connection tells the behaviour.
#[derive(Debug)]
pub enum FromHandler {
    /// The peer opened a stream.
    Inbound(Stream, StreamProtocol),
    /// Our attempt ended.
    Opened(RequestId, Result<(Stream, StreamProtocol), OpenError>),
}

/// One connection's part. Its queues are short: the connection polls it until they are empty.
pub struct Handler {
    served: Vec<StreamProtocol>,
    to_open: VecDeque<Open>,
    events: VecDeque<FromHandler>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = FromHandler;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = RequestId;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer, ()> {
        SubstreamProtocol::new(Offer(self.served.clone()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        // Who stays connected is decided above, not by idleness.
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, RequestId, FromHandler>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        let Some(Open { id, protocols }) = self.to_open.pop_front() else { return Poll::Pending };
        let protocol = SubstreamProtocol::new(Offer(protocols), id);
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.to_open.push_back(open);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Offer, Offer, (), RequestId>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => {
                self.events.push_back(FromHandler::Inbound(stream, protocol));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                self.events.push_back(FromHandler::Opened(info, Ok(protocol)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let error = match error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Io(e) => OpenError::Io(e),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                self.events.push_back(FromHandler::Opened(info, Err(error)));
            }
            _ => {}
        }
    }
}

/// Offers protocols, best first; the upgrade is the bare stream.
#[derive(Debug)]
pub struct Offer(Vec<StreamProtocol>);

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
