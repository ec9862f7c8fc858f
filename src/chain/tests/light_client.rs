//! Light clients on the recorded chain: we serve, and follow what we serve. Its blocks lie on both sides of a change of
//! sync committees, and the other client recorded what it served.

use std::sync::Arc;

use super::recording::{self, ANCHOR, LAST};
use crate::{
    chain::light_client::*,
    crypto::PubkeyCache,
    transition::{Checks, Context, state_transition},
    types::{preset::*, *},
};

/// The last slot of the anchor's period, and its period.
const LAST_OF_PERIOD: Slot = 255;
const PERIOD: u64 = 3;
/// What the anchor's state has as finalized.
const FINALIZED: Slot = 232;

fn header(slot: Slot) -> LightClientHeader {
    block_to_light_client_header(&recording::block(slot))
}

/// The update that the block after the anchor makes, with finality.
fn first_update(config: &Config) -> LightClientUpdate {
    let block = recording::block(ANCHOR + 1);
    let (attested, finalized) = (header(ANCHOR), header(FINALIZED));
    create_light_client_update(&block, &mut recording::anchor_state(), &attested, Some(&finalized), config).unwrap()
}

/// Collects all blocks after the anchor.
fn collection(config: &Arc<Config>) -> LightClientData {
    let (mut state, keys) = (recording::anchor_state(), PubkeyCache::default());
    let mut data = LightClientData::new(&recording::block(ANCHOR), &mut state, config.clone()).unwrap();
    for slot in ANCHOR + 1..=LAST {
        let (block, mut attested_state) = (recording::block(slot), state.clone());
        state_transition(&mut state, &block, &Context { config, keys: &keys }, Checks::ALL).unwrap();
        data.on_block(&block, &mut state, &mut attested_state).unwrap();
    }
    data
}

fn store(config: &Config) -> LightClientStore {
    let bootstrap = create_light_client_bootstrap(&mut recording::anchor_state(), &header(ANCHOR), config).unwrap();
    initialize_light_client_store(recording::root(ANCHOR), bootstrap, config).unwrap()
}

fn process(store: &mut LightClientStore, update: &LightClientUpdate, config: &Config) -> Result<(), LightClientError> {
    let genesis_validators_root = recording::anchor_state().genesis_validators_root;
    process_light_client_update(store, update.clone(), LAST, genesis_validators_root, config)
}

#[test]
fn another_clients_finality_update_is_ours() {
    let ours = create_light_client_finality_update(&first_update(&recording::config()));
    assert_eq!(serde_json::to_value(&ours).unwrap(), recording::finality_update()["data"]);
}

#[test]
fn a_light_client_follows_what_is_collected() {
    let config = Arc::new(recording::config());
    let mut data = collection(&config);
    data.on_head(recording::root(LAST), recording::root(ANCHOR));
    let mut store = store(&config);

    process(&mut store, &first_update(&config), &config).unwrap();
    assert!(is_next_sync_committee_known(&store), "finality and two thirds of the committee");
    assert_eq!(store.optimistic_header, header(ANCHOR));

    // The anchor's collection does not know block 232, so that this one has no finality.
    let best = data.best_update(PERIOD).unwrap();
    assert!(is_sync_committee_update(best) && !is_finality_update(best));
    let next = data.best_update(PERIOD + 1).unwrap();
    assert!(next.attested_header.beacon.slot > LAST_OF_PERIOD && next.signature_slot < LAST);
    let unproven = LightClientUpdate { next_sync_committee_branch: Default::default(), ..next.clone() };
    let error = process(&mut store, &unproven, &config).unwrap_err().to_string();
    assert!(error.contains("without a branch"), "{error}");
    process(&mut store, next, &config).unwrap();
    assert_eq!(store.optimistic_header, next.attested_header, "signed by the next committee");
    assert_eq!(store.finalized_header, header(ANCHOR));

    let latest = data.latest_optimistic_update().unwrap();
    let root = recording::anchor_state().genesis_validators_root;
    process_light_client_optimistic_update(&mut store, latest, LAST, root, &config).unwrap();
    assert_eq!(store.optimistic_header, header(LAST - 1));

    // Nothing gets final for long: the best attested header takes its place, and the client is in the next period.
    process_light_client_store_force_update(&mut store, ANCHOR + UPDATE_TIMEOUT).unwrap();
    assert_eq!(store.finalized_header, header(ANCHOR), "not yet");
    let next_committee = store.next_sync_committee.clone();
    process_light_client_store_force_update(&mut store, ANCHOR + UPDATE_TIMEOUT + 1).unwrap();
    assert_eq!(store.finalized_header, next.attested_header);
    assert_eq!(store.current_sync_committee, next_committee);
    assert!(store.best_valid_update.is_none());
}

