//! A libp2p peer that follows no rule: it gossips what a case gives it, as fast as the node takes it, until it is sent away; then
//! it comes again under another name.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _};
use hornero::p2p;
use libp2p::{
    Multiaddr, Swarm,
    gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, PublishError, ValidationMode},
    identity::Keypair,
    multiaddr::Protocol,
    swarm::SwarmEvent,
};
use smol::{Executor, Timer};

use super::{outcome::Outcome, scene::Scene};

/// A topic's string, and what is put on the wire as a message of it.
pub type Wire = (String, Vec<u8>);
/// Makes the messages of a flood, by their number.
pub type Flood = Box<dyn FnMut(u64) -> Wire + Send>;

/// How long a name may last at most before another one is tried.
const LIFE: Duration = Duration::from_secs(60);
/// How long who comes again may stay; who is refused learns it long before.
const AGAIN: Duration = Duration::from_secs(30);
/// Pause when nothing can be sent.
const PAUSE: Duration = Duration::from_millis(2);
/// Messages between two looks at what the connection says.
const BURST: u64 = 16;

/// An attack that goes on.
pub struct Attack {
    stop: Arc<AtomicBool>,
    outcome: Arc<Mutex<Outcome>>,
    thread: std::thread::JoinHandle<()>,
}

impl Attack {
    /// Begins one, on a thread of its own.
    pub fn start(target: Multiaddr, make: impl Fn() -> Flood + Send + 'static) -> Attack {
        let (stop, outcome): (Arc<AtomicBool>, Arc<Mutex<Outcome>>) = Default::default();
        let (stopped, told) = (stop.clone(), outcome.clone());
        let thread = std::thread::spawn(move || {
            let executor = Arc::new(Executor::new());
            smol::block_on(executor.run(async {
                while !stopped.load(Ordering::Relaxed) {
                    let key = Keypair::generate_secp256k1();
                    let is_first = told.lock().unwrap().names == 0;
                    let is_gone = attack(&executor, &key, &target, &mut make(), &stopped, &told).await;
                    // Once is enough to know, and waiting for it is no attack.
                    if is_gone && is_first && stays(&executor, &key, &target).await {
                        told.lock().unwrap().was_let_in_again += 1;
                    }
                }
            }));
        });
        Attack { stop, outcome, thread }
    }

    /// What has become of it so far.
    pub fn look(&self) -> Outcome {
        self.outcome.lock().unwrap().clone()
    }

    /// Ends it.
    pub fn end(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the attack does not panic");
        let outcome = self.outcome.lock().unwrap();
        outcome.clone()
    }
}

/// One name's life. True if it was sent away.
async fn attack(
    executor: &Arc<Executor<'static>>,
    key: &Keypair,
    target: &Multiaddr,
    flood: &mut Flood,
    stop: &AtomicBool,
    outcome: &Mutex<Outcome>,
) -> bool {
    let mut swarm = swarm(executor, key);
    // Each name has an address of its own: the worst that there is.
    let here = Multiaddr::empty().with(Scene::new_address().into()).with(Protocol::Tcp(0));
    swarm.listen_on(here).expect("an address of this machine");
    swarm.dial(target.clone()).expect("an address to dial");
    let (born, mut first, mut number) = (Instant::now(), None, 0);
    while born.elapsed() < LIFE && !stop.load(Ordering::Relaxed) {
        while let Some(Some(event)) = swarm.next().now_or_never() {
            if let SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } = event {
                let Some(first): Option<Instant> = first else { return false };
                let mut outcome = outcome.lock().unwrap();
                outcome.names += 1;
                outcome.lasted.push(first.elapsed());
                return true;
            }
        }
        let mut is_full = false;
        for _ in 0..BURST {
            let (topic, bytes) = flood(number);
            let len = bytes.len() as u64;
            match swarm.behaviour_mut().publish(IdentTopic::new(topic), bytes) {
                Ok(_) => {
                    first.get_or_insert_with(Instant::now);
                    let mut outcome = outcome.lock().unwrap();
                    outcome.sent += 1;
                    outcome.bytes += len;
                    number += 1;
                }
                // A subnet that the node is not in.
                Err(PublishError::NoPeersSubscribedToTopic) => {
                    number += 1;
                    is_full = first.is_none();
                }
                Err(_) => is_full = true,
            }
            if is_full {
                break;
            }
        }
        if is_full {
            Timer::after(PAUSE).await;
        } else {
            smol::future::yield_now().await;
        }
    }
    false
}

/// Whether the node lets somebody stay who comes now.
async fn stays(executor: &Arc<Executor<'static>>, key: &Keypair, target: &Multiaddr) -> bool {
    let mut swarm = swarm(executor, key);
    // Each name has an address of its own: the worst that there is.
    let here = Multiaddr::empty().with(Scene::new_address().into()).with(Protocol::Tcp(0));
    swarm.listen_on(here).expect("an address of this machine");
    swarm.dial(target.clone()).expect("an address to dial");
    let refused = async {
        loop {
            let event = swarm.select_next_some().await;
            if let SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } = event {
                return false;
            }
        }
    };
    let stayed = async {
        Timer::after(AGAIN).await;
        true
    };
    smol::future::or(refused, stayed).await
}

/// Stock gossipsub, but for one thing: each message has another id, so that it does not know that it has sent it before.
fn swarm(executor: &Arc<Executor<'static>>, key: &Keypair) -> Swarm<gossipsub::Behaviour> {
    static IDS: AtomicU64 = AtomicU64::new(0);
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .max_transmit_size(16 << 20)
        .message_id_fn(|_| MessageId::new(&IDS.fetch_add(1, Ordering::Relaxed).to_le_bytes()))
        .build()
        .expect("a configuration");
    let gossip = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).expect("gossipsub");
    let transport = p2p::plain_transport(key, p2p::Muxers::Both).expect("a transport");
    let executor = executor.clone();
    let config = libp2p::swarm::Config::with_executor(move |task| executor.spawn(task).detach());
    Swarm::new(transport, gossip, key.public().to_peer_id(), config)
}
