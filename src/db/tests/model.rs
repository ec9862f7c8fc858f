//! Random puts, prunes, re-orgs and restarts, against maps that do the same.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::db::schema::range_of;

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<(u64, u64)>),
    Prune { before: u64, keep: u64 },
    SetCanonical(Vec<(u64, u64)>),
    ClearCanonical(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..6 * SLOTS_PER_SEGMENT;
    prop_oneof![
        4 => vec((0..60u64, slot.clone()), 1..6).prop_map(Step::Put),
        1 => (slot.clone(), 0..60u64).prop_map(|(before, keep)| Step::Prune { before, keep }),
        2 => vec((slot.clone(), 0..60u64), 1..6).prop_map(Step::SetCanonical),
        1 => slot.prop_map(Step::ClearCanonical),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    blocks: HashMap<u64, SignedBeaconBlock>,
    canonical: BTreeMap<u64, u64>,
}

impl Model {
    fn prune(&mut self, before: u64, keep: u64) {
        let kept = self.blocks.get(&keep).map(|b| range_of(b.message.slot));
        let stays = |slot: u64| range_of(slot) >= range_of(before) || Some(range_of(slot)) == kept;
        self.blocks.retain(|_, b| stays(b.message.slot));
        self.canonical.retain(|slot, _| stays(*slot));
    }

    fn check(&self, db: &Database) {
        for n in 0..60 {
            assert_eq!(db.block(root(n)).unwrap().as_ref(), self.blocks.get(&n), "block {n}");
        }
        let canonical: Vec<_> = self.canonical.iter().map(|(slot, n)| (*slot, root(*n))).collect();
        assert_eq!(db.canonical_roots(0..6 * SLOTS_PER_SEGMENT).unwrap(), canonical);
    }
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut db, mut model) = (open_clean(dir.path()), Model::default());
    for step in steps {
        match step {
            Step::Put(blocks) => {
                for (n, slot) in &blocks {
                    model.blocks.entry(*n).or_insert_with(|| sample::block(*slot, *n, 100));
                }
                let group: Vec<_> = blocks.iter().map(|(n, _)| (root(*n), &model.blocks[n])).collect();
                db.put_blocks(&group).unwrap();
            }
            Step::Prune { before, keep } => {
                model.prune(before, keep);
                db.prune_before(before, &[root(keep)]).unwrap();
            }
            Step::SetCanonical(roots) => {
                model.canonical.extend(roots.iter().copied());
                db.set_canonical(&roots.iter().map(|(slot, n)| (*slot, root(*n))).collect::<Vec<_>>()).unwrap();
            }
            Step::ClearCanonical(slot) => {
                model.canonical.retain(|s, _| *s <= slot);
                db.clear_canonical_above(slot).unwrap();
            }
            Step::Reopen => {
                db.close().unwrap();
                db = open_clean(dir.path());
            }
        }
        model.check(&db);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn it_behaves_like_maps(steps in vec(step(), 1..25)) {
        run(steps);
    }
}
