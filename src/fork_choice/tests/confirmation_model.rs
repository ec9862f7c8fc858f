//! Fast confirmation against the specification's own way of doing it, on random histories.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    fast_confirmation::facts_of,
    model::{Model, VALIDATORS, records},
    *,
};
use crate::transition::find_shuffling;

type Records = Vec<(Gwei, bool, bool)>;

/// The specification's `FastConfirmationStore`, in its own words and with its own costs.
struct Rule {
    confirmed: Hash256,
    previous_observed: Checkpoint,
    current_observed: Checkpoint,
    greatest_unrealized: Checkpoint,
    previous_slot_head: Hash256,
    current_slot_head: Hash256,
    committees: BTreeMap<Slot, BTreeSet<u64>>,
}

fn total_active(balances: &Records) -> Gwei {
    let active = balances.iter().filter(|(_, active, _)| *active).map(|(balance, ..)| balance);
    active.sum::<Gwei>().max(EFFECTIVE_BALANCE_INCREMENT)
}

fn same_for_all() -> Records {
    vec![(32 * ETH, true, false); VALIDATORS as usize]
}

fn balances_of(checkpoint: Checkpoint) -> Records {
    if checkpoint.epoch == 0 { same_for_all() } else { records(checkpoint).collect() }
}

fn estimate(total: Gwei, start: Slot, end: Slot) -> Gwei {
    if start > end {
        return 0;
    }
    let (start_epoch, end_epoch) = (start / SLOTS_PER_EPOCH, end / SLOTS_PER_EPOCH);
    if start.div_ceil(SLOTS_PER_EPOCH) < (end + 1) / SLOTS_PER_EPOCH {
        return total;
    }
    let weight = total / SLOTS_PER_EPOCH;
    if start_epoch == end_epoch {
        return weight * (end - start + 1);
    }
    let in_end = end % SLOTS_PER_EPOCH + 1;
    let in_start = SLOTS_PER_EPOCH - start % SLOTS_PER_EPOCH;
    let pro_rated = weight * in_start / SLOTS_PER_EPOCH * (SLOTS_PER_EPOCH - in_end);
    (pro_rated + weight * in_end).div_ceil(1000) * 1005
}

impl Rule {
    fn new(finalized: Checkpoint, last_slot: Slot) -> Rule {
        let mut state = genesis_state(vec![32 * ETH; VALIDATORS as usize]);
        state.slot = last_slot;
        let mut committees = BTreeMap::new();
        for slot in 0..=last_slot {
            let shuffling = find_shuffling(&state, compute_epoch_at_slot(slot)).unwrap();
            let members =
                (0..shuffling.committees_per_slot).flat_map(|index| shuffling.committee(slot, index).unwrap());
            committees.insert(slot, members.map(|member| u64::from(*member)).collect());
        }
        Rule {
            confirmed: finalized.root,
            previous_observed: finalized,
            current_observed: finalized,
            greatest_unrealized: finalized,
            previous_slot_head: finalized.root,
            current_slot_head: finalized.root,
            committees,
        }
    }

    fn on_fast_confirmation(&mut self, model: &Model) {
        self.previous_slot_head = self.current_slot_head;
        self.current_slot_head = model.get_head();
        if (model.slot + 1).is_multiple_of(SLOTS_PER_EPOCH) {
            self.greatest_unrealized = model.unrealized_justified;
        }
        if model.slot.is_multiple_of(SLOTS_PER_EPOCH) {
            self.previous_observed = self.current_observed;
            self.current_observed = self.greatest_unrealized;
        }
        self.confirmed = self.get_latest_confirmed(model);
    }

    fn members(&self, start: Slot, end: Slot) -> BTreeSet<u64> {
        (start..=end).flat_map(|slot| self.committees[&slot].iter().copied()).collect()
    }

    fn support_between(&self, model: &Model, balances: &Records, block: Hash256, start: Slot, end: Slot) -> Gwei {
        let supports = |index: &u64| {
            let (_, active, slashed) = balances[*index as usize];
            let message = model.latest_messages.get(index);
            active && !slashed && message.is_some_and(|(_, root)| *root == block) && !model.equivocating.contains(index)
        };
        self.members(start, end).iter().filter(|index| supports(index)).map(|index| balances[*index as usize].0).sum()
    }

    fn adversarial(&self, model: &Model, balances: &Records, start: Slot, end: Slot) -> Gwei {
        let members = self.members(start, end);
        let caught = members.intersection(&model.equivocating).map(|index| balances[*index as usize]);
        let equivocation: Gwei = caught.filter(|(_, active, _)| *active).map(|(balance, ..)| balance).sum();
        (estimate(total_active(balances), start, end) / 100 * 25).saturating_sub(equivocation)
    }

