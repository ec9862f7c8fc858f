//! The registry in columns.
//!
//! A record takes 48 + 32 + 2 + 1 + 16 bytes here, and copies share what they have in common. Effective balances are kept
//! in whole increments and epochs in 32 bits; a record that does not fit (none on a real chain: the specification keeps
//! balances whole and no epoch comes near 2^32) is kept as it is, beside the columns, so that nothing is ever lost.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

mod chunk;
mod difference;
mod pubkey_index;
mod roots;

pub use chunk::{NarrowChunk, RegistryChunk};
use pubkey_index::PubkeyIndex;
use ssz::Encode;

use super::{
    BLSPubkey, Epoch, Gwei, Hash256, Validator, ValidatorIndex,
    preset::{EFFECTIVE_BALANCE_INCREMENT, FAR_FUTURE_EPOCH, VALIDATOR_REGISTRY_LIMIT},
};
use crate::ssz::{CHUNK, Chunks, ColumnError, Element, HashTree, Record, Stamp};

/// Bytes of one record in SSZ.
pub const VALIDATOR_LEN: usize = 121;
/// Records under one remembered root: few, since a record takes eight hashes, and those that change lie scattered.
const GROUP_RECORDS: usize = 8;
/// Records that are read at once: a piece of the narrowest column.
const RECORDS_READ: usize = 1024;
const FAR_FUTURE: u32 = u32::MAX;

impl Record for Validator {
    const LEN: usize = VALIDATOR_LEN;
}

/// All validators that ever were, each at its index for ever.
#[derive(Clone, Debug, Default)]
pub struct Validators {
    pubkeys: Chunks<BLSPubkey>,
    withdrawal_credentials: Chunks<Hash256>,
    effective_balances: Chunks<u16>,
    slashed: Chunks<bool>,
    activation_eligibility_epochs: Chunks<u32>,
    activation_epochs: Chunks<u32>,
    exit_epochs: Chunks<u32>,
    withdrawable_epochs: Chunks<u32>,
    // Records that the columns above can't hold; for these the columns' values mean nothing.
    misfits: BTreeMap<usize, Validator>,
    tree: HashTree<GROUP_RECORDS>,
    index: PubkeyIndex,
    stamp: Stamp,
}

