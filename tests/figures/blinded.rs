//! Bytes on disk of 1,000 mainnet-like blocks, with their payloads and without, for docs/figures.md:
//! `cargo run --example blinded_figures -- DIR`, a new directory on the disk to be measured.

use hornero::types;

#[allow(dead_code)] // only its noise is used here
#[path = "../../src/db/sample.rs"]
mod sample;

use std::{env, path::Path, sync::Arc, time::Instant};

use hornero::{
    db::{Database, DbConfig, DbError, StoredBlock},
    types::{
        Attestation, BeaconBlock, BeaconBlockBody, Config, ExecutionPayload, ForkName, G2_POINT_AT_INFINITY, Hash256,
        KZGCommitment, SignedBeaconBlock, Withdrawal,
    },
};
use ssz::Encode;
use ssz_types::{BitList, BitVector};

const BLOCKS: u64 = 1_000;
/// Blocks in one durable put, as when syncing; and what the execution client is asked for at once.
const GROUP: u64 = 32;
/// As the blocks of `hornero bench`: 200 transactions of 512 bytes that do not compress.
const TRANSACTIONS: u64 = 200;
const TRANSACTION_BYTES: usize = 512;
/// Attesters of a slot when 950,000 validators are active, in 64 committees.
const ATTESTERS: usize = 29_687;
/// Of a thousand, how many do not vote.
const ABSENT_PER_MILLE: usize = 15;
const MEBIBYTE: f64 = (1 << 20) as f64;

fn main() -> Result<(), DbError> {
    let dir = env::args().nth(1).expect("a new directory on the disk to measure");
    let config = DbConfig::new(Hash256::ZERO, Arc::new(Config::default().in_fork_from_genesis(ForkName::Fulu)));
    println!(
        "| aggregates in a block | SSZ of a block | whole, on disk | blinded, on disk | of it | blinded in | whole again in |"
    );
    println!("|---|---|---|---|---|---|---|");
    for aggregates in [8, 2] {
        let (db, _) = Database::open(&Path::new(&dir).join(format!("{aggregates}")), &config)?;
        measure(&db, aggregates)?;
        db.close()?;
    }
    Ok(())
}

fn measure(db: &Database, aggregates: u64) -> Result<(), DbError> {
    let mut ssz = 0;
    for first in (0..BLOCKS).step_by(GROUP as usize) {
        let slots = first..(first + GROUP).min(BLOCKS);
        let blocks: Vec<_> = slots.clone().map(|slot| (root(slot), block(slot, aggregates))).collect();
        ssz += blocks.iter().map(|(_, block)| block.ssz_bytes_len()).sum::<usize>();
        db.put_blocks(&blocks.iter().map(|(root, block)| (*root, block)).collect::<Vec<_>>())?;
        db.set_canonical(&slots.map(|slot| (slot, root(slot))).collect::<Vec<_>>())?;
    }
    let whole = db.disk_usage()?.blocks as f64;
    let start = Instant::now();
    for roots in db.whole_blocks(0..BLOCKS)?.chunks(GROUP as usize) {
        let blinded = roots.iter().map(|root| Ok((*root, db.block(*root)?.expect("stored").into_blinded())));
        db.put_blinded(&blinded.collect::<Result<Vec<_>, DbError>>()?)?;
    }
    let freed = db.drop_whole(0)?.bytes as f64;
    let took = start.elapsed().as_secs_f64() * 1e3 / BLOCKS as f64;
    let usage = db.disk_usage()?;
    assert_eq!((freed, usage.blocks), (whole, 0), "the whole ones are gone");
    let start = Instant::now();
    for slot in 0..BLOCKS {
        let ExecutionPayload { transactions, withdrawals, .. } = payload(slot);
        let Some(StoredBlock::Blinded(block)) = db.stored_block(root(slot))? else { panic!("it is not blinded") };
        assert_eq!(block.into_whole(transactions, withdrawals).expect("its own").message.slot, slot);
    }
    let again = start.elapsed().as_secs_f64() * 1e3 / BLOCKS as f64;
    println!(
        "| {aggregates} | {:.1} KiB | {:.1} MiB | {:.1} MiB | {:.0}% | {took:.2} ms a block | {again:.2} ms a block |",
        ssz as f64 / BLOCKS as f64 / 1024.0,
        whole / MEBIBYTE,
        usage.blinded as f64 / MEBIBYTE,
        usage.blinded as f64 / whole * 100.0,
    );
    Ok(())
}

