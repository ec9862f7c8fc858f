//! The node's API: its events as they come, questions, and a client that reads all validators over and over.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hornero::types::Hash256;
use serde_json::Value;

/// Longest wait for a small answer; the machine has much to do meanwhile.
const ANSWER: Duration = Duration::from_secs(60);

pub fn get(api: &str, path: &str) -> Value {
    serde_json::from_str(&get_text(api, path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn get_text(api: &str, path: &str) -> String {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER)).build().into();
    let mut answer = agent.get(format!("{api}{path}")).call().unwrap_or_else(|error| panic!("{path}: {error}"));
    answer.body_mut().read_to_string().unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The blocks and heads that the node tells of.
pub struct Events {
    roots: Receiver<(String, Hash256)>,
}

impl Events {
    /// Listens from now on.
    pub fn listen(api: &str) -> Events {
        let answer = ureq::get(format!("{api}/eth/v1/events?topics=block,head")).call().expect("events are told");
        let mut lines = BufReader::new(answer.into_body().into_reader()).lines();
        // The first comment says that we are heard.
        assert!(lines.next().is_some_and(|line| line.is_ok()));
        let (sender, roots) = channel();
        std::thread::spawn(move || {
            let mut topic = String::new();
            for line in lines.map_while(Result::ok) {
                if let Some(name) = line.strip_prefix("event: ") {
                    topic = name.into();
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let data: Value = serde_json::from_str(data).expect("JSON");
                    let root = data["block"].as_str().and_then(|root| root.parse().ok()).expect("a root");
                    if sender.send((topic.clone(), root)).is_err() {
                        return;
                    }
                }
            }
        });
        Events { roots }
    }

    /// Waits for a `topic` of a block. Events that the node could not deliver in time are made up for by asking for the head.
    ///
    /// # Errors
    /// What was seen instead.
    pub fn wait(&self, topic: &str, root: Hash256, patience: Duration) -> Result<(), String> {
        let until = Instant::now() + patience;
        let mut last = None;
        loop {
            match self.roots.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((seen, of)) if seen == topic && of == root => return Ok(()),
                Ok(event) => last = Some(event),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("no {topic} {root:?}; the last event was {last:?}"));
                }
                Err(RecvTimeoutError::Disconnected) => return Err("the events ended".into()),
            }
        }
    }
}

/// Reads all validators of the head's state, again and again.
pub struct Reader {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    whole: AtomicU64,
    bytes: AtomicU64,
}

impl Reader {
    pub fn start(api: &str) -> Reader {
        let counts = Arc::new(Counts::default());
        let (here, url) = (counts.clone(), format!("{api}/eth/v1/beacon/states/head/validators"));
        let thread = std::thread::spawn(move || {
            while !here.stop.load(Ordering::Relaxed) {
                read_all(&url, &here);
            }
        });
        Reader { counts, thread: Some(thread) }
    }

    /// Whole answers so far, and bytes.
    pub fn read(&self) -> (u64, u64) {
        (self.counts.whole.load(Ordering::Relaxed), self.counts.bytes.load(Ordering::Relaxed))
    }

    /// Ends; fails if an answer was not as it should be.
    pub fn stop(mut self) -> (u64, u64) {
        self.counts.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("runs").join().expect("every answer was a good one");
        self.read()
    }
}

fn read_all(url: &str, counts: &Counts) {
    let answer = ureq::get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    let mut body = answer.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let mut end = [0; 2];
    loop {
        let len = body.read(&mut buffer).expect("the answer goes on to its end");
        if len == 0 {
            break;
        }
        counts.bytes.fetch_add(len as u64, Ordering::Relaxed);
        if len >= 2 {
            end.copy_from_slice(&buffer[len - 2..len]);
        } else {
            end = [end[1], buffer[0]];
        }
        if counts.stop.load(Ordering::Relaxed) {
            return;
        }
    }
    assert_eq!(&end, b"]}", "the answer breaks off");
    counts.whole.fetch_add(1, Ordering::Relaxed);
}
