//! `light_client`: what a light client does with updates, and what a full node derives for it.

use hornero::{
    chain::light_client::*,
    crypto::compute_fork_digest,
    types::{preset::GENESIS_EPOCH, *},
};
use serde::Deserialize;
use tree_hash::TreeHash;

use super::{
    case::Case,
    config, light_client_data, merkle_proof,
    ssz_static::{check_root, check_text, quote_numbers},
};

pub fn run(case: &Case) -> Result<(), String> {
    match case.handler.as_str() {
        "data_collection" => light_client_data::run(case),
        "single_merkle_proof" => merkle_proof::run(case),
        "sync" => sync(case),
        "update_ranking" => update_ranking(case),
        other => Err(format!("unknown handler {other}")),
    }
}

/// A fork's digest, as it stands before data on the network.
pub fn fork_digest(config: &Config, genesis_validators_root: Hash256, epoch: Epoch) -> ForkDigest {
    let blobs = (config.fork_name(epoch) >= Some(ForkName::Fulu)).then(|| config.get_blob_parameters(epoch));
    let blobs = blobs.map(|blobs| (blobs.epoch, blobs.max_blobs_per_block));
    compute_fork_digest(config.fork_version(epoch), genesis_validators_root, blobs)
}

/// The fork that a digest stands for.
pub fn fork_of(config: &Config, genesis_validators_root: Hash256, digest: ForkDigest) -> Result<ForkName, String> {
    let forks = [
        config.altair_fork_epoch,
        config.bellatrix_fork_epoch,
        config.capella_fork_epoch,
        config.deneb_fork_epoch,
        config.electra_fork_epoch,
        config.fulu_fork_epoch,
    ];
    let epochs = config.blob_schedule.iter().map(|entry| entry.epoch).chain(forks).chain([GENESIS_EPOCH]);
    let mut named = epochs.filter(|epoch| fork_digest(config, genesis_validators_root, *epoch) == digest);
    named.next().and_then(|epoch| config.fork_name(epoch)).ok_or(format!("no fork has the digest {digest}"))
}

