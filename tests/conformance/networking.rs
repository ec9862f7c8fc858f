//! `networking`: what gossip is accepted, and which columns a node keeps. The functions are those that live messages pass.

use std::{fmt::Display, sync::Arc};

use hornero::{
    chain::{BlockError, BlockInfo, Snapshot, gossip::*, network::Verdict},
    crypto::{PubkeyCache, verify_each},
    transition::{Checks, Context, process_slots, state_transition},
    types::*,
};

use super::{case::Case, config, states::read};

pub fn run(case: &Case) -> Result<(), String> {
    match case.handler.as_str() {
        "get_custody_groups" => custody_groups(case),
        "compute_columns_for_custody_group" => columns_for_custody_group(case),
        _ => gossip(case),
    }
}

fn custody_groups(case: &Case) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Meta {
        node_id: serde_yaml_ng::Value,
        custody_group_count: u64,
        result: Vec<u64>,
    }
    let yaml = String::from_utf8(case.read("meta.yaml")?).map_err(text)?;
    let meta: Meta = serde_yaml_ng::from_str(&yaml).map_err(text)?;
    // YAML's numbers end before those of nodes do.
    let after = yaml.split_once("node_id:").ok_or("no node_id")?.1;
    let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
    let node_id: U256 = digits.parse().map_err(|error| format!("{:?}: {error}", meta.node_id))?;
    let ours = get_custody_groups(&config::of(case)?, node_id, meta.custody_group_count);
    same(ours, Some(meta.result))
}

fn columns_for_custody_group(case: &Case) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Meta {
        custody_group: u64,
        result: Vec<u64>,
    }
    let meta: Meta = case.yaml("meta")?;
    same(compute_columns_for_custody_group(&config::of(case)?, meta.custody_group), Some(meta.result))
}

/// `meta.yaml` of a topic.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    topic: String,
    #[serde(default)]
    blocks: Vec<KnownBlock>,
    #[serde(default)]
    current_time_ms: u64,
    finalized_checkpoint: Option<Finalized>,
    #[serde(default)]
    seen_partial_data_column_headers: Vec<SeenHeader>,
    messages: Vec<Message>,
    #[serde(rename = "bls_setting")]
    _bls_setting: Option<u8>,
}

/// A block that came before the messages.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownBlock {
    block: String,
    /// Whether it failed the transition.
    #[serde(default)]
    failed: bool,
    payload_status: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Finalized {
    epoch: Epoch,
    /// One of the blocks, or else a root.
    block: Option<String>,
    root: Option<Hash256>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenHeader {
    block_root: Hash256,
    header: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    message: String,
    #[serde(default)]
    offset_ms: u64,
    #[serde(default)]
    subnet_id: u64,
    group_id: Option<String>,
    #[serde(default)]
    column_index: u64,
    expected: String,
    reason: Option<String>,
}

/// Why a message is not accepted; without a reason where ours has another word for it.
type Outcome = Result<(), (Verdict, Option<String>)>;

/// What is known when the messages come.
struct Node<'a> {
    case: &'a Case,
    config: Config,
    keys: PubkeyCache,
    snapshot: Snapshot,
    invalid_blocks: InvalidBlocks,
    seen: Seen,
}

fn gossip(case: &Case) -> Result<(), String> {
    let meta: Meta = case.yaml("meta")?;
    let topic = case.handler.strip_prefix("gossip_").filter(|topic| topic.starts_with(&meta.topic));
    let topic = topic.ok_or(format!("the topic {} of another handler", meta.topic))?;
    let mut node = Node::new(case, &meta)?;
    for (number, message) in meta.messages.iter().enumerate() {
        let now_ms = meta.current_time_ms + message.offset_ms;
        let verdict = node.judge(topic, message, now_ms)?;
        check(verdict, message).map_err(|error| format!("message {number}: {error}"))?;
    }
    Ok(())
}