impl Validators {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.pubkeys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pubkeys.is_empty()
    }

    /// The whole record of a validator.
    pub fn get(&self, index: usize) -> Option<Validator> {
        if let Some(misfit) = self.misfit(index) {
            return Some(misfit.clone());
        }
        Some(Validator {
            pubkey: *self.pubkeys.get(index)?,
            withdrawal_credentials: *self.withdrawal_credentials.get(index)?,
            effective_balance: wide_balance(*self.effective_balances.get(index)?),
            slashed: *self.slashed.get(index)?,
            activation_eligibility_epoch: wide_epoch(*self.activation_eligibility_epochs.get(index)?),
            activation_epoch: wide_epoch(*self.activation_epochs.get(index)?),
            exit_epoch: wide_epoch(*self.exit_epochs.get(index)?),
            withdrawable_epoch: wide_epoch(*self.withdrawable_epochs.get(index)?),
        })
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Validator> + '_ {
        (0..self.len()).map(|index| self.get(index).expect("within the registry"))
    }

    /// A validator's key. Like its siblings below, panics beyond the registry's end, as a slice does.
    pub fn pubkey(&self, index: usize) -> &BLSPubkey {
        at(&self.pubkeys, index)
    }

    /// A validator's withdrawal credentials.
    pub fn withdrawal_credentials(&self, index: usize) -> Hash256 {
        *at(&self.withdrawal_credentials, index)
    }

    /// A validator's effective balance in Gwei.
    pub fn effective_balance(&self, index: usize) -> Gwei {
        self.misfit(index).map_or_else(|| wide_balance(*at(&self.effective_balances, index)), |v| v.effective_balance)
    }

    /// Whether a validator was slashed.
    pub fn slashed(&self, index: usize) -> bool {
        *at(&self.slashed, index)
    }

    /// Epoch from which a validator may be activated.
    pub fn activation_eligibility_epoch(&self, index: usize) -> Epoch {
        let column = &self.activation_eligibility_epochs;
        self.misfit(index).map_or_else(|| wide_epoch(*at(column, index)), |v| v.activation_eligibility_epoch)
    }

    /// First epoch in which a validator is active.
    pub fn activation_epoch(&self, index: usize) -> Epoch {
        self.misfit(index).map_or_else(|| wide_epoch(*at(&self.activation_epochs, index)), |v| v.activation_epoch)
    }

    /// First epoch in which a validator is active no more.
    pub fn exit_epoch(&self, index: usize) -> Epoch {
        self.misfit(index).map_or_else(|| wide_epoch(*at(&self.exit_epochs, index)), |v| v.exit_epoch)
    }

    /// Epoch from which a validator's balance may be withdrawn.
    pub fn withdrawable_epoch(&self, index: usize) -> Epoch {
        self.misfit(index).map_or_else(|| wide_epoch(*at(&self.withdrawable_epochs, index)), |v| v.withdrawable_epoch)
    }

    /// Whether a validator is active in `epoch`. Spec: `is_active_validator`.
    pub fn is_active(&self, index: usize, epoch: Epoch) -> bool {
        self.activation_epoch(index) <= epoch && epoch < self.exit_epoch(index)
    }

    /// Writes a whole record. The key must be the one that is there already: keys are for ever.
    pub fn set(&mut self, index: usize, validator: Validator) {
        debug_assert_eq!(validator.pubkey, *self.pubkey(index), "a validator's key never changes");
        let narrow = Narrow::of(&validator);
        let mut changed = match &narrow {
            Some(_) => self.misfits.remove(&index).is_some(),
            None => self.misfits.insert(index, validator.clone()) != Some(validator.clone()),
        };
        let narrow = narrow.unwrap_or_default();
        changed |= self.withdrawal_credentials.set(index, validator.withdrawal_credentials);
        changed |= self.effective_balances.set(index, narrow.effective_balance);
        changed |= self.slashed.set(index, validator.slashed);
        changed |= self.activation_eligibility_epochs.set(index, narrow.activation_eligibility_epoch);
        changed |= self.activation_epochs.set(index, narrow.activation_epoch);
        changed |= self.exit_epochs.set(index, narrow.exit_epoch);
        changed |= self.withdrawable_epochs.set(index, narrow.withdrawable_epoch);
        if changed {
            self.stamp.forget();
            self.tree.mark(index);
        }
    }

    /// Changes one record: `change` gets it to write on.
    pub fn update(&mut self, index: usize, change: impl FnOnce(&mut Validator)) {
        let mut validator = self.get(index).expect("within the registry");
        change(&mut validator);
        self.set(index, validator);
    }

    /// Writes a validator's effective balance, in Gwei.
    pub fn set_effective_balance(&mut self, index: usize, balance: Gwei) {
        match (self.misfit(index), narrow_balance(balance)) {
            (None, Some(narrow)) => {
                if self.effective_balances.set(index, narrow) {
                    self.stamp.forget();
                    self.tree.mark(index);
                }
            }
            _ => self.update(index, |v| v.effective_balance = balance),
        }
    }

    /// Writes effective balances in Gwei of the chunk with this number, each with the validator's place in the chunk: many at
    /// once.
    pub fn set_effective_balances(&mut self, number: usize, balances: &[(usize, Gwei)]) {
        let first = number * CHUNK;
        let narrow: Option<Vec<_>> =
            balances.iter().map(|(i, balance)| Some((*i, narrow_balance(*balance)?))).collect();
        let has_misfit = self.misfits.range(first..first + CHUNK).next().is_some();
        let Some(narrow) = narrow.filter(|_| !has_misfit) else {
            return balances.iter().for_each(|(i, balance)| self.set_effective_balance(first + i, *balance));
        };
        if narrow.is_empty() {
            return;
        }
        let mut all = self.effective_balances.slice(number).to_vec();
        for (i, narrow) in narrow {
            if std::mem::replace(&mut all[i], narrow) != narrow {
                self.tree.mark(first + i);
            }
        }
        self.stamp.forget();
        self.effective_balances.replace_chunk(number, &all);
    }

    /// Appends a record.
    pub fn push(&mut self, validator: Validator) {
        self.extend(std::slice::from_ref(&validator));
        self.index.push(validator.pubkey, self.len() - 1);
    }

    /// The name of what the registry holds now: see [`Stamp`].
    pub fn stamp(&mut self) -> u64 {
        self.stamp.get()
    }

    /// The name, if somebody has asked for it since the last change.
    pub fn known_stamp(&self) -> Option<u64> {
        self.stamp.known()
    }

    /// The index of the validator with this key.
    pub fn index_of(&self, pubkey: &BLSPubkey) -> Option<ValidatorIndex> {
        self.index.find(&self.pubkeys, pubkey).map(|index| index as ValidatorIndex)
    }

    /// Bytes on the heap, hashes and the index of keys included, that keeping `self` beside `other` costs.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        self.pubkeys.bytes_beside(&other.pubkeys)
            + self.withdrawal_credentials.bytes_beside(&other.withdrawal_credentials)
            + self.effective_balances.bytes_beside(&other.effective_balances)
            + self.slashed.bytes_beside(&other.slashed)
            + self.activation_eligibility_epochs.bytes_beside(&other.activation_eligibility_epochs)
            + self.activation_epochs.bytes_beside(&other.activation_epochs)
            + self.exit_epochs.bytes_beside(&other.exit_epochs)
            + self.withdrawable_epochs.bytes_beside(&other.withdrawable_epochs)
            + self.misfits.len() * size_of::<(usize, Validator)>()
            + self.tree.bytes_beside(&other.tree)
            + self.index.bytes_beside(&other.index)
    }

    /// Bytes of the registry in SSZ.
    pub fn ssz_len(&self) -> usize {
        self.len() * VALIDATOR_LEN
    }

    /// Writes the registry's SSZ, record by record.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        for validator in self.iter() {
            out.write_all(&validator.as_ssz_bytes())?;
        }
        Ok(())
    }

    /// Reads a registry of `bytes` bytes, or to the source's end. Memory grows with what was read.
    pub fn read_list(source: &mut impl Read, bytes: Option<u64>) -> Result<Self, ColumnError> {
        let mut validators = Validators::default();
        let mut buffer = Vec::new();
        let mut left = bytes.unwrap_or(u64::MAX);
        loop {
            let want = left.min((RECORDS_READ * VALIDATOR_LEN) as u64);
            buffer.clear();
            let got = source.take(want).read_to_end(&mut buffer)? as u64;
            validators.append(&buffer)?;
            left -= got;
            if left == 0 || got < want {
                validators.index.seal(validators.len());
                return match bytes {
                    Some(_) if left > 0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    _ => Ok(validators),
                };
            }
        }
    }

    /// Appends records from their SSZ.
    fn append(&mut self, bytes: &[u8]) -> Result<(), ColumnError> {
        let items = bytes.chunks_exact(VALIDATOR_LEN);
        if !items.remainder().is_empty() {
            return Err(ColumnError::Remainder { bytes: bytes.len() as u64, item: VALIDATOR_LEN });
        }
        if (self.len() + items.len()) as u64 > VALIDATOR_REGISTRY_LIMIT {
            return Err(ColumnError::TooLong { limit: VALIDATOR_REGISTRY_LIMIT });
        }
        let index = |nth: usize| self.len() + nth;
        let records: Result<Vec<Validator>, ColumnError> = items
            .enumerate()
            .map(|(nth, item)| Validator::read(item).ok_or(ColumnError::Item { index: index(nth) }))
            .collect();
        self.extend(&records?);
        Ok(())
    }

    /// Appends records; the index of keys does not see them before it is sealed.
    fn extend(&mut self, records: &[Validator]) {
        self.stamp.forget();
        let first = self.len();
        let mut narrow = Vec::with_capacity(records.len());
        for (n, record) in records.iter().enumerate() {
            narrow.push(Narrow::of(record).unwrap_or_else(|| {
                self.misfits.insert(first + n, record.clone());
                Narrow::default()
            }));
        }
        extend(&mut self.pubkeys, records, |v| v.pubkey);
        extend(&mut self.withdrawal_credentials, records, |v| v.withdrawal_credentials);
        extend(&mut self.slashed, records, |v| v.slashed);
        extend(&mut self.effective_balances, &narrow, |n| n.effective_balance);
        extend(&mut self.activation_eligibility_epochs, &narrow, |n| n.activation_eligibility_epoch);
        extend(&mut self.activation_epochs, &narrow, |n| n.activation_epoch);
        extend(&mut self.exit_epochs, &narrow, |n| n.exit_epoch);
        extend(&mut self.withdrawable_epochs, &narrow, |n| n.withdrawable_epoch);
    }

    fn misfit(&self, index: usize) -> Option<&Validator> {
        if self.misfits.is_empty() { None } else { self.misfits.get(&index) }
    }
}

