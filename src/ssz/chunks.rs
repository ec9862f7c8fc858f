//! A long list in shared pieces: a copy costs nothing, and a write copies one piece.

use std::sync::Arc;

/// Items of a chunk, the unit in which lists of whatever type are scanned side by side.
///
/// It is also the fewest items that are copied for one write: a block pays some 500 balances all over the registry. With a
/// million validators one more state after a block cost 5.6 MiB when 1,024 balances were copied at once, and 3.6 with 256.
pub const CHUNK: usize = 128;

/// Small items share pieces of this size, several chunks each, since a piece costs some 40 bytes beside its items.
const PIECE_BYTES: usize = 1024;

/// Bytes of an allocation behind an [`Arc`] before its content: two counters.
const COUNTERS: usize = 2 * size_of::<usize>();

/// A list whose copies share their memory until one of them writes.
#[derive(Clone, Debug)]
pub struct Chunks<T> {
    // Every piece but the last holds `Chunks::PER_PIECE` items; none is empty. The table too is shared: at mainnet's size
    // the tables of a state's columns would be a megabyte to copy.
    pieces: Arc<Vec<Arc<[T]>>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { pieces: Arc::default(), len: 0 }
    }
}

impl<T> Chunks<T> {
    /// Items in a piece: whole chunks.
    pub(super) const PER_PIECE: usize = {
        let fit = PIECE_BYTES / size_of::<T>();
        if fit > CHUNK { 1 << fit.ilog2() } else { CHUNK }
    };
    /// Chunks in a piece.
    const CHUNKS: usize = Self::PER_PIECE / CHUNK;
}