fn check(verdict: Outcome, message: &Message) -> Result<(), String> {
    let (ours, why) = match verdict {
        Ok(()) => ("valid", None),
        Err((Verdict::Ignore, why)) => ("ignore", why),
        Err((_, why)) => ("reject", why),
    };
    if ours != message.expected {
        return Err(format!("{ours} ({why:?}) instead of {} ({:?})", message.expected, message.reason));
    }
    let is_other = why.is_some() && why != message.reason;
    if is_other { Err(format!("refused for {why:?}, not for {:?}", message.reason)) } else { Ok(()) }
}

impl Node<'_> {
    fn new<'a>(case: &'a Case, meta: &Meta) -> Result<Node<'a>, String> {
        let (config, keys) = (config::of(case)?, PubkeyCache::default());
        let state = read(case, "state")?;
        let anchor = BlockInfo { slot: state.slot, parent_root: Hash256::ZERO, state_root: Hash256::ZERO };
        let mut snapshot = Snapshot::of_anchor(Hash256::ZERO, anchor, Arc::new(state));
        if let Some(first) = meta.blocks.first() {
            let block = case.block(&first.block)?;
            snapshot = Snapshot::of_anchor(block.root(), info(&block), snapshot.head_state);
        }
        let mut node =
            Node { case, config, keys, snapshot, invalid_blocks: InvalidBlocks::new(64), seen: Seen::default() };
        for known in meta.blocks.iter().skip(1) {
            node.add_block(known)?;
        }
        if let Some(finalized) = &meta.finalized_checkpoint {
            let root = match &finalized.block {
                Some(name) => case.block(name)?.root(),
                None => finalized.root.ok_or("a finalized checkpoint without a root")?,
            };
            node.snapshot.finalized = Checkpoint { epoch: finalized.epoch, root };
        }
        for seen in &meta.seen_partial_data_column_headers {
            node.seen.remember_partial_header(seen.block_root, case.ssz(&seen.header)?);
        }
        Ok(node)
    }

    fn add_block(&mut self, known: &KnownBlock) -> Result<(), String> {
        let block = self.case.block(&known.block)?;
        let status = known.payload_status.as_deref().unwrap_or("NOT_VALIDATED");
        if known.failed || status == "INVALIDATED" {
            let is_verified = status != "NOT_VALIDATED";
            let why = if is_verified { InvalidBlock::PayloadVerified } else { InvalidBlock::ByRules };
            self.invalid_blocks.insert(block.root(), why);
            return Ok(());
        }
        let parent = self.snapshot.state(&block.message.parent_root).ok_or("a block without its parent")?;
        let mut state = (*parent).clone();
        let ctx = Context { config: &self.config, keys: &self.keys };
        state_transition(&mut state, &block, &ctx, Checks::ALL).map_err(text)?;
        self.snapshot.add(block.root(), info(&block), Arc::new(state));
        Ok(())
    }

    /// Judges a message as the node does: `Err` has the verdict and the reason.
    fn judge(&mut self, topic: &str, message: &Message, now_ms: u64) -> Result<Outcome, String> {
        let (case, name) = (self.case, message.message.as_str());
        let state = self.state_at(now_ms)?;
        let view = View {
            config: &self.config,
            keys: &self.keys,
            snapshot: &self.snapshot,
            state: &state,
            invalid_blocks: &self.invalid_blocks,
            seen: &self.seen,
            now_ms,
        };
        let checked = match topic {
            "beacon_block" => {
                let block = case.block(name)?;
                return Ok(of_block(validate_beacon_block_gossip(&view, &block, block.root())));
            }
            "blob_sidecar" => {
                let outcome = validate_blob_sidecar_gossip(&view, &case.ssz(name)?, message.subnet_id);
                return Ok(outcome.map_err(refusal));
            }
            "data_column_sidecar" => {
                let outcome = validate_data_column_sidecar_gossip(&view, &case.ssz(name)?, message.subnet_id);
                return Ok(outcome.map_err(refusal));
            }
            "partial_data_column_sidecar" => {
                let group = case.ssz(message.group_id.as_deref().ok_or("no group")?)?;
                let sidecar = case.ssz(name)?;
                let column = message.column_index;
                let outcome = validate_partial_data_column_sidecar_gossip(&view, &sidecar, &group, column);
                return Ok(outcome.map_err(refusal));
            }
            "attester_slashing" => validate_attester_slashing_gossip(&view, &case.ssz(name)?),
            "beacon_aggregate_and_proof" => validate_beacon_aggregate_and_proof_gossip(&view, &case.ssz(name)?),
            "beacon_attestation" => validate_beacon_attestation_gossip(&view, &case.ssz(name)?, message.subnet_id),
            "bls_to_execution_change" => validate_bls_to_execution_change_gossip(&view, &case.ssz(name)?),
            "proposer_slashing" => validate_proposer_slashing_gossip(&view, &case.ssz(name)?),
            "sync_committee_contribution_and_proof" => {
                validate_sync_committee_contribution_and_proof_gossip(&view, &case.ssz(name)?)
            }
            "sync_committee_message" => {
                validate_sync_committee_message_gossip(&view, &case.ssz(name)?, message.subnet_id)
            }
            "voluntary_exit" => validate_voluntary_exit_gossip(&view, &case.ssz(name)?),
            other => return Err(format!("no topic {other}")),
        };
        let accept = |checked: Checked| {
            let sets: Vec<_> = checked.claims.iter().map(|claim| claim.set.clone()).collect();
            checked.accept(&self.seen, &verify_each(&sets))
        };
        Ok(checked.and_then(accept).map(|_| ()).map_err(refusal))
    }

    /// The head's state, advanced to the epoch of the clock, as the node does when its head is old.
    fn state_at(&self, now_ms: u64) -> Result<BeaconState, String> {
        let mut state = BeaconState::clone(&self.snapshot.head_state);
        let since_genesis =
            (now_ms + self.config.maximum_gossip_clock_disparity).saturating_sub(state.genesis_time * 1000);
        let epoch = compute_epoch_at_slot(since_genesis / self.config.slot_duration_ms);
        if epoch > state.current_epoch() {
            let ctx = Context { config: &self.config, keys: &self.keys };
            process_slots(&mut state, compute_start_slot_at_epoch(epoch), &ctx).map_err(text)?;
        }
        Ok(state)
    }
}