#[test]
fn what_is_collected_follows_the_head_and_finality() {
    let config = Arc::new(recording::config());
    let mut data = collection(&config);
    assert!(data.latest_finality_update().is_none(), "nothing was head yet");
    data.on_head(recording::root(ANCHOR + 3), recording::root(ANCHOR));
    assert!(data.best_update(PERIOD).is_some() && data.best_update(PERIOD + 1).is_none());
    assert_eq!(data.latest_finality_update().unwrap().signature_slot, ANCHOR + 3);
    // The head moves back: nothing was signed before the anchor.
    data.on_head(recording::root(ANCHOR), recording::root(ANCHOR));
    assert!(data.best_update(PERIOD).is_none() && data.latest_finality_update().is_none());

    data.on_head(recording::root(LAST), recording::root(LAST_OF_PERIOD + 1));
    assert!(data.best_update(PERIOD + 1).is_some());
    let started_from = |slot| data.bootstrap(recording::root(slot)).map(|b| b.header.beacon.slot);
    assert_eq!(
        [ANCHOR, LAST_OF_PERIOD, LAST_OF_PERIOD + 1].map(started_from),
        [Some(ANCHOR), None, Some(LAST_OF_PERIOD + 1)]
    );
    let bootstrap = data.bootstrap(recording::root(LAST_OF_PERIOD + 1)).unwrap().clone();
    initialize_light_client_store(recording::root(LAST_OF_PERIOD + 1), bootstrap, &config).unwrap();
}

/// What makes an update false.
type Lie = fn(&mut LightClientUpdate);

#[test]
fn a_false_update_is_refused() {
    let config = recording::config();
    let good = first_update(&config);
    let lies: [(&str, Lie); 12] = [
        ("somebody must have signed", |u| u.sync_aggregate.sync_committee_bits = Default::default()),
        ("signature must be valid", |u| u.sync_aggregate.sync_committee_bits.set(3, false).unwrap()),
        ("signature must be valid", |u| u.sync_aggregate.sync_committee_signature = G2_POINT_AT_INFINITY),
        ("signature must be valid", |u| u.attested_header.beacon.proposer_index += 1),
        ("attested payload", |u| u.attested_header.execution.gas_used += 1),
        ("attested payload", |u| u.attested_header.execution_branch[0] = Hash256::ZERO),
        ("slots must be in order", |u| u.signature_slot = LAST + 1),
        ("slots must be in order", |u| u.signature_slot = ANCHOR),
        ("finality: it must be that", |u| u.finalized_header.beacon.proposer_index += 1),
        ("finality: a header without a branch", |u| u.finality_branch = FinalityBranch::default()),
        ("committee: it must be that", |u| u.next_sync_committee_branch[2] = Hash256::ZERO),
        ("something new", |u| u.next_sync_committee_branch = SyncCommitteeBranch::default()),
    ];
    for (rule, lie) in lies {
        let (mut update, mut store) = (good.clone(), store(&config));
        lie(&mut update);
        let error = process(&mut store, &update, &config).unwrap_err().to_string();
        assert!(error.contains(rule), "{error} instead of {rule}");
        assert!(store.best_valid_update.is_none());
    }
    let mut store = store(&config);
    process(&mut store, &good, &config).unwrap();
    let again = process(&mut store, &good, &config).unwrap_err().to_string();
    assert!(again.contains("something new"), "{again}");
}

#[test]
fn a_bootstrap_of_another_block_is_refused() {
    let (config, root) = (recording::config(), recording::root(ANCHOR));
    let mut state = recording::anchor_state();
    let bootstrap = create_light_client_bootstrap(&mut state, &header(ANCHOR), &config).unwrap();
    let start = |root, bootstrap| initialize_light_client_store(root, bootstrap, &config).map_err(|e| e.rule).err();
    assert_eq!(start(recording::root(ANCHOR + 1), bootstrap.clone()), Some("its block must be the trusted one"));
    let next = LightClientBootstrap { current_sync_committee: Hashed::default(), ..bootstrap.clone() };
    assert_eq!(start(root, next), Some("its sync committee must be its state's"));
    let mut other = bootstrap;
    other.header.execution.block_number += 1;
    assert_eq!(start(root, other), Some("its payload must be its block's"));
    assert!(create_light_client_bootstrap(&mut state, &header(ANCHOR + 1), &config).is_err());
}

#[test]
fn an_update_of_what_does_not_belong_together_is_refused() {
    let (config, mut state) = (recording::config(), recording::anchor_state());
    let mut create = |slot: Slot, attested: Slot, finalized| {
        let (block, finalized) = (recording::block(slot), Some(header(finalized)));
        create_light_client_update(&block, &mut state, &header(attested), finalized.as_ref(), &config)
            .map_err(|error| error.rule)
            .err()
    };
    assert_eq!(create(ANCHOR + 1, ANCHOR, FINALIZED), None);
    assert_eq!(create(ANCHOR + 2, ANCHOR, FINALIZED), Some("the attested block must be the block's parent"));
    assert_eq!(create(ANCHOR + 2, ANCHOR + 1, FINALIZED), Some("the attested state must be the attested block's"));
    let other = create(ANCHOR + 1, ANCHOR, FINALIZED + 1);
    assert_eq!(other, Some("the finalized block must be that of the attested state"));
}
