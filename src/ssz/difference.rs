//! What a column has that an older one has not: written small, and applied to the older one again.
//!
//! Two ways. A list of numbers is compared by the chunk; a chunk that differs is written whole, each number as how far its
//! change departs from its neighbour's: balances change by much the same in an epoch. Everything else is compared by the
//! item; one that differs is written as the bits that changed, which leaves zeros for the compression that follows. A queue
//! that lost its first items is compared from there on. Chunks that are shared are not looked at.

use std::io::{self, Read, Write};

use super::{CHUNK, Column, ColumnError, Element};

/// A number that a column holds in full.
pub trait Number: Element + Copy {
    /// As the widest.
    fn wide(self) -> u64;
    /// From the widest; `None` if it is too large.
    fn narrow(wide: u64) -> Option<Self>;
}

impl Number for u8 {
    fn wide(self) -> u64 {
        self.into()
    }

    fn narrow(wide: u64) -> Option<Self> {
        wide.try_into().ok()
    }
}

impl Number for u64 {
    fn wide(self) -> u64 {
        self
    }

    fn narrow(wide: u64) -> Option<Self> {
        Some(wide)
    }
}

impl<T: Number> Column<T> {
    /// Writes what makes `self` of `old`, by the chunk.
    ///
    /// # Errors
    /// Those of `out`; and [`io::ErrorKind::Unsupported`] when `self` is shorter than `old`, which a registry's lists never
    /// are.
    pub fn write_numbers(&self, old: &Self, out: &mut impl Write) -> io::Result<()> {
        if self.len() < old.len() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a list of numbers became shorter"));
        }
        write_varint(self.len() as u64, out)?;
        let (mut last, mut next) = (0, 0);
        for number in 0..self.len().div_ceil(CHUNK) {
            if self.items().is_same_chunk(old.items(), number) {
                continue;
            }
            write_varint((number - next + 1) as u64, out)?;
            next = number + 1;
            let olds = if number < old.len().div_ceil(CHUNK) { old.items().slice(number) } else { &[] };
            for (i, new) in self.items().slice(number).iter().enumerate() {
                let change = new.wide().wrapping_sub(olds.get(i).map_or(0, |old| old.wide()));
                write_varint(zigzag(change.wrapping_sub(last)), out)?;
                last = change;
            }
        }
        write_varint(0, out)
    }

    /// Makes of `self` what [`Column::write_numbers`] was called on.
    ///
    /// # Errors
    /// When the source fails, or what it gives is no such list of at most `limit` numbers.
    pub fn apply_numbers(&mut self, source: &mut impl Read, limit: u64) -> Result<(), ColumnError> {
        let len = read_len(source, limit)?;
        let (mut last, mut next) = (0u64, 0);
        while let Some(gap) = read_varint(source)?.checked_sub(1) {
            let number = next + usize::try_from(gap).unwrap_or(usize::MAX).min(len);
            let first = number * CHUNK;
            // Growing chunks come without gaps; anything else would leave holes.
            if first >= len || first > self.len() {
                return Err(ColumnError::Item { index: first });
            }
            let mut items = self.items().chunk(number).map_or_else(Vec::new, <[T]>::to_vec);
            let (had, has) = (items.len(), CHUNK.min(len - first));
            for i in 0..has.max(had) {
                let change = unzigzag(read_varint(source)?).wrapping_add(last);
                last = change;
                let old = items.get(i).map_or(0, |old| old.wide());
                let new = T::narrow(old.wrapping_add(change)).ok_or(ColumnError::Item { index: first + i })?;
                match items.get_mut(i) {
                    Some(item) => *item = new,
                    None => items.push(new),
                }
            }
            let grown = items.split_off(had);
            if had > 0 {
                self.replace_chunk(number, &items);
            }
            self.extend_from_slice(&grown);
            next = number + 1;
        }
        if self.len() == len { Ok(()) } else { Err(ColumnError::Item { index: self.len() }) }
    }
}

