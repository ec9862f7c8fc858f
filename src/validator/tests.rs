//! The client against a beacon node of three lines.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use tree_hash::TreeHash as _;

use super::{duties::Duties, *};
use crate::{crypto::*, types::*};

/// The heads and bodies of the requests that a node got.
type Requests = Vec<(String, Vec<u8>)>;

/// Answers each request with the next of `answers` (status line and body), and returns the requests' heads and bodies.
fn node(answers: Vec<(&'static str, String)>) -> (BeaconClient, JoinHandle<Requests>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = BeaconClient::new(&format!("http://{}/", listener.local_addr().unwrap()));
    let serve = move || {
        let serve_one = |(status, body): (&str, String)| {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let head = head.to_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap().trim().parse().unwrap());
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).unwrap();
            let answer =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            (head, sent)
        };
        answers.into_iter().map(serve_one).collect()
    };
    (client, std::thread::spawn(serve))
}

#[test]
fn duties_are_asked_for_and_only_ours_are_kept() {
    let sync = r#"{"data":[{"pubkey":"0x00","validator_index":"2","validator_sync_committee_indices":["7","9"]}]}"#;
    let attesters = r#"{"dependent_root":"0x00","data":[{"validator_index":"3","slot":"41","committee_index":"1",
        "committee_length":"8","committees_at_slot":"2","validator_committee_index":"4","pubkey":"0x00"}]}"#;
    let proposers = r#"{"data":[{"validator_index":"3","slot":"42"},{"validator_index":"9","slot":"43"}]}"#;
    let answers = [sync, attesters, proposers].map(|body| ("200 OK", body.to_owned()));
    let (client, server) = node(answers.to_vec());
    let duties = Duties::fetch(&client, &InteropKeys::new(2..4), 5).unwrap();
    assert_eq!(duties.sync[0].validator_sync_committee_indices, [7, 9]);
    assert_eq!(duties.attesters_of(41)[0].committee_length, 8);
    assert!(duties.attesters_of(42).is_empty());
    assert_eq!(duties.proposers.into_iter().collect::<Vec<_>>(), [(42, 3)]);
    let requests = server.join().unwrap();
    assert!(requests[0].0.starts_with("post /eth/v1/validator/duties/sync/5 "), "{}", requests[0].0);
    assert_eq!(requests[1].1, br#"["2","3"]"#);
    assert!(requests[2].0.starts_with("get /eth/v1/validator/duties/proposer/5 "));
}

#[test]
fn proposers_are_announced_with_who_gets_their_fees() {
    let (client, server) = node(vec![("200 OK", String::new())]);
    let preparation = beacon::Preparation { validator_index: 7, fee_recipient: Address::repeat_byte(0xab) };
    client.prepare_proposers(&[preparation], ForkName::Fulu).unwrap();
    let (head, body) = server.join().unwrap().remove(0);
    assert!(head.starts_with("post /eth/v1/validator/prepare_beacon_proposer "), "{head}");
    let expected = format!(r#"[{{"validator_index":"7","fee_recipient":"0x{}"}}]"#, "ab".repeat(20));
    assert_eq!(String::from_utf8(body).unwrap(), expected);
}

#[test]
fn what_is_handed_over_names_its_fork() {
    let (client, server) = node(vec![("200 OK", String::new())]);
    let data = AttestationData { slot: 9, ..Default::default() };
    let vote = SingleAttestation { committee_index: 1, attester_index: 2, data, signature: BLSSignature::ZERO };
    client.publish_attestations(std::slice::from_ref(&vote), ForkName::Fulu).unwrap();
    let (head, body) = server.join().unwrap().remove(0);
    assert!(head.contains("eth-consensus-version: fulu"), "{head}");
    assert_eq!(serde_json::from_slice::<Vec<SingleAttestation>>(&body).unwrap(), [vote]);
}

#[test]
fn the_nodes_own_words_are_in_the_error() {
    let refusal = ("503 Service Unavailable", r#"{"code":503,"message":"the node is syncing"}"#.to_owned());
    let (client, server) = node(vec![refusal, ("200 OK", "{".to_owned()), ("200 OK", "no block".to_owned())]);
    let error = client.attestation_data(7).unwrap_err().to_string();
    assert!(error.contains("503") && error.contains("the node is syncing") && error.contains("slot=7"), "{error}");
    assert!(client.head_root().is_err());
    let error = client.produce_block(7, &BLSSignature::ZERO, ForkName::Fulu).unwrap_err().to_string();
    assert!(error.contains("not a block"), "{error}");
    server.join().unwrap();
    assert!(client.head_root().is_err(), "nobody is there any more");
}

#[test]
fn signatures_verify_with_the_domain_of_their_slot() {
    let config = Config::default();
    let (version, root) = (config.fork_version(0), Hash256::repeat_byte(3));
    let signer = Signer { config: config.into(), genesis_validators_root: root };
    let keys = InteropKeys::new(0..1);
    let key = keys.secret(0).unwrap();
    let proof = signer.selection_proof(key, 5);
    let domain = compute_domain(DOMAIN_SELECTION_PROOF, version, root);
    let message = compute_signing_root(&5u64.tree_hash_root(), domain);
    assert!(verify(&key.public_key().to_compressed(), message, &proof));
    assert!(keys.secret(1).is_none());
}

#[test]
fn small_committees_have_only_aggregators_and_large_ones_few() {
    let proofs: Vec<BLSSignature> = (0..64).map(BLSSignature::repeat_byte).collect();
    assert!(proofs.iter().all(|proof| is_aggregator(16, proof)));
    let few = proofs.iter().filter(|proof| is_aggregator(16 * 8, proof)).count();
    assert!((1..32).contains(&few), "{few} of 64, where one in eight is expected");
}