fn info(block: &SignedBeaconBlock) -> BlockInfo {
    let message = &block.message;
    BlockInfo { slot: message.slot, parent_root: message.parent_root, state_root: message.state_root }
}

fn refusal(refusal: Refusal) -> (Verdict, Option<String>) {
    (refusal.verdict, Some(refusal.reason.into()))
}

/// A block's errors, in the words of the specification.
fn of_block(outcome: Result<beacon_block::Passed, BlockError>) -> Outcome {
    let Err(error) = outcome else { return Ok(()) };
    let verdict = if error.is_fault() { Verdict::Reject } else { Verdict::Ignore };
    let reason = match error {
        BlockError::Invalid(rule) => rule,
        BlockError::BadSignature => "invalid proposer signature".into(),
        BlockError::KnownInvalid => "block's parent is invalid and its payload is optimistic".into(),
        // The specification tells two kinds apart, the node does not.
        BlockError::InvalidPayload => return Err((verdict, None)),
        BlockError::Equivocation => "block is not the first valid block for this slot and proposer".into(),
        BlockError::Future { .. } => "block is from a future slot".into(),
        BlockError::Finalized { .. } => "block is not from a slot greater than the latest finalized slot".into(),
        BlockError::UnknownParent { .. } => "block's parent has not been seen".into(),
        other => other.to_string(),
    };
    Err((verdict, Some(reason)))
}

fn same<T: PartialEq + std::fmt::Debug>(ours: T, expected: T) -> Result<(), String> {
    if ours == expected { Ok(()) } else { Err(format!("{ours:?} instead of {expected:?}")) }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
