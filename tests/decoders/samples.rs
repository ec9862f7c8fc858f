//! Valid encodings: the seeds of the fuzz targets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hornero::types::ForkName;

use super::{memory, table};

/// Where the fuzz targets' seeds are.
pub const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");

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
        let besides = match self.name.as_str() {
            "block" => table::MEMORY_BESIDES_A_BLOCK,
            "state" => table::MEMORY_BESIDES_A_STATE,
            _ => table::MEMORY_BESIDES,
        };
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
