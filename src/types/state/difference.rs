//! A state as its difference against another of the same fork: what is stored of most states.
//!
//! Field by field, in the order of the fork's table: numbers by the chunk, other lists by the item (`ssz::difference` says
//! how), the registry by the record, and what is small whole, where it changed.

use std::io::{self, Read, Write};

use super::{
    BeaconState, Field, StateError,
    codec::{column_error, fixed_len_of},
    fields,
};
use crate::{
    ssz::difference::{read_varint, write_varint},
    types::{preset::*, shuffling::Caches},
};

/// Longest encoding of a field that is written whole: phase 0's pending attestations, 128 to a slot.
const MAX_SMALL_LEN: u64 = 32 << 20;

impl BeaconState {
    /// Writes what makes `self` of `anchor`, an earlier state of the same fork. Nothing of it is held; chunks that the two
    /// share are not looked at.
    ///
    /// # Errors
    /// Those of `out`; and [`io::ErrorKind::Unsupported`] when the two are too different: of two forks, or of branches whose
    /// registries have different keys. Such a state has to be written whole.
    pub fn write_difference(&self, anchor: &BeaconState, out: &mut impl Write) -> io::Result<()> {
        if self.fork_name != anchor.fork_name {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the states are of different forks"));
        }
        fields(self.fork_name).iter().try_for_each(|field| self.write_field_difference(anchor, *field, out))
    }

    /// The state that [`BeaconState::write_difference`] was called on. Shares with `anchor` what the two have in common, and
    /// its hashes if it has some. The source must end with the difference. Compare the root with one that is trusted.
    ///
    /// # Errors
    /// When the source fails, or what it gives is no difference against `anchor`.
    pub fn from_difference(anchor: &BeaconState, source: &mut impl Read) -> Result<BeaconState, StateError> {
        let mut state = BeaconState { caches: Caches::default(), ..anchor.clone() };
        for field in fields(state.fork_name).iter().copied() {
            state.read_field_difference(field, source)?;
        }
        match source.read(&mut [0]) {
            Ok(0) => Ok(state),
            _ => Err(StateError::TrailingBytes),
        }
    }

    fn write_field_difference(&self, anchor: &Self, field: Field, out: &mut impl Write) -> io::Result<()> {
        match field {
            Field::Validators => self.validators.write_difference(&anchor.validators, out),
            Field::Balances => self.balances.write_numbers(&anchor.balances, out),
            Field::Slashings => self.slashings.write_numbers(&anchor.slashings, out),
            Field::InactivityScores => self.inactivity_scores.write_numbers(&anchor.inactivity_scores, out),
            Field::PreviousEpochParticipation => {
                self.previous_epoch_participation.write_numbers(&anchor.previous_epoch_participation, out)
            }
            Field::CurrentEpochParticipation => {
                self.current_epoch_participation.write_numbers(&anchor.current_epoch_participation, out)
            }
            Field::ProposerLookahead => self.proposer_lookahead.write_numbers(&anchor.proposer_lookahead, out),
            Field::BlockRoots => self.block_roots.write_items(&anchor.block_roots, out),
            Field::StateRoots => self.state_roots.write_items(&anchor.state_roots, out),
            Field::HistoricalRoots => self.historical_roots.write_items(&anchor.historical_roots, out),
            Field::Eth1DataVotes => self.eth1_data_votes.write_items(&anchor.eth1_data_votes, out),
            Field::RandaoMixes => self.randao_mixes.write_items(&anchor.randao_mixes, out),
            Field::HistoricalSummaries => self.historical_summaries.write_items(&anchor.historical_summaries, out),
            Field::PendingDeposits => self.pending_deposits.write_items(&anchor.pending_deposits, out),
            Field::PendingPartialWithdrawals => {
                self.pending_partial_withdrawals.write_items(&anchor.pending_partial_withdrawals, out)
            }
            Field::PendingConsolidations => {
                self.pending_consolidations.write_items(&anchor.pending_consolidations, out)
            }
            small => self.write_small_difference(anchor, small, out),
        }
    }

