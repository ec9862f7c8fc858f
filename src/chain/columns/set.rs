//! A set of columns, one bit each.

use crate::types::{ColumnIndex, preset::NUMBER_OF_COLUMNS};

const _: () = assert!(NUMBER_OF_COLUMNS as u32 <= u128::BITS);

/// Some of a block's columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnSet(u128);

impl ColumnSet {
    /// All columns.
    pub const ALL: ColumnSet = ColumnSet(u128::MAX >> (u128::BITS - NUMBER_OF_COLUMNS as u32));

    /// Whether half of all columns are here, from which the others can be computed.
    pub fn is_half(&self) -> bool {
        self.len() >= NUMBER_OF_COLUMNS / 2
    }

    /// Adds a column; one that does not exist is left out.
    pub fn insert(&mut self, column: ColumnIndex) {
        self.0 |= bit(column);
    }

    pub fn contains(&self, column: ColumnIndex) -> bool {
        self.0 & bit(column) != 0
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub fn len(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Those of ours that are not in the other.
    pub fn minus(self, other: ColumnSet) -> ColumnSet {
        ColumnSet(self.0 & !other.0)
    }

    /// Those that are in both.
    pub fn and(self, other: ColumnSet) -> ColumnSet {
        ColumnSet(self.0 & other.0)
    }

    /// Those that are in one of them.
    pub fn or(self, other: ColumnSet) -> ColumnSet {
        ColumnSet(self.0 | other.0)
    }

    /// Ascending.
    pub fn iter(self) -> impl Iterator<Item = ColumnIndex> {
        (0..NUMBER_OF_COLUMNS as u64).filter(move |column| self.contains(*column))
    }
}

impl FromIterator<ColumnIndex> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = ColumnIndex>>(columns: I) -> Self {
        let mut set = ColumnSet::default();
        columns.into_iter().for_each(|column| set.insert(column));
        set
    }
}

fn bit(column: ColumnIndex) -> u128 {
    if column < NUMBER_OF_COLUMNS as u64 { 1 << column } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_columns_that_exist() {
        let set: ColumnSet = [127, 3, 128, u64::MAX, 3].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 127]);
        assert_eq!((set.len(), set.contains(3), set.contains(4), set.contains(128)), (2, true, false, false));
        let other: ColumnSet = [3, 5].into_iter().collect();
        assert_eq!(set.minus(other).iter().collect::<Vec<_>>(), [127]);
        assert_eq!(set.and(other).iter().collect::<Vec<_>>(), [3]);
        assert_eq!(set.or(other).len(), 3);
        assert!(set.minus(set).is_empty());
    }
}
