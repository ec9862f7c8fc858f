//! What a stand-in can be told to do wrong.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_channel::{Receiver, Sender};

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Every answer comes so much later.
    Slow(Duration),
    /// It can't judge any payload.
    Syncing,
    /// Payloads from this height on are not valid, and stay so.
    InvalidFrom(u64),
    /// Connections end instead of an answer.
    DropConnections,
    /// Answers are not JSON.
    Nonsense,
    /// No token is good enough.
    Unauthorized,
    /// Every method fails with these words: a full disk, a broken database.
    Failing(String),
    /// Its clock is so many seconds ahead, or behind.
    Clock(i64),
    /// Nobody listens.
    Down,
}

/// The fault of a stand-in. Clones are of the same one.
#[derive(Clone)]
pub struct Faults {
    current: Arc<Mutex<Fault>>,
    changes: (Sender<()>, Receiver<()>),
}

impl Default for Faults {
    fn default() -> Self {
        Faults { current: Arc::default(), changes: async_channel::bounded(1) }
    }
}

impl Faults {
    /// From now on this goes wrong, and nothing else. [`Fault::Down`] and its end take a moment; all others hold for the next
    /// request.
    pub fn set(&self, fault: Fault) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        // One word in the queue is enough: who reads it looks at the newest fault.
        let _ = self.changes.0.try_send(());
    }

    /// What goes wrong now.
    pub fn get(&self) -> Fault {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the next change.
    pub(super) async fn changed(&self) {
        // The other end of this queue is ours too, so it is never closed.
        let _ = self.changes.1.recv().await;
    }
}
