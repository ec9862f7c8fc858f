//! Measures what docs/decisions/0015-sampling.md and 0023-blobs-from-the-pool.md say: `cargo run --release --example column_figures`.
//! Linux only: reads `/proc/self`.

use std::{fs, time::Instant};

use hornero::{
    chain::columns::{ColumnFrame, columns_of_pool, get_data_column_sidecars},
    crypto::{
        kzg::{CellsAndProofs, blob_to_kzg_commitment, compute_cells, compute_cells_and_kzg_proofs, prepare},
        verify_data_column_sidecar_kzg_proofs, verify_data_columns_kzg_proofs,
    },
    engine::PooledBlob,
    types::{
        BeaconBlockHeader, Blob, BlobParameters, ColumnIndex, Config, DataColumnSidecar, KZGCommitment,
        SignedBeaconBlockHeader,
    },
};

/// Repetitions, of which the fastest counts.
const RUNS: usize = 5;
/// Columns that a node samples at least.
const SAMPLED: usize = 8;

fn main() {
    let before = resident_kib();
    let setup = fastest(1, prepare);
    println!("trusted setup: {setup:.0} ms, {} KiB more", resident_kib().saturating_sub(before));
    let blob = |seed: usize| {
        let byte = |at: usize| if at.is_multiple_of(32) { 0 } else { (at * 7 / 3 + seed) as u8 };
        Blob::new((0..4096 * 32).map(byte).collect()).expect("a blob's size")
    };
    let first = blob(0);
    println!("cells of a blob: {:.1} ms", fastest(RUNS, || drop(compute_cells(&first))));
    println!("cells and proofs of a blob: {:.0} ms", fastest(2, || drop(compute_cells_and_kzg_proofs(&first))));
    for count in [9, 21] {
        let blobs: Vec<Blob> = (0..count).map(blob).collect();
        let commitments: Vec<KZGCommitment> =
            blobs.iter().map(|blob| blob_to_kzg_commitment(blob).expect("field elements")).collect();
        let cells: Vec<CellsAndProofs> =
            blobs.iter().map(|blob| compute_cells_and_kzg_proofs(blob).expect("field elements")).collect();
        let message = BeaconBlockHeader::default();
        let header = SignedBeaconBlockHeader { message, signature: Default::default() };
        let commitments = commitments.try_into().expect("few");
        let columns = get_data_column_sidecars(header, commitments, Default::default(), &cells);
        verify(&columns[..SAMPLED], count);
        let pooled = blobs.into_iter().zip(cells).map(|(blob, (_, proofs))| PooledBlob { blob, proofs }).collect();
        make(&ColumnFrame::of_column(&columns[0]), pooled);
    }
}

/// Our columns, of what the execution client has in its pool.
fn make(frame: &ColumnFrame, blobs: Vec<PooledBlob>) {
    let any = BlobParameters { epoch: 0, max_blobs_per_block: blobs.len() as u64 };
    let config = Config { blob_schedule: vec![any], ..Config::default() };
    let ours: Vec<ColumnIndex> = (0..SAMPLED as ColumnIndex).map(|number| number * 16).collect();
    let count = blobs.len();
    peak_kib();
    let before = resident_kib();
    let time = fastest(RUNS, || {
        let made = columns_of_pool(&config, frame, &ours, blobs.clone()).expect("the block's own blobs");
        assert_eq!(made.len(), SAMPLED);
    });
    let more = peak_kib().saturating_sub(before);
    println!("{count} blobs of the pool: {SAMPLED} columns made in {time:.1} ms; peak over resident {more} KiB");
}

fn verify(columns: &[DataColumnSidecar], blobs: usize) {
    let all: Vec<&DataColumnSidecar> = columns.iter().collect();
    let one = fastest(RUNS, || assert!(verify_data_column_sidecar_kzg_proofs(all[0])));
    let each = fastest(RUNS, || assert!(all.iter().all(|column| verify_data_column_sidecar_kzg_proofs(column))));
    peak_kib();
    let before = resident_kib();
    let batch = fastest(RUNS, || assert!(verify_data_columns_kzg_proofs(&all)));
    let more = peak_kib().saturating_sub(before);
    let bytes: usize = columns.iter().map(ssz::Encode::ssz_bytes_len).sum();
    println!(
        "{blobs} blobs: one column {one:.1} ms; {SAMPLED} one by one {each:.1} ms; {SAMPLED} at once {batch:.1} ms; \
         {} KiB of columns; peak over resident {more} KiB",
        bytes >> 10
    );
}

fn fastest(runs: usize, work: impl Fn()) -> f64 {
    let time = |_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64() * 1000.0
    };
    (0..runs).map(time).fold(f64::INFINITY, f64::min)
}

fn status_kib(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn resident_kib() -> usize {
    status_kib("VmRSS:")
}

/// The most since the last call of it, where the kernel allows to reset it.
fn peak_kib() -> usize {
    let peak = status_kib("VmHWM:");
    let _ = fs::write("/proc/self/clear_refs", "5");
    peak
}
