//! What the fuzz targets share: the table of decoders, which the tests have too, and the measure of memory.

#[path = "../../decoders/table.rs"]
pub mod table;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Does `work`, which must never hold more than `besides` bytes more than before, and `factor` times `len`.
pub fn within<T>(len: usize, factor: usize, besides: usize, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = work();
    let held = MEMORY.peak_usage().saturating_sub(before);
    assert!(held <= len * factor + besides, "{held} bytes at once for {len} bytes of input");
    result
}

/// Decodes and encodes `ssz` within the memory that it justifies. What is accepted must encode to the same bytes.
pub fn check_ssz(ssz: &[u8], besides: usize, again: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
    let encoded = within(ssz.len(), table::MOST_MEMORY_PER_BYTE, besides, || again(ssz));
    if let Some(encoded) = encoded {
        assert!(encoded == ssz, "accepts what it encodes otherwise");
    }
}
