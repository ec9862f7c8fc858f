//! Who is banned, until when: peers, and addresses of which too many peers were.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

use libp2p::PeerId;

use super::limits::Address;

/// How long a ban lasts.
pub const BAN_TIME: Duration = Duration::from_secs(1800);
/// Bans at once, of each kind; the one that ends first makes room.
const MAX_BANS: usize = 1024;
/// Banned peers of one address at which the address is banned: as many as it may connect at a time. A name costs nothing, so
/// who has been sent away so often comes again until the door is shut.
const MAX_BANNED_OF_ADDRESS: usize = super::limits::MAX_PER_ADDRESS;

/// The bans.
#[derive(Default)]
pub struct Bans {
    peers: HashMap<PeerId, Ban>,
    addresses: HashMap<Address, Instant>,
}

struct Ban {
    end: Instant,
    /// Where the peer was; none if its address can't be banned.
    address: Option<Address>,
}

/// What a new ban brings about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// The peer whose ban ended early to make room.
    pub evicted_peer: Option<PeerId>,
    /// The address that is banned from now on.
    pub address: Option<Address>,
    /// The address whose ban ended early to make room.
    pub evicted_address: Option<Address>,
}

/// What has ended.
#[derive(Debug, Default)]
pub struct Expired {
    /// Peers that may come again.
    pub peers: Vec<PeerId>,
    /// Addresses that may be used again.
    pub addresses: Vec<Address>,
}

impl Bans {
    /// Bans `peer` for [`BAN_TIME`], and its address if it is one of too many there.
    pub fn add(&mut self, peer: PeerId, address: Option<Address>, now: Instant) -> Added {
        let end = now + BAN_TIME;
        let evicted_peer = make_room(&mut self.peers, &peer, |ban| ban.end);
        self.peers.insert(peer, Ban { end, address });
        let mut added = Added { evicted_peer, ..Added::default() };
        if let Some(address) = address.filter(|address| self.of(*address) >= MAX_BANNED_OF_ADDRESS) {
            added.evicted_address = make_room(&mut self.addresses, &address, |end| *end);
            self.addresses.insert(address, end);
            added.address = Some(address);
        }
        added
    }

    fn of(&self, address: Address) -> usize {
        self.peers.values().filter(|ban| ban.address == Some(address)).count()
    }

    /// Whether `peer` is banned.
    pub fn contains(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Which peers are banned, and for how much longer.
    pub fn list(&self, now: Instant) -> Vec<(PeerId, Duration)> {
        self.peers.iter().map(|(peer, ban)| (*peer, ban.end.saturating_duration_since(now))).collect()
    }

    /// Takes out the bans that have ended.
    pub fn expire(&mut self, now: Instant) -> Expired {
        Expired {
            peers: self.peers.extract_if(|_, ban| ban.end <= now).map(|(peer, _)| peer).collect(),
            addresses: self.addresses.extract_if(|_, end| *end <= now).map(|(address, _)| address).collect(),
        }
    }
}

/// Takes out the entry that ends first, if another key than those there would be one too many.
fn make_room<K: Copy + Eq + Hash, V>(bans: &mut HashMap<K, V>, new: &K, end: impl Fn(&V) -> Instant) -> Option<K> {
    if bans.len() < MAX_BANS || bans.contains_key(new) {
        return None;
    }
    let first = *bans.iter().min_by_key(|(_, ban)| end(ban))?.0;
    bans.remove(&first);
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> Option<Address> {
        Address::of(&format!("/ip4/8.8.{}.{}", number / 256, number % 256).parse().unwrap())
    }

    #[test]
    fn bans_end_and_have_a_bound() {
        let start = Instant::now();
        let mut bans = Bans::default();
        let first = PeerId::random();
        bans.add(first, None, start);
        for i in 1..=MAX_BANS {
            let added = bans.add(PeerId::random(), None, start + Duration::from_millis(i as u64));
            assert_eq!(added.evicted_peer, (i == MAX_BANS).then_some(first));
        }
        assert!(!bans.contains(&first));
        assert!(bans.list(start).iter().all(|(_, left)| *left > BAN_TIME));
        assert_eq!(bans.expire(start + BAN_TIME).peers.len(), 0);
        assert_eq!(bans.expire(start + 2 * BAN_TIME).peers.len(), MAX_BANS);
    }

    #[test]
    fn an_address_of_many_banned_peers_is_banned_for_a_time() {
        let start = Instant::now();
        let mut bans = Bans::default();
        for number in 1..=MAX_BANNED_OF_ADDRESS {
            let is_last = number == MAX_BANNED_OF_ADDRESS;
            assert_eq!(bans.add(PeerId::random(), address(7), start).address, address(7).filter(|_| is_last));
            // Neighbours, and who has no address that counts, are not meant.
            assert_eq!(bans.add(PeerId::random(), address(1000 + number), start).address, None);
            assert_eq!(bans.add(PeerId::random(), None, start).address, None);
        }
        // One more of the same lengthens it.
        assert_eq!(bans.add(PeerId::random(), address(7), start + BAN_TIME / 2).address, address(7));
        assert!(bans.expire(start + BAN_TIME).addresses.is_empty());
        assert_eq!(bans.expire(start + 2 * BAN_TIME).addresses, [address(7).unwrap()]);
        // Those that have ended don't count any more.
        assert_eq!(bans.add(PeerId::random(), address(7), start + 2 * BAN_TIME).address, None);
    }

    #[test]
    fn banned_addresses_have_a_bound() {
        let start = Instant::now();
        let mut bans = Bans::default();
        for number in 0..=MAX_BANS {
            let now = start + Duration::from_millis(number as u64);
            let added: Vec<Added> =
                (0..MAX_BANNED_OF_ADDRESS).map(|_| bans.add(PeerId::random(), address(number), now)).collect();
            assert_eq!(added.last().unwrap().address, address(number));
            assert_eq!(added.last().unwrap().evicted_address, address(0).filter(|_| number == MAX_BANS));
        }
        assert_eq!(bans.addresses.len(), MAX_BANS);
    }
}
