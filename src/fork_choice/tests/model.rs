//! The store against the specification's own way of doing it, on random histories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Two in each slot of either preset.
pub(super) const VALIDATORS: u64 = 2 * SLOTS_PER_EPOCH;

/// Balances for weighing depend on the checkpoint, as they do on a chain.
pub(super) fn records(checkpoint: Checkpoint) -> impl Iterator<Item = (Gwei, bool, bool)> {
    (0..VALIDATORS).map(move |index| {
        let mix = checkpoint.epoch * 31 + u64::from(checkpoint.root[1]) * 7 + index * 13;
        ((mix % 32 + 1) * ETH, !mix.is_multiple_of(11), mix.is_multiple_of(7))
    })
}

/// The specification's store, in its own words and with its own costs.
#[derive(Clone)]
pub(super) struct Model {
    pub(super) anchor: Hash256,
    pub(super) slot: Slot,
    pub(super) time_into_slot_ms: u64,
    pub(super) justified: Checkpoint,
    pub(super) finalized: Checkpoint,
    pub(super) unrealized_justified: Checkpoint,
    pub(super) unrealized_finalized: Checkpoint,
    pub(super) proposer_boost_root: Hash256,
    pub(super) equivocating: BTreeSet<u64>,
    pub(super) blocks: BTreeMap<Hash256, ImportedBlock>,
    pub(super) latest_messages: BTreeMap<u64, (Epoch, Hash256)>,
}

impl Model {
    pub(super) fn new(anchor: ImportedBlock) -> Model {
        let checkpoint = anchor.justified_checkpoint;
        Model {
            anchor: anchor.root,
            slot: 0,
            time_into_slot_ms: 0,
            justified: checkpoint,
            finalized: checkpoint,
            unrealized_justified: checkpoint,
            unrealized_finalized: checkpoint,
            proposer_boost_root: Hash256::ZERO,
            equivocating: BTreeSet::new(),
            blocks: BTreeMap::from([(anchor.root, anchor)]),
            latest_messages: BTreeMap::new(),
        }
    }

    pub(super) fn get_ancestor(&self, root: Hash256, slot: Slot) -> Hash256 {
        let block = &self.blocks[&root].header;
        if block.slot > slot { self.get_ancestor(block.parent_root, slot) } else { root }
    }

    pub(super) fn is_ancestor(&self, root: Hash256, ancestor: Hash256) -> bool {
        self.get_ancestor(root, self.blocks[&ancestor].header.slot) == ancestor
    }

    pub(super) fn checkpoint_block(&self, root: Hash256, epoch: Epoch) -> Hash256 {
        self.get_ancestor(root, compute_start_slot_at_epoch(epoch))
    }

    fn get_weight(&self, root: Hash256) -> Gwei {
        let genesis = self.justified.epoch == 0;
        let balances: Vec<_> = if genesis {
            (0..VALIDATORS).map(|_| (32 * ETH, true, false)).collect()
        } else {
            records(self.justified).collect()
        };
        let votes = self
            .latest_messages
            .iter()
            .filter(|(index, (_, block))| !self.equivocating.contains(*index) && self.is_ancestor(*block, root));
        let counted =
            votes.map(|(index, _)| balances[*index as usize]).filter(|(_, active, slashed)| *active && !slashed);
        let score: Gwei = counted.map(|(balance, ..)| balance).sum();
        if self.proposer_boost_root.is_zero() || !self.is_ancestor(self.proposer_boost_root, root) {
            return score;
        }
        let total: Gwei = balances.iter().filter(|(_, active, _)| *active).map(|(balance, ..)| balance).sum();
        score + total / SLOTS_PER_EPOCH * 40 / 100
    }

    fn filter_block_tree(&self, root: Hash256, viable: &mut BTreeSet<Hash256>) -> bool {
        let children = self.blocks.values().filter(|block| block.header.parent_root == root && block.root != root);
        let children: Vec<_> = children.map(|block| self.filter_block_tree(block.root, viable)).collect();
        let is_viable = if children.is_empty() { self.is_viable_leaf(root) } else { children.contains(&true) };
        if is_viable {
            viable.insert(root);
        }
        is_viable
    }