fn root(slot: u64) -> Hash256 {
    Hash256::left_padding_from(&slot.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
}

fn hash(seed: u64) -> Hash256 {
    Hash256::from_slice(&sample::noise(seed, 32))
}

fn block(slot: u64, aggregates: u64) -> SignedBeaconBlock {
    let mut body = BeaconBlockBody::empty(ForkName::Fulu);
    body.graffiti = hash(slot ^ 1 << 40);
    body.eth1_data.block_hash = hash(2 << 40);
    body.attestations = (0..aggregates).map(|number| aggregate(slot, number)).collect();
    let bits = &mut body.sync_aggregate.sync_committee_bits;
    let present = presence(slot ^ 5 << 40, bits.len());
    present.enumerate().for_each(|(at, is_there)| bits.set(at, is_there).expect("within the bits"));
    body.execution_payload = payload(slot);
    body.blob_kzg_commitments = (0..6)
        .map(|number| KZGCommitment::from_slice(&sample::noise(slot << 8 | number | 3 << 40, 48)))
        .collect::<Vec<_>>()
        .try_into()
        .expect("not too many");
    let message = BeaconBlock {
        slot,
        proposer_index: slot * 7,
        parent_root: root(slot.wrapping_sub(1)),
        state_root: hash(slot),
        body,
    };
    SignedBeaconBlock { message, signature: G2_POINT_AT_INFINITY }
}

/// Which of so many voted.
fn presence(seed: u64, count: usize) -> impl Iterator<Item = bool> {
    let noise = sample::noise(seed, 2 * count);
    let is_there = |at: usize| usize::from(noise[2 * at]) << 8 | usize::from(noise[2 * at + 1]);
    (0..count)
        .map(is_there)
        .map(|random| random >= (1 << 16) * ABSENT_PER_MILLE / 1_000)
        .collect::<Vec<_>>()
        .into_iter()
}

/// The votes of a slot's committees.
fn aggregate(slot: u64, number: u64) -> Attestation {
    let mut aggregation_bits = BitList::with_capacity(ATTESTERS).expect("committees fit");
    let present = presence(slot << 8 | number | 4 << 40, ATTESTERS);
    present.enumerate().for_each(|(at, is_there)| aggregation_bits.set(at, is_there).expect("within the bits"));
    let mut committee_bits = BitVector::new();
    (0..committee_bits.len()).for_each(|at| committee_bits.set(at, true).expect("within the bits"));
    let mut data = types::AttestationData::default();
    (data.slot, data.beacon_block_root) = (slot.saturating_sub(number + 1), hash(slot ^ 6 << 40));
    Attestation { aggregation_bits, data, signature: G2_POINT_AT_INFINITY, committee_bits }
}

fn payload(slot: u64) -> ExecutionPayload {
    let transaction = |number: u64| {
        let bytes = sample::noise(slot << 16 | number, TRANSACTION_BYTES);
        bytes.try_into().expect("shorter than a transaction may be")
    };
    let transactions: Vec<_> = (0..TRANSACTIONS).map(transaction).collect();
    let withdrawal = |number: u64| Withdrawal {
        index: slot * 16 + number,
        validator_index: slot * 16 + number,
        address: types::Address::from_slice(&sample::noise(slot << 8 | number | 7 << 40, 20)),
        amount: 17_000_000 + number,
    };
    ExecutionPayload {
        parent_hash: hash(slot ^ 8 << 40),
        block_hash: hash((slot + 1) ^ 8 << 40),
        state_root: hash(slot ^ 9 << 40),
        receipts_root: hash(slot ^ 10 << 40),
        logs_bloom: sample::noise(slot ^ 11 << 40, 256).try_into().expect("its length"),
        transactions: transactions.try_into().expect("not too many"),
        withdrawals: (0..types::preset::MAX_WITHDRAWALS_PER_PAYLOAD as u64)
            .map(withdrawal)
            .collect::<Vec<_>>()
            .try_into()
            .expect("not too many"),
        ..Default::default()
    }
}
