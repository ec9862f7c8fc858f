//! Blocks, states and validators of a chain at its genesis, and what is wrong to ask.

use hornero::types::{BeaconState, ForkName, SignedBeaconBlock};
use serde_json::{Value, json};

use super::support::{GENESIS_TIME, Node, VALIDATORS};

const SSZ: &str = "application/octet-stream";

#[test]
fn the_genesis_block_is_found_by_every_name() {
    let node = Node::at_genesis();
    let root = node.chain.snapshot().head_root;
    let genesis = node.data("/eth/v1/beacon/genesis");
    assert_eq!(genesis["genesis_time"], GENESIS_TIME.to_string());
    assert_eq!(genesis["genesis_validators_root"], node.chain.genesis_validators_root().to_string());
    for id in ["head", "genesis", "finalized", "justified", "0", &root.to_string()] {
        assert_eq!(node.data(&format!("/eth/v1/beacon/blocks/{id}/root"))["root"], root.to_string(), "{id}");
        let header = node.get(&format!("/eth/v1/beacon/headers/{id}")).json();
        assert_eq!(header["finalized"], true);
        assert_eq!(header["data"]["canonical"], true);
        assert_eq!(header["data"]["root"], root.to_string());
        let reply = node.get_as(&format!("/eth/v2/beacon/blocks/{id}"), SSZ);
        assert_eq!(reply.header("eth-consensus-version"), "fulu");
        assert_eq!(SignedBeaconBlock::from_ssz_bytes(ForkName::Fulu, &reply.body).unwrap().root(), root);
    }
    let in_json = node.get("/eth/v2/beacon/blocks/head").json();
    assert_eq!(in_json["version"], "fulu");
    let block: SignedBeaconBlock = serde_json::from_value(in_json["data"].clone()).unwrap();
    assert_eq!(block.root(), root);
    let headers = |query: &str| node.data(&format!("/eth/v1/beacon/headers{query}"));
    assert_eq!(headers("")[0]["root"], root.to_string());
    assert_eq!(headers("?slot=0")[0]["root"], root.to_string());
    assert_eq!(headers("?slot=1"), json!([]));
    assert_eq!(headers(&format!("?parent_root={root}")), json!([]));
    assert_eq!(headers(&format!("?parent_root=0x{}", "00".repeat(32)))[0]["root"], root.to_string());
    let heads = node.data("/eth/v2/debug/beacon/heads");
    assert_eq!(heads, json!([{ "root": root, "slot": "0", "execution_optimistic": false }]));
}

#[test]
fn a_downloaded_state_is_the_state() {
    let node = Node::at_genesis();
    let head = node.chain.snapshot().head_state.clone();
    for id in ["head", "finalized", "genesis", "0"] {
        let reply = node.get(&format!("/eth/v2/debug/beacon/states/{id}"));
        assert_eq!(reply.header("content-length"), reply.body.len().to_string());
        assert_eq!(reply.header("eth-consensus-version"), "fulu");
        assert!(reply.body == head.to_ssz_bytes(), "{id}");
    }
    let reply = node.get_as("/eth/v2/debug/beacon/states/head", SSZ);
    let mut state = BeaconState::from_ssz_bytes(ForkName::Fulu, &reply.body).unwrap();
    let root = state.hash_tree_root();
    assert_eq!(node.data("/eth/v1/beacon/states/head/root")["root"], root.to_string());
    assert_eq!(node.get(&format!("/eth/v2/debug/beacon/states/{root}")).status, 200);
    assert_eq!(node.get_as("/eth/v2/debug/beacon/states/head", "application/json").status, 406);
    assert_eq!(node.data("/eth/v1/beacon/states/head/fork")["current_version"], "0x06000048");
    let checkpoints = node.data("/eth/v1/beacon/states/head/finality_checkpoints");
    assert_eq!(checkpoints["finalized"]["epoch"], "0");
}

