//! What may be passed on of what is gossiped: the specification's rules, a file for each topic.
//!
//! Everything here is a pure function of a message and a [`View`]: no clock, no disk, no network. Messages that come in
//! numbers leave their signatures to the caller, who verifies those of many at once and then calls [`Checked::accept`];
//! blocks, columns and blobs, which come alone, are judged in one go. Rules that cost nothing come before those that cost
//! something, so of a message that breaks several another may be named than the specification would name.

mod attester_slashing;
mod beacon_aggregate_and_proof;
mod beacon_attestation;
pub mod beacon_block;
mod blob_sidecar;
mod bls_to_execution_change;
mod data_column_sidecar;
mod header;
mod light_client_update;
mod partial_data_column_sidecar;
mod proposer_slashing;
mod seen;
mod sync_committee_contribution_and_proof;
mod sync_committee_message;
#[cfg(all(test, feature = "minimal"))]
mod tests;
mod view;
mod voluntary_exit;
mod votes;

pub use attester_slashing::validate_attester_slashing_gossip;
pub use beacon_aggregate_and_proof::validate_beacon_aggregate_and_proof_gossip;
pub use beacon_attestation::validate_beacon_attestation_gossip;
pub use beacon_block::validate_beacon_block_gossip;
pub use blob_sidecar::validate_blob_sidecar_gossip;
pub use bls_to_execution_change::validate_bls_to_execution_change_gossip;
pub use data_column_sidecar::{
    CheckedColumn, check_data_column_sidecar_gossip, claim_data_column_sidecar, finish_data_column_sidecars, is_early,
    is_repeated, validate_data_column_sidecar_gossip,
};
pub use light_client_update::{
    Forwarded, validate_light_client_finality_update_gossip, validate_light_client_optimistic_update_gossip,
};
pub use partial_data_column_sidecar::validate_partial_data_column_sidecar_gossip;
pub use proposer_slashing::validate_proposer_slashing_gossip;
pub(super) use seen::Mark;
pub use seen::Seen;
pub use sync_committee_contribution_and_proof::validate_sync_committee_contribution_and_proof_gossip;
pub use sync_committee_message::validate_sync_committee_message_gossip;
pub(super) use view::proposer_at;
pub use view::{InvalidBlock, InvalidBlocks, View};
pub use voluntary_exit::validate_voluntary_exit_gossip;

use super::{Vote, network::Verdict};
use crate::{crypto::SignatureSet, types::GossipMessage};

/// Checks a small message of any topic but light clients', all but its signatures.
pub fn validate_gossip(view: &View, message: &GossipMessage) -> Result<Checked, Refusal> {
    match message {
        GossipMessage::Aggregate(message) => validate_beacon_aggregate_and_proof_gossip(view, message),
        GossipMessage::Attestation(message, subnet) => validate_beacon_attestation_gossip(view, message, *subnet),
        GossipMessage::VoluntaryExit(message) => validate_voluntary_exit_gossip(view, message),
        GossipMessage::ProposerSlashing(message) => validate_proposer_slashing_gossip(view, message),
        GossipMessage::AttesterSlashing(message) => validate_attester_slashing_gossip(view, message),
        GossipMessage::Contribution(message) => validate_sync_committee_contribution_and_proof_gossip(view, message),
        GossipMessage::SyncMessage(message, subnet) => validate_sync_committee_message_gossip(view, message, *subnet),
        GossipMessage::BlsToExecutionChange(message) => validate_bls_to_execution_change_gossip(view, message),
        // These have a task of their own, which knows what ours are.
        GossipMessage::FinalityUpdate(_) | GossipMessage::OptimisticUpdate(_) => Err(ignore("not for this queue")),
    }
}

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Ignore or reject.
    pub verdict: Verdict,
    /// In the specification's words.
    pub reason: &'static str,
}

fn reject(reason: &'static str) -> Refusal {
    Refusal { verdict: Verdict::Reject, reason }
}

fn ignore(reason: &'static str) -> Refusal {
    Refusal { verdict: Verdict::Ignore, reason }
}

fn ensure(condition: bool, refusal: Refusal) -> Result<(), Refusal> {
    if condition { Ok(()) } else { Err(refusal) }
}

/// A signature that must be true.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who signed what.
    pub set: SignatureSet,
    /// What is wrong with the message if it is false.
    pub reason: &'static str,
}

/// A message of which only the signatures are left to check.
#[derive(Debug)]
pub struct Checked {
    /// All must be true; there is at least one.
    pub claims: Vec<Claim>,
    /// What the message turned out to say.
    pub found: Found,
    mark: Mark,
}

/// What was found out about a message, for whoever makes use of it.
#[derive(Clone, Debug)]
pub enum Found {
    /// All there is to know is in the message.
    Message,
    /// An aggregate's votes.
    Votes(Vote),
    /// One vote.
    Vote {
        /// The vote.
        vote: Vote,
        /// Members of the committee.
        committee_len: usize,
        /// The attester's place among them.
        place: usize,
    },
    /// The places in its subcommittee of who signed a head.
    SyncPlaces(Vec<usize>),
}

impl Checked {
    /// What the message is worth once its claims were verified: `verdicts` has one for each, in order. Remembers a good one;
    /// should the same have been accepted since the checks, it is ignored.
    ///
    /// # Errors
    /// The first false claim, or the repetition.
    pub fn accept(self, seen: &Seen, verdicts: &[bool]) -> Result<Found, Refusal> {
        let is_true = |at: usize| verdicts.get(at).copied().unwrap_or(false);
        if let Some((_, claim)) = self.claims.iter().enumerate().find(|(at, _)| !is_true(*at)) {
            return Err(reject(claim.reason));
        }
        seen.remember(self.mark)?;
        Ok(self.found)
    }
}
