//! What the server takes in at once. Everything that a client can make grow has its bound here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use smol::lock::{Semaphore, SemaphoreGuardArc};

use super::response::ApiError;

/// How much the server takes in and how long it waits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections; more are closed at once. A validator client opens a dozen, a dashboard a few.
    pub connections: usize,
    /// Time for a request's head, also the time for which an unused connection stays open.
    pub head_time: Duration,
    /// Time for a whole request body.
    pub body_time: Duration,
    /// Time for which a client may take nothing of what is ready for it.
    pub stall_time: Duration,
    /// Bytes of one request's body. The largest is a signed block with its blobs in hexadecimal: twice the ten megabytes that a
    /// block may have, and twice 134 KiB for each of 21 blobs with its proofs, are 26 MiB; the rest is for more blobs.
    pub body_bytes: usize,
    /// Bytes of all requests' bodies together, so that many large ones do not add up.
    pub all_body_bytes: usize,
    /// Requests that are worked on at once; the others wait. Most wait for the chain or the disk, few compute.
    pub working: usize,
    /// Long answers (states, all validators) that are being sent. Each keeps a state alive and a thread busy.
    pub streams: usize,
    /// Open event streams.
    pub subscribers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 128,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
            body_bytes: 32 << 20,
            all_body_bytes: 64 << 20,
            working: 32,
            streams: 4,
            subscribers: 32,
        }
    }
}

/// The limits, and how much of them is in use.
pub(super) struct Gates {
    pub limits: Limits,
    working: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    subscribers: Arc<Semaphore>,
    body_bytes: Arc<AtomicUsize>,
}

impl Gates {
    #[cfg(test)]
    pub(super) fn new(limits: Limits) -> Gates {
        Gates::counting(limits, Arc::default())
    }

    /// With a count of the bodies' bytes that others read.
    pub(super) fn counting(limits: Limits, body_bytes: Arc<AtomicUsize>) -> Gates {
        Gates {
            working: Arc::new(Semaphore::new(limits.working)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            subscribers: Arc::new(Semaphore::new(limits.subscribers)),
            body_bytes,
            limits,
        }
    }

    /// Waits until a request may be worked on.
    pub(super) async fn work(&self) -> SemaphoreGuardArc {
        self.working.acquire_arc().await
    }

    /// A place among the long answers.
    pub(super) fn stream(&self) -> Result<SemaphoreGuardArc, ApiError> {
        let full = || ApiError::unavailable("too many long answers are being sent; try again in a minute");
        self.streams.try_acquire_arc().ok_or_else(full)
    }

    /// A place among the event streams.
    pub(super) fn subscriber(&self) -> Result<SemaphoreGuardArc, ApiError> {
        let full = || ApiError::unavailable("too many event streams are open; close some");
        self.subscribers.try_acquire_arc().ok_or_else(full)
    }

    /// Counts the bytes of a body that is about to come.
    pub(super) fn body(&self) -> BodyBytes {
        BodyBytes { all: self.body_bytes.clone(), max: self.limits.all_body_bytes, mine: 0 }
    }
}

/// Bytes that a body takes of what all bodies may; given back when dropped.
pub(super) struct BodyBytes {
    all: Arc<AtomicUsize>,
    max: usize,
    mine: usize,
}

impl BodyBytes {
    /// Takes `more` bytes; false when all bodies together would be too much.
    pub(super) fn take(&mut self, more: usize) -> bool {
        let before = self.all.fetch_add(more, Ordering::Relaxed);
        self.mine += more;
        before + more <= self.max
    }
}

impl Drop for BodyBytes {
    fn drop(&mut self) {
        self.all.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_their_bytes_and_give_them_back() {
        let gates = Gates::new(Limits { all_body_bytes: 100, ..Limits::default() });
        let (mut first, mut second) = (gates.body(), gates.body());
        assert!(first.take(60));
        assert!(!second.take(41));
        drop(first);
        assert!(!gates.body().take(60), "the second still has its 41");
        drop(second);
        assert!(gates.body().take(100));
    }

    #[test]
    fn places_are_refused_when_all_are_taken() {
        let gates = Gates::new(Limits { streams: 1, ..Limits::default() });
        let taken = gates.stream();
        assert!(taken.is_ok());
        assert_eq!(gates.stream().err().map(|error| error.status.as_u16()), Some(503));
        drop(taken);
        assert!(gates.stream().is_ok());
    }
}
