//! `light_client/data_collection`: what a full node has to serve as its head moves.

use std::{collections::HashMap, sync::Arc};

use hornero::{
    chain::light_client::LightClientData,
    crypto::PubkeyCache,
    transition::{Checks, Context, state_transition},
    types::*,
};
use serde::Deserialize;

use super::{
    case::Case,
    config,
    light_client::{check_digest, fork_of},
    states::read,
};

/// One step: a block that is imported, or one that becomes head.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Step {
    NewBlock(Object),
    NewHead { head_block_root: Hash256, checks: Expected },
}

/// A file and what its data is tagged with on the network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    fork_digest: ForkDigest,
    data: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    latest_finalized_checkpoint: RootAtEpoch,
    bootstraps: Vec<BootstrapOf>,
    best_updates: Vec<UpdateOf>,
    latest_finality_update: Option<Object>,
    latest_optimistic_update: Option<Object>,
}

#[derive(Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct RootAtEpoch {
    epoch: Epoch,
    root: Hash256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BootstrapOf {
    block_root: Hash256,
    bootstrap: Option<Object>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateOf {
    period: u64,
    update: Option<Object>,
}

/// The collection, and the states that the node keeps beside it.
struct Node<'a> {
    case: &'a Case,
    config: Arc<Config>,
    keys: PubkeyCache,
    genesis_validators_root: Hash256,
    states: HashMap<Hash256, BeaconState>,
    finalized: RootAtEpoch,
    data: LightClientData,
}

pub fn run(case: &Case) -> Result<(), String> {
    let mut node = Node::new(case)?;
    let steps: Vec<serde_yaml_ng::Value> = case.yaml("steps")?;
    for (number, step) in steps.into_iter().enumerate() {
        let step = serde_yaml_ng::with::singleton_map::deserialize(step).map_err(|error| error.to_string())?;
        let outcome = match step {
            Step::NewBlock(block) => node.import(&block),
            Step::NewHead { head_block_root, checks } => node.move_head(head_block_root, &checks),
        };
        outcome.map_err(|error| format!("step {number}: {error}"))?;
    }
    Ok(())
}

impl Node<'_> {
    fn new(case: &Case) -> Result<Node<'_>, String> {
        let config = Arc::new(config::of(case)?);
        let mut state = read(case, "initial_state")?;
        let body = BeaconBlockBody { layout: case.fork()?.into(), ..BeaconBlockBody::default() };
        let message = BeaconBlock { state_root: state.hash_tree_root(), body, ..BeaconBlock::default() };
        let block = SignedBeaconBlock { message, ..SignedBeaconBlock::default() };
        let data = LightClientData::new(&block, &mut state, config.clone()).map_err(|error| error.to_string())?;
        let Checkpoint { epoch, root } = state.finalized_checkpoint;
        Ok(Node {
            case,
            config,
            keys: PubkeyCache::default(),
            genesis_validators_root: state.genesis_validators_root,
            finalized: RootAtEpoch { epoch, root },
            states: HashMap::from([(block.root(), state)]),
            data,
        })
    }

    fn import(&mut self, block: &Object) -> Result<(), String> {
        let fork = fork_of(&self.config, self.genesis_validators_root, block.fork_digest)?;
        let block = self.case.ssz_bytes(&block.data)?;
        let block = SignedBeaconBlock::from_ssz_bytes(fork, &block).map_err(|error| format!("{error:?}"))?;
        let parent = self.states.get_mut(&block.message.parent_root).ok_or("its parent is not known")?;
        let mut state = parent.clone();
        let ctx = Context { config: &self.config, keys: &self.keys };
        state_transition(&mut state, &block, &ctx, Checks::ALL).map_err(|error| error.to_string())?;
        self.data.on_block(&block, &mut state, parent).map_err(|error| error.to_string())?;
        self.states.insert(block.root(), state);
        Ok(())
    }

    fn move_head(&mut self, head: Hash256, expected: &Expected) -> Result<(), String> {
        let state = self.states.get(&head).ok_or("the head is not known")?;
        let Checkpoint { epoch, root } = state.finalized_checkpoint;
        if epoch > self.finalized.epoch {
            self.finalized = RootAtEpoch { epoch, root };
        }
        self.data.on_head(head, self.finalized.root);
        self.check(expected)
    }

    fn check(&self, expected: &Expected) -> Result<(), String> {
        if self.finalized != expected.latest_finalized_checkpoint {
            return Err(format!("finalized {:?}", self.finalized));
        }
        for BootstrapOf { block_root, bootstrap } in &expected.bootstraps {
            let ours = self.data.bootstrap(*block_root);
            self.check_object(ours.map(|b| (&b.header, b.to_ssz_bytes())), bootstrap.as_ref())
                .map_err(|error| format!("bootstrap {block_root}: {error}"))?;
        }
        for UpdateOf { period, update } in &expected.best_updates {
            let ours = self.data.best_update(*period);
            self.check_object(ours.map(|u| (&u.attested_header, u.to_ssz_bytes())), update.as_ref())
                .map_err(|error| format!("update of period {period}: {error}"))?;
        }
        let ours = self.data.latest_finality_update();
        self.check_object(
            ours.map(|u| (&u.attested_header, u.to_ssz_bytes())),
            expected.latest_finality_update.as_ref(),
        )
        .map_err(|error| format!("finality update: {error}"))?;
        let ours = self.data.latest_optimistic_update();
        self.check_object(
            ours.as_ref().map(|u| (&u.attested_header, u.to_ssz_bytes())),
            expected.latest_optimistic_update.as_ref(),
        )
        .map_err(|error| format!("optimistic update: {error}"))
    }

    /// Whether ours, by the header that tags it and its bytes, is theirs.
    fn check_object(&self, ours: Option<(&LightClientHeader, Vec<u8>)>, theirs: Option<&Object>) -> Result<(), String> {
        match (ours, theirs) {
            (None, None) => Ok(()),
            (None, Some(theirs)) => Err(format!("nothing instead of {}", theirs.data)),
            (Some((header, _)), None) => Err(format!("one of slot {} instead of nothing", header.beacon.slot)),
            (Some((header, bytes)), Some(theirs)) => {
                check_digest(&self.config, self.genesis_validators_root, header, theirs.fork_digest)?;
                let equal = bytes == self.case.ssz_bytes(&theirs.data)?;
                if equal { Ok(()) } else { Err(format!("another than {}", theirs.data)) }
            }
        }
    }
}
