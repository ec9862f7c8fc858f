//! The registry's root: the roots of many records at once, level by level.

use super::{CHUNK, GROUP_RECORDS, VALIDATOR_REGISTRY_LIMIT, Validator, Validators, wide_balance, wide_epoch};
use crate::ssz::{Hash256, Node, fold, hash_pairs, mix_in_length};

const REGISTRY_DEPTH: usize = VALIDATOR_REGISTRY_LIMIT.ilog2() as usize;
/// Leaves of a record's own tree, one for each field, and that tree's depth.
const FIELDS: usize = 8;
const FIELDS_DEPTH: usize = FIELDS.ilog2() as usize;
/// Records that are hashed at once: their leaves take 16 KiB, which the nearest cache of any processor holds.
const AT_ONCE: usize = 64;

impl Validators {
    /// Root of the registry as an SSZ list.
    pub fn hash_tree_root(&mut self) -> Hash256 {
        let mut tree = std::mem::take(&mut self.tree);
        tree.update(self.len(), |firsts, out| {
            let firsts = firsts.chunks(AT_ONCE / GROUP_RECORDS);
            firsts.zip(out.chunks_mut(AT_ONCE)).for_each(|(firsts, out)| self.write_record_roots(firsts, out));
        });
        self.tree = tree;
        mix_in_length(&self.tree.root(REGISTRY_DEPTH), self.len())
    }

    /// Writes the roots of groups of records that begin with the indices `firsts`, at most [`AT_ONCE`] records, as far as
    /// there are any.
    fn write_record_roots(&self, firsts: &[usize], out: &mut [Node]) {
        // Of each key two leaves; of each record eight, whose first is the key's root.
        let (mut keys, mut key_roots) = ([[0; 32]; 2 * AT_ONCE], [[0; 32]; AT_ONCE]);
        let mut leaves = [[0; 32]; FIELDS * AT_ONCE];
        let mut records = 0;
        // Only the registry's last group is shorter, and it comes last: the records stand without gaps.
        for first in firsts {
            let count = GROUP_RECORDS.min(self.len() - first);
            self.write_group(
                *first,
                &mut keys[2 * records..][..2 * count],
                &mut leaves[FIELDS * records..][..FIELDS * count],
            );
            records += count;
        }
        hash_pairs(&keys[..2 * records], &mut key_roots[..records]);
        let leaves = &mut leaves[..FIELDS * records];
        for (record, key) in leaves.chunks_exact_mut(FIELDS).zip(key_roots) {
            record[0] = key;
        }
        fold(leaves, FIELDS_DEPTH);
        out[..records].copy_from_slice(&leaves[..records]);
    }

    /// Writes the leaves of a group of records, all in one chunk, but for their keys' roots.
    fn write_group(&self, first: usize, keys: &mut [Node], leaves: &mut [Node]) {
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
        for (i, (key, leaves)) in keys.chunks_exact_mut(2).zip(leaves.chunks_exact_mut(FIELDS)).enumerate() {
            key[0].copy_from_slice(&pubkeys[i][..32]);
            key[1][..16].copy_from_slice(&pubkeys[i][32..]);
            leaves[1] = credentials[i].0;
            put_number(&mut leaves[3], u64::from(slashed[i]));
            if let Some(misfit) = self.misfit(first + i) {
                put_misfit(leaves, misfit);
                continue;
            }
            put_number(&mut leaves[2], wide_balance(balances[i]));
            for (leaf, epochs) in leaves[4..].iter_mut().zip(epochs) {
                put_number(leaf, wide_epoch(epochs[i]));
            }
        }
    }
}

/// Writes what the columns can't hold of a record.
fn put_misfit(leaves: &mut [Node], record: &Validator) {
    put_number(&mut leaves[2], record.effective_balance);
    put_number(&mut leaves[4], record.activation_eligibility_epoch);
    put_number(&mut leaves[5], record.activation_epoch);
    put_number(&mut leaves[6], record.exit_epoch);
    put_number(&mut leaves[7], record.withdrawable_epoch);
}

fn put_number(leaf: &mut Node, number: u64) {
    leaf[..8].copy_from_slice(&number.to_le_bytes());
}
