//! The payloads that a stand-in has seen, and what it thinks of them.

use std::collections::{HashMap, VecDeque};

use crate::{
    engine::{ForkchoiceState, LatestBlock, PayloadStatus},
    types::{ExecutionPayload, Hash256},
};

/// Payloads that are remembered. More than what a node asks for again: the last few hours of a quick devnet.
const BLOCKS: usize = 2048;
/// Updates of the fork choice that it takes to fetch what is missing, or so it pretends.
const SYNC_UPDATES: u32 = 2;

/// What is thought of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Valid,
    Invalid,
    /// One before it is missing, or is itself unverified.
    Unverified,
}

struct Node {
    parent: Hash256,
    number: u64,
    timestamp: u64,
    standing: Standing,
    /// None of the first block.
    payload: Option<ExecutionPayload>,
}

/// A fork choice that can't be.
#[derive(Debug, PartialEq, Eq)]
pub struct Inconsistent;

/// All payloads from the first block on, as far as they are remembered.
pub struct Tree {
    nodes: HashMap<Hash256, Node>,
    /// Hashes, oldest first.
    order: VecDeque<Hash256>,
    head: Hash256,
    /// From which height on payloads that come are invalid.
    pub invalid_from: Option<u64>,
    /// Updates of the fork choice since what its head needs began to be fetched.
    fetching: u32,
}

impl Tree {
    /// With its first block.
    pub fn new(genesis: LatestBlock) -> Tree {
        let LatestBlock { number, hash, timestamp } = genesis;
        let node = Node { parent: Hash256::ZERO, number, timestamp, standing: Standing::Valid, payload: None };
        let nodes = HashMap::from([(hash, node)]);
        Tree { nodes, order: VecDeque::from([hash]), head: hash, invalid_from: None, fetching: 0 }
    }

    /// The head.
    pub fn head(&self) -> LatestBlock {
        let hash = self.head;
        self.nodes.get(&hash).map_or(LatestBlock { number: 0, hash, timestamp: 0 }, |node| LatestBlock {
            number: node.number,
            hash,
            timestamp: node.timestamp,
        })
    }

    /// Whether something is being fetched.
    pub fn is_fetching(&self) -> bool {
        self.fetching > 0
    }

    /// A payload that came with a call; none of the first block, or of one that is not remembered.
    pub fn payload(&self, hash: &Hash256) -> Option<&ExecutionPayload> {
        self.nodes.get(hash)?.payload.as_ref()
    }

    /// The payload of a height in the head's chain.
    pub fn payload_at(&self, number: u64) -> Option<&ExecutionPayload> {
        let mut hash = self.head;
        loop {
            let node = self.nodes.get(&hash)?;
            match node.number.cmp(&number) {
                std::cmp::Ordering::Equal => return node.payload.as_ref(),
                std::cmp::Ordering::Less => return None,
                std::cmp::Ordering::Greater => hash = node.parent,
            }
        }
    }

    /// Takes a payload in whose own hash is right.
    pub fn new_payload(&mut self, payload: ExecutionPayload) -> PayloadStatus {
        let hash = payload.block_hash;
        if !self.nodes.contains_key(&hash) {
            let standing = match self.nodes.get(&payload.parent_hash).map(|parent| parent.standing) {
                None | Some(Standing::Unverified) => Standing::Unverified,
                Some(Standing::Invalid) => Standing::Invalid,
                Some(Standing::Valid) => self.judge(payload.block_number),
            };
            let (parent, number, timestamp) = (payload.parent_hash, payload.block_number, payload.timestamp);
            self.nodes.insert(hash, Node { parent, number, timestamp, standing, payload: Some(payload) });
            self.order.push_back(hash);
            self.forget();
        }
        self.status(hash)
    }

    fn judge(&self, number: u64) -> Standing {
        let is_invalid = self.invalid_from.is_some_and(|from| number >= from);
        if is_invalid { Standing::Invalid } else { Standing::Valid }
    }

    fn forget(&mut self) {
        while self.order.len() > BLOCKS {
            match self.order.pop_front() {
                Some(hash) if hash == self.head => self.order.push_back(hash),
                Some(hash) => drop(self.nodes.remove(&hash)),
                None => return,
            }
        }
    }

    fn status(&self, hash: Hash256) -> PayloadStatus {
        match self.nodes.get(&hash).map(|node| node.standing) {
            Some(Standing::Valid) => PayloadStatus::Valid,
            Some(Standing::Invalid) => PayloadStatus::Invalid {
                latest_valid_hash: self.latest_valid(hash),
                reason: "told to call it invalid".into(),
            },
            Some(Standing::Unverified) | None => PayloadStatus::Syncing,
        }
    }

    /// The nearest valid payload below.
    fn latest_valid(&self, mut hash: Hash256) -> Option<Hash256> {
        loop {
            let node = self.nodes.get(&hash)?;
            if node.standing == Standing::Valid {
                return Some(hash);
            }
            hash = node.parent;
        }
    }

