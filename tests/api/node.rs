//! What the node says of itself, its network and its peers.

use serde_json::json;

use super::support::Node;

#[test]
fn the_node_tells_who_it_is() {
    let server = Node::at_genesis();
    let version = server.get("/eth/v1/node/version").json();
    assert!(version["data"]["version"].as_str().unwrap().starts_with("Hornero/v"), "{version}");
    let identity = server.get("/eth/v1/node/identity").json();
    assert_eq!(identity["data"]["metadata"]["seq_number"], "3");
    assert_eq!(identity["data"]["enr"], "enr:-abc");
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("text/plain"));
    assert!(String::from_utf8(metrics.body).unwrap().contains("hornero_process_resident_bytes"));
}

#[test]
fn peers_are_listed_filtered_and_counted() {
    let server = Node::at_genesis();
    let names = |query: &str| -> Vec<String> {
        let reply = server.get(&format!("/eth/v1/node/peers{query}")).json();
        let peers = reply["data"].as_array().unwrap();
        assert_eq!(reply["meta"]["count"], peers.len());
        peers.iter().map(|peer| peer["peer_id"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(""), ["in", "out"]);
    assert_eq!(names("?direction=outbound"), ["out"]);
    assert_eq!(names("?state=connected,connecting&direction=inbound&direction=outbound"), ["in", "out"]);
    assert!(names("?state=disconnected").is_empty());
    assert_eq!(server.get("/eth/v1/node/peers?state=asleep").status, 400);
    assert_eq!(server.get("/eth/v1/node/peers/out").json()["data"]["direction"], "outbound");
    assert_eq!(server.get("/eth/v1/node/peers/nobody").status, 404);
    assert_eq!(server.get("/eth/v1/node/peers/-").status, 400);
    let details = server.get("/hornero/v1/peers").json();
    let out = &details["data"]["peers"][0];
    assert_eq!((&out["peer_id"], &out["transport"]), (&"out".into(), &"quic".into()));
    assert_eq!((&out["penalties"]["timeout"], &out["received_bytes"]), (&2.into(), &7.into()));
    assert_eq!(details["data"]["bans"][0]["seconds_left"], 60);
    let count = server.get("/eth/v1/node/peer_count").json();
    assert_eq!(
        count["data"],
        json!({ "disconnected": "0", "connecting": "0", "connected": "2", "disconnecting": "0" })
    );
}

#[test]
fn the_configuration_is_all_text() {
    let server = Node::at_genesis();
    let spec = server.get("/eth/v1/config/spec").json();
    let values = spec["data"].as_object().unwrap();
    for (key, value) in values {
        assert!(value.is_string() || key == "BLOB_SCHEDULE", "{key}: {value}");
    }
    assert_eq!(values["SLOTS_PER_EPOCH"], hornero::types::preset::SLOTS_PER_EPOCH.to_string());
    assert_eq!(values["CONFIG_NAME"], "hornero-devnet");
    assert_eq!(values["SLOT_DURATION_MS"], "12000");
    assert_eq!(values["SECONDS_PER_SLOT"], "12");
    assert_eq!(values["FULU_FORK_VERSION"], "0x06000048");
    let forks = server.data("/eth/v1/config/fork_schedule");
    assert_eq!(forks[6], json!({ "previous_version": "0x05000048", "current_version": "0x06000048", "epoch": "0" }));
    assert_eq!(server.data("/eth/v1/config/deposit_contract")["chain_id"], values["DEPOSIT_CHAIN_ID"]);
}

#[test]
fn what_is_not_there_is_said_as_the_beacon_api_says_it() {
    let server = Node::at_genesis();
    for (path, status) in [
        ("/", 404),
        ("/eth/v1/node", 404),
        ("/eth/v1/node/version/", 404),
        ("/eth/v1/node/peers/%zz", 400),
        ("/eth/v1/node/peers/x?a=%f", 400),
    ] {
        let reply = server.get(path);
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.json()["code"], status, "{path}");
        assert!(reply.json()["message"].is_string(), "{path}");
    }
    // The answer comes although nobody wants the body.
    let body = vec![b' '; 60_000];
    assert_eq!(server.post("/eth/v1/node/version", "application/json", &body).status, 405);
    assert_eq!(server.post("/nowhere", "application/json", &body).status, 404);
}

#[test]
fn syncing_and_health_tell_how_far_the_head_is() {
    let server = Node::at_genesis();
    let syncing = server.data("/eth/v1/node/syncing");
    assert_eq!(syncing["head_slot"], "0");
    assert_eq!(syncing["sync_distance"], "1");
    assert_eq!(syncing["is_syncing"], false);
    assert_eq!((&syncing["is_optimistic"], &syncing["el_offline"]), (&json!(false), &json!(false)));
    assert_eq!(server.get("/eth/v1/node/health").status, 200);
    for wrong in ["99", "600", "abc", "-1"] {
        assert_eq!(server.get(&format!("/eth/v1/node/health?syncing_status={wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn a_node_without_an_execution_client_says_so_and_does_no_duty() {
    let server = Node::without_client();
    let syncing = server.data("/eth/v1/node/syncing");
    assert_eq!((&syncing["is_optimistic"], &syncing["el_offline"]), (&json!(true), &json!(true)));
    assert_eq!(server.get("/eth/v1/node/health").status, 206);
    assert_eq!(server.get("/eth/v1/node/health?syncing_status=299").status, 299);
    assert_eq!(server.get("/eth/v1/validator/duties/proposer/0").json()["execution_optimistic"], true);
    let reveal = "0x".to_owned() + &"11".repeat(96);
    for path in [
        format!("/eth/v3/validator/blocks/1?randao_reveal={reveal}"),
        "/eth/v1/validator/attestation_data?slot=1&committee_index=0".to_owned(),
    ] {
        let reply = server.get(&path);
        assert_eq!(reply.status, 503, "{path}");
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("--execution-endpoint"), "{message}");
    }
}
