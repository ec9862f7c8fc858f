//! The keys that were asked for lately, in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::crypto::PublicKey;

/// Keys that there is room for at first.
const FIRST_PLACES: usize = 64;

/// A table of keys by validator index. Each index has one place, which the latest key takes; the table doubles when half of it
/// is taken, up to its limit. The lock is held for a look-up or a copy, never while a key is read or computed.
pub(super) struct RecentKeys(Mutex<Table>);

struct Table {
    places: Vec<Place>,
    taken: usize,
    /// In bytes.
    limit: usize,
}

/// 104 bytes.
#[derive(Clone)]
struct Place {
    /// [`EMPTY`] where there is no key.
    index: u32,
    key: PublicKey,
}

const EMPTY: u32 = u32::MAX;

impl RecentKeys {
    /// An empty table of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> RecentKeys {
        RecentKeys(Mutex::new(Table { places: Vec::new(), taken: 0, limit }))
    }

    pub(super) fn get(&self, index: u32) -> Option<PublicKey> {
        let table = self.table();
        let place = table.places.get(table.place_of(index)?)?;
        (place.index == index && index != EMPTY).then_some(place.key)
    }

    pub(super) fn insert(&self, index: u32, key: PublicKey) {
        if index != EMPTY {
            let mut table = self.table();
            table.grow_if_full();
            table.insert(Place { index, key });
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.table().places.capacity() * size_of::<Place>()
    }

    /// Sets the limit; what is beyond it is given back.
    pub(super) fn set_limit(&self, limit: usize) {
        let mut table = self.table();
        table.limit = limit;
        let most = table.most();
        if table.places.len() > most {
            table.resize(most);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Places that the limit allows.
    fn most(&self) -> usize {
        self.limit / size_of::<Place>()
    }

    fn place_of(&self, index: u32) -> Option<usize> {
        (index as usize).checked_rem(self.places.len())
    }

    fn grow_if_full(&mut self) {
        let (len, most) = (self.places.len(), self.most());
        if self.taken >= len / 2 && len < most {
            self.resize((2 * len).max(FIRST_PLACES).min(most));
        }
    }

    fn resize(&mut self, len: usize) {
        let empty = Place { index: EMPTY, key: PublicKey::default() };
        let before = std::mem::replace(&mut self.places, vec![empty; len]);
        self.taken = 0;
        before.into_iter().filter(|place| place.index != EMPTY).for_each(|place| self.insert(place));
    }

    fn insert(&mut self, new: Place) {
        let Some(place) = self.place_of(new.index) else { return };
        self.taken += usize::from(self.places[place].index == EMPTY);
        self.places[place] = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::pubkeys::tests::key;

    #[test]
    fn it_grows_to_its_limit_and_no_further() {
        let recent = RecentKeys::new(1000 * size_of::<Place>() + 50);
        assert_eq!((recent.bytes(), recent.get(0)), (0, None));
        for index in 0..10_000 {
            recent.insert(index, key((index % 100) as u8 + 1));
            assert_eq!(recent.get(index), Some(key((index % 100) as u8 + 1)));
            assert!(recent.bytes() <= 1000 * size_of::<Place>() + 50);
        }
        assert_eq!(recent.get(0), None, "a later one has its place");
        let kept = (0..10_000).filter(|index| recent.get(*index).is_some()).count();
        assert_eq!(kept, 1000);
    }

    #[test]
    fn it_can_be_made_smaller_and_larger() {
        let recent = RecentKeys::new(usize::MAX);
        (0..1000).for_each(|index| recent.insert(index, key(1)));
        recent.set_limit(100 * size_of::<Place>());
        assert_eq!(recent.bytes(), 100 * size_of::<Place>());
        assert_eq!((0..1000).filter(|index| recent.get(*index).is_some()).count(), 100);
        recent.set_limit(0);
        recent.insert(5, key(1));
        assert_eq!((recent.bytes(), recent.get(5)), (0, None));
        recent.set_limit(1 << 20);
        recent.insert(5, key(1));
        recent.insert(EMPTY, key(2));
        assert_eq!((recent.get(5), recent.get(EMPTY)), (Some(key(1)), None));
    }
}
