//! The choice among blocks, which needs no states: heads that change, limits, empty slots.

use super::*;

const PERIOD_SLOTS: Slot = SLOTS_PER_EPOCH * EPOCHS_PER_SYNC_COMMITTEE_PERIOD;

fn root(name: u64) -> Hash256 {
    Hash256::from(U256::from(name + 1))
}

fn bootstrap(slot: Slot, parent: u64) -> LightClientBootstrap {
    let beacon = BeaconBlockHeader { slot, parent_root: root(parent), ..Default::default() };
    LightClientBootstrap {
        fork_name: ForkName::Fulu,
        header: LightClientHeader { beacon, ..Default::default() },
        current_sync_committee: NO_COMMITTEE.clone(),
        current_sync_committee_branch: Default::default(),
    }
}

static NO_COMMITTEE: std::sync::LazyLock<Hashed<SyncCommittee>> = std::sync::LazyLock::new(Hashed::default);

fn update(attested_slot: Slot) -> LightClientUpdate {
    LightClientUpdate {
        fork_name: ForkName::Fulu,
        attested_header: bootstrap(attested_slot, 0).header,
        next_sync_committee: NO_COMMITTEE.clone(),
        next_sync_committee_branch: Default::default(),
        finalized_header: LightClientHeader::default(),
        finality_branch: Default::default(),
        sync_aggregate: SyncAggregate::default(),
        signature_slot: attested_slot + 1,
    }
}

/// Begins with block 0 at slot 0.
fn data() -> LightClientData {
    let block = BlockData { bootstrap: bootstrap(0, u64::MAX - 1), best_update: None, latest: None };
    LightClientData {
        config: Arc::default(),
        blocks: HashMap::from([(root(0), block)]),
        bootstraps: VecDeque::new(),
        best_updates: BTreeMap::new(),
        latest: None,
        finalized_slot: 0,
    }
}

impl LightClientData {
    /// Adds a block whose chain has an update of its period, and a latest one, if `signed`.
    fn add(&mut self, name: u64, slot: Slot, parent: u64, signed: bool) {
        let update = signed.then(|| update(slot - 1));
        let block = BlockData {
            bootstrap: bootstrap(slot, parent),
            latest: update.as_ref().map(|update| Arc::new(create_light_client_finality_update(update))),
            best_update: update.map(Arc::new),
        };
        self.blocks.insert(root(name), block);
        self.drop_oldest_block();
    }

    fn head(&mut self, name: u64) {
        self.on_head(root(name), Hash256::repeat_byte(0xff));
    }

    fn best_slots(&self) -> Vec<(u64, Slot)> {
        self.best_updates.iter().map(|(period, update)| (*period, update.attested_header.beacon.slot)).collect()
    }

    fn bootstrap_slots(&self) -> Vec<Slot> {
        self.bootstraps.iter().map(|(_, bootstrap)| bootstrap.header.beacon.slot).collect()
    }
}

#[test]
fn another_head_brings_the_updates_of_its_chain() {
    let mut data = data();
    data.add(1, 10, 0, true);
    data.add(2, PERIOD_SLOTS + 10, 1, true);
    data.add(3, 20, 0, true);
    data.add(4, PERIOD_SLOTS + 20, 3, false);
    data.head(2);
    assert_eq!(data.best_slots(), [(0, 9), (1, PERIOD_SLOTS + 9)]);
    data.head(4);
    assert_eq!(data.best_slots(), [(0, 19)]);
    assert!(data.latest_finality_update().is_none(), "the head's chain says of its latest signature");
    data.head(2);
    assert_eq!(data.best_slots(), [(0, 9), (1, PERIOD_SLOTS + 9)]);
    assert_eq!(data.latest_finality_update().unwrap().signature_slot, PERIOD_SLOTS + 10);
}

#[test]
fn a_period_without_blocks_has_no_update() {
    let mut data = data();
    data.add(1, 10, 0, true);
    data.add(2, 2 * PERIOD_SLOTS + 10, 1, true);
    data.head(2);
    assert_eq!(data.best_slots(), [(0, 9), (2, 2 * PERIOD_SLOTS + 9)]);
}

#[test]
fn an_unknown_head_changes_nothing() {
    let mut data = data();
    data.add(1, 10, 0, true);
    data.head(1);
    data.head(77);
    assert_eq!(data.best_slots(), [(0, 9)]);
}

#[test]
fn clients_start_from_the_last_block_before_each_epoch() {
    let mut data = data();
    // At an epoch's first slot; in the middle; before an empty start; then finality.
    for (name, slot) in [SLOTS_PER_EPOCH, SLOTS_PER_EPOCH + 3, 2 * SLOTS_PER_EPOCH - 1, 2 * SLOTS_PER_EPOCH + 2, 90]
        .into_iter()
        .enumerate()
    {
        data.add(name as u64 + 1, slot, name as u64, true);
    }
    data.on_head(root(5), root(4));
    let expected = [SLOTS_PER_EPOCH, 2 * SLOTS_PER_EPOCH - 1, 2 * SLOTS_PER_EPOCH + 2];
    assert_eq!(data.bootstrap_slots(), expected);
    assert_eq!(data.blocks.len(), 2, "the finalized block, and the one after it");
    data.on_head(root(5), root(4));
    assert_eq!(data.bootstrap_slots(), expected, "the same checkpoint once more");
}

#[test]
fn what_was_attested_before_finality_is_not_the_latest() {
    let mut data = data();
    data.add(1, 40, 0, true);
    data.on_head(root(1), root(1));
    data.add(2, 50, 1, false);
    data.blocks.get_mut(&root(2)).unwrap().latest = data.blocks[&root(1)].latest.clone();
    data.head(2);
    assert!(data.latest_finality_update().is_none());
}

#[test]
fn everything_has_a_limit() {
    let mut data = data();
    for name in 1..=2 * MAX_BLOCKS as u64 {
        data.add(name, name, name - 1, true);
        assert!(data.blocks.len() <= MAX_BLOCKS);
    }
    let newest = 2 * MAX_BLOCKS as u64;
    assert!(data.blocks.contains_key(&root(newest)));
    assert!(!data.blocks.contains_key(&root(0)), "the oldest go first");
    for name in newest + 1..newest + 2 * MAX_PERIODS as u64 {
        data.add(name, (name - newest) * PERIOD_SLOTS, name - 1, true);
        data.on_head(root(name), root(name - 1));
        assert!(data.best_updates.len() <= MAX_PERIODS && data.bootstraps.len() <= MAX_BOOTSTRAPS);
    }
    let last = newest + 2 * MAX_PERIODS as u64;
    for name in last..last + 2 * MAX_BOOTSTRAPS as u64 {
        data.add(name, name * PERIOD_SLOTS, name - 1, true);
        data.on_head(root(name), root(name));
        assert!(data.best_updates.len() <= MAX_PERIODS && data.bootstraps.len() <= MAX_BOOTSTRAPS);
    }
    assert_eq!(data.bootstraps.len(), MAX_BOOTSTRAPS);
}