impl<T: Clone + PartialEq> Chunks<T> {
    /// `len` copies of `value`, all whole pieces of them in one place.
    pub fn filled(value: T, len: usize) -> Self {
        let whole: Arc<[T]> = vec![value; Self::PER_PIECE.min(len)].into();
        let mut pieces = vec![whole.clone(); len / Self::PER_PIECE];
        let rest = len % Self::PER_PIECE;
        if rest > 0 {
            pieces.push(whole[..rest].into());
        }
        Chunks { pieces: Arc::new(pieces), len }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The item at `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pieces.get(index / Self::PER_PIECE)?.get(index % Self::PER_PIECE)
    }

    /// Writes `value` at `index`; says whether that changed anything. Copies the piece if it is shared.
    ///
    /// # Panics
    /// When `index` is out of range, as a slice does.
    pub fn set(&mut self, index: usize, value: T) -> bool {
        let (number, place) = (index / Self::PER_PIECE, index % Self::PER_PIECE);
        if self.pieces[number][place] == value {
            return false;
        }
        self.piece_mut(number)[place] = value;
        true
    }

    /// Replaces each item at one of `indices` by `f(item)`, and tells `changed` where that is another. Pieces in which there is
    /// none stay shared. Each piece is made ours once, where [`Chunks::set`] has to see to it for each item.
    ///
    /// # Panics
    /// When an index is out of range, as a slice does.
    pub fn update_scattered(&mut self, indices: &[u32], f: impl Fn(&T) -> T, mut changed: impl FnMut(usize)) {
        let place = |index: &u32| (*index as usize / Self::PER_PIECE, *index as usize % Self::PER_PIECE);
        let mut is_written = vec![false; self.pieces.len()];
        for (number, at) in indices.iter().map(place) {
            let item = &self.pieces[number][at];
            is_written[number] |= f(item) != *item;
        }
        if !is_written.contains(&true) {
            return;
        }
        let pieces = Arc::make_mut(&mut self.pieces).iter_mut().zip(&is_written);
        let mut pieces: Vec<&mut [T]> =
            pieces.map(|(piece, is_written)| if *is_written { Arc::make_mut(piece) } else { &mut [] }).collect();
        for (number, at) in indices.iter().map(place) {
            if let Some(item) = pieces[number].get_mut(at) {
                let new = f(item);
                if new != *item {
                    *item = new;
                    changed(number * Self::PER_PIECE + at);
                }
            }
        }
    }

    /// Appends items: many at once, since the last piece is copied each time. Equal neighbours among the pieces share their
    /// memory: most of a registry's epochs, flags and scores are the same.
    pub fn extend_from_slice(&mut self, mut items: &[T]) {
        while !items.is_empty() {
            let filled = self.len % Self::PER_PIECE;
            let (some, rest) = items.split_at(items.len().min(Self::PER_PIECE - filled));
            let pieces = Arc::make_mut(&mut self.pieces);
            match pieces.last_mut().filter(|_| filled > 0) {
                Some(last) => *last = last.iter().chain(some).cloned().collect(),
                None => pieces.push(some.into()),
            }
            self.len += some.len();
            self.share(self.pieces.len() - 1);
            items = rest;
        }
    }

    /// Makes the list `len` items long: shortens it, or appends copies of `value`.
    pub fn resize(&mut self, len: usize, value: T) {
        if len >= self.len {
            let until_full = (self.len.next_multiple_of(Self::PER_PIECE).min(len)) - self.len;
            self.extend_from_slice(&vec![value.clone(); until_full]);
            let rest = Self::filled(value, len - self.len);
            if !rest.is_empty() {
                Arc::make_mut(&mut self.pieces).extend(rest.pieces.iter().cloned());
            }
        } else {
            let pieces = Arc::make_mut(&mut self.pieces);
            pieces.truncate(len.div_ceil(Self::PER_PIECE));
            if let Some(last) = pieces.last_mut().filter(|_| !len.is_multiple_of(Self::PER_PIECE)) {
                *last = last[..len % Self::PER_PIECE].into();
            }
        }
        self.len = len;
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// The chunks in order: slices of [`CHUNK`] items, the last perhaps shorter.
    pub fn slices(&self) -> impl Iterator<Item = &[T]> {
        self.pieces.iter().flat_map(|piece| piece.chunks(CHUNK))
    }

    /// The chunk with number `number`: the items from `number * CHUNK` on.
    ///
    /// # Panics
    /// When the list ends before it.
    pub fn slice(&self, number: usize) -> &[T] {
        let piece = &self.pieces[number / Self::CHUNKS];
        let from = number % Self::CHUNKS * CHUNK;
        &piece[from..piece.len().min(from + CHUNK)]
    }

    /// The chunk with number `number`, if there is one.
    pub fn chunk(&self, number: usize) -> Option<&[T]> {
        (number * CHUNK < self.len).then(|| self.slice(number))
    }

    /// Puts other items in the place of the chunk with number `number`, as many as it has.
    ///
    /// # Panics
    /// When there is no such chunk, or its length is another.
    pub fn replace_chunk(&mut self, number: usize, items: &[T]) {
        assert_eq!(self.slice(number).len(), items.len(), "a chunk keeps its length");
        let from = number % Self::CHUNKS * CHUNK;
        if items.len() == self.pieces[number / Self::CHUNKS].len() {
            return self.replace_piece(number / Self::CHUNKS, items);
        }
        self.piece_mut(number / Self::CHUNKS)[from..from + items.len()].clone_from_slice(items);
        if (number + 1).is_multiple_of(Self::CHUNKS) {
            self.share(number / Self::CHUNKS);
        }
    }

    /// Whether both have the same items in the chunk with number `number`. Costs nothing where they share it.
    pub fn is_same_chunk(&self, other: &Self, number: usize) -> bool {
        let piece = number / Self::CHUNKS;
        number * CHUNK < self.len.min(other.len)
            && (Arc::ptr_eq(&self.pieces[piece], &other.pieces[piece]) || self.slice(number) == other.slice(number))
    }

    /// How many pieces `self` has that `other` does not share: what keeping both costs.
    pub fn unshared_pieces(&self, other: &Self) -> usize {
        let shared = self.pieces.iter().zip(other.pieces.iter()).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        self.pieces.len() - shared
    }

    /// Bytes on the heap that keeping `self` beside `other` costs: the pieces that they do not share, and the table. Equal
    /// neighbours that are one piece count once.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        if Arc::ptr_eq(&self.pieces, &other.pieces) {
            return 0;
        }
        let is_counted = |at: usize, piece| {
            let theirs = other.pieces.get(at).into_iter();
            let before = at.checked_sub(1).map(|before| &self.pieces[before]);
            theirs.chain(before).any(|same| Arc::ptr_eq(piece, same))
        };
        let unshared = self.pieces.iter().enumerate().filter(|(at, piece)| !is_counted(*at, piece));
        let bytes: usize = unshared.map(|(_, piece)| COUNTERS + size_of_val(&**piece)).sum();
        let table = COUNTERS + size_of::<Vec<Arc<[T]>>>() + self.pieces.capacity() * size_of::<Arc<[T]>>();
        bytes + table
    }

    /// Puts items in the place of a whole piece, in its memory if nobody else has it.
    pub(super) fn replace_piece(&mut self, number: usize, items: &[T]) {
        let piece = &mut Arc::make_mut(&mut self.pieces)[number];
        match Arc::get_mut(piece) {
            Some(piece) => piece.clone_from_slice(items),
            None => *piece = items.into(),
        }
        self.share(number);
    }

    /// Whether a piece and the one before it are one in memory.
    pub(super) fn is_shared_with_previous(&self, number: usize) -> bool {
        number > 0 && Arc::ptr_eq(&self.pieces[number], &self.pieces[number - 1])
    }

    fn piece_mut(&mut self, number: usize) -> &mut [T] {
        Arc::make_mut(&mut Arc::make_mut(&mut self.pieces)[number])
    }

    /// Lets a piece share the memory of the one before it if they are equal.
    fn share(&mut self, number: usize) {
        let is_equal = number > 0 && self.pieces[number] == self.pieces[number - 1];
        if is_equal && !self.is_shared_with_previous(number) {
            let pieces = Arc::make_mut(&mut self.pieces);
            pieces[number] = pieces[number - 1].clone();
        }
    }
}

impl<T: Clone + PartialEq> FromIterator<T> for Chunks<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let mut all = Chunks::default();
        loop {
            let piece: Vec<T> = items.by_ref().take(Self::PER_PIECE).collect();
            if piece.is_empty() {
                return all;
            }
            all.extend_from_slice(&piece);
        }
    }
}

impl<T: PartialEq> PartialEq for Chunks<T> {
    fn eq(&self, other: &Self) -> bool {
        let mut both = self.pieces.iter().zip(other.pieces.iter());
        self.len == other.len && both.all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
    }
}
