//! What a registry has that an older one has not, record by record.

use std::io::{self, Read, Write};

use super::{BLSPubkey, CHUNK, Chunks, Validator, Validators};
use crate::{
    ssz::{
        ColumnError, Element,
        difference::{flip, read_varint, write_varint},
    },
    types::preset::VALIDATOR_REGISTRY_LIMIT,
};

impl Validators {
    /// Writes what makes `self` of `old`: the bits that changed of each record that changed, and new records. Chunks that both
    /// share are not looked at.
    ///
    /// # Errors
    /// Those of `out`; and [`io::ErrorKind::Unsupported`] when a key of `old` is not here: the two are of branches that gave
    /// one index to different keys.
    pub fn write_difference(&self, old: &Self, out: &mut impl Write) -> io::Result<()> {
        if !is_prefix(&old.pubkeys, &self.pubkeys) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the registries have different keys"));
        }
        write_varint(self.len() as u64, out)?;
        let (mut bytes, mut next) = ([0; Validator::SSZ_LEN], 0);
        for number in (0..self.len().div_ceil(CHUNK)).filter(|number| !self.is_same_chunk(old, *number)) {
            for index in number * CHUNK..self.len().min((number + 1) * CHUNK) {
                let (new, before) = (self.get(index), old.get(index));
                let Some(new) = new.filter(|new| before.as_ref() != Some(new)) else { continue };
                write_varint((index - next + 1) as u64, out)?;
                next = index + 1;
                new.write(&mut bytes);
                if let Some(before) = before {
                    flip(&mut bytes, &before);
                }
                out.write_all(&bytes)?;
            }
        }
        write_varint(0, out)
    }

    /// Makes of `self` what [`Validators::write_difference`] was called on.
    ///
    /// # Errors
    /// When the source fails, or what it gives is no such difference.
    pub fn apply_difference(&mut self, source: &mut impl Read) -> Result<(), ColumnError> {
        let limit = VALIDATOR_REGISTRY_LIMIT;
        let len = read_varint(source)?;
        let too_long = ColumnError::TooLong { limit };
        let len = usize::try_from(len).ok().filter(|len| *len as u64 <= limit).ok_or(too_long)?;
        let (mut bytes, mut next) = ([0; Validator::SSZ_LEN], 0);
        while let Some(gap) = read_varint(source)?.checked_sub(1) {
            let index = next + usize::try_from(gap).unwrap_or(usize::MAX).min(len);
            let invalid = || ColumnError::Item { index };
            source.read_exact(&mut bytes)?;
            let before = self.get(index);
            if let Some(before) = &before {
                flip(&mut bytes, before);
            }
            let record = <Validator as Element>::read(&bytes).ok_or_else(invalid)?;
            match before {
                Some(before) if before.pubkey == record.pubkey => self.set(index, record),
                None if index == self.len() && index < len => self.push(record),
                _ => return Err(invalid()),
            }
            next = index + 1;
        }
        if self.len() == len { Ok(()) } else { Err(ColumnError::Item { index: self.len() }) }
    }

    /// Whether all records of a chunk are those of `other`'s.
    fn is_same_chunk(&self, other: &Self, number: usize) -> bool {
        let records = number * CHUNK..(number + 1) * CHUNK;
        self.pubkeys.is_same_chunk(&other.pubkeys, number)
            && self.withdrawal_credentials.is_same_chunk(&other.withdrawal_credentials, number)
            && self.effective_balances.is_same_chunk(&other.effective_balances, number)
            && self.slashed.is_same_chunk(&other.slashed, number)
            && self.activation_eligibility_epochs.is_same_chunk(&other.activation_eligibility_epochs, number)
            && self.activation_epochs.is_same_chunk(&other.activation_epochs, number)
            && self.exit_epochs.is_same_chunk(&other.exit_epochs, number)
            && self.withdrawable_epochs.is_same_chunk(&other.withdrawable_epochs, number)
            && self.misfits.range(records.clone()).eq(other.misfits.range(records))
    }
}

fn is_prefix(old: &Chunks<BLSPubkey>, new: &Chunks<BLSPubkey>) -> bool {
    let same = |number: usize| {
        old.is_same_chunk(new, number)
            || old.chunk(number).zip(new.chunk(number)).is_some_and(|(old, new)| new.starts_with(old))
    };
    (0..old.len().div_ceil(CHUNK)).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Hash256, preset::*};

    fn validator(n: u16) -> Validator {
        Validator {
            pubkey: BLSPubkey::right_padding_from(&n.to_be_bytes()),
            withdrawal_credentials: Hash256::repeat_byte(n as u8),
            effective_balance: 32 * EFFECTIVE_BALANCE_INCREMENT,
            slashed: false,
            activation_eligibility_epoch: 1,
            activation_epoch: u64::from(n),
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
        }
    }

    fn written(old: &Validators, new: &Validators) -> Vec<u8> {
        let mut bytes = Vec::new();
        new.write_difference(old, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn records_that_changed_or_came_are_all_that_is_written() {
        let old: Validators = (0..1000).map(validator).collect();
        let mut new = old.clone();
        assert!(written(&old, &new).len() < 4);
        new.set_effective_balance(3, 31 * EFFECTIVE_BALANCE_INCREMENT);
        new.set_effective_balance(4, 31_999_999_999);
        new.update(900, |v| (v.exit_epoch, v.slashed) = (77, true));
        (1000..1400).for_each(|n| new.push(validator(n)));
        let bytes = written(&old, &new);
        assert!(bytes.len() < 404 * 124, "{}", bytes.len());
        let mut again = old.clone();
        again.apply_difference(&mut bytes.as_slice()).unwrap();
        assert_eq!(again, new);
        assert_eq!(again.hash_tree_root(), new.hash_tree_root());
        assert_eq!(again.index_of(&validator(1399).pubkey), Some(1399));
        for cut in [0, 1, 50, bytes.len() - 1] {
            assert!(old.clone().apply_difference(&mut &bytes[..cut]).is_err());
        }
        // Of another registry, the bits make no record of ours.
        let other: Validators = (5000..5100).map(validator).collect();
        assert!(other.clone().apply_difference(&mut bytes.as_slice()).is_err());
        assert!(new.write_difference(&other, &mut io::sink()).is_err());
        assert!(old.write_difference(&new, &mut io::sink()).is_err(), "a registry never loses a record");
    }
}
