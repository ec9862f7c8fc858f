//! Names for what a list holds, by which others know whether it has changed since.

use std::sync::atomic::{AtomicU64, Ordering};

/// The next name; zero is none.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A name that a list's contents have until they change; a copy keeps it. Names are never given twice, so that two lists of
/// the same name hold the same. A list has none until somebody asks: writing costs only forgetting it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp(u64);

impl Stamp {
    /// Says that the contents changed.
    pub fn forget(&mut self) {
        self.0 = 0;
    }

    /// The name, if there is one.
    pub fn known(&self) -> Option<u64> {
        (self.0 != 0).then_some(self.0)
    }

    /// The name; a new one if there is none.
    pub fn get(&mut self) -> u64 {
        if self.0 == 0 {
            self.0 = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        self.0
    }
}
