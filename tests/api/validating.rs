//! A validator's work, as any validator client does it: over HTTP, with keys that only it has.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use hornero::{
    chain::{
        availability::verify_data_column_sidecar_inclusion_proof,
        kzg_commitment_to_versioned_hash,
        network::{NetworkCommand, Publication},
    },
    crypto::*,
    types::{preset::*, *},
    validator::interop_secret_key,
};
use serde_json::{Value, json};
use ssz::{Decode, Encode};
use tree_hash::TreeHash;

use super::support::{Node, VALIDATORS, blobs};

const SSZ: &str = "application/octet-stream";
const JSON: &str = "application/json";

fn sign(node: &Node, validator: u64, object: &impl TreeHash, purpose: DomainType) -> BLSSignature {
    let version = node.chain.config().fork_version(0);
    let domain = compute_domain(purpose, version, node.chain.genesis_validators_root());
    interop_secret_key(validator).sign(compute_signing_root(object, domain)).to_bytes()
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn all_indices() -> Vec<String> {
    (0..VALIDATORS).map(|index| index.to_string()).collect()
}

/// A signed block of slot 1, made with what the API says.
fn signed_block(node: &Node) -> SignedBlockContents {
    let duties = node.data("/eth/v1/validator/duties/proposer/0");
    assert_eq!(duties.as_array().unwrap().len() as u64, SLOTS_PER_EPOCH);
    assert_eq!(duties[1]["slot"], "1");
    let proposer = number(&duties[1]["validator_index"]);
    assert_eq!(duties[1]["pubkey"], interop_secret_key(proposer).public_key().to_compressed().to_string());
    let randao_reveal = sign(node, proposer, &0u64, DOMAIN_RANDAO);
    let graffiti = Hash256::repeat_byte(7);
    let path = format!("/eth/v3/validator/blocks/1?randao_reveal={randao_reveal}&graffiti={graffiti}");
    let reply = node.get_as(&path, "application/octet-stream;q=1,application/json;q=0.9");
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.header("content-type"), SSZ);
    assert_eq!(reply.header("eth-execution-payload-blinded"), "false");
    assert_eq!(reply.header("eth-consensus-version"), "fulu");
    let contents = BlockContents::from_ssz_bytes(ForkName::Fulu, &reply.body).unwrap();
    let in_json = node.get_as(&path, JSON).json();
    assert_eq!(in_json["version"], "fulu");
    let same: BlockContents = serde_json::from_value(in_json["data"].clone()).unwrap();
    assert_eq!(same.block.tree_hash_root(), contents.block.tree_hash_root());
    assert_eq!((contents.block.proposer_index, contents.block.body.graffiti), (proposer, graffiti));
    let signature = sign(node, proposer, &contents.block, DOMAIN_BEACON_PROPOSER);
    SignedBlockContents {
        signed_block: SignedBeaconBlock { message: contents.block, signature },
        kzg_proofs: contents.kzg_proofs,
        blobs: contents.blobs,
    }
}

/// Reads server-sent events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(node: &Node, topics: &str) -> Events {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request = format!("GET /eth/v1/events?topics={topics} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut events = Events(BufReader::new(stream));
        assert!(events.line().starts_with("HTTP/1.1 200 OK"));
        // The first comment: from here on nothing is missed.
        while events.line() != ":" {}
        events
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).expect("the server sends something"), 0, "the server closed");
        line.trim_end().to_string()
    }

    /// The data of the next event of a topic.
    fn next(&mut self, topic: &str) -> Value {
        while self.line() != format!("event: {topic}") {}
        serde_json::from_str(self.line().strip_prefix("data: ").unwrap()).unwrap()
    }
}

#[test]
fn a_block_is_produced_signed_published_and_told_of() {
    let node = Node::at_genesis();
    let mut events = Events::open(&node, "head,block");
    let contents = signed_block(&node);
    let root = contents.signed_block.root();

    let mut forged = contents.clone();
    forged.signed_block.signature = sign(&node, 0, &Hash256::ZERO, DOMAIN_BEACON_PROPOSER);
    let reply = node.post("/eth/v2/beacon/blocks", SSZ, &forged.as_ssz_bytes());
    assert_eq!(reply.status, 400, "{}", String::from_utf8_lossy(&reply.body));

    let reply = node.post("/eth/v2/beacon/blocks", SSZ, &contents.as_ssz_bytes());
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let reply = node.post_json("/eth/v2/beacon/blocks?broadcast_validation=consensus", &contents);
    assert!([200, 400].contains(&reply.status), "the same again is known or an equivocation: {}", reply.status);

    let head = events.next("head");
    assert_eq!((&head["slot"], &head["block"]), (&json!("1"), &json!(root)));
    assert_eq!(node.data("/eth/v1/beacon/blocks/head/root")["root"], root.to_string());
    let block: SignedBeaconBlock = serde_json::from_value(node.data(&format!("/eth/v2/beacon/blocks/{root}"))).unwrap();
    assert_eq!(block, contents.signed_block);
    let header = node.data("/eth/v1/beacon/headers?slot=1");
    assert_eq!(header[0]["header"]["signature"], contents.signed_block.signature.to_string());
    let state_root = node.data("/eth/v1/beacon/states/head/root")["root"].clone();
    assert_eq!(state_root, contents.signed_block.message.state_root.to_string());
    let published = std::iter::from_fn(|| node.network.try_recv().ok())
        .any(|command| matches!(command, NetworkCommand::Publish(Publication::Block(block)) if block.root() == root));
    assert!(published, "the block is gossiped");
}