/// Whether an update's digest is that of its attested header's epoch, as data is tagged on the network.
pub fn check_digest(
    config: &Config,
    genesis_validators_root: Hash256,
    header: &LightClientHeader,
    digest: ForkDigest,
) -> Result<(), String> {
    let ours = fork_digest(config, genesis_validators_root, compute_epoch_at_slot(header.beacon.slot));
    if ours == digest { Ok(()) } else { Err(format!("digest {ours} instead of {digest}")) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncMeta {
    genesis_validators_root: Hash256,
    trusted_block_root: Hash256,
    bootstrap_fork_digest: ForkDigest,
    store_fork_version: Version,
}

/// One step of a light client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Step {
    ProcessUpdate { update_fork_digest: ForkDigest, update: String, current_slot: Slot, checks: Checks },
    ForceUpdate { current_slot: Slot, checks: Checks },
    UpgradeStore { store_fork_version: Version, checks: Checks },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checks {
    finalized_header: HeaderCheck,
    optimistic_header: HeaderCheck,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderCheck {
    slot: Slot,
    beacon_root: Hash256,
    /// Not said of a store of Altair.
    execution_root: Option<Hash256>,
}

fn sync(case: &Case) -> Result<(), String> {
    let config = config::of(case)?;
    let meta: SyncMeta = case.yaml("meta")?;
    let genesis_validators_root = meta.genesis_validators_root;
    check_store_fork(&config, meta.store_fork_version)?;
    let fork = fork_of(&config, genesis_validators_root, meta.bootstrap_fork_digest)?;
    let bootstrap = LightClientBootstrap::from_ssz_bytes(fork, &case.ssz_bytes("bootstrap")?).map_err(text)?;
    check_digest(&config, genesis_validators_root, &bootstrap.header, meta.bootstrap_fork_digest)?;
    let mut store =
        initialize_light_client_store(meta.trusted_block_root, bootstrap, &config).map_err(|e| e.to_string())?;

    let steps: Vec<serde_yaml_ng::Value> = case.yaml("steps")?;
    for (number, step) in steps.into_iter().enumerate() {
        let step = serde_yaml_ng::with::singleton_map::deserialize(step).map_err(|error| error.to_string())?;
        take(case, &config, genesis_validators_root, &mut store, step)
            .map_err(|error| format!("step {number}: {error}"))?;
    }
    Ok(())
}

fn take(
    case: &Case,
    config: &Config,
    genesis_validators_root: Hash256,
    store: &mut LightClientStore,
    step: Step,
) -> Result<(), String> {
    let checks = match step {
        Step::ProcessUpdate { update_fork_digest, update, current_slot, checks } => {
            let fork = fork_of(config, genesis_validators_root, update_fork_digest)?;
            let update = LightClientUpdate::from_ssz_bytes(fork, &case.ssz_bytes(&update)?).map_err(text)?;
            check_digest(config, genesis_validators_root, &update.attested_header, update_fork_digest)?;
            process_light_client_update(store, update, current_slot, genesis_validators_root, config)
                .map_err(|error| error.to_string())?;
            checks
        }
        Step::ForceUpdate { current_slot, checks } => {
            process_light_client_store_force_update(store, current_slot).map_err(|error| error.to_string())?;
            checks
        }
        // There is one form of the store, so that nothing has to be done.
        Step::UpgradeStore { store_fork_version, checks } => {
            check_store_fork(config, store_fork_version)?;
            checks
        }
    };
    checks.finalized_header.check("finalized", &store.finalized_header, config)?;
    checks.optimistic_header.check("optimistic", &store.optimistic_header, config)
}

/// Whether the store is of a fork that we know: ours takes the data of all of them.
fn check_store_fork(config: &Config, version: Version) -> Result<(), String> {
    let known = [
        config.altair_fork_version,
        config.bellatrix_fork_version,
        config.capella_fork_version,
        config.deneb_fork_version,
        config.electra_fork_version,
        config.fulu_fork_version,
    ];
    if known.contains(&version) { Ok(()) } else { Err(format!("a store of an unknown fork, {version}")) }
}

impl HeaderCheck {
    fn check(&self, which: &str, header: &LightClientHeader, config: &Config) -> Result<(), String> {
        let ours = (header.beacon.slot, header.beacon.tree_hash_root());
        if ours != (self.slot, self.beacon_root) {
            return Err(format!("{which} header {ours:?} instead of {:?}", (self.slot, self.beacon_root)));
        }
        let execution_root = get_lc_execution_root(header, config);
        match self.execution_root {
            Some(expected) if execution_root != expected => {
                Err(format!("{which} execution root {execution_root} instead of {expected}"))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RankingMeta {
    updates_count: usize,
}

/// The updates come from the best to the worst.
fn update_ranking(case: &Case) -> Result<(), String> {
    let (fork, RankingMeta { updates_count }) = (case.fork()?, case.yaml("meta")?);
    let read =
        |n: usize| LightClientUpdate::from_ssz_bytes(fork, &case.ssz_bytes(&format!("updates_{n}"))?).map_err(text);
    let updates = (0..updates_count).map(read).collect::<Result<Vec<_>, _>>()?;
    for (place, update) in updates.iter().enumerate() {
        for (lower, worse) in updates.iter().enumerate().skip(place + 1) {
            if !is_better_update(update, worse) || is_better_update(worse, update) {
                return Err(format!("update {place} does not rank above {lower}"));
            }
        }
    }
    Ok(())
}

/// `ssz_static` of a container: binary both ways, root and text, in the form of the case's fork.
pub fn check_form(case: &Case) -> Result<(), String> {
    let (fork, bytes) = (case.fork()?, case.ssz_bytes("serialized")?);
    let (encoded, root, value) = match case.handler.as_str() {
        "LightClientBootstrap" => {
            let object = LightClientBootstrap::from_ssz_bytes(fork, &bytes).map_err(text)?;
            (object.to_ssz_bytes(), object.hash_tree_root(), serde_yaml_ng::to_value(&object))
        }
        "LightClientFinalityUpdate" => {
            let object = LightClientFinalityUpdate::from_ssz_bytes(fork, &bytes).map_err(text)?;
            (object.to_ssz_bytes(), object.hash_tree_root(), serde_yaml_ng::to_value(&object))
        }
        "LightClientHeader" => {
            let object = LightClientHeader::from_ssz_bytes(fork, &bytes).map_err(text)?;
            let value = serde_yaml_ng::to_value(object.as_text(fork));
            (object.to_ssz_bytes(fork), object.hash_tree_root(fork), value)
        }
        "LightClientOptimisticUpdate" => {
            let object = LightClientOptimisticUpdate::from_ssz_bytes(fork, &bytes).map_err(text)?;
            (object.to_ssz_bytes(), object.hash_tree_root(), serde_yaml_ng::to_value(&object))
        }
        "LightClientUpdate" => {
            let object = LightClientUpdate::from_ssz_bytes(fork, &bytes).map_err(text)?;
            (object.to_ssz_bytes(), object.hash_tree_root(), serde_yaml_ng::to_value(&object))
        }
        other => return Err(format!("no type {other}")),
    };
    if encoded != bytes {
        return Err("encodes to other bytes".into());
    }
    check_root(case, root)?;
    let value = value.map_err(|error| format!("to text: {error}"))?;
    check_text(&quote_numbers(value), &quote_numbers(case.yaml("value")?))
}

pub fn text(error: ssz::DecodeError) -> String {
    format!("{error:?}")
}
