//! What is asked of the C library's allocator: to keep little, and to give freed memory back to the system.

/// Has the C library give back the pages in which nothing is left. Its allocator keeps them otherwise, and a cache that was made
/// smaller would not show. Walks all of the heap, some tens of milliseconds, so not in a task. Elsewhere than with glibc it
/// does nothing: musl, and allocators made for servers, give memory back by themselves.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `malloc_trim` takes no pointer, may be called at any time from any thread, and leaves what is in use alone.
        #[allow(unsafe_code)]
        let _ = unsafe { libc::malloc_trim(0) };
    }
}

/// Has the C library's allocator use one arena for all threads, unless the user set `MALLOC_ARENA_MAX`. To be called before other
/// threads start. Otherwise each thread of the blocking pool leaves pages half empty in an arena of its own, which others can't
/// use: docs/decisions/0010-allocator.md. Whether it was done.
pub fn share_one_arena() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        // SAFETY: `mallopt` takes two numbers and no pointer; it locks the allocator while it changes it.
        #[allow(unsafe_code)]
        return unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) } == 1;
    }
    false
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;
    use crate::metrics::resident_bytes;

    #[test]
    fn pages_that_were_freed_are_no_longer_resident() {
        // Small pieces, every 64th of which stays: the heap's end can't simply be cut off.
        let mut pieces: Vec<Option<Box<[u8]>>> = (0..40_000).map(|_| Some(vec![1u8; 2048].into())).collect();
        pieces.iter_mut().enumerate().filter(|(nth, _)| nth % 64 != 0).for_each(|(_, piece)| *piece = None);
        let before = resident_bytes().unwrap();
        give_back();
        let after = resident_bytes().unwrap();
        assert!(pieces.iter().flatten().all(|piece| piece[0] == 1));
        // Of 80 MB nearly all; other tests allocate meanwhile.
        assert!(before.saturating_sub(after) > 30 << 20, "{before} before, {after} after");
    }
}
