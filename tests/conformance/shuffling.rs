//! `shuffling`: a whole list and its single indices.

use hornero::{
    transition::{Shuffler, shuffle_list},
    types::Hash256,
};

use super::case::Case;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    seed: Hash256,
    count: u32,
    mapping: Vec<u32>,
}

pub fn run(case: &Case) -> Result<(), String> {
    if case.handler != "core" {
        return Err(format!("unknown handler {}", case.handler));
    }
    let Mapping { seed, count, mapping } = case.yaml("mapping")?;
    let mut list: Vec<u32> = (0..count).collect();
    shuffle_list(&mut list, seed);
    if list != mapping {
        return Err("the whole list is shuffled otherwise".into());
    }
    if count == 0 {
        return Ok(());
    }
    let shuffler = Shuffler::new(seed, count.into());
    let goes_elsewhere = |i: &u32| shuffler.compute_shuffled_index(u64::from(*i)) != u64::from(mapping[*i as usize]);
    match (0..count).find(goes_elsewhere) {
        Some(index) => Err(format!("index {index} goes elsewhere")),
        None => Ok(()),
    }
}
