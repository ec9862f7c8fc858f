//! What is measured: a state and blocks on it, synthetic or from files.

use std::{fs, path::Path};

use alloy_primitives::b256;

use super::{
    doing,
    recorder::Recorder,
    synthetic::{self, Contents, MAINNET_RECORDS},
};
use crate::{
    crypto::PubkeyCache,
    node::cli::BenchArguments,
    transition::Context,
    types::{
        BeaconState, Config, ForkName, Hash256, SignedBeaconBlock,
        preset::{PRESET_BASE, SLOTS_PER_EPOCH},
    },
};

/// Records of the registry in a quick run: a tenth of mainnet's.
const QUICK_RECORDS: u64 = MAINNET_RECORDS / 10;
/// With fewer, some slots have no committee.
pub const MIN_VALIDATORS: u64 = 4 * SLOTS_PER_EPOCH;
/// With more, a state takes more than 1 GiB: not what a board is for.
pub const MAX_VALIDATORS: u64 = 10_000_000;
/// A state whose roots another client computed.
const KNOWN_VALIDATORS: usize = 1_000_000;
/// The roots of the synthetic state of `KNOWN_VALIDATORS` in the mainnet preset, after its full block, after its small block,
/// and after the full block and the epoch's end, as another client computed them.
const KNOWN_ROOTS: [Hash256; 4] = [
    b256!("b1650e29f79815961cbeae22253b7afc55b99364716c1f3910563ed4bb3bbba6"),
    b256!("1bbf129e7ec5ea3e9860074df5a76db6e6fef2ea87cf791ba1bc2255c324914d"),
    b256!("84a7e0f21afadfe2a23daca0a8703005ff0be70f1d01ec76d8f7354077bfffab"),
    b256!("20d03766cc98e037d819ee3e74fa04fdc0adec008c4d57d99c503617c3995703"),
];

/// What is measured.
pub struct Subject {
    /// `mainnet`, `active` or `file`.
    pub shape: &'static str,
    /// The state's SSZ.
    pub state: Vec<u8>,
    /// A block on the state that came with it.
    pub given: Option<SignedBeaconBlock>,
}

/// Blocks on the state, of the next slot.
pub struct Blocks {
    /// The one that everything is measured on.
    pub block: SignedBeaconBlock,
    /// Others.
    pub others: Vec<OtherBlock>,
}

/// A block of which only the import is measured.
pub struct OtherBlock {
    /// The figure's name.
    pub name: &'static str,
    /// In words.
    pub what: &'static str,
    /// The block.
    pub block: SignedBeaconBlock,
}

const OTHERS: [(&str, &str, Contents); 3] = [
    ("small_block_import", "block with one slot's attestations: the whole import", Contents::SMALL),
    ("absent_block_import", "full block, 1.5% absent: the whole import", Contents::MAINNET),
    ("missing_block_import", "the same, and a committee missing in each slot", Contents::MISSING_COMMITTEE),
];

impl Subject {
    /// As the command line asks.
    ///
    /// # Errors
    /// When it asks for what cannot be, or a file is not what it should be.
    pub fn make(arguments: &BenchArguments, recorder: &mut Recorder) -> Result<Subject, String> {
        recorder.step("making a state");
        let failed = doing("the synthetic state");
        let (shape, state) = match (&arguments.state, &arguments.block, arguments.validators) {
            (Some(state), Some(block), _) => return Subject::from_files(state, block),
            (_, _, Some(validators)) => ("active", synthetic::state(validators).map_err(failed)?),
            _ => {
                let records = if arguments.quick { QUICK_RECORDS } else { MAINNET_RECORDS };
                ("mainnet", synthetic::mainnet_state(records).map_err(failed)?)
            }
        };
        Ok(Subject { shape, state: state.to_ssz_bytes(), given: None })
    }

    fn from_files(state: &Path, block: &Path) -> Result<Subject, String> {
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let block_bytes = read(block)?;
        let decoded = SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &block_bytes)
            .map_err(|error| format!("{}: not a block of Fulu: {error:?}", block.display()))?;
        Ok(Subject { shape: "file", state: read(state)?, given: Some(decoded) })
    }
}

impl Blocks {
    /// The block that is `given`, or all kinds on a synthetic state, which comes hashed.
    ///
    /// # Errors
    /// When they would not be valid, which is a mistake here.
    pub fn make(
        given: Option<SignedBeaconBlock>,
        state: &BeaconState,
        recorder: &mut Recorder,
    ) -> Result<Blocks, String> {
        recorder.step("making blocks");
        if let Some(block) = given {
            return Ok(Blocks { block, others: Vec::new() });
        }
        let config = Config::default();
        let ctx = Context { config: &config, keys: &PubkeyCache::default() };
        let make = |contents: &Contents| {
            let block = synthetic::block(state, state.slot + 1, contents, &ctx).map(|(block, _)| block);
            block.map_err(doing("the synthetic blocks"))
        };
        let mut others = Vec::with_capacity(OTHERS.len());
        for (name, what, contents) in &OTHERS {
            others.push(OtherBlock { name, what, block: make(contents)? });
        }
        Ok(Blocks { block: make(&Contents::FULL)?, others })
    }
}

/// Refuses what cannot be measured, before anything is done.
///
/// # Errors
/// With what is wrong and what to do.
pub fn check(arguments: &BenchArguments) -> Result<(), String> {
    let BenchArguments { validators, state, block, datadir, .. } = arguments;
    if state.is_some() != block.is_some() {
        return Err("--state and --block go together".into());
    }
    if state.is_some() && validators.is_some() {
        return Err("--validators makes a state, --state reads one: give one of them".into());
    }
    if validators.is_some_and(|validators| !(MIN_VALIDATORS..=MAX_VALIDATORS).contains(&validators)) {
        return Err(format!("--validators must be from {MIN_VALIDATORS} to {MAX_VALIDATORS}"));
    }
    if !datadir.is_dir() {
        return Err(format!("--datadir: there is no directory {}", datadir.display()));
    }
    Ok(())
}

/// Compares the roots of the state, after its block and after the epoch's end with those that another client computed, where
/// it has: figures of wrong results mean nothing.
///
/// # Errors
/// When they differ.
pub fn check_roots(
    shape: &str,
    others: &[OtherBlock],
    [state, after_block, after_epoch]: [&mut BeaconState; 3],
) -> Result<(), String> {
    if shape != "active" || state.validators.len() != KNOWN_VALIDATORS || PRESET_BASE != "mainnet" {
        return Ok(());
    }
    let small = others.iter().find(|other| other.name == "small_block_import");
    let small = small.map_or(Hash256::ZERO, |other| other.block.message.state_root);
    let roots = [state.hash_tree_root(), after_block.hash_tree_root(), small, after_epoch.hash_tree_root()];
    if roots == KNOWN_ROOTS { Ok(()) } else { Err(format!("the roots are {roots:?} instead of {KNOWN_ROOTS:?}")) }
}