    /// Changes the head, if it is valid. One whose ancestors are missing is fetched, which takes a few updates.
    ///
    /// # Errors
    /// When the safe or the finalized payload is not in the chain of the head.
    pub fn forkchoice_updated(&mut self, state: ForkchoiceState) -> Result<PayloadStatus, Inconsistent> {
        let Some(standing) = self.nodes.get(&state.head).map(|node| node.standing) else {
            return Ok(PayloadStatus::Syncing);
        };
        if standing == Standing::Unverified {
            self.fetching += 1;
            if self.fetching < SYNC_UPDATES {
                return Ok(PayloadStatus::Syncing);
            }
            self.verify(state.head);
        }
        self.fetching = 0;
        let status = self.status(state.head);
        if status == PayloadStatus::Valid {
            let is_there = |hash: Hash256| hash.is_zero() || self.is_ancestor(hash, state.head) != Some(false);
            if !is_there(state.safe) || !is_there(state.finalized) {
                return Err(Inconsistent);
            }
            self.head = state.head;
        }
        Ok(status)
    }

    /// Judges a payload and those before it that were not verified yet, from the oldest on.
    fn verify(&mut self, head: Hash256) {
        let mut unverified = Vec::new();
        let mut hash = head;
        while let Some(node) = self.nodes.get(&hash).filter(|node| node.standing == Standing::Unverified) {
            unverified.push(hash);
            hash = node.parent;
        }
        let mut is_bad = self.nodes.get(&hash).is_some_and(|node| node.standing == Standing::Invalid);
        for hash in unverified.into_iter().rev() {
            let invalid_from = self.invalid_from;
            if let Some(node) = self.nodes.get_mut(&hash) {
                is_bad |= invalid_from.is_some_and(|from| node.number >= from);
                node.standing = if is_bad { Standing::Invalid } else { Standing::Valid };
            }
        }
    }

    /// Whether a payload is another or comes before it; none if what we remember does not go back so far.
    fn is_ancestor(&self, ancestor: Hash256, mut hash: Hash256) -> Option<bool> {
        loop {
            if hash == ancestor {
                return Some(true);
            }
            let node = self.nodes.get(&hash)?;
            if node.payload.is_none() {
                return Some(false);
            }
            hash = node.parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::new(LatestBlock { number: 0, hash: hash(0), timestamp: 100 })
    }

    fn hash(number: u8) -> Hash256 {
        Hash256::repeat_byte(number + 1)
    }

    /// The payload of a height in a chain in which the hash names the height.
    fn payload(number: u8) -> ExecutionPayload {
        ExecutionPayload {
            parent_hash: hash(number - 1),
            block_hash: hash(number),
            block_number: number.into(),
            timestamp: 100 + u64::from(number),
            ..Default::default()
        }
    }

    fn choice(head: u8, finalized: Hash256) -> ForkchoiceState {
        ForkchoiceState { head: hash(head), safe: finalized, finalized }
    }

    #[test]
    fn a_chain_is_valid_from_its_first_block_on() {
        let mut tree = tree();
        for number in 1..4 {
            assert_eq!(tree.new_payload(payload(number)), PayloadStatus::Valid);
            assert_eq!(tree.forkchoice_updated(choice(number, hash(0))), Ok(PayloadStatus::Valid));
        }
        assert_eq!(tree.head().number, 3);
        assert_eq!(tree.payload_at(2).unwrap().block_hash, hash(2));
        assert!(tree.payload_at(0).is_none() && tree.payload_at(4).is_none());
        assert_eq!(tree.forkchoice_updated(choice(1, hash(2))), Err(Inconsistent));
        assert_eq!(tree.head().number, 3);
    }

    #[test]
    fn what_is_missing_is_fetched_in_time() {
        let mut tree = tree();
        assert_eq!(tree.forkchoice_updated(choice(5, Hash256::ZERO)), Ok(PayloadStatus::Syncing));
        assert_eq!(tree.new_payload(payload(5)), PayloadStatus::Syncing);
        assert_eq!(tree.new_payload(payload(6)), PayloadStatus::Syncing);
        assert_eq!(tree.forkchoice_updated(choice(6, hash(3))), Ok(PayloadStatus::Syncing));
        assert!(tree.is_fetching());
        assert_eq!(tree.forkchoice_updated(choice(6, hash(3))), Ok(PayloadStatus::Valid));
        assert_eq!(tree.new_payload(payload(7)), PayloadStatus::Valid);
    }

    #[test]
    fn what_builds_on_an_invalid_payload_is_invalid_and_the_last_valid_one_is_named() {
        let mut tree = tree();
        tree.invalid_from = Some(2);
        let latest = |status| match status {
            PayloadStatus::Invalid { latest_valid_hash, .. } => latest_valid_hash,
            other => panic!("{other:?}"),
        };
        assert_eq!(tree.new_payload(payload(1)), PayloadStatus::Valid);
        assert_eq!(latest(tree.new_payload(payload(2))), Some(hash(1)));
        tree.invalid_from = None;
        assert_eq!(latest(tree.new_payload(payload(3))), Some(hash(1)));
        assert_eq!(latest(tree.forkchoice_updated(choice(3, Hash256::ZERO)).unwrap()), Some(hash(1)));
        assert_eq!(tree.head().number, 0);
    }

    #[test]
    fn old_payloads_are_forgotten_but_not_the_head() {
        let mut tree = tree();
        tree.new_payload(payload(1));
        tree.forkchoice_updated(choice(1, Hash256::ZERO)).unwrap();
        for number in 2..BLOCKS as u64 + 10 {
            let mut block_hash = Hash256::ZERO;
            block_hash[..8].copy_from_slice(&number.to_be_bytes());
            tree.new_payload(ExecutionPayload { block_hash, block_number: number, ..Default::default() });
        }
        assert_eq!((tree.nodes.len(), tree.order.len()), (BLOCKS, BLOCKS));
        assert_eq!(tree.head().number, 1);
    }
}