    fn is_viable_leaf(&self, root: Hash256) -> bool {
        let (block, current_epoch) = (&self.blocks[&root], compute_epoch_at_slot(self.slot));
        let is_old = current_epoch > compute_epoch_at_slot(block.header.slot);
        let source = if is_old { block.unrealized_justified_checkpoint } else { block.justified_checkpoint };
        let correct_justified =
            self.justified.epoch == 0 || source.epoch == self.justified.epoch || source.epoch + 2 >= current_epoch;
        let correct_finalized =
            self.finalized.epoch == 0 || self.checkpoint_block(root, self.finalized.epoch) == self.finalized.root;
        correct_justified && correct_finalized
    }

    pub(super) fn get_head(&self) -> Hash256 {
        let mut viable = BTreeSet::new();
        self.filter_block_tree(self.justified.root, &mut viable);
        let mut head = self.justified.root;
        loop {
            let children = viable.iter().filter(|root| self.blocks[*root].header.parent_root == head && **root != head);
            match children.max_by_key(|root| (self.get_weight(**root), **root)) {
                Some(child) => head = *child,
                None => return head,
            }
        }
    }

    fn update_checkpoints(&mut self, justified: Checkpoint, finalized: Checkpoint) {
        if justified.epoch > self.justified.epoch {
            self.justified = justified;
        }
        if finalized.epoch > self.finalized.epoch {
            self.finalized = finalized;
        }
    }

    pub(super) fn on_tick(&mut self, slot: Slot, time_into_slot_ms: u64) {
        while self.slot < slot {
            self.slot += 1;
            self.proposer_boost_root = Hash256::ZERO;
            if self.slot.is_multiple_of(SLOTS_PER_EPOCH) {
                self.update_checkpoints(self.unrealized_justified, self.unrealized_finalized);
            }
        }
        self.time_into_slot_ms = time_into_slot_ms;
    }

    pub(super) fn on_block(&mut self, block: ImportedBlock) -> bool {
        let (root, slot) = (block.root, block.header.slot);
        let start = compute_start_slot_at_epoch(self.finalized.epoch);
        let on_finalized = self.checkpoint_block(block.header.parent_root, self.finalized.epoch) == self.finalized.root;
        if self.slot < slot || slot <= start || !on_finalized {
            return false;
        }
        let head = self.get_head();
        let (justified, finalized) = (block.justified_checkpoint, block.finalized_checkpoint);
        let unrealized = (block.unrealized_justified_checkpoint, block.unrealized_finalized_checkpoint);
        self.blocks.insert(root, block);
        let epoch = compute_epoch_at_slot(self.slot);
        let dependent_slot = if epoch <= 1 { 0 } else { (epoch - 1) * SLOTS_PER_EPOCH - 1 };
        let is_same = self.get_ancestor(head, dependent_slot) == self.get_ancestor(root, dependent_slot);
        if self.slot == slot && self.time_into_slot_ms < 3999 && self.proposer_boost_root.is_zero() && is_same {
            self.proposer_boost_root = root;
        }
        self.update_checkpoints(justified, finalized);
        if unrealized.0.epoch > self.unrealized_justified.epoch {
            self.unrealized_justified = unrealized.0;
        }
        if unrealized.1.epoch > self.unrealized_finalized.epoch {
            self.unrealized_finalized = unrealized.1;
        }
        if compute_epoch_at_slot(slot) < epoch {
            self.update_checkpoints(unrealized.0, unrealized.1);
        }
        true
    }

    pub(super) fn on_attestation(&mut self, index: u64, epoch: Epoch, block: Hash256) {
        let known = self.latest_messages.get(&index);
        if !self.equivocating.contains(&index) && known.is_none_or(|(before, _)| epoch > *before) {
            self.latest_messages.insert(index, (epoch, block));
        }
    }