impl PartialEq for Validators {
    fn eq(&self, other: &Self) -> bool {
        self.misfits == other.misfits
            && self.pubkeys == other.pubkeys
            && self.withdrawal_credentials == other.withdrawal_credentials
            && self.effective_balances == other.effective_balances
            && self.slashed == other.slashed
            && self.activation_eligibility_epochs == other.activation_eligibility_epochs
            && self.activation_epochs == other.activation_epochs
            && self.exit_epochs == other.exit_epochs
            && self.withdrawable_epochs == other.withdrawable_epochs
    }
}

impl FromIterator<Validator> for Validators {
    fn from_iter<I: IntoIterator<Item = Validator>>(items: I) -> Self {
        // Many at a time: one by one, each would copy the columns' last pieces.
        let mut items = items.into_iter();
        let mut validators = Validators::default();
        loop {
            let records: Vec<Validator> = items.by_ref().take(RECORDS_READ).collect();
            validators.extend(&records);
            if records.len() < RECORDS_READ {
                validators.index.seal(validators.len());
                return validators;
            }
        }
    }
}

/// Appends to a column what `field` finds in each record.
fn extend<R, T: Clone + PartialEq>(column: &mut Chunks<T>, records: &[R], field: impl Fn(&R) -> T) {
    column.extend_from_slice(&records.iter().map(field).collect::<Vec<T>>());
}