#[test]
fn validators_are_filtered_by_id_and_status() {
    let node = Node::at_genesis();
    let list = |query: &str| -> Vec<String> {
        let rows = node.data(&format!("/eth/v1/beacon/states/head/validators{query}"));
        rows.as_array().unwrap().iter().map(|row| row["index"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(list("").len() as u64, VALIDATORS);
    let third = node.data("/eth/v1/beacon/states/head/validators/3");
    assert_eq!(third["status"], "active_ongoing");
    assert_eq!(third["balance"], third["validator"]["effective_balance"]);
    let key = third["validator"]["pubkey"].as_str().unwrap();
    assert_eq!(node.data(&format!("/eth/v1/beacon/states/head/validators/{key}")), third);
    assert_eq!(list(&format!("?id=5,{key},5&id=1&id=99999")), ["1", "3", "5"]);
    assert_eq!(list("?id=5&status=active"), ["5"]);
    assert!(list("?id=5&status=pending,exited_slashed").is_empty());
    let posted = |filter: Value| {
        let reply = node.post_json("/eth/v1/beacon/states/head/validators", &filter);
        assert_eq!(reply.status, 200);
        reply.json()["data"].as_array().unwrap().len() as u64
    };
    assert_eq!(posted(json!({ "ids": ["0", key, "99999"], "statuses": ["active_ongoing"] })), 2);
    assert_eq!(posted(json!({ "ids": [], "statuses": null })), VALIDATORS);
    assert_eq!(posted(json!({})), VALIDATORS);
    assert_eq!(posted(json!({ "ids": ["99999"] })), 0, "an unknown one is not all of them");
}

#[test]
fn what_is_wrong_to_ask_is_said() {
    let node = Node::at_genesis();
    let nobody = format!("0x{}", "ab".repeat(32));
    let signature = format!("0x{}", "ab".repeat(96));
    let too_many = (0..65).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    for (path, status) in [
        ("/eth/v1/beacon/headers/nothing".to_string(), 400),
        ("/eth/v1/beacon/headers/0xabc".to_string(), 400),
        ("/eth/v1/beacon/headers/1".to_string(), 404),
        (format!("/eth/v1/beacon/headers/{nobody}"), 404),
        ("/eth/v1/beacon/headers?slot=x".to_string(), 400),
        ("/eth/v1/beacon/headers?parent_root=0x12".to_string(), 400),
        (format!("/eth/v1/beacon/blocks/{nobody}/root"), 404),
        (format!("/eth/v2/beacon/blocks/{nobody}"), 404),
        ("/eth/v2/beacon/blocks/18446744073709551615".to_string(), 404),
        (format!("/eth/v1/beacon/states/{nobody}/root"), 404),
        ("/eth/v1/beacon/states/99/fork".to_string(), 404),
        ("/eth/v1/beacon/states/x/validators".to_string(), 400),
        ("/eth/v1/beacon/states/head/validators?id=x".to_string(), 400),
        ("/eth/v1/beacon/states/head/validators?status=happy".to_string(), 400),
        (format!("/eth/v1/beacon/states/head/validators?id={too_many}"), 414),
        ("/eth/v1/beacon/states/head/validators/99999".to_string(), 404),
        ("/eth/v1/beacon/states/head/validators/-1".to_string(), 400),
        (format!("/eth/v2/debug/beacon/states/{nobody}"), 404),
        ("/eth/v1/events".to_string(), 400),
        ("/eth/v1/events?topics=weather".to_string(), 400),
        ("/eth/v1/validator/duties/proposer/x".to_string(), 400),
        ("/eth/v1/validator/duties/proposer/2".to_string(), 400),
        ("/eth/v1/validator/attestation_data".to_string(), 400),
        ("/eth/v1/validator/attestation_data?slot=1&committee_index=64".to_string(), 400),
        ("/eth/v1/validator/attestation_data?slot=100".to_string(), 400),
        ("/eth/v3/validator/blocks/1".to_string(), 400),
        ("/eth/v3/validator/blocks/1?randao_reveal=0x12".to_string(), 400),
        (format!("/eth/v3/validator/blocks/0?randao_reveal={signature}"), 400),
        (format!("/eth/v3/validator/blocks/99?randao_reveal={signature}"), 400),
        (format!("/eth/v3/validator/blocks/1?randao_reveal={signature}&graffiti=hi"), 400),
        (format!("/eth/v2/validator/aggregate_attestation?attestation_data_root={nobody}&slot=1"), 400),
        (
            format!("/eth/v2/validator/aggregate_attestation?attestation_data_root={nobody}&slot=1&committee_index=0"),
            404,
        ),
        (
            format!(
                "/eth/v1/validator/sync_committee_contribution?slot=1&subcommittee_index=4&beacon_block_root={nobody}"
            ),
            400,
        ),
        (
            format!(
                "/eth/v1/validator/sync_committee_contribution?slot=1&subcommittee_index=0&beacon_block_root={nobody}"
            ),
            404,
        ),
    ] {
        let reply = node.get(&path);
        assert_eq!(reply.status, status, "{path}: {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.json()["code"], status, "{path}");
        assert!(!reply.json()["message"].as_str().unwrap().is_empty(), "{path}");
    }
    assert_eq!(node.get_as("/eth/v2/beacon/blocks/head", "text/html").status, 406);
}

#[test]
fn wrong_bodies_are_refused() {
    let node = Node::at_genesis();
    const JSON: &str = "application/json";
    for (path, content_type, body, status) in [
        ("/eth/v1/validator/duties/attester/0", JSON, "{", 400),
        ("/eth/v1/validator/duties/attester/0", JSON, "[-1]", 400),
        ("/eth/v1/validator/duties/attester/0", JSON, "[\"x\"]", 400),
        ("/eth/v1/validator/duties/attester/5", JSON, "[\"1\"]", 400),
        ("/eth/v1/validator/duties/attester/0", "text/plain", "[\"1\"]", 415),
        ("/eth/v1/validator/duties/sync/0", JSON, "[\"99999\"]", 400),
        ("/eth/v1/validator/duties/sync/99999999", JSON, "[\"1\"]", 400),
        ("/eth/v1/beacon/states/head/validators", JSON, "[]", 400),
        ("/eth/v1/beacon/states/head/validators", SSZ, "", 415),
        ("/eth/v2/beacon/blocks", JSON, "{}", 400),
        ("/eth/v2/beacon/blocks", SSZ, "not a block", 400),
        ("/eth/v2/beacon/blocks", "image/png", "", 415),
        ("/eth/v2/beacon/blocks?broadcast_validation=none", JSON, "{}", 400),
        ("/eth/v2/beacon/pool/attestations", JSON, "[{}]", 400),
        ("/eth/v2/beacon/pool/attestations", SSZ, "x", 400),
        ("/eth/v2/validator/aggregate_and_proofs", JSON, "{}", 400),
        ("/eth/v1/beacon/pool/sync_committees", JSON, "[1]", 400),
        ("/eth/v1/validator/contribution_and_proofs", JSON, "null", 400),
        ("/eth/v1/validator/beacon_committee_subscriptions", JSON, "[{\"slot\":1}]", 400),
        ("/eth/v1/validator/sync_committee_subscriptions", JSON, "[{}]", 400),
        ("/eth/v1/validator/prepare_beacon_proposer", JSON, "[{\"validator_index\":\"1\"}]", 400),
    ] {
        let reply = node.post(path, content_type, body.as_bytes());
        assert_eq!(reply.status, status, "{path} {body}: {}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.json()["code"], status, "{path} {body}");
    }
}
