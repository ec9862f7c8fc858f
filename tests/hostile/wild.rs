//! Attacks by hand-made connections, each until it is stopped.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use futures::future::join_all;
use smol::{Executor, Timer, future};

use super::{
    line::Work,
    manners::{Answers, Deed, Tally, Way, live},
    outcome::Outcome,
    scene::Scene,
};

const BANNED: u64 = 251;
const BANNED_ADDRESS: u64 = 252;
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// After a refusal.
const REST: Duration = Duration::from_millis(300);
/// Longer than any case.
const FOREVER: Duration = Duration::from_secs(86_400);
/// For a handshake.
const HANDSHAKE: Duration = Duration::from_secs(6);

/// Who attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// One; who is sent away comes again under another name, from another address.
    One,
    /// The same, always from the same address.
    OneAddress,
    /// So many at a time, all from the same address.
    Sybil(usize),
}

/// An attack that goes on, on a thread of its own.
pub struct Wild {
    stop: Arc<AtomicBool>,
    outcome: Arc<Mutex<Outcome>>,
    thread: Option<JoinHandle<()>>,
}

impl Wild {
    pub fn start(scene: &Arc<Scene>, who: Who, ways: &'static [Way], deed: Deed, answers: Answers) -> Wild {
        let (stop, outcome): (Arc<AtomicBool>, Arc<Mutex<Outcome>>) = Default::default();
        let life = Life { scene: scene.clone(), deed, answers, stop: stop.clone(), outcome: outcome.clone() };
        let thread = std::thread::spawn(move || {
            let executor: Work = Arc::new(Executor::new());
            let home = Scene::new_address();
            let count = if let Who::Sybil(count) = who { count } else { ways.len() };
            let from = move || if who == Who::One { Scene::new_address() } else { home };
            let lives = (0..count).map(|number| life.again_and_again(&executor, ways[number % ways.len()], from));
            smol::block_on(executor.run(join_all(lives)));
        });
        Wild { stop, outcome, thread: Some(thread) }
    }

    /// What has become of it so far.
    pub fn look(&self) -> Outcome {
        self.outcome.lock().unwrap().clone()
    }

    pub fn end(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it ends once");
        thread.join().expect("the attack does not panic");
        self.look()
    }
}

struct Life {
    scene: Arc<Scene>,
    deed: Deed,
    answers: Answers,
    stop: Arc<AtomicBool>,
    outcome: Arc<Mutex<Outcome>>,
}

impl Life {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Completes at the end, or after this time.
    async fn over(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        while !self.is_over() && Instant::now() < until {
            Timer::after(LOOK.min(at_most)).await;
        }
    }

    async fn again_and_again(&self, executor: &Work, way: Way, from: impl Fn() -> IpAddr) {
        while !self.is_over() {
            let connect = async { way.connect(executor, from(), &self.scene).await.ok() };
            let late = async {
                self.over(HANDSHAKE).await;
                None
            };
            let Some(line) = future::or(connect, late).await else {
                self.outcome.lock().unwrap().refused += u64::from(!self.is_over());
                self.over(REST).await;
                continue;
            };
            self.outcome.lock().unwrap().present = Some(line.peer);
            let (begun, tally) = (Instant::now(), Tally::default());
            let lives = live(&line, self.deed, self.answers, &self.scene, &tally);
            future::or(lives, self.over(FOREVER)).await;
            self.tell(&tally, begun);
        }
    }

    fn tell(&self, tally: &Tally, begun: Instant) {
        let mut outcome = self.outcome.lock().unwrap();
        outcome.sent += tally.sent.load(Ordering::Relaxed);
        outcome.bytes += tally.bytes.load(Ordering::Relaxed);
        if self.is_over() {
            return;
        }
        match tally.goodbye.load(Ordering::Relaxed) {
            BANNED => outcome.told_of_ban += 1,
            BANNED_ADDRESS => outcome.told_of_banned_address += 1,
            // A connection that never came to stand is refused, not ended.
            _ if tally.sent.load(Ordering::Relaxed) == 0 => {
                outcome.refused += 1;
                return;
            }
            _ => {}
        }
        outcome.names += 1;
        outcome.lasted.push(begun.elapsed());
    }
}