/// The columns that were published.
fn published_columns(node: &Node) -> Vec<Arc<DataColumnSidecar>> {
    let commands = std::iter::from_fn(|| node.network.try_recv().ok());
    let columns = commands.filter_map(|command| match command {
        NetworkCommand::Publish(Publication::Columns(columns)) => Some(columns),
        _ => None,
    });
    columns.flatten().collect()
}

#[test]
fn blobs_go_out_as_columns_and_ours_are_kept() {
    let node = Node::at_genesis();
    let contents = signed_block(&node);
    let root = contents.signed_block.root();
    assert_eq!(contents.blobs[..], blobs().blobs[..1], "the first payload has one");
    assert_eq!(contents.kzg_proofs[..], blobs().proofs[..NUMBER_OF_COLUMNS]);
    // Before it is published, all of it is checked.
    let path = "/eth/v2/beacon/blocks?broadcast_validation=consensus";
    let reply = node.post_json(path, &contents);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(node.chain.snapshot().head_root, root);

    let columns = published_columns(&node);
    assert!(columns.iter().map(|column| column.index).eq(0..NUMBER_OF_COLUMNS as u64), "each once");
    for column in &columns {
        assert!(verify_data_column_sidecar(node.chain.config(), column));
        assert!(verify_data_column_sidecar_inclusion_proof(column));
        assert_eq!(column.signed_block_header, contents.signed_block.signed_header());
    }
    let all: Vec<&DataColumnSidecar> = columns.iter().map(AsRef::as_ref).collect();
    assert!(verify_data_columns_kzg_proofs(&all));
    let sampled = node.chain.sampled_columns();
    assert_eq!(sampled.len(), 8);
    // They are written beside the import.
    while node.chain.database().columns_of(root).unwrap() != sampled {
        std::thread::yield_now();
    }
}