    fn is_one_confirmed(&self, model: &Model, balances: &Records, root: Hash256) -> bool {
        let (block, last) = (&model.blocks[&root].header, model.slot - 1);
        let parent = &model.blocks[&block.parent_root].header;
        let votes = model.latest_messages.iter().filter(|(index, (_, voted))| {
            let (_, active, slashed) = balances[**index as usize];
            active && !slashed && !model.equivocating.contains(*index) && model.is_ancestor(*voted, root)
        });
        let support: Gwei = votes.map(|(index, _)| balances[*index as usize].0).sum();
        let total = total_active(balances);
        let proposer_score = total / SLOTS_PER_EPOCH * 40 / 100;
        let maximum = estimate(total, parent.slot + 1, last);
        let mut discount = 0;
        if parent.slot + 1 != block.slot {
            let (start, end) = (parent.slot + 1, block.slot - 1);
            let of_parent = self.support_between(model, balances, block.parent_root, start, end);
            discount = of_parent.saturating_sub(self.adversarial(model, balances, start, end));
        }
        let (epoch, parent_epoch) = (compute_epoch_at_slot(block.slot), compute_epoch_at_slot(parent.slot));
        let start = if epoch > parent_epoch { compute_start_slot_at_epoch(epoch) } else { block.slot };
        let adversarial = self.adversarial(model, balances, start, last);
        support > (maximum + proposer_score + 2 * adversarial).saturating_sub(discount) / 2
    }

    fn is_confirmed_chain_safe(&self, model: &Model, confirmed: Hash256) -> bool {
        let observed = self.current_observed;
        if model.checkpoint_block(confirmed, observed.epoch) != observed.root {
            return false;
        }
        let current = compute_epoch_at_slot(model.slot);
        let mut start = observed.root;
        if observed.epoch + 1 < current {
            start = model.get_ancestor(confirmed, compute_start_slot_at_epoch(current - 1));
            if epoch_of(model, start) + 1 == current {
                start = model.blocks[&start].header.parent_root;
            }
        }
        let balances = balances_of(self.previous_observed);
        ancestors(model, confirmed, start).iter().all(|root| self.is_one_confirmed(model, &balances, *root))
    }

    fn current_target(&self, model: &Model) -> Checkpoint {
        let epoch = compute_epoch_at_slot(model.slot);
        Checkpoint { epoch, root: model.checkpoint_block(self.current_slot_head, epoch) }
    }

    /// Thrice the honest support of the current target, and the total.
    fn honest_support(&self, model: &Model) -> (Gwei, Gwei) {
        let (balances, target) = (same_for_all(), self.current_target(model));
        let total = total_active(&balances);
        let votes = model.latest_messages.iter().filter(|(index, (epoch, root))| {
            let checkpoint = Checkpoint { epoch: *epoch, root: model.checkpoint_block(*root, *epoch) };
            !model.equivocating.contains(*index) && checkpoint == target
        });
        let support = votes.count() as u64 * 32 * ETH;
        let (start, last) = (compute_start_slot_at_epoch(target.epoch), model.slot - 1);
        let remaining = (total - estimate(total, start, last)) / 100 * 75;
        let adversarial = self.adversarial(model, &balances, start, last);
        (3 * (support - adversarial.min(support) + remaining), total)
    }

    fn no_conflicting_checkpoint(&self, model: &Model) -> bool {
        let (support, total) = self.honest_support(model);
        self.current_target(model) == model.unrealized_justified || support > total
    }

    fn current_target_justified(&self, model: &Model) -> bool {
        let (support, total) = self.honest_support(model);
        support >= 2 * total
    }

    fn get_latest_confirmed(&self, model: &Model) -> Hash256 {
        let (head, current) = (self.current_slot_head, compute_epoch_at_slot(model.slot));
        let is_start = model.slot.is_multiple_of(SLOTS_PER_EPOCH);
        let mut confirmed = self.confirmed;
        if epoch_of(model, confirmed) + 1 < current
            || !model.is_ancestor(head, confirmed)
            || (is_start && !self.is_confirmed_chain_safe(model, confirmed))
        {
            confirmed = model.finalized.root;
        }
        let observed_slot = model.blocks[&self.current_observed.root].header.slot;
        if is_start
            && compute_epoch_at_slot(observed_slot) + 1 == current
            && self.current_observed == model.blocks[&head].unrealized_justified_checkpoint
            && model.blocks[&confirmed].header.slot < observed_slot
        {
            confirmed = self.current_observed.root;
        }
        if epoch_of(model, confirmed) + 1 >= current { self.find_descendant(model, confirmed) } else { confirmed }
    }