    /// One more than the length, and the bytes; zero where nothing changed.
    fn write_small_difference(&self, anchor: &Self, field: Field, out: &mut impl Write) -> io::Result<()> {
        if self.field_eq(anchor, field) {
            return write_varint(0, out);
        }
        let mut bytes = Vec::new();
        self.write_field(field, &mut bytes)?;
        write_varint(bytes.len() as u64 + 1, out)?;
        out.write_all(&bytes)
    }

    fn read_field_difference(&mut self, field: Field, source: &mut impl Read) -> Result<(), StateError> {
        let registry = VALIDATOR_REGISTRY_LIMIT;
        let roots = SLOTS_PER_HISTORICAL_ROOT as u64;
        match field {
            Field::Validators => self.validators.apply_difference(source),
            Field::Balances => self.balances.apply_numbers(source, registry),
            Field::Slashings => self.slashings.apply_numbers(source, EPOCHS_PER_SLASHINGS_VECTOR as u64),
            Field::InactivityScores => self.inactivity_scores.apply_numbers(source, registry),
            Field::PreviousEpochParticipation => self.previous_epoch_participation.apply_numbers(source, registry),
            Field::CurrentEpochParticipation => self.current_epoch_participation.apply_numbers(source, registry),
            Field::ProposerLookahead => self.proposer_lookahead.apply_numbers(source, PROPOSER_LOOKAHEAD_LENGTH as u64),
            Field::BlockRoots => self.block_roots.apply_items(source, roots),
            Field::StateRoots => self.state_roots.apply_items(source, roots),
            Field::HistoricalRoots => self.historical_roots.apply_items(source, HISTORICAL_ROOTS_LIMIT),
            Field::Eth1DataVotes => {
                self.eth1_data_votes.apply_items(source, EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH)
            }
            Field::RandaoMixes => self.randao_mixes.apply_items(source, EPOCHS_PER_HISTORICAL_VECTOR as u64),
            Field::HistoricalSummaries => self.historical_summaries.apply_items(source, HISTORICAL_ROOTS_LIMIT),
            Field::PendingDeposits => self.pending_deposits.apply_items(source, PENDING_DEPOSITS_LIMIT),
            Field::PendingPartialWithdrawals => {
                self.pending_partial_withdrawals.apply_items(source, PENDING_PARTIAL_WITHDRAWALS_LIMIT)
            }
            Field::PendingConsolidations => {
                self.pending_consolidations.apply_items(source, PENDING_CONSOLIDATIONS_LIMIT)
            }
            small => return self.read_small_difference(small, source),
        }
        .map_err(|error| column_error(field, error))
    }