#[test]
fn blobs_are_given_back_by_who_keeps_all_columns() {
    let node = Node::at_genesis();
    let contents = signed_block(&node);
    assert_eq!(node.post_json("/eth/v2/beacon/blocks", &contents).status, 200);
    let reply = node.get("/eth/v1/beacon/blobs/head");
    assert_eq!(reply.status, 501, "{}", String::from_utf8_lossy(&reply.body));
    assert!(reply.json()["message"].as_str().unwrap().contains("of this block's 128"));
    assert_eq!(node.get("/eth/v1/beacon/blobs/genesis").json()["data"], json!([]));

    let node = Node::at_genesis();
    smol::block_on(node.chain.keep_groups(128)).unwrap();
    let contents = signed_block(&node);
    assert_eq!(node.post_json("/eth/v2/beacon/blocks", &contents).status, 200);
    let root = contents.signed_block.root();
    while node.chain.database().columns_of(root).unwrap().len() < NUMBER_OF_COLUMNS {
        std::thread::yield_now();
    }
    let hash = kzg_commitment_to_versioned_hash(&contents.signed_block.message.body.blob_kzg_commitments[0]);
    for path in [format!("{root}"), format!("head?versioned_hashes={hash}")] {
        let path = format!("/eth/v1/beacon/blobs/{path}");
        assert_eq!(node.data(&path)[0], format!("0x{}", hex(&contents.blobs[0])), "{path}");
        assert_eq!(Blobs::from_ssz_bytes(&node.get_as(&path, SSZ).body).unwrap(), contents.blobs);
    }
    let other = format!("/eth/v1/beacon/blobs/head?versioned_hashes={root}");
    assert_eq!(node.data(&other), json!([]));
    assert_eq!(node.get("/eth/v1/beacon/blobs/head?versioned_hashes=0x12").status, 400);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn contents_that_do_not_belong_together_are_refused() {
    let node = Node::at_genesis();
    let contents = signed_block(&node);
    let refused = |what: &str, changed: SignedBlockContents, words: &str| {
        let reply = node.post("/eth/v2/beacon/blocks", SSZ, &changed.as_ssz_bytes());
        assert_eq!(reply.status, 400, "{what}");
        let json = reply.json();
        assert!(json["message"].as_str().unwrap().contains(words), "{what}: {json}");
    };
    let mut other_blob = contents.clone();
    other_blob.blobs = vec![blobs().blobs[1].clone()].try_into().unwrap();
    refused("another blob", other_blob, "do not belong");
    let mut swapped = contents.clone();
    swapped.kzg_proofs.swap(0, 1);
    refused("proofs of other cells", swapped, "do not belong");
    let mut few = contents.clone();
    few.kzg_proofs = contents.kzg_proofs[1..].to_vec().try_into().unwrap();
    refused("a proof is missing", few, "need as many blobs");
    let bare = SignedBlockContents { kzg_proofs: Default::default(), blobs: Default::default(), ..contents.clone() };
    refused("no blobs at all", bare, "need as many blobs");
    let mut false_state = contents.clone();
    false_state.signed_block.message.state_root = Hash256::repeat_byte(1);
    let proposer = false_state.signed_block.message.proposer_index;
    false_state.signed_block.signature =
        sign(&node, proposer, &false_state.signed_block.message, DOMAIN_BEACON_PROPOSER);
    let reply = node.post_json("/eth/v2/beacon/blocks?broadcast_validation=consensus", &false_state);
    assert_eq!(reply.status, 400, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(node.post_json("/eth/v2/beacon/blocks?broadcast_validation=all", &contents).status, 400);
    let published = std::iter::from_fn(|| node.network.try_recv().ok())
        .any(|command| matches!(command, NetworkCommand::Publish(_)));
    assert!(!published, "nobody heard of any");
    assert_eq!(node.chain.snapshot().head_slot, 0);
}

#[test]
fn votes_are_taken_summed_and_handed_out() {
    let node = Node::at_genesis();
    let reply = node.post_json("/eth/v1/validator/duties/attester/0", &all_indices()).json();
    assert_eq!(reply["dependent_root"], node.chain.snapshot().head_root.to_string());
    let duties = reply["data"].as_array().unwrap();
    assert_eq!(duties.len() as u64, VALIDATORS, "everybody attests once in an epoch");
    let duty = duties.iter().find(|duty| duty["slot"] == "1");
    // On mainnet's preset, 16 validators do not fill every slot.
    let Some(duty) = duty else { panic!("nobody attests in slot 1") };
    let validator = number(&duty["validator_index"]);
    let committee = number(&duty["committee_index"]);
    assert_eq!(duty["pubkey"], interop_secret_key(validator).public_key().to_compressed().to_string());

    let path = format!("/eth/v1/validator/attestation_data?slot=1&committee_index={committee}");
    let data: AttestationData = serde_json::from_value(node.data(&path)).unwrap();
    assert_eq!(AttestationData::from_ssz_bytes(&node.get_as(&path, SSZ).body).unwrap(), data);
    assert_eq!((data.slot, data.index, data.beacon_block_root), (1, 0, node.chain.snapshot().head_root));
    let signature = sign(&node, validator, &data, DOMAIN_BEACON_ATTESTER);
    let vote = SingleAttestation { committee_index: committee, attester_index: validator, data, signature };
    let forged = SingleAttestation { signature: sign(&node, validator, &data, DOMAIN_RANDAO), ..vote.clone() };
    let reply = node.post_json("/eth/v2/beacon/pool/attestations", &[forged, vote.clone()]);
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["failures"].as_array().unwrap().len(), 1, "only the forged one is refused");
    assert_eq!(reply.json()["failures"][0]["index"], "0");
    assert_eq!(node.post("/eth/v2/beacon/pool/attestations", SSZ, &vec![vote].as_ssz_bytes()).status, 200);

    let root = data.tree_hash_root();
    let path = format!(
        "/eth/v2/validator/aggregate_attestation?attestation_data_root={root}&slot=1&committee_index={committee}"
    );
    let reply = node.get(&path);
    assert_eq!(reply.header("eth-consensus-version"), "fulu");
    let aggregate: Attestation = serde_json::from_value(reply.json()["data"].clone()).unwrap();
    assert_eq!(aggregate.signature, signature, "the sum of one");
    assert_eq!(aggregate.aggregation_bits.num_set_bits(), 1);
    let message = AggregateAndProof {
        aggregator_index: validator,
        aggregate,
        selection_proof: sign(&node, validator, &1u64, DOMAIN_SELECTION_PROOF),
    };
    let signature = sign(&node, validator, &message, DOMAIN_AGGREGATE_AND_PROOF);
    let signed = SignedAggregateAndProof { message, signature };
    let reply = node.post_json("/eth/v2/validator/aggregate_and_proofs", &[signed]);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
}

#[test]
fn sync_signatures_are_taken_summed_and_handed_out() {
    let node = Node::at_genesis();
    let duties = node.post_json("/eth/v1/validator/duties/sync/0", &all_indices()).json()["data"].take();
    let places: usize = duties
        .as_array()
        .unwrap()
        .iter()
        .map(|duty| duty["validator_sync_committee_indices"].as_array().unwrap().len())
        .sum();
    assert_eq!(places, SYNC_COMMITTEE_SIZE, "the interop validators are all there are");
    let head = node.chain.snapshot().head_root;
    let messages: Vec<_> = duties
        .as_array()
        .unwrap()
        .iter()
        .map(|duty| number(&duty["validator_index"]))
        .map(|validator_index| SyncCommitteeMessage {
            slot: 1,
            beacon_block_root: head,
            validator_index,
            signature: sign(&node, validator_index, &head, DOMAIN_SYNC_COMMITTEE),
        })
        .collect();
    let reply = node.post_json("/eth/v1/beacon/pool/sync_committees", &messages);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let path =
        format!("/eth/v1/validator/sync_committee_contribution?slot=1&subcommittee_index=0&beacon_block_root={head}");
    let contribution: SyncCommitteeContribution = serde_json::from_value(node.data(&path)).unwrap();
    assert_eq!(contribution.aggregation_bits.num_set_bits(), SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT);
    let signed: Vec<_> = messages
        .iter()
        .map(|message| {
            let data = SyncAggregatorSelectionData { slot: 1, subcommittee_index: 0 };
            let aggregator_index = message.validator_index;
            let selection_proof = sign(&node, aggregator_index, &data, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF);
            let message =
                ContributionAndProof { aggregator_index, contribution: contribution.clone(), selection_proof };
            let signature = sign(&node, aggregator_index, &message, DOMAIN_CONTRIBUTION_AND_PROOF);
            SignedContributionAndProof { message, signature }
        })
        .collect();
    let reply = node.post_json("/eth/v1/validator/contribution_and_proofs", &signed);
    let failures = match reply.status {
        200 => 0,
        _ => reply.json()["failures"].as_array().unwrap().len(),
    };
    assert!(failures < signed.len(), "at least one of them is an aggregator of subcommittee 0");
}

#[test]
fn announcements_are_taken() {
    let node = Node::at_genesis();
    for (path, body) in [
        (
            "/eth/v1/validator/beacon_committee_subscriptions",
            json!([{ "validator_index": "1", "committee_index": "0", "committees_at_slot": "1", "slot": "3",
                     "is_aggregator": true }]),
        ),
        (
            "/eth/v1/validator/sync_committee_subscriptions",
            json!([{ "validator_index": "1", "sync_committee_indices": ["0", "9"], "until_epoch": "8" }]),
        ),
        (
            "/eth/v1/validator/prepare_beacon_proposer",
            json!([{ "validator_index": "1", "fee_recipient": "0x0102030405060708090a0b0c0d0e0f1011121314" }]),
        ),
    ] {
        assert_eq!(node.post_json(path, &body).status, 200, "{path}");
    }
}

#[test]
fn duties_are_known_after_epochs_without_a_block() {
    let node = Node::at_genesis();
    node.clock.set_ms(node.clock.start_of(3 * SLOTS_PER_EPOCH));
    for epoch in [3, 4] {
        let proposers = node.data(&format!("/eth/v1/validator/duties/proposer/{epoch}"));
        assert_eq!(proposers[0]["slot"], (epoch * SLOTS_PER_EPOCH).to_string());
        let later = node.get(&format!("/eth/v2/validator/duties/proposer/{epoch}")).json();
        assert_eq!(later["dependent_root"], node.chain.snapshot().head_root.to_string());
        let path = format!("/eth/v1/validator/duties/attester/{epoch}");
        let duties = node.post_json(&path, &all_indices()).json()["data"].take();
        assert_eq!(duties.as_array().unwrap().len() as u64, VALIDATORS);
        assert!(duties.as_array().unwrap().iter().all(|duty| number(&duty["slot"]) / SLOTS_PER_EPOCH == epoch));
    }
    assert_eq!(node.post_json("/eth/v1/validator/duties/attester/5", &all_indices()).status, 400);
}