    /// A block on one of the known ones; it justifies what its chain could.
    fn make_block(&self, number: u16, [parent, gap, justified, unrealized, finalized]: [u64; 5]) -> ImportedBlock {
        let known: Vec<_> = self.blocks.values().collect();
        let parent = known[parent as usize % known.len()];
        let slot = parent.header.slot + 1 + gap % SLOTS_PER_EPOCH;
        let epoch = compute_epoch_at_slot(slot);
        let own_root = root(number);
        let checkpoint = |epoch: Epoch| {
            let start = compute_start_slot_at_epoch(epoch);
            Checkpoint { epoch, root: if slot <= start { own_root } else { self.get_ancestor(parent.root, start) } }
        };
        // Later blocks of a chain never justify less than earlier ones.
        let least = parent.justified_checkpoint.epoch;
        let justified = checkpoint(least.max(justified % epoch.max(1)));
        let unrealized = checkpoint((unrealized % (epoch + 1)).max(justified.epoch).min(epoch));
        let least = parent.finalized_checkpoint.epoch;
        let finalized = checkpoint((finalized % (justified.epoch + 1)).max(least));
        let mut block = self.blocks[&self.anchor].clone();
        block.root = own_root;
        block.header = BeaconBlockHeader { slot, parent_root: parent.root, ..Default::default() };
        block.justified_checkpoint = justified;
        block.finalized_checkpoint = finalized;
        block.unrealized_justified_checkpoint = unrealized;
        block.unrealized_finalized_checkpoint = finalized;
        let balances = |checkpoint| (checkpoint, Balances::collect(records(checkpoint)));
        block.checkpoint_balances = vec![balances(justified), balances(unrealized)];
        block
    }
}

#[derive(Clone, Debug)]
enum Step {
    Tick { slots: u64, into_slot_ms: u64 },
    Block([u64; 5]),
    Vote { validator: u64, block: u64, epoch: u64 },
    Slash { validator: u64 },
    Prune,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0u64..1000;
    prop_oneof![
        3 => (0..SLOTS_PER_EPOCH, 0u64..6000).prop_map(|(slots, into_slot_ms)| Step::Tick { slots, into_slot_ms }),
        6 => [number(), number(), number(), number(), number()].prop_map(Step::Block),
        8 => (0..VALIDATORS, number(), number()).prop_map(|(validator, block, epoch)| Step::Vote { validator, block, epoch }),
        1 => (0..VALIDATORS).prop_map(|validator| Step::Slash { validator }),
        1 => Just(Step::Prune),
        1 => Just(Step::Restart),
    ]
}

fn take(step: Step, number: u16, store: &mut Store, model: &mut Model) {
    match step {
        Step::Tick { slots, into_slot_ms } => {
            let slot = model.slot + slots;
            store.on_tick(slot * 12_000 + into_slot_ms);
            // The store's clock does not go back within a slot.
            model.on_tick(slot, store.time_ms() % 12_000);
        }
        Step::Block(choices) => {
            let block = model.make_block(number, choices);
            // A parent that finality has decided against may be pruned here and is refused by both.
            let taken = store.on_block(block.clone()).is_ok();
            assert_eq!(taken, model.on_block(block));
        }
        Step::Vote { validator, block, epoch } => {
            let known: Vec<_> = store.nodes().iter().map(|node| node.root).collect();
            let root = known[block as usize % known.len()];
            let epoch = epoch % (compute_epoch_at_slot(model.slot) + 1);
            let data = vote_data(store, root, epoch);
            if store.on_attestation(&data, &[validator], true).is_ok() {
                model.on_attestation(validator, epoch, root);
            }
        }
        Step::Slash { validator } => {
            store.discard_votes(&[validator]);
            model.equivocating.insert(validator);
        }
        Step::Prune => drop(store.prune_from(1)),
        Step::Restart => *store = Store::from_snapshot(&store.to_snapshot(), Arc::new(Config::default())).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_head_is_always_the_specifications(steps in proptest::collection::vec(step(), 1..80)) {
        let mut store = new_store(vec![32 * ETH; VALIDATORS as usize]);
        let mut anchor = block(&store, 0, Hash256::ZERO, 0);
        anchor.root = anchor_root(&store);
        let mut model = Model::new(anchor);
        for (number, step) in (1..).zip(steps) {
            take(step, number, &mut store, &mut model);
            prop_assert_eq!(store.proposer_boost_root(), model.proposer_boost_root);
            prop_assert_eq!(store.justified_checkpoint(), model.justified);
            prop_assert_eq!(store.finalized_checkpoint(), model.finalized);
            prop_assert_eq!(store.missing_balances(), None);
            prop_assert_eq!(store.get_head(), model.get_head());
        }
    }
}
