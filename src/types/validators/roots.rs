//! The registry's root: the roots of many records at once, level by level.
//!
//! A record takes eight hashes. Four of them are of its balance, its slashing and its epochs, which it often shares with its
//! neighbour: those who deposited together. Such a run is hashed once.

use super::{CHUNK, GROUP_RECORDS, VALIDATOR_REGISTRY_LIMIT, Validators, wide_balance, wide_epoch};
use crate::ssz::{Hash256, Node, fold, hash_pairs, mix_in_length};

const REGISTRY_DEPTH: usize = VALIDATOR_REGISTRY_LIMIT.ilog2() as usize;
/// Records that are hashed at once: all that it takes stays in the nearest cache, and the widest instructions are kept busy.
const AT_ONCE: usize = 64;

impl Validators {
    /// Root of the registry as an SSZ list.
    pub fn hash_tree_root(&mut self) -> Hash256 {
        let mut tree = std::mem::take(&mut self.tree);
        tree.update(self.len(), |firsts, out| {
            let mut records = Records::default();
            for (firsts, out) in firsts.chunks(AT_ONCE / GROUP_RECORDS).zip(out.chunks_mut(AT_ONCE)) {
                // Only the registry's last group is shorter, and it comes last: the records stand without gaps.
                firsts.iter().for_each(|first| self.add_group(*first, &mut records));
                records.take_roots(out);
            }
        });
        self.tree = tree;
        mix_in_length(&self.tree.root(REGISTRY_DEPTH), self.len())
    }

    /// Adds the records of a group, which are all in one chunk.
    fn add_group(&self, first: usize, records: &mut Records) {
        let (number, start) = (first / CHUNK, first % CHUNK);
        let pubkeys = &self.pubkeys.slice(number)[start..];
        let credentials = &self.withdrawal_credentials.slice(number)[start..];
        let balances = &self.effective_balances.slice(number)[start..];
        let slashed = &self.slashed.slice(number)[start..];
        let epochs = [
            &self.activation_eligibility_epochs.slice(number)[start..],
            &self.activation_epochs.slice(number)[start..],
            &self.exit_epochs.slice(number)[start..],
            &self.withdrawable_epochs.slice(number)[start..],
        ];
        for i in 0..GROUP_RECORDS.min(pubkeys.len()) {
            let (mut key_start, mut key_end) = ([0; 32], [0; 32]);
            key_start.copy_from_slice(&pubkeys[i][..32]);
            key_end[..16].copy_from_slice(&pubkeys[i][32..]);
            records.keys.extend([key_start, key_end]);
            records.credentials.push(credentials[i].0);
            let (balance, epochs) = match self.misfit(first + i) {
                None => (wide_balance(balances[i]), epochs.map(|epochs| wide_epoch(epochs[i]))),
                Some(v) => (
                    v.effective_balance,
                    [v.activation_eligibility_epoch, v.activation_epoch, v.exit_epoch, v.withdrawable_epoch],
                ),
            };
            records.balances.push([balance, u64::from(slashed[i])]);
            records.epochs.push(epochs);
        }
    }
}

/// Records whose roots are due, by the parts of their trees.
#[derive(Default)]
struct Records {
    // Two leaves each.
    keys: Vec<Node>,
    credentials: Vec<Node>,
    // Effective balance and slashing.
    balances: Runs<2>,
    epochs: Runs<4>,
}

impl Records {
    /// Writes the roots of the records to the front of `out` and forgets them.
    fn take_roots(&mut self, out: &mut [Node]) {
        fold(&mut self.keys, 1);
        let mut nodes = beside(&self.keys, self.credentials.drain(..));
        fold(&mut nodes, 1);
        nodes = beside(&nodes, self.balances.take_roots());
        fold(&mut nodes, 1);
        nodes = beside(&nodes, self.epochs.take_roots());
        let records = nodes.len() / 2;
        hash_pairs(&nodes, &mut out[..records]);
        self.keys.clear();
    }
}

/// Pairs the first of `left` with those on the right, as many as these are.
fn beside(left: &[Node], right: impl Iterator<Item = Node>) -> Vec<Node> {
    left.iter().zip(right).flat_map(|(left, right)| [*left, right]).collect()
}

/// Trees above `LEAVES` numbers each, where equal neighbours are one.
#[derive(Default)]
struct Runs<const LEAVES: usize> {
    leaves: Vec<Node>,
    last: Option<[u64; LEAVES]>,
    // Of each tree its number among the distinct ones.
    places: Vec<usize>,
}

impl<const LEAVES: usize> Runs<LEAVES> {
    fn push(&mut self, numbers: [u64; LEAVES]) {
        if self.last != Some(numbers) {
            self.last = Some(numbers);
            self.leaves.extend(numbers.map(leaf));
        }
        self.places.push(self.leaves.len() / LEAVES - 1);
    }

    /// The trees' roots in order; forgets them.
    fn take_roots(&mut self) -> impl Iterator<Item = Node> {
        let (mut leaves, places) = (std::mem::take(&mut self.leaves), std::mem::take(&mut self.places));
        self.last = None;
        fold(&mut leaves, LEAVES.ilog2() as usize);
        places.into_iter().map(move |place| leaves[place])
    }
}

fn leaf(number: u64) -> Node {
    let mut leaf = [0; 32];
    leaf[..8].copy_from_slice(&number.to_le_bytes());
    leaf
}