/// The fields of a record that the columns keep narrower than SSZ does.
#[derive(Default)]
struct Narrow {
    effective_balance: u16,
    activation_eligibility_epoch: u32,
    activation_epoch: u32,
    exit_epoch: u32,
    withdrawable_epoch: u32,
}

impl Narrow {
    fn of(v: &Validator) -> Option<Self> {
        Some(Narrow {
            effective_balance: narrow_balance(v.effective_balance)?,
            activation_eligibility_epoch: narrow_epoch(v.activation_eligibility_epoch)?,
            activation_epoch: narrow_epoch(v.activation_epoch)?,
            exit_epoch: narrow_epoch(v.exit_epoch)?,
            withdrawable_epoch: narrow_epoch(v.withdrawable_epoch)?,
        })
    }
}

fn at<T: Clone + PartialEq>(column: &Chunks<T>, index: usize) -> &T {
    match column.get(index) {
        Some(value) => value,
        None => panic!("validator {index} in a registry of {}", column.len()),
    }
}

fn wide_balance(increments: u16) -> Gwei {
    u64::from(increments) * EFFECTIVE_BALANCE_INCREMENT
}

fn narrow_balance(balance: Gwei) -> Option<u16> {
    if !balance.is_multiple_of(EFFECTIVE_BALANCE_INCREMENT) {
        return None;
    }
    u16::try_from(balance / EFFECTIVE_BALANCE_INCREMENT).ok()
}

fn wide_epoch(epoch: u32) -> Epoch {
    if epoch == FAR_FUTURE { FAR_FUTURE_EPOCH } else { u64::from(epoch) }
}