impl<T: Element> Column<T> {
    /// Writes what makes `self` of `old`, by the item.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_items(&self, old: &Self, out: &mut impl Write) -> io::Result<()> {
        let gone = self.gone_from(old);
        write_varint(gone as u64, out)?;
        write_varint(self.len() as u64, out)?;
        let (mut bytes, mut next) = (vec![0; T::SSZ_LEN], 0);
        for number in 0..self.len().div_ceil(CHUNK) {
            if gone == 0 && self.items().is_same_chunk(old.items(), number) {
                continue;
            }
            for (i, new) in self.items().slice(number).iter().enumerate() {
                let index = number * CHUNK + i;
                let before = old.get(index + gone);
                if before == Some(new) {
                    continue;
                }
                write_varint((index - next + 1) as u64, out)?;
                next = index + 1;
                new.write(&mut bytes);
                if let Some(before) = before {
                    flip(&mut bytes, before);
                }
                out.write_all(&bytes)?;
            }
        }
        write_varint(0, out)
    }

    /// Makes of `self` what [`Column::write_items`] was called on.
    ///
    /// # Errors
    /// When the source fails, or what it gives is no such list of at most `limit` items.
    pub fn apply_items(&mut self, source: &mut impl Read, limit: u64) -> Result<(), ColumnError> {
        let gone = read_len(source, limit)?;
        let len = read_len(source, limit)?;
        if gone > 0 || len < self.len() {
            *self = self.iter().skip(gone).take(len).cloned().collect();
        }
        let (mut bytes, mut next) = (vec![0; T::SSZ_LEN], 0);
        while let Some(gap) = read_varint(source)?.checked_sub(1) {
            let index = next + usize::try_from(gap).unwrap_or(usize::MAX).min(len);
            if index >= len || index > self.len() {
                return Err(ColumnError::Item { index });
            }
            source.read_exact(&mut bytes)?;
            if let Some(before) = self.get(index) {
                flip(&mut bytes, before);
            }
            let item = T::read(&bytes).ok_or(ColumnError::Item { index })?;
            if index == self.len() {
                self.push(item);
            } else {
                self.set(index, item);
            }
            next = index + 1;
        }
        if self.len() == len { Ok(()) } else { Err(ColumnError::Item { index: self.len() }) }
    }

    /// How many items at the front of `old` are gone, if `self` is a queue: as many as stand before our first.
    fn gone_from(&self, old: &Self) -> usize {
        let Some(first) = self.get(0) else { return 0 };
        old.iter().position(|item| item == first).unwrap_or(0)
    }
}

/// Turns the bits that `item` has set: twice, and they are as before.
pub fn flip<T: Element>(bytes: &mut [u8], item: &T) {
    let mut other = vec![0; T::SSZ_LEN];
    item.write(&mut other);
    bytes.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
}

/// Writes a number in as many groups of seven bits as it needs, the lowest first.
pub fn write_varint(mut value: u64, out: &mut impl Write) -> io::Result<()> {
    let (mut bytes, mut len) = ([0; 10], 0);
    loop {
        bytes[len] = value as u8 & 0x7f;
        value >>= 7;
        len += 1;
        if value == 0 {
            return out.write_all(&bytes[..len]);
        }
        bytes[len - 1] |= 0x80;
    }
}

/// Reads a number that [`write_varint`] wrote.
///
/// # Errors
/// When the source fails, or the number has more than 64 bits.
pub fn read_varint(source: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let mut byte = [0];
        source.read_exact(&mut byte)?;
        let part = u64::from(byte[0] & 0x7f);
        if part << shift >> shift != part {
            break;
        }
        value |= part << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a number of more than 64 bits"))
}

fn read_len(source: &mut impl Read, limit: u64) -> Result<usize, ColumnError> {
    let len = read_varint(source)?;
    let too_long = ColumnError::TooLong { limit };
    if len > limit { Err(too_long) } else { usize::try_from(len).map_err(|_| too_long) }
}

/// Small numbers of either sign as small numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
pub fn zigzag(value: u64) -> u64 {
    (value << 1) ^ ((value as i64 >> 63) as u64)
}

