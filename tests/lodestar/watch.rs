//! The heads that beacon nodes tell of, by their event streams: nothing here waits by sleeping.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use serde_json::Value;

#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// The one that makes the chain.
    Lodestar,
    Hornero,
    /// A Lodestar that knows Hornero only.
    Second,
    /// A Hornero without validators.
    Ordinary,
}

enum Event {
    Head(u64, String),
    Finalized(u64),
}

/// Head roots by slot, of up to four nodes.
pub struct Heads {
    sender: SyncSender<(Side, Event)>,
    events: Receiver<(Side, Event)>,
    told: [BTreeMap<u64, String>; 4],
    pub finalized_epoch: Option<u64>,
}

impl Heads {
    pub fn of(rest: &str, side: Side) -> Self {
        let (sender, events) = sync_channel(1024);
        let mut heads = Heads { sender, events, told: Default::default(), finalized_epoch: None };
        heads.add(rest, side);
        heads
    }

    pub fn add(&mut self, rest: &str, side: Side) {
        let url = format!("{rest}/eth/v1/events?topics=head,finalized_checkpoint");
        let answer = ureq::get(&url).header("accept", "text/event-stream").call();
        let body = answer.unwrap_or_else(|error| panic!("{url}: {error}")).into_body();
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            let lines = BufReader::new(body.into_with_config().limit(u64::MAX).reader()).lines();
            let mut kind = String::new();
            for line in lines.map_while(Result::ok) {
                if let Some(name) = line.strip_prefix("event:") {
                    kind = name.trim().to_string();
                } else if let Some(event) = line.strip_prefix("data:").and_then(|data| parse(&kind, data))
                    && sender.send((side, event)).is_err()
                {
                    return;
                }
            }
        });
    }

    /// Takes events until `done`.
    pub fn until(&mut self, patience: Duration, done: impl Fn(&Heads) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(started.elapsed() < patience, "nothing came of it in {patience:?}: {}", self.describe());
            self.next(patience);
        }
    }

    /// Takes the next event.
    pub fn next(&mut self, patience: Duration) {
        match self.events.recv_timeout(patience) {
            Ok((side, Event::Head(slot, root))) => drop(self.told[side as usize].insert(slot, root)),
            Ok((_, Event::Finalized(epoch))) => self.finalized_epoch = Some(epoch),
            Err(error) => panic!("no event came ({error}): {}", self.describe()),
        }
    }

    pub fn last_slot(&self) -> Option<u64> {
        self.told.iter().filter_map(|side| side.keys().max()).max().copied()
    }

    pub fn last_slot_of(&self, side: Side) -> Option<u64> {
        self.told[side as usize].keys().max().copied()
    }

    /// Slots that both told of, with both roots.
    pub fn common(&self, one: Side, other: Side) -> impl Iterator<Item = (u64, (&String, &String))> {
        let [one, other] = [one, other].map(|side| &self.told[side as usize]);
        one.iter().filter_map(|(slot, root)| Some((*slot, (root, other.get(slot)?))))
    }

    fn describe(&self) -> String {
        let [lodestar, hornero, second, ordinary] = self.told.each_ref().map(|side| side.keys().last().copied());
        format!(
            "lodestar told of slot {lodestar:?}, hornero of {hornero:?}, the second lodestar of {second:?}, \
             the hornero without validators of {ordinary:?}"
        )
    }
}

fn parse(kind: &str, data: &str) -> Option<Event> {
    let data: Value = serde_json::from_str(data).ok()?;
    let number = |key: &str| data[key].as_str()?.parse().ok();
    match kind {
        "head" => Some(Event::Head(number("slot")?, data["block"].as_str()?.to_string())),
        "finalized_checkpoint" => Some(Event::Finalized(number("epoch")?)),
        _ => None,
    }
}
