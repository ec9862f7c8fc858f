//! The transition against a recorded chain that another client made, and against that chain's blocks made worse.
#![cfg(feature = "minimal")]

mod recorded_chain {
    pub mod crafted;
    pub mod recording;
}

use hornero::{
    crypto::PubkeyCache,
    ssz::Hash256,
    transition::{
        Checks, Context, SignatureCollector, TransitionError, process_block, process_slots, state_transition,
    },
    types::{BeaconState, ForkName, SignedBeaconBlock},
};
use recorded_chain::{
    crafted::{Crafted, KINDS},
    recording,
};
use ssz::Encode;

#[test]
fn the_recorded_chain_is_imported() {
    let (config, keys) = (recording::config(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut state = recording::state("justified");
    assert_eq!(state.slot, recording::FIRST_SLOT - 1);
    for slot in recording::FIRST_SLOT..=recording::LAST_SLOT {
        let block = recording::block(slot);
        assert_eq!(block.root(), recording::root(slot), "root of block {slot}");
        // The state root in the block is the other client's.
        state_transition(&mut state, &block, &ctx, Checks::ALL).unwrap_or_else(|error| panic!("block {slot}: {error}"));
    }
}

#[test]
fn a_wrong_state_root_is_refused() {
    let (config, keys) = (recording::config(), PubkeyCache::default());
    let ctx = Context { config: &config, keys: &keys };
    let mut block = recording::block(recording::FIRST_SLOT);
    let right = std::mem::replace(&mut block.message.state_root, Hash256::repeat_byte(1));
    let checks = Checks { signatures: false, state_root: true };
    let result = state_transition(&mut recording::state("justified"), &block, &ctx, checks);
    assert_eq!(result, Err(TransitionError::StateRoot { block: Hash256::repeat_byte(1), computed: right }));
}

/// A block with each kind of operation that is signed.
fn crafted() -> (Crafted, PubkeyCache) {
    (Crafted::new(), PubkeyCache::default())
}

#[test]
fn all_signatures_of_a_block_are_collected() {
    let (crafted, keys) = crafted();
    let ctx = Context { config: &crafted.config, keys: &keys };
    let mut state = crafted.parent_state.clone();
    process_slots(&mut state, crafted.block.message.slot, &ctx).unwrap();
    let mut signatures = SignatureCollector::new(true);
    process_block(&mut state, &crafted.block.message, &ctx, &mut signatures).unwrap();
    let attestations = crafted.block.message.body.attestations.len();
    assert!(attestations > 0, "the recorded block has attestations");
    // Reveal, two slashings of two each, exit, change, sync aggregate; the block's own comes from `state_transition`.
    assert_eq!(signatures.into_sets().len(), attestations + 8);
}

#[test]
fn each_signature_is_verified_and_named() {
    let (crafted, keys) = crafted();
    let ctx = Context { config: &crafted.config, keys: &keys };
    let checks = Checks { signatures: true, state_root: false };
    let import = |block: &SignedBeaconBlock| state_transition(&mut crafted.parent_state.clone(), block, &ctx, checks);
    assert_eq!(import(&crafted.block), Ok(()));
    for kind in KINDS {
        let result = import(&crafted.with_false_signature(kind));
        assert_eq!(result, Err(TransitionError::Signature(kind.operation)), "{}", kind.operation);
    }
}

#[test]
fn signatures_that_are_not_asked_for_are_not_even_read() {
    let (crafted, keys) = crafted();
    let ctx = Context { config: &crafted.config, keys: &keys };
    let mut block = crafted.block.clone();
    for kind in KINDS {
        *(kind.signature)(&mut block) = [0xff; 96].into();
    }
    // But the reveal is mixed into the randomness, whatever it is.
    let result = state_transition(&mut crafted.parent_state.clone(), &block, &ctx, Checks::NONE);
    assert_eq!(result, Ok(()));
}

/// Every byte of a block is changed in turn: whatever decodes is taken or refused, and never ends in a panic.
#[test]
fn no_block_makes_the_transition_panic() {
    let (crafted, keys) = crafted();
    let ctx = Context { config: &crafted.config, keys: &keys };
    let mut parent = crafted.parent_state.clone();
    let slot = crafted.block.message.slot;
    process_slots(&mut parent, slot, &ctx).unwrap();
    let bytes = crafted.block.as_ssz_bytes();
    let (mut taken, mut refused) = (0, 0);
    for place in 0..bytes.len() {
        for value in [0x00, 0xff, bytes[place] ^ 0x01, bytes[place] ^ 0x80] {
            let mut bytes = bytes.clone();
            bytes[place] = value;
            match SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &bytes)
                .map(|block| import_quickly(&parent, &block, &ctx))
            {
                Ok(Ok(())) => taken += 1,
                Ok(Err(_)) => refused += 1,
                Err(_) => {}
            }
        }
    }
    // Signatures and most of the payload may be anything here; indices, roots and lengths may not.
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}

/// All numbers of eight bytes, aligned to nothing, at their largest.
#[test]
fn the_largest_numbers_do_not_make_the_transition_panic() {
    let (crafted, keys) = crafted();
    let ctx = Context { config: &crafted.config, keys: &keys };
    let mut parent = crafted.parent_state.clone();
    process_slots(&mut parent, crafted.block.message.slot, &ctx).unwrap();
    let bytes = crafted.block.as_ssz_bytes();
    let mut refused = 0;
    for place in 0..bytes.len() - 8 {
        for value in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let mut bytes = bytes.clone();
            bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
            if let Ok(block) = SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &bytes) {
                refused += usize::from(import_quickly(&parent, &block, &ctx).is_err());
            }
        }
    }
    assert!(refused > 1000, "{refused} refused");
}

/// The block alone, on a state that is at its slot already.
fn import_quickly(parent: &BeaconState, block: &SignedBeaconBlock, ctx: &Context) -> Result<(), TransitionError> {
    process_block(&mut parent.clone(), &block.message, ctx, &mut SignatureCollector::new(false))
}
