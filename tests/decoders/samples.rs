//! Valid encodings: the seeds of the fuzz targets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hornero::{
    p2p::{MetaData, Status},
    types::ForkName,
};
use ssz::Encode;

use super::{memory, table};

/// Where the fuzz targets' seeds are.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");
/// Seeds larger than this say nothing more, and would make the corpus large.
const LARGEST: usize = 12 << 10;

/// A valid encoding of one line of the table.
#[derive(Clone, Debug)]
pub struct Sample {
    /// A container's name, `block` or `state`.
    pub name: String,
    /// For blocks and states.
    pub fork: Option<ForkName>,
    pub ssz: Vec<u8>,
}

impl Sample {
    /// Decodes and encodes `bytes` as this sample's type, within the memory that they justify.
    pub fn again(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let besides = if self.name == "state" { table::MEMORY_BESIDES_A_STATE } else { table::MEMORY_BESIDES };
        let limit = besides + bytes.len() * table::MOST_MEMORY_PER_BYTE;
        memory::within(limit, &self.name, || match (self.name.as_str(), self.fork) {
            ("block", Some(fork)) => table::block(fork, bytes),
            ("state", Some(fork)) => table::state(fork, bytes),
            (name, _) => {
                let (_, again) = table::CONTAINERS.iter().find(|(line, _)| *line == name).expect("a line of the table");
                again(bytes)
            }
        })
    }
}

/// All samples. The first byte of a seed chooses the line: see the fuzz targets.
pub fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    for seed in seeds("containers") {
        let line = usize::from(seed[0]) % table::CONTAINERS.len();
        samples.push(Sample { name: table::CONTAINERS[line].0.into(), fork: None, ssz: seed[1..].to_vec() });
    }
    for seed in seeds("block") {
        samples.push(Sample { name: "block".into(), fork: Some(table::fork(seed[0])), ssz: seed[1..].to_vec() });
    }
    for seed in seeds("state") {
        samples.push(Sample { name: "state".into(), fork: Some(table::fork(seed[0])), ssz: seed[2..].to_vec() });
    }
    samples
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = fs::read_dir(Path::new(CORPUS).join(target)).expect("the seeds are part of the project");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).filter(|seed| seed.len() > 2).collect()
}

/// Writes the seeds from the official vectors.
pub fn write() {
    let vectors = PathBuf::from(std::env::var_os("HORNERO_VECTORS").expect("HORNERO_VECTORS names the vectors"));
    let cases = |fork: ForkName, name: &str| smallest(&vectors.join(format!("tests/minimal/{fork}/ssz_static/{name}")));
    for (name, _) in table::CONTAINERS {
        for (n, ssz) in cases(ForkName::Fulu, name).into_iter().enumerate() {
            put("containers", &format!("{name}-{n}"), &[line_of(name)], &ssz);
        }
    }
    put("containers", "MetaData-0", &[line_of("MetaData")], &MetaData::default().as_ssz_bytes());
    put("containers", "Status-0", &[line_of("Status")], &Status::default().as_ssz_bytes());
    for fork in ForkName::ALL {
        let n = (0..7).find(|n| table::fork(*n) == fork).expect("every fork has a byte");
        for (i, ssz) in cases(fork, "SignedBeaconBlock").into_iter().enumerate() {
            put("block", &format!("{fork}-{i}"), &[n], &ssz);
        }
        for (i, ssz) in cases(fork, "BeaconState").into_iter().take(1).enumerate() {
            put("state", &format!("{fork}-{i}"), &[n, 0xff], &ssz);
        }
    }
}

fn line_of(name: &str) -> u8 {
    table::CONTAINERS.iter().position(|(line, _)| *line == name).expect("a line of the table") as u8
}

fn put(target: &str, name: &str, head: &[u8], ssz: &[u8]) {
    let folder = Path::new(CORPUS).join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), [head, ssz].concat()).unwrap();
}

/// The smallest case of each suite of a type, the smallest two of them that differ.
fn smallest(folder: &Path) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for suite in fs::read_dir(folder).into_iter().flatten() {
        for case in fs::read_dir(suite.unwrap().path()).unwrap() {
            let packed = fs::read(case.unwrap().path().join("serialized.ssz_snappy")).unwrap();
            found.push(snap::raw::Decoder::new().decompress_vec(&packed).unwrap());
        }
    }
    found.sort_by_key(|ssz| (ssz.len(), ssz.iter().filter(|byte| **byte == 0).count()));
    found.dedup();
    found.retain(|ssz| ssz.len() <= LARGEST);
    let middle = found.len() / 2;
    found.into_iter().enumerate().filter(|(n, _)| *n == 0 || *n == middle).map(|(_, ssz)| ssz).collect()
}
