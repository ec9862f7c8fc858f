//! Edges of every decoder that reads what a stranger sent: what it accepts, it encodes to the same bytes; what is not
//! canonical, it refuses; and it takes no more memory than the input's length justifies.
//!
//! The samples are the seeds of the fuzz targets, from the official vectors of the minimal preset. In the builds of other
//! presets those whose layout differs are one more kind of malformed input. `HORNERO_WRITE_CORPUS=1` with `HORNERO_VECTORS`
//! writes them anew.

mod decoders {
    pub mod canonical;
    pub mod memory;
    pub mod mutations;
    pub mod samples;
    pub mod seeds;
    pub mod table;
}
use decoders::{memory, mutations, samples, seeds, table};
use hornero::types::{
    BLSSignature, BeaconBlock, BeaconBlockBody, ExecutionPayload, ForkName, Hash256, SignedBeaconBlock,
};
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use ssz::Encode;
use ssz_types::VariableList;

/// A line of the table, a sample of it, and what was done to the sample.
fn mutated(samples: Vec<samples::Sample>) -> impl Strategy<Value = (samples::Sample, Vec<u8>)> {
    (any::<Index>(), prop::collection::vec(mutations::any_mutation(), 1..4)).prop_map(move |(n, changes)| {
        let sample = n.get(&samples).clone();
        let bytes = changes.iter().fold(sample.ssz.clone(), |bytes, change| change.apply(bytes));
        (sample, bytes)
    })
}

/// Whatever is accepted is canonical: it has one encoding.
fn accepted_is_canonical(sample: &samples::Sample, bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Some(again) = sample.again(bytes) {
        prop_assert!(again == bytes, "{} accepts what it encodes otherwise", sample.name);
    }
    Ok(())
}

/// Cases of each property.
const CASES: u32 = 2048;

fn check<S: Strategy>(strategy: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config).run(strategy, property).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn changed_samples_are_refused_or_canonical() {
    let _alone = memory::alone();
    check(&mutated(samples::all()), |(sample, bytes)| accepted_is_canonical(&sample, &bytes));
}

#[test]
fn noise_is_refused_or_canonical() {
    let _alone = memory::alone();
    let samples = samples::all();
    let noise = prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..600);
    check(&(any::<Index>(), noise), |(n, bytes)| accepted_is_canonical(n.get(&samples), &bytes));
}

#[test]
fn a_state_is_the_same_in_pieces_and_whole() {
    let _alone = memory::alone();
    let states: Vec<_> = samples::all().into_iter().filter(|sample| sample.name == "state").collect();
    check(&(any::<Index>(), 1usize..5000), |(n, piece)| {
        let sample = n.get(&states);
        let fork = sample.fork.expect("a state has a fork");
        let (in_pieces, whole) = (table::state_in_pieces(fork, &sample.ssz, piece), table::state(fork, &sample.ssz));
        prop_assert!(in_pieces == whole);
        Ok(())
    });
}

#[test]
fn samples_come_back_the_same() {
    let _alone = memory::alone();
    for sample in samples::all() {
        let again = sample.again(&sample.ssz);
        assert!(again.is_none_or(|bytes| bytes == sample.ssz), "{}", sample.name);
    }
}

#[cfg(feature = "minimal")]
#[test]
fn every_decoder_has_a_sample() {
    let _alone = memory::alone();
    let good = |name: &str, fork: Option<ForkName>| {
        samples::all().iter().any(|s| s.name == name && s.fork == fork && s.again(&s.ssz).is_some())
    };
    for (name, _) in table::CONTAINERS {
        assert!(good(name, None), "{name}");
    }
    for fork in ForkName::ALL {
        assert!(good("block", Some(fork)) && good("state", Some(fork)), "{fork}");
    }
}

#[test]
fn cut_and_extended_samples_are_refused_or_canonical() {
    let _alone = memory::alone();
    for sample in samples::all() {
        let len = sample.ssz.len();
        for end in (0..len.min(300)).chain(len.saturating_sub(9)..len) {
            let cut = &sample.ssz[..end];
            assert!(sample.again(cut).is_none_or(|bytes| bytes == cut), "{} cut to {end}", sample.name);
        }
        for tail in [&[0u8][..], &[1], &[0; 4], &[0xff; 33]] {
            let long = [&sample.ssz[..], tail].concat();
            assert!(sample.again(&long).is_none_or(|bytes| bytes == long), "{} with {tail:?}", sample.name);
        }
    }
}

#[test]
fn write_seeds() {
    let _alone = memory::alone();
    if std::env::var_os("HORNERO_WRITE_CORPUS").is_some() {
        seeds::write();
    }
}

/// What costs most memory for its bytes: an empty item of a list of lists is only an offset.
#[test]
fn the_emptiest_list_stays_within_its_memory() {
    let _alone = memory::alone();
    let transactions = VariableList::new(vec![VariableList::default(); 50_000]).unwrap();
    let execution_payload = ExecutionPayload { transactions, ..ExecutionPayload::default() };
    let body = BeaconBlockBody { execution_payload, ..BeaconBlockBody::empty(ForkName::Fulu) };
    let (parent_root, state_root) = (Hash256::ZERO, Hash256::ZERO);
    let message = BeaconBlock { slot: 0, proposer_index: 0, parent_root, state_root, body };
    let block = SignedBeaconBlock { message, signature: BLSSignature::ZERO };
    let sample = samples::Sample { name: "block".into(), fork: Some(ForkName::Fulu), ssz: block.as_ssz_bytes() };
    drop(block);
    assert!(sample.again(&sample.ssz).is_some_and(|bytes| bytes == sample.ssz));
}
