//! A long list in shared chunks: a copy costs a pointer a chunk, and a write copies one chunk.

use std::sync::Arc;

/// Items in a chunk. Smaller chunks make a scattered write cheaper, larger ones a scan and a copy of the whole. With a
/// million validators, the state after a block costs 3.6 MiB more with 256, and 5.6 with 1,024; scans take as long.
pub const CHUNK: usize = 256;

/// Bytes of a chunk besides its items: two counters and the vector's own three words.
const CHUNK_HEAD: usize = 5 * size_of::<usize>();

/// A list whose copies share their memory until one of them writes.
#[derive(Clone, Debug)]
pub struct Chunks<T> {
    // Every chunk but the last holds `CHUNK` items; none is empty.
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone + PartialEq> Chunks<T> {
    /// `len` copies of `value`, all whole chunks of them in one place.
    pub fn filled(value: T, len: usize) -> Self {
        let whole = Arc::new(vec![value.clone(); CHUNK.min(len)]);
        let mut chunks = vec![whole; len / CHUNK];
        if !len.is_multiple_of(CHUNK) {
            chunks.push(Arc::new(vec![value; len % CHUNK]));
        }
        Chunks { chunks, len }
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
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// Writes `value` at `index`; says whether that changed anything. Copies the chunk if it is shared.
    ///
    /// # Panics
    /// When `index` is out of range, as a slice does.
    pub fn set(&mut self, index: usize, value: T) -> bool {
        let chunk = &mut self.chunks[index / CHUNK];
        if chunk[index % CHUNK] == value {
            return false;
        }
        Arc::make_mut(chunk)[index % CHUNK] = value;
        true
    }

    /// Appends an item.
    pub fn push(&mut self, value: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(1)));
        }
        let last = self.chunks.last_mut().expect("a chunk was just made if there was none");
        Arc::make_mut(last).push(value);
        self.len += 1;
    }

    /// Appends up to [`CHUNK`] items at once, where a chunk begins. Equal neighbours share their memory: most of a registry's
    /// epochs, flags and scores are the same.
    ///
    /// # Panics
    /// When the last chunk is not full, or these are more than fill one.
    pub fn push_chunk(&mut self, items: Vec<T>) {
        assert!(self.len.is_multiple_of(CHUNK) && items.len() <= CHUNK, "chunks are full but for the last");
        if items.is_empty() {
            return;
        }
        self.len += items.len();
        let chunk = match self.chunks.last() {
            Some(last) if **last == items => last.clone(),
            _ => Arc::new(items),
        };
        self.chunks.push(chunk);
    }

    /// Shortens the list to `len` items.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.chunks.truncate(len.div_ceil(CHUNK));
        if let Some(last) = self.chunks.last_mut().filter(|_| !len.is_multiple_of(CHUNK)) {
            Arc::make_mut(last).truncate(len % CHUNK);
        }
        self.len = len;
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The chunks in order: slices of [`CHUNK`] items, the last perhaps shorter.
    pub fn slices(&self) -> impl Iterator<Item = &[T]> {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }

    /// The chunk with number `index`.
    pub fn slice(&self, index: usize) -> &[T] {
        &self.chunks[index]
    }

    /// The chunk with number `index`, if there is one.
    pub fn chunk(&self, index: usize) -> Option<&[T]> {
        self.chunks.get(index).map(|chunk| chunk.as_slice())
    }

    /// Whether both have the same items in the chunk with number `index`. Costs nothing where they share it.
    pub fn is_same_chunk(&self, other: &Self, index: usize) -> bool {
        match (self.chunks.get(index), other.chunks.get(index)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }

    /// Puts other items in the place of the chunk with number `index`, as many as it has.
    ///
    /// # Panics
    /// When there is no such chunk, or its length is another.
    pub fn replace_chunk(&mut self, index: usize, items: Vec<T>) {
        assert_eq!(self.chunks[index].len(), items.len(), "a chunk keeps its length");
        self.chunks[index] = Arc::new(items);
    }

    /// How many chunks `self` has that `other` does not share: what keeping both costs.
    pub fn unshared_chunks(&self, other: &Self) -> usize {
        let shared = self.chunks.iter().zip(&other.chunks).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        self.chunks.len() - shared
    }

    /// Bytes on the heap that keeping `self` beside `other` costs: the chunks that they do not share, and the pointers. Equal
    /// neighbours that are one chunk count once.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        let is_counted = |at: usize, chunk| {
            let theirs = other.chunks.get(at).into_iter();
            let before = at.checked_sub(1).map(|before| &self.chunks[before]);
            theirs.chain(before).any(|same| Arc::ptr_eq(chunk, same))
        };
        let unshared = self.chunks.iter().enumerate().filter(|(at, chunk)| !is_counted(*at, chunk));
        let bytes: usize = unshared.map(|(_, chunk)| CHUNK_HEAD + chunk.capacity() * size_of::<T>()).sum();
        bytes + self.chunks.capacity() * size_of::<Arc<Vec<T>>>()
    }
}

impl<T: Clone + PartialEq> FromIterator<T> for Chunks<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let mut all = Chunks::default();
        loop {
            let chunk: Vec<T> = items.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return all;
            }
            all.push_chunk(chunk);
        }
    }
}

impl<T: PartialEq> PartialEq for Chunks<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.chunks.iter().zip(&other.chunks).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
    }
}
