//! What Lodestar and Hornero think of each other: nothing bad.

use serde_json::Value;

use super::process::{self, Hornero};

/// Below this gossipsub score Lodestar begins to hold it against a peer (`negativeGossipScoreIgnoreThreshold`; it tells no
/// gossip below -4,000). Above it, a score may be negative in a healthy network: a node that follows the only maker of
/// blocks can never be the first to bring it one, and loses up to 142.5 points for each topic on which that counts.
const HEALTHY_GOSSIP_SCORE: f64 = -1000.0;

/// Columns that an ordinary node samples (`SAMPLES_PER_SLOT`).
const SAMPLED: usize = 8;

/// Lodestar's lines about a peer that did something wrong.
const COMPLAINTS: [&str; 8] = [
    "peer score adjusted",
    "initiating goodbyeAndDisconnect",
    "Irrelevant peer",
    "rejected",
    "Batch download error",
    "Batch validation error",
    "invalid requestStatus",
    "invalid requestPing",
];

/// Misbehaviours from which on gossipsub takes points (Lodestar's `behaviourPenaltyThreshold`). A mesh is not to be joined again
/// within a minute of leaving it; a node that was restarted meanwhile does not know, and is told so once for each.
pub const FORGIVEN: f64 = 6.0;

/// Reads what a Lodestar thinks of Hornero, prints it, and checks that it is nothing bad. Returns in how many topics its scores
/// count Hornero as a member of the mesh: those in which Hornero's graft, or a heartbeat, made it one. A mesh that begins when
/// Lodestar subscribes is not noted there (`join` in js-libp2p's gossipsub 16). Up to `forgiven` misbehaviours are allowed.
pub fn check_scores(who: &str, rest: &str, hornero: &Hornero, forgiven: f64) -> usize {
    let us = peer_id(hornero);
    let of_us = |path: &str| {
        let all = process::get_json(rest, path);
        let all = all["data"].as_array().expect("a list").clone();
        all.into_iter().find(|peer| peer["peer_id"].as_str() == Some(us.as_str()))
    };
    // Lodestar forgets scores near zero.
    let score = of_us("/eth/v1/lodestar/lodestar_peer_score_stats").unwrap_or_default();
    let number = |key: &str| score[key].as_f64().unwrap_or(0.0);
    let (own, gossip) = (number("lodestar_score"), number("gossip_score"));
    let stats = of_us("/eth/v1/lodestar/gossip_peer_score_stats").expect("it gossips with us");
    let misbehaviour = stats["behaviour_penalty"].as_f64().unwrap_or(0.0);
    let topics = stats["topics"].as_object().expect("topics");
    let sum = |key: &str| topics.values().filter_map(|topic| topic[key].as_f64()).sum::<f64>();
    let (invalid, first) = (sum("invalid_message_deliveries"), sum("first_message_deliveries"));
    let meshes = topics.values().filter(|topic| topic["in_mesh"] == Value::Bool(true)).count();
    println!(
        "{who} scores us {own} for requests and {gossip:.2} for gossip: {meshes} meshes noted, {first:.1} messages that we \
         brought first, {invalid} invalid, {misbehaviour} misbehaviours, {:.1} mesh failures",
        sum("mesh_failure_penalty"),
    );
    assert_eq!((own, invalid), (0.0, 0.0), "{who} holds something against us: {score} {stats}");
    assert!(misbehaviour <= forgiven, "{who} finds that we misbehave: {score} {stats}");
    assert!(gossip > HEALTHY_GOSSIP_SCORE, "{who} finds our gossip wanting: {score} {stats}");
    meshes
}

/// Checks that a Lodestar that knows only Hornero took it into its mesh for blocks and those of its columns, and left it there.
pub fn check_meshes(log: &str, hornero: &Hornero) {
    let id = peer_id(hornero);
    let of_us = |text: &str| log.lines().filter(|line| line.contains(text) && line.contains(&id)).collect::<Vec<_>>();
    let (added, removed) = (of_us("Add mesh link"), of_us("Remove mesh link"));
    let topics = |name: &str| added.iter().filter(|line| line.contains(name)).count();
    let (blocks, columns) = (topics("/beacon_block/"), topics("/data_column_sidecar_"));
    println!("the second Lodestar took Hornero into {blocks} mesh for blocks and {columns} for columns");
    assert_eq!((blocks, columns), (1, SAMPLED), "it keeps us out of its meshes: {added:#?}");
    assert!(removed.is_empty(), "it sent us away: {removed:#?}");
}

/// Checks that a Lodestar logged no complaint about Hornero.
pub fn check_log(who: &str, log: &str, hornero: &Hornero) {
    // Lodestar's logs name a peer by the end of its id.
    let id = peer_id(hornero);
    let ours = log.lines().filter(|line| line.contains(&id[id.len() - 6..]));
    let (mut lines, mut found) = (0, Vec::new());
    for line in ours {
        lines += 1;
        if COMPLAINTS.iter().any(|text| line.contains(text)) {
            found.push(line);
        }
    }
    assert!(lines > 0, "{who} logs what it does with its peers");
    assert!(found.is_empty(), "{who} complains: {found:#?}");
}

/// Checks that Hornero found nothing wrong with its peers, and none of them with it.
pub fn check_ours(hornero: &Hornero) {
    let complaints = [
        ("hornero_peers_punished_total", ""),
        ("hornero_p2p_bans_total", ""),
        ("hornero_p2p_goodbyes_received_total", ""),
        ("hornero_p2p_goodbyes_sent_total", ""),
        ("hornero_p2p_gossip_malformed_total", ""),
        ("hornero_gossip_verdicts_total", "verdict=\"reject\""),
        ("hornero_p2p_requests_served_total", "result=\"invalid\""),
        ("hornero_p2p_requests_served_total", "result=\"rate_limited\""),
        ("hornero_p2p_requests_served_total", "result=\"error\""),
    ];
    for (name, label) in complaints {
        let count = hornero.metric(name, label);
        assert_eq!(count, 0.0, "{name} {label}\n{}", hornero.log_tail());
    }
    let lines = hornero.log_lines(&["peer punished", "peer banned", "says goodbye", "saying goodbye"]);
    assert!(lines.is_empty(), "{lines:#?}");
}

/// The peers of a Lodestar node that are connected.
pub fn connected_peers(rest: &str) -> Vec<String> {
    let peers = process::get_json(rest, "/eth/v1/node/peers?state=connected");
    let peers = peers["data"].as_array().expect("a list").iter();
    peers.filter_map(|peer| peer["peer_id"].as_str().map(String::from)).collect()
}

/// Hornero's peer id.
pub fn peer_id(hornero: &Hornero) -> String {
    let identity = process::get_json(&hornero.rest, "/eth/v1/node/identity");
    identity["data"]["peer_id"].as_str().expect("a peer id").to_string()
}