/// The number that [`zigzag`] was given.
pub fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ssz::Hash256;

    const LIMIT: u64 = 1 << 20;

    fn numbers_again(old: &Column<u64>, new: &Column<u64>) -> (Column<u64>, usize) {
        let mut bytes = Vec::new();
        new.write_numbers(old, &mut bytes).unwrap();
        let (mut again, mut source) = (old.clone(), bytes.as_slice());
        again.apply_numbers(&mut source, LIMIT).unwrap();
        assert!(source.is_empty());
        (again, bytes.len())
    }

    fn items_again<T: Element>(old: &Column<T>, new: &Column<T>) -> (Column<T>, usize) {
        let mut bytes = Vec::new();
        new.write_items(old, &mut bytes).unwrap();
        let (mut again, mut source) = (old.clone(), bytes.as_slice());
        again.apply_items(&mut source, LIMIT).unwrap();
        assert!(source.is_empty());
        (again, bytes.len())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_changed_is_all_that_is_needed(
            old in prop::collection::vec(any::<u64>(), 0..1500),
            changes in prop::collection::vec((any::<usize>(), any::<u64>()), 0..40),
            gone in 0usize..600,
            grown in prop::collection::vec(any::<u64>(), 0..600),
        ) {
            let before: Column<u64> = old.iter().copied().collect();
            let mut after = before.clone();
            for (index, value) in &changes {
                if !old.is_empty() {
                    after.set(index % old.len(), *value);
                }
            }
            grown.iter().for_each(|value| after.push(*value));
            let mut again = numbers_again(&before, &after).0;
            prop_assert_eq!(again.items(), after.items());
            prop_assert_eq!(again.list_root(LIMIT), after.list_root(LIMIT));
            after.drop_front(gone.min(after.len()));
            let mut again = items_again(&before, &after).0;
            prop_assert_eq!(again.items(), after.items());
            prop_assert_eq!(again.list_root(LIMIT), after.list_root(LIMIT));
        }

        #[test]
        fn numbers_survive(value in any::<u64>()) {
            let mut bytes = Vec::new();
            write_varint(zigzag(value), &mut bytes).unwrap();
            prop_assert_eq!(unzigzag(read_varint(&mut bytes.as_slice()).unwrap()), value);
        }

        #[test]
        fn noise_is_refused_or_read_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut numbers: Column<u64> = (0..700).collect();
            let _ = numbers.apply_numbers(&mut bytes.as_slice(), LIMIT);
            let mut hashes: Column<Hash256> = (0..70).map(Hash256::repeat_byte).collect();
            let _ = hashes.apply_items(&mut bytes.as_slice(), LIMIT);
        }
    }

    #[test]
    fn a_difference_is_small_and_shares_the_rest() {
        let old: Column<u64> = (0..100_000).map(|n| 32_000_000_000 + n * 77).collect();
        assert!(numbers_again(&old, &old.clone()).1 < 5);
        let mut paid = old.clone();
        paid.update_each(|_, balance| balance + 11_000);
        assert!(numbers_again(&old, &paid).1 < 101_000, "a byte for each, and runs of zeros at that");
        let mut one = old.clone();
        one.set(50_000, 7);
        let (again, bytes) = numbers_again(&old, &one);
        assert!(bytes < 2 * CHUNK && again.items().unshared_pieces(old.items()) == 1);

        let mut queue: Column<u64> = (0..5_000).map(|n| n * n).collect();
        let before = queue.clone();
        queue.drop_front(1_234);
        queue.push(1);
        assert!(items_again(&before, &queue).1 < 20);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let old: Column<u64> = (0..600).collect();
        let mut bytes = Vec::new();
        old.write_numbers(&Column::default(), &mut bytes).unwrap();
        assert!(Column::<u64>::default().apply_numbers(&mut bytes.as_slice(), 599).is_err());
        for cut in 0..bytes.len() {
            assert!(Column::<u64>::default().apply_numbers(&mut &bytes[..cut], LIMIT).is_err());
        }
        assert!(Column::<u64>::default().write_numbers(&old, &mut bytes).is_err());
        // As flags, the numbers are too large.
        assert!(Column::<u8>::default().apply_numbers(&mut bytes.as_slice(), LIMIT).is_err());
    }
}
