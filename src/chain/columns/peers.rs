//! Whom to ask for columns: peers who keep them, those first who have not failed us.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use super::ColumnSet;
use crate::chain::{
    KnownPeer, Shared,
    limits::{COLUMN_PEERS_AT_ONCE, MAX_PEERS},
    network::Peer,
};

/// How often each peer did not give columns that it keeps.
#[derive(Default)]
pub(super) struct Lacking(Mutex<HashMap<Peer, u32>>);

impl Lacking {
    /// Notes what a peer gave of what it was asked for.
    pub fn note(&self, peer: &Peer, is_whole: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_whole {
            // Forgiven by halves.
            if let Some(count) = all.get_mut(peer) {
                *count /= 2;
            }
            all.retain(|_, count| *count > 0);
        } else if all.len() < MAX_PEERS || all.contains_key(peer) {
            let count = all.entry(peer.clone()).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn of(&self, peer: &Peer) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(peer).copied().unwrap_or(0)
    }

    fn keep(&self, peers: &[KnownPeer]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|peer, _| peers.iter().any(|known| known.peer == *peer));
    }
}

/// Which peers to ask for which of the missing columns, few at once: those who lacked the least, then those who keep the most
/// of them. Whoever is in `asked` is left out.
pub(super) fn choose(
    shared: &Shared,
    missing: ColumnSet,
    asked: &HashSet<Peer>,
    is_able: impl Fn(&KnownPeer) -> bool,
) -> Vec<(Peer, ColumnSet)> {
    let peers = shared.peers.load();
    shared.columns.lacking.keep(&peers);
    let able = peers.iter().filter(|known| !asked.contains(&known.peer) && is_able(known));
    let mut able: Vec<(u32, &KnownPeer)> = able.map(|known| (shared.columns.lacking.of(&known.peer), known)).collect();
    let (mut rest, mut chosen) = (missing, Vec::new());
    while !rest.is_empty() && chosen.len() < COLUMN_PEERS_AT_ONCE {
        let useful = able.iter().enumerate().filter(|(_, (_, known))| !known.custody.and(rest).is_empty());
        let best = useful.min_by_key(|(_, (lacked, known))| {
            let count = known.custody.and(rest).len();
            (*lacked, std::cmp::Reverse(count), known.peer.clone())
        });
        let Some((at, _)) = best else { break };
        let (_, known) = able.swap_remove(at);
        chosen.push((known.peer.clone(), known.custody.and(rest)));
        rest = rest.minus(known.custody);
    }
    chosen
}