    fn find_descendant(&self, model: &Model, latest: Hash256) -> Hash256 {
        let (head, current) = (self.current_slot_head, compute_epoch_at_slot(model.slot));
        let is_start = model.slot.is_multiple_of(SLOTS_PER_EPOCH);
        let unrealized = |root: Hash256| model.blocks[&root].unrealized_justified_checkpoint.epoch + 1 >= current;
        let balances = balances_of(self.current_observed);
        let mut confirmed = latest;
        if epoch_of(model, confirmed) + 1 == current
            && voting_source(model, self.previous_slot_head).epoch + 2 >= current
            && (is_start
                || (self.no_conflicting_checkpoint(model) && (unrealized(self.previous_slot_head) || unrealized(head))))
        {
            for root in ancestors(model, head, confirmed) {
                if epoch_of(model, root) == current
                    || !model.is_ancestor(self.previous_slot_head, root)
                    || !self.is_one_confirmed(model, &balances, root)
                {
                    break;
                }
                confirmed = root;
            }
        }
        if is_start || unrealized(head) {
            let mut tentative = confirmed;
            for root in ancestors(model, head, confirmed) {
                let enters = epoch_of(model, root) > epoch_of(model, tentative);
                if (enters && !self.current_target_justified(model)) || !self.is_one_confirmed(model, &balances, root) {
                    break;
                }
                tentative = root;
            }
            if epoch_of(model, tentative) == current
                || (voting_source(model, tentative).epoch + 2 >= current
                    && (is_start || self.no_conflicting_checkpoint(model)))
            {
                confirmed = tentative;
            }
        }
        confirmed
    }
}

fn epoch_of(model: &Model, root: Hash256) -> Epoch {
    compute_epoch_at_slot(model.blocks[&root].header.slot)
}

fn voting_source(model: &Model, root: Hash256) -> Checkpoint {
    let block = &model.blocks[&root];
    let is_old = compute_epoch_at_slot(model.slot) > epoch_of(model, root);
    if is_old { block.unrealized_justified_checkpoint } else { block.justified_checkpoint }
}

fn ancestors(model: &Model, block: Hash256, terminal: Hash256) -> Vec<Hash256> {
    let (mut root, mut roots) = (block, Vec::new());
    while model.blocks[&root].header.slot > model.blocks[&terminal].header.slot {
        roots.insert(0, root);
        root = model.blocks[&root].header.parent_root;
        if root == terminal {
            return roots;
        }
    }
    Vec::new()
}

/// What happens in a slot. Small numbers are what happens mostly.
#[derive(Clone, Debug)]
struct Plan {
    /// None in every sixth slot; on the head, or on another block in every eighth.
    block: u8,
    /// Whether the block has votes that justify its epoch, or the one before, and finalize.
    justifies: u8,
    /// Bit by bit who does not vote: committee members by their number.
    absent: u16,
    /// Votes for another block than the head, in every sixteenth slot.
    vote: u8,
    /// Who equivocates, if anybody.
    caught: u16,
    restarts: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let absent = prop_oneof![4 => Just(0), 1 => any::<u16>().prop_map(|bits| bits & (bits >> 3))];
    (any::<u8>(), any::<u8>(), absent, any::<u8>(), any::<u16>(), any::<bool>()).prop_map(
        |(block, justifies, absent, vote, caught, restarts)| Plan { block, justifies, absent, vote, caught, restarts },
    )
}

/// A block of this slot on `parent`.
fn make_block(model: &Model, number: u16, parent: Hash256, justifies: u8) -> ImportedBlock {
    let (parent, slot, own_root) = (&model.blocks[&parent], model.slot, root(number));
    let epoch = compute_epoch_at_slot(slot);
    let checkpoint = |epoch: Epoch| {
        let start = compute_start_slot_at_epoch(epoch);
        Checkpoint { epoch, root: if slot <= start { own_root } else { model.get_ancestor(parent.root, start) } }
    };
    let later = |one: Checkpoint, other: Checkpoint| if other.epoch > one.epoch { other } else { one };
    let is_new_epoch = epoch > compute_epoch_at_slot(parent.header.slot);
    let justified = if is_new_epoch { parent.unrealized_justified_checkpoint } else { parent.justified_checkpoint };
    let late = slot % SLOTS_PER_EPOCH > SLOTS_PER_EPOCH / 2;
    let unrealized = match justifies % 8 {
        0..=4 if late => later(parent.unrealized_justified_checkpoint, checkpoint(epoch)),
        5 => later(parent.unrealized_justified_checkpoint, checkpoint(epoch.saturating_sub(1))),
        _ => parent.unrealized_justified_checkpoint,
    };
    let finalizes = is_new_epoch && justifies.is_multiple_of(3) && justified.epoch > 0;
    let finalized = match finalizes {
        true => later(parent.finalized_checkpoint, checkpoint(justified.epoch - 1)),
        false => parent.finalized_checkpoint,
    };
    let balances = |checkpoint: Checkpoint| (checkpoint, Balances::collect(balances_of(checkpoint).into_iter()));
    ImportedBlock {
        root: own_root,
        header: BeaconBlockHeader { slot, parent_root: parent.root, ..Default::default() },
        payload_status: PayloadStatus::Valid,
        justified_checkpoint: justified,
        finalized_checkpoint: finalized,
        unrealized_justified_checkpoint: unrealized,
        unrealized_finalized_checkpoint: finalized,
        checkpoint_balances: vec![balances(justified), balances(unrealized)],
        ..parent.clone()
    }
}

