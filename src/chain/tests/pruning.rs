//! Columns go when nobody may ask for them any more, and who asks is told.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use super::{
    finality::{go_to, produce, vote},
    recording::{ANCHOR, config},
    rig::{Rig, checkpoint, clock_at, setup, soon},
    serve::{ask, column_of, is_unavailable},
};
use crate::{
    chain::{BlockSource, Capacities, Start, network::RequestKind},
    db::SLOTS_PER_SEGMENT,
    types::{preset::SLOTS_PER_EPOCH, *},
};

/// Epochs for which columns are kept. Blocks are for longer than the whole chain here.
const KEPT: Epoch = 3;
/// Until here the chain finalizes.
const EARLY: Slot = ANCHOR + 4 * SLOTS_PER_EPOCH;
/// Some epochs into the second range of slots, of which all of the first is final and old.
const END: Slot = SLOTS_PER_SEGMENT + 12 * SLOTS_PER_EPOCH;

fn rig(path: &Path, start: Start, slot: Slot) -> Rig {
    let (mut setup, commands) = setup(path, start, clock_at(slot), Capacities::default());
    let config = Config { min_epochs_for_data_column_sidecars_requests: KEPT, ..config() };
    assert!(config.min_epochs_for_block_requests() > compute_epoch_at_slot(END));
    (setup.config, setup.node_id) = (Arc::new(config), Some([7; 32]));
    Rig::with_setup(setup, commands)
}

/// A block on the head, of which columns 3 and 4 are stored.
fn extend(rig: &Rig, slot: Slot) -> Hash256 {
    go_to(rig, slot);
    let block = produce(rig, slot);
    let imported = soon("an import", rig.handle.import_block(block.clone(), BlockSource::Api));
    assert_eq!(imported, Ok(block.root()));
    rig.handle.database().put_columns(&[column_of(&block, 3), column_of(&block, 4)]).unwrap();
    block.root()
}

fn columns(start_slot: Slot) -> RequestKind {
    RequestKind::ColumnsByRange { start_slot, count: 3, columns: vec![3] }
}

#[test]
fn columns_that_are_old_go_and_are_unavailable_then() {
    let dir = tempfile::tempdir().unwrap();
    let chain = rig(dir.path(), checkpoint(), ANCHOR);
    let healthy = |slot| {
        let root = extend(&chain, slot);
        vote(&chain, slot);
        root
    };
    let old: Vec<Hash256> = (ANCHOR + 1..EARLY).map(healthy).collect();
    let by_root = || RequestKind::ColumnsByRoot { wanted: old.iter().map(|root| (*root, vec![3, 4])).collect() };
    let (items, end) = ask(&chain, columns(ANCHOR + 1));
    assert_eq!((items.len(), end), (3, None));
    // A block in each epoch, for which nobody votes, to the end of the slots of one file; then the chain finalizes again.
    for slot in (EARLY..SLOTS_PER_SEGMENT).step_by(SLOTS_PER_EPOCH as usize) {
        extend(&chain, slot);
    }
    let new: Vec<Hash256> = (SLOTS_PER_SEGMENT..END).map(healthy).collect();
    soon("the end of the old columns", async {
        while chain.handle.shared.earliest_columns.load(Ordering::Relaxed) < SLOTS_PER_SEGMENT {
            smol::future::yield_now().await;
        }
    });
    let db = chain.handle.database();
    assert_eq!(db.earliest_column_slot().unwrap(), Some(SLOTS_PER_SEGMENT));
    assert!(old.iter().all(|root| db.columns_of(*root).unwrap().is_empty()));
    // A range goes as a whole: in the next one older columns than need be are here.
    assert!(new.iter().all(|root| db.columns_of(*root).unwrap() == [3, 4]));
    let check = |chain: &Rig| {
        assert!(is_unavailable(ask(chain, columns(ANCHOR + 1))));
        assert!(is_unavailable(ask(chain, columns(SLOTS_PER_SEGMENT - 1))));
        assert_eq!(ask(chain, by_root()), (vec![], None), "who asks by root gets those that there are");
        let (items, end) = ask(chain, columns(END - 3));
        assert_eq!((items.len(), end), (3, None));
        // Of what peers may ask for nothing lacks: the blocks are all there.
        assert_eq!(chain.handle.status().earliest_available_slot, ANCHOR);
        let (items, end) = ask(chain, RequestKind::BlocksByRange { start_slot: ANCHOR, count: 4 });
        assert_eq!((items.len(), end), (4, None));
    };
    check(&chain);
    soon("the shutdown", chain.handle.shutdown()).unwrap();
    chain.crash();
    check(&rig(dir.path(), Start::Resume, END - 1));
}