    fn read_small_difference(&mut self, field: Field, source: &mut impl Read) -> Result<(), StateError> {
        let io_error = |source| StateError::Io { field, source };
        let Some(len) = read_varint(source).map_err(io_error)?.checked_sub(1) else { return Ok(()) };
        let is_expected = fixed_len_of(field).map_or(len <= MAX_SMALL_LEN, |fixed| len == fixed as u64);
        if !is_expected {
            return Err(StateError::field(field, format!("{len} bytes")));
        }
        let mut bytes = Vec::new();
        source.take(len).read_to_end(&mut bytes).map_err(io_error)?;
        if bytes.len() as u64 != len {
            return Err(io_error(io::ErrorKind::UnexpectedEof.into()));
        }
        self.decode_small(field, &bytes).map_err(|error| StateError::field(field, format!("{error:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ssz::Column,
        types::{Checkpoint, ForkName, Hash256, Hashed, PendingDeposit, Validator},
    };

    fn anchor() -> BeaconState {
        let mut state = BeaconState {
            fork_name: ForkName::Fulu,
            slot: 100,
            block_roots: Column::filled(Hash256::repeat_byte(1), SLOTS_PER_HISTORICAL_ROOT),
            state_roots: Column::filled(Hash256::repeat_byte(2), SLOTS_PER_HISTORICAL_ROOT),
            randao_mixes: Column::filled(Hash256::repeat_byte(3), EPOCHS_PER_HISTORICAL_VECTOR),
            slashings: Column::filled(0, EPOCHS_PER_SLASHINGS_VECTOR),
            proposer_lookahead: Column::filled(0, PROPOSER_LOOKAHEAD_LENGTH),
            ..BeaconState::default()
        };
        for n in 0..1000u64 {
            add_validator(&mut state, n);
        }
        state
    }

    fn add_validator(state: &mut BeaconState, n: u64) {
        let pubkey = super::super::BLSPubkey::left_padding_from(&n.to_be_bytes());
        state.validators.push(Validator { pubkey, ..state.validators.get(0).unwrap_or_else(nobody) });
        state.balances.push(32_000_000_000 + n);
        state.previous_epoch_participation.push(7);
        state.current_epoch_participation.push(0);
        state.inactivity_scores.push(0);
    }

    fn nobody() -> Validator {
        <Validator as crate::ssz::Element>::read(&[0; 121]).unwrap()
    }

    /// Some of everything that an epoch changes.
    fn later() -> BeaconState {
        let mut state = anchor();
        state.slot += 40;
        state.finalized_checkpoint = Checkpoint { epoch: 9, root: Hash256::repeat_byte(9) };
        state.block_roots.set(3, Hash256::repeat_byte(8));
        state.randao_mixes.set(5, Hash256::repeat_byte(7));
        state.balances.update_each(|n, balance| balance + 11_000 - (n as u64 % 3));
        state.current_epoch_participation.update_each(|n, _| n as u8 % 8);
        state.slashings.set(1, 5);
        state.validators.update(77, |v| v.exit_epoch = 30);
        state.pending_deposits.push(Hashed::new(<PendingDeposit as crate::ssz::Element>::read(&[4; 192]).unwrap()));
        add_validator(&mut state, 1000);
        state
    }

    #[test]
    fn a_state_comes_back_from_its_difference() {
        let (mut anchor, mut state, mut bytes) = (anchor(), later(), Vec::new());
        anchor.hash_tree_root();
        state.write_difference(&anchor, &mut bytes).unwrap();
        assert!(bytes.len() * 10 < state.ssz_len(), "{} of {}", bytes.len(), state.ssz_len());
        let mut again = BeaconState::from_difference(&anchor, &mut bytes.as_slice()).unwrap();
        assert_eq!(again, state);
        assert_eq!(again.hash_tree_root(), state.hash_tree_root());
        let mut nothing = Vec::new();
        anchor.write_difference(&anchor, &mut nothing).unwrap();
        assert!(nothing.len() < 100);
        assert_eq!(BeaconState::from_difference(&anchor, &mut nothing.as_slice()).unwrap(), anchor);
    }

    #[test]
    fn what_is_no_difference_is_refused() {
        let (anchor, mut bytes) = (anchor(), Vec::new());
        later().write_difference(&anchor, &mut bytes).unwrap();
        for cut in (0..bytes.len()).step_by(7) {
            assert!(BeaconState::from_difference(&anchor, &mut &bytes[..cut]).is_err(), "{cut} of {}", bytes.len());
        }
        bytes.push(0);
        assert!(matches!(BeaconState::from_difference(&anchor, &mut bytes.as_slice()), Err(StateError::TrailingBytes)));
        for at in (0..bytes.len()).step_by(5) {
            bytes[at] ^= 0xff;
            // Whatever comes of it, it does not panic, and takes no memory that was not read.
            let _ = BeaconState::from_difference(&anchor, &mut bytes.as_slice());
            bytes[at] ^= 0xff;
        }
    }

    #[test]
    fn a_state_of_another_fork_has_no_difference() {
        let electra = BeaconState { fork_name: ForkName::Electra, ..anchor() };
        let error = later().write_difference(&electra, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