/// Both stores, side by side.
struct Pair {
    store: Store,
    model: Model,
    rule: Rule,
    /// Votes of the slot before: who, and for what.
    votes: Vec<(u64, Hash256)>,
}

impl Pair {
    fn new(last_slot: Slot) -> Pair {
        let store = new_store(vec![32 * ETH; VALIDATORS as usize]);
        let mut anchor = block(&store, 0, Hash256::ZERO, 0);
        anchor.root = anchor_root(&store);
        let rule = Rule::new(anchor.justified_checkpoint, last_slot);
        Pair { store, model: Model::new(anchor), rule, votes: Vec::new() }
    }

    /// The slot begins: the votes of the one before are counted, and the rule runs in both.
    fn begin(&mut self, slot: Slot) {
        let (store, model) = (&mut self.store, &mut self.model);
        start_of(store, slot);
        model.on_tick(slot, 0);
        for (index, block) in self.votes.drain(..) {
            let epoch = compute_epoch_at_slot(slot - 1);
            let data = vote_data(store, block, epoch);
            store.on_attestation(&data, &[index], true).unwrap();
            model.on_attestation(index, epoch, block);
        }
        let facts = facts_of(store, VALIDATORS as usize);
        store.on_fast_confirmation(&facts).unwrap();
        self.rule.on_fast_confirmation(model);
    }

    fn go_on(&mut self, plan: &Plan) {
        let (store, model) = (&mut self.store, &mut self.model);
        let known: Vec<_> = model.blocks.keys().copied().collect();
        let other = known[usize::from(plan.vote / 16) * 7 % known.len()];
        let head = store.get_head();
        if !plan.block.is_multiple_of(6) {
            let parent = if plan.block % 8 == 7 { other } else { head };
            let block = make_block(model, model.slot as u16, parent, plan.justifies);
            assert_eq!(store.on_block(block.clone()).is_ok(), model.on_block(block));
        }
        let target = if plan.vote % 16 == 15 && store.contains(&other) { other } else { store.get_head() };
        let members = self.rule.committees[&model.slot].iter().enumerate();
        let voters = members.filter(|(place, _)| plan.absent >> (place % 16) & 1 == 0).map(|(_, index)| *index);
        self.votes = voters.map(|index| (index, target)).collect();
        if plan.caught.is_multiple_of(50) {
            let caught = u64::from(plan.caught / 50) % VALIDATORS;
            store.discard_votes(&[caught]);
            model.equivocating.insert(caught);
        }
        if plan.restarts {
            *store = Store::from_snapshot(&store.to_snapshot(), Arc::new(Config::default())).unwrap();
        }
    }
}

#[test]
fn what_is_confirmed_is_always_what_the_specification_confirms() {
    // The model's costs grow with the square of the epoch's length.
    let (cases, epochs) = if SLOTS_PER_EPOCH > 8 { (4, 3) } else { (60, 5) };
    let slots = epochs * SLOTS_PER_EPOCH as usize;
    let mut runner = TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    let (confirmed, total) = (Cell::new(0), Cell::new(0));
    let history = proptest::collection::vec(plan(), slots);
    let result = runner.run(&history, |plans| {
        let mut pair = Pair::new(slots as Slot);
        for (slot, plan) in (1..).zip(&plans) {
            pair.begin(slot);
            let (ours, theirs) = (pair.store.fast_confirmation(), &pair.rule);
            prop_assert_eq!(ours.current_slot_head(), theirs.current_slot_head, "slot {}", slot);
            prop_assert_eq!(ours.previous_slot_head(), theirs.previous_slot_head);
            prop_assert_eq!(ours.previous_epoch_observed_justified_checkpoint(), theirs.previous_observed);
            prop_assert_eq!(ours.current_epoch_observed_justified_checkpoint(), theirs.current_observed);
            prop_assert_eq!(ours.previous_epoch_greatest_unrealized_checkpoint(), theirs.greatest_unrealized);
            prop_assert_eq!(ours.confirmed_root(), theirs.confirmed, "slot {}", slot);
            total.set(total.get() + 1);
            confirmed.set(confirmed.get() + u32::from(theirs.confirmed != pair.model.finalized.root));
            pair.go_on(plan);
        }
        Ok(())
    });
    result.unwrap();
    let (confirmed, total) = (confirmed.get(), total.get());
    assert!(confirmed * 10 > total, "only {confirmed} of {total} slots had anything to confirm");
}
