//! A checkpoint from one or more providers, over the Beacon API.

use std::{io::BufReader, time::Duration};

use tracing::{info, warn};

use super::{
    Anchor, CheckpointError, Expectations, MAX_BLOCK_BYTES, MAX_STATE_BYTES, Progress, check,
    http::{Body, Client, HttpError},
    latest_block_root,
    progress::Counted,
    read_block, read_state,
};
use crate::types::{BeaconState, Config, Hash256, SignedBeaconBlock, Slot};

/// Longest JSON answer that is read here: a root and a few flags.
const MAX_JSON_BYTES: u64 = 64 << 10;
/// Bytes taken from the connection at a time.
const READ_BUFFER: usize = 64 << 10;

/// Where to get a checkpoint from, the first that works first.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Base addresses of beacon nodes' APIs.
    pub urls: Vec<String>,
    /// Whether a provider that does not answer may be passed over: yes for the built-in list, no for the user's.
    pub may_fail: bool,
    /// Longest wait for the next bytes; `None` for the usual one.
    pub stall_timeout: Option<Duration>,
}

/// Fetches the finalized state and its block from the first source, and asks the others whether they agree. Blocks.
///
/// # Errors
/// When nothing can be fetched, or what was fetched fails a check; nothing is kept then.
pub fn fetch(
    sources: &Sources,
    expected: &Expectations,
    mut report: impl FnMut(Progress),
) -> Result<Anchor, CheckpointError> {
    let client = sources.stall_timeout.map_or_else(Client::default, Client::with_stall_timeout);
    let mut last_error = CheckpointError::NoProvider;
    for (n, url) in sources.urls.iter().enumerate() {
        match fetch_from(&client, url, expected, &mut report) {
            Ok(anchor) => {
                for other in &sources.urls[n + 1..] {
                    confirm(&client, url, other, &anchor, sources.may_fail)?;
                }
                return Ok(anchor);
            }
            Err(CheckpointError::Http(error)) if sources.may_fail => {
                warn!("checkpoint provider {url} failed, trying the next: {error}");
                last_error = error.into();
            }
            Err(error) => return Err(error),
        }
    }
    Err(last_error)
}

fn fetch_from(
    client: &Client,
    url: &str,
    expected: &Expectations,
    report: &mut impl FnMut(Progress),
) -> Result<Anchor, CheckpointError> {
    let mut state = fetch_state(client, url, "finalized", expected, report)?;
    let root = latest_block_root(&mut state);
    if let Some(wanted) = expected.block_root.filter(|wanted| *wanted != root) {
        return Err(CheckpointError::Mismatch {
            what: "the provider's finalized block (--checkpoint-root)",
            expected: wanted,
            got: root,
        });
    }
    let block = fetch_block(client, url, root, expected.config)?;
    if state.slot != state.latest_block_header.slot {
        // The epoch's first slot was empty and the provider gave the state at the epoch's start: take the block's own.
        let by_root = format!("{:?}", block.message.state_root);
        match ask_for_state(client, url, &by_root) {
            // Not every provider has it.
            Err(HttpError::Status { .. }) => {
                info!("the finalized state lies past its block, and the provider does not have the block's own");
            }
            answer => {
                let body = answer?;
                // First: two states at once are too many.
                drop(state);
                state = receive_state(body, expected, report)?;
            }
        }
    }
    check(state, block, expected)
}

fn fetch_state(
    client: &Client,
    url: &str,
    id: &str,
    expected: &Expectations,
    report: &mut impl FnMut(Progress),
) -> Result<BeaconState, CheckpointError> {
    receive_state(ask_for_state(client, url, id)?, expected, report)
}

fn ask_for_state(client: &Client, url: &str, id: &str) -> Result<Body, HttpError> {
    let address = format!("{}/eth/v2/debug/beacon/states/{id}", url.trim_end_matches('/'));
    client.get_ssz(&address, MAX_STATE_BYTES)
}

fn receive_state(
    body: Body,
    expected: &Expectations,
    report: &mut impl FnMut(Progress),
) -> Result<BeaconState, CheckpointError> {
    let counted = Counted::new(body.reader, body.len, report);
    read_state(BufReader::with_capacity(READ_BUFFER, counted), expected)
}

fn fetch_block(
    client: &Client,
    url: &str,
    root: Hash256,
    config: &Config,
) -> Result<SignedBeaconBlock, CheckpointError> {
    let address = format!("{}/eth/v2/beacon/blocks/{root:?}", url.trim_end_matches('/'));
    let mut body = client.get_ssz(&address, MAX_BLOCK_BYTES)?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut body.reader, &mut bytes)
        .map_err(|error| HttpError::Transport { url: address, reason: error.to_string() })?;
    read_block(&bytes, config)
}

/// Asks another provider which block it has at the checkpoint's slot.
fn confirm(client: &Client, first: &str, other: &str, anchor: &Anchor, may_fail: bool) -> Result<(), CheckpointError> {
    let slot = anchor.block.message.slot;
    match root_at(client, other, slot) {
        Ok((root, finalized)) if root == anchor.root => {
            if anchor.state.slot != anchor.block.message.slot {
                confirm_state(client, first, other, anchor)?;
            }
            info!(
                "{other} confirms block {root:?} at slot {slot}{}",
                if finalized { "" } else { ", not yet final there" }
            );
            Ok(())
        }
        Ok((theirs, _)) => Err(CheckpointError::Disagreement {
            first: first.into(),
            second: other.into(),
            slot,
            ours: anchor.root,
            theirs,
        }),
        Err(error) if may_fail => {
            warn!("{other} could not confirm the checkpoint: {error}");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The block does not prove a state that lies past it, so the other provider is asked for that state's root as well.
fn confirm_state(client: &Client, first: &str, other: &str, anchor: &Anchor) -> Result<(), CheckpointError> {
    let slot = anchor.state.slot;
    let address = format!("{}/eth/v1/beacon/states/{slot}/root", other.trim_end_matches('/'));
    let (theirs, _) = root_of(client, address)?;
    let ours = anchor.state.clone().hash_tree_root();
    if ours == theirs {
        return Ok(());
    }
    Err(CheckpointError::Disagreement { first: first.into(), second: other.into(), slot, ours, theirs })
}

fn root_at(client: &Client, url: &str, slot: Slot) -> Result<(Hash256, bool), HttpError> {
    root_of(client, format!("{}/eth/v1/beacon/blocks/{slot}/root", url.trim_end_matches('/')))
}

fn root_of(client: &Client, address: String) -> Result<(Hash256, bool), HttpError> {
    let answer = client.get_json(&address, MAX_JSON_BYTES)?;
    let root = answer["data"]["root"].as_str().and_then(|root| root.parse().ok());
    let malformed = || HttpError::Malformed { url: address.clone(), reason: "no data.root".into() };
    Ok((root.ok_or_else(malformed)?, answer["finalized"].as_bool().unwrap_or(false)))
}