fn narrow_epoch(epoch: Epoch) -> Option<u32> {
    if epoch == FAR_FUTURE_EPOCH {
        return Some(FAR_FUTURE);
    }
    u32::try_from(epoch).ok().filter(|epoch| *epoch != FAR_FUTURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssz::Column;

    fn validator(n: u8) -> Validator {
        Validator {
            pubkey: BLSPubkey::repeat_byte(n),
            withdrawal_credentials: Hash256::repeat_byte(n),
            effective_balance: 32 * EFFECTIVE_BALANCE_INCREMENT,
            slashed: n.is_multiple_of(2),
            activation_eligibility_epoch: 1,
            activation_epoch: u64::from(n),
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        }
    }

    #[test]
    fn records_that_do_not_fit_the_columns_are_kept_as_they_are() {
        let mut odd = validator(3);
        odd.effective_balance = 31_999_999_999;
        odd.exit_epoch = u64::from(u32::MAX);
        let records = vec![validator(1), odd.clone(), validator(2)];
        let mut validators: Validators = records.iter().cloned().collect();
        assert_eq!(validators.iter().collect::<Vec<_>>(), records);
        let whole: Column<Validator> = records.into_iter().collect();
        assert_eq!(validators.hash_tree_root(), whole.clone().list_root(VALIDATOR_REGISTRY_LIMIT));
        validators.set_effective_balance(1, 32 * EFFECTIVE_BALANCE_INCREMENT);
        validators.update(1, |v| v.exit_epoch = 7);
        assert!(validators.misfits.is_empty(), "the record fits again");
        odd.effective_balance = 32 * EFFECTIVE_BALANCE_INCREMENT;
        odd.exit_epoch = 7;
        assert_eq!(validators.get(1), Some(odd.clone()));
        let whole: Column<Validator> = validators.iter().collect();
        assert_eq!(validators.hash_tree_root(), whole.clone().list_root(VALIDATOR_REGISTRY_LIMIT));
    }

    #[test]
    fn the_registry_has_the_root_of_a_list_of_records() {
        for len in [0, 1, 7, 8, 9, 63, 64, 65, 200, 1100] {
            let mut records: Vec<Validator> = (0..=255).cycle().take(len).map(validator).collect();
            for (index, record) in records.iter_mut().enumerate() {
                // In runs of several lengths, some of which go on over the end of those that are hashed at once.
                record.effective_balance = (index as u64 / 5 % 3) * EFFECTIVE_BALANCE_INCREMENT;
                record.slashed = index % 11 > 8;
                record.activation_epoch = index as u64 / 16;
                if index % 40 > 30 {
                    record.exit_epoch = index as u64 % 2;
                }
                if index % 100 == 50 {
                    record.effective_balance += 1;
                }
            }
            let mut validators: Validators = records.iter().cloned().collect();
            let root = |records: &[Validator]| {
                records.iter().cloned().collect::<Column<Validator>>().list_root(VALIDATOR_REGISTRY_LIMIT)
            };
            assert_eq!(validators.hash_tree_root(), root(&records), "{len} records");
            for index in (0..len).step_by(37) {
                records[index].withdrawable_epoch = index as u64;
                validators.update(index, |validator| validator.withdrawable_epoch = index as u64);
            }
            records.push(validator(77));
            validators.push(validator(77));
            assert_eq!(validators.hash_tree_root(), root(&records), "{len} records, some changed, and one more");
        }
    }

    #[test]
    fn a_chunk_says_the_same_as_the_registry() {
        let mut validators: Validators = (0..=255).cycle().take(CHUNK + 9).map(validator).collect();
        validators.update(CHUNK + 3, |v| v.effective_balance = 31_999_999_999);
        validators.update(CHUNK + 4, |v| v.exit_epoch = u64::from(u32::MAX));
        let mut seen = 0;
        for chunk in validators.chunks() {
            for i in 0..chunk.len() {
                let index = chunk.first() + i;
                assert_eq!(index, seen);
                assert_eq!(chunk.effective_balance(i), validators.effective_balance(index));
                assert_eq!(chunk.slashed(i), validators.slashed(index));
                assert_eq!(chunk.withdrawable_epoch(i), validators.withdrawable_epoch(index));
                for epoch in [0, 7, u64::from(u32::MAX), FAR_FUTURE_EPOCH] {
                    assert_eq!(chunk.is_active(i, epoch), validators.is_active(index, epoch), "{index} in {epoch}");
                }
                seen += 1;
            }
        }
        assert_eq!(seen, validators.len());
    }

    #[test]
    fn keys_are_found_before_and_after_sealing() {
        let mut validators: Validators = [5, 1, 9].map(validator).into_iter().collect();
        validators.push(validator(2));
        for (index, n) in [5, 1, 9, 2].into_iter().enumerate() {
            assert_eq!(validators.index_of(&BLSPubkey::repeat_byte(n)), Some(index as u64));
        }
        assert_eq!(validators.index_of(&BLSPubkey::repeat_byte(7)), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let validators: Validators = (0..=255).cycle().take(3000).map(validator).collect();
        let mut bytes = Vec::new();
        validators.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len(), validators.ssz_len());
        let again = Validators::read_list(&mut bytes.as_slice(), Some(bytes.len() as u64)).unwrap();
        assert_eq!(again, validators);
        assert!(Validators::read_list(&mut bytes[..bytes.len() - 121].as_ref(), Some(bytes.len() as u64)).is_err());
        bytes[88] = 2; // a bool that is neither
        assert!(matches!(Validators::read_list(&mut bytes.as_slice(), None), Err(ColumnError::Item { index: 0 })));
    }
}
