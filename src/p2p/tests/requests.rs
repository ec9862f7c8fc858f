use tree_hash::TreeHash as _;

use super::*;
use crate::types::{DataColumnSidecar, SignedBeaconBlockHeader};

#[test]
fn peers_learn_of_each_other() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        eventually(async || {
            let infos = [first.handle.peers().await, second.handle.peers().await].concat();
            infos.len() == 2 && infos.iter().all(|info| info.agent.is_some() && info.metadata.is_some())
        })
        .await;
        let seen_by_first = &first.handle.peers().await[0];
        assert_eq!(seen_by_first.peer, second.handle.peer_id());
        assert_eq!((seen_by_first.direction, seen_by_first.state), (Direction::Inbound, PeerState::Connected));
        assert_eq!(seen_by_first.agent.as_deref(), Some(concat!("hornero/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(seen_by_first.status, Some(Status { fork_digest: ForkDigest::from(FORK), ..status() }));
        let seen_by_second = &second.handle.peers().await[0];
        assert_eq!(seen_by_second.direction, Direction::Outbound);
        assert_eq!(seen_by_second.enr, Some(first.handle.local_enr()));
        assert_eq!(seen_by_second.metadata.as_ref().unwrap().custody_group_count, DEFAULT_CUSTODY_GROUP_COUNT);
    });
}

#[test]
fn a_range_of_blocks_comes_in_order_and_ends() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let blocks = second.handle.blocks_by_range(first.handle.peer_id(), 100, 10);
        let request = next(&first.events.requests).await;
        assert_eq!(request.peer, second.handle.peer_id());
        assert_eq!(request.kind, RequestKind::BlocksByRange { start_slot: 100, count: 10 });
        let sent: Vec<_> = [(100, 10), (101, 500_000), (105, 0)].map(|(slot, size)| block(slot, size)).into();
        let producer = async {
            for block in &sent {
                request.reply.send(chunk(block)).await.unwrap();
            }
            drop(request);
        };
        let (got, ()) = futures::join!(collect(blocks), producer);
        let got: Vec<_> = got.into_iter().map(|block| (*block.unwrap()).clone()).collect();
        assert_eq!(got, sent);
    });
}

/// A column of a block of this slot, with so many blobs.
fn column(slot: u64, index: u64, blobs: usize) -> DataColumnSidecar {
    let mut sidecar = DataColumnSidecar {
        index,
        column: VariableList::new(vec![Default::default(); blobs]).unwrap(),
        kzg_commitments: VariableList::new(vec![Default::default(); blobs]).unwrap(),
        kzg_proofs: VariableList::new(vec![Default::default(); blobs]).unwrap(),
        signed_block_header: SignedBeaconBlockHeader { message: Default::default(), signature: Default::default() },
        kzg_commitments_inclusion_proof: Default::default(),
    };
    sidecar.signed_block_header.message.slot = slot;
    sidecar
}

fn column_chunk(sidecar: &DataColumnSidecar) -> ResponseChunk {
    ResponseChunk::Item { fork_digest: ForkDigest::from(FORK), ssz: sidecar.as_ssz_bytes() }
}

/// Answers the next request with these columns; what the asker gets of them.
async fn exchange(
    first: &Node,
    columns: Columns,
    kind: RequestKind,
    sent: &[DataColumnSidecar],
) -> Vec<Result<DataColumnSidecar, RpcError>> {
    let request = next(&first.events.requests).await;
    assert_eq!(request.kind, kind);
    let producer = async {
        for sidecar in sent {
            if request.reply.send(column_chunk(sidecar)).await.is_err() {
                break;
            }
        }
        drop(request);
    };
    let taker = in_time(async {
        let mut got = Vec::new();
        while let Ok(item) = columns.recv().await {
            got.push(item.map(|sidecar| (*sidecar).clone()));
        }
        got
    });
    futures::join!(taker, producer).0
}

#[test]
fn columns_come_by_range_and_by_root() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let peer = first.handle.peer_id();
        let all = [column(100, 3, 9), column(100, 127, 9), column(104, 3, 0)];
        let columns = second.handle.columns_by_range(peer, 100, 10, &[127, 3, 3, 128]);
        let kind = RequestKind::ColumnsByRange { start_slot: 100, count: 10, columns: vec![3, 127] };
        let got = exchange(&first, columns, kind, &all).await;
        assert_eq!(got, all.clone().map(Ok));

        let root = |at: usize| all[at].signed_block_header.message.tree_hash_root();
        let wanted = vec![(root(0), vec![127, 3]), (root(2), vec![3, 4])];
        let columns = second.handle.columns_by_root(peer, wanted);
        let kind = RequestKind::ColumnsByRoot { wanted: vec![(root(0), vec![3, 127]), (root(2), vec![3, 4])] };
        let got = exchange(&first, columns, kind, &[all[2].clone(), all[0].clone()]).await;
        assert_eq!(got, [Ok(all[2].clone()), Ok(all[0].clone())]);
    });
}

#[test]
fn columns_that_were_not_asked_for_end_the_answer_and_cost_the_peer() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let peer = first.handle.peer_id();
        let (asked, other) = (column(100, 3, 1), column(100, 4, 1));
        let columns = second.handle.columns_by_range(peer, 100, 10, &[3]);
        let kind = RequestKind::ColumnsByRange { start_slot: 100, count: 10, columns: vec![3] };
        let got = exchange(&first, columns, kind, &[asked.clone(), other]).await;
        assert_eq!(got.len(), 2);
        assert_eq!(got[0], Ok(asked));
        assert!(matches!(got[1], Err(RpcError::Unrelated(_))));
        eventually(async || second.handle.peers().await.iter().any(|info| info.score <= -19.0)).await;
    });
}

#[test]
fn the_blocks_before_a_head_come_descending() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let root = Hash256::repeat_byte(9);
        let blocks = second.handle.blocks_by_head(first.handle.peer_id(), root, 1000);
        let request = next(&first.events.requests).await;
        assert_eq!(request.kind, RequestKind::BlocksByHead { root, count: MAX_REQUEST_BLOCKS as u64 });
        let sent = [block(9, 10), block(8, 10), block(8, 20)];
        let producer = async {
            for block in &sent {
                if request.reply.send(chunk(block)).await.is_err() {
                    break;
                }
            }
            drop(request);
        };
        let (got, ()) = futures::join!(collect(blocks), producer);
        let slots: Vec<_> = got.iter().flatten().map(|block| block.message.slot).collect();
        assert_eq!(slots, [9, 8]);
        assert!(matches!(got.last(), Some(Err(RpcError::Unrelated(_)))), "the third does not descend");
    });
}

#[test]
fn a_peer_hears_that_we_keep_more_columns() {
    smol::block_on(async {
        // Metadata is fetched when a ping tells of a newer one.
        let (first, second) = pair(|config| config.ping_interval = Duration::from_millis(200)).await;
        let groups_seen = async || second.handle.peers().await[0].metadata.as_ref().map(|it| it.custody_group_count);
        eventually(async || groups_seen().await == Some(DEFAULT_CUSTODY_GROUP_COUNT)).await;
        first.handle.set_custody(8);
        first.handle.set_custody(6);
        eventually(async || first.handle.identity().metadata.custody_group_count == 8).await;
        assert_eq!(first.handle.local_enr().get_decodable::<u64>("cgc").unwrap().unwrap(), 8);
        eventually(async || groups_seen().await == Some(8)).await;
        let node_id = first.handle.local_enr().node_id().raw();
        in_time(async {
            loop {
                let PeerEvent::Status { custody, .. } = next(&second.events.peers).await else { panic!() };
                if custody == Some(Custody { node_id, groups: 8 }) {
                    break;
                }
            }
        })
        .await;
    });
}

#[test]
fn blocks_by_root_and_an_error_at_the_end() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let roots = vec![Hash256::repeat_byte(1), Hash256::repeat_byte(2)];
        let blocks = second.handle.blocks_by_root(first.handle.peer_id(), roots.clone());
        let request = next(&first.events.requests).await;
        assert_eq!(request.kind, RequestKind::BlocksByRoot { roots });
        request.reply.send(chunk(&block(4, 10))).await.unwrap();
        let error = ResponseChunk::Error(ErrorCode::ResourceUnavailable, "not any more".into());
        request.reply.send(error).await.unwrap();
        let got = collect(blocks).await;
        assert_eq!(got[0].as_ref().unwrap().message.slot, 4);
        assert_eq!(got[1], Err(RpcError::Refused { code: 3, message: "not any more".into() }));
        assert_eq!(got.len(), 2);
    });
}

#[test]
fn who_is_not_connected_cannot_be_asked() {
    smol::block_on(async {
        let node = node().await;
        let got = collect(node.handle.blocks_by_range(PeerId::random(), 0, 1)).await;
        assert_eq!(got, [Err(RpcError::NotConnected)]);
    });
}

#[test]
fn a_third_request_of_a_kind_is_not_even_sent() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        let ask = |slot| second.handle.blocks_by_range(first.handle.peer_id(), slot, 1);
        let (one, two, three) = (ask(1), ask(2), ask(3));
        assert_eq!(collect(three).await, [Err(RpcError::Busy)]);
        for _ in 0..2 {
            let request = next(&first.events.requests).await;
            let RequestKind::BlocksByRange { start_slot, .. } = request.kind else { panic!() };
            request.reply.send(chunk(&block(start_slot, 1))).await.unwrap();
        }
        assert!(collect(one).await[0].is_ok() && collect(two).await[0].is_ok());
        // The places are free again as soon as the task has heard of the end.
        let answer_all = async {
            while let Ok(request) = first.events.requests.recv().await {
                request.reply.send(chunk(&block(4, 1))).await.unwrap();
            }
            panic!("the node ended");
        };
        let ask_again = eventually(async || collect(ask(4)).await[0].is_ok());
        future::or(ask_again, answer_all).await;
    });
}

#[test]
fn a_taker_that_loses_interest_stops_the_producer() {
    smol::block_on(async {
        let (first, second) = pair(|config| config.response_timeout = Duration::from_millis(500)).await;
        let blocks = second.handle.blocks_by_range(first.handle.peer_id(), 0, 128);
        let request = next(&first.events.requests).await;
        let mut slot = 0;
        in_time(async {
            while request.reply.send(chunk(&block(slot, 100_000))).await.is_ok() {
                slot += 1;
                if slot == 3 {
                    blocks.close();
                }
                assert!(slot < 128, "nobody stopped the producer");
            }
        })
        .await;
    });
}

#[test]
fn a_lost_peer_is_dialled_again() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        first.handle.goodbye(second.handle.peer_id(), GoodbyeReason::Fault);
        assert!(matches!(come_or_gone(&second).await, PeerEvent::Disconnected { .. }));
        assert!(matches!(come_or_gone(&second).await, PeerEvent::Connected { .. }));
    });
}

#[test]
fn a_shutdown_says_goodbye_and_ends_the_queues() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        in_time(first.handle.shutdown()).await;
        assert!(matches!(come_or_gone(&second).await, PeerEvent::Disconnected { .. }));
        assert!(first.events.gossip_blocks.recv().await.is_err());
        assert!(first.handle.peers().await.is_empty());
    });
}

#[test]
fn status_is_asked_again() {
    smol::block_on(async {
        let (first, second) = pair(|_| ()).await;
        first.handle.set_status(Status { head_slot: 99, ..status() });
        second.handle.ask_status(first.handle.peer_id());
        let status = loop {
            let PeerEvent::Status { status, .. } = next(&second.events.peers).await else { panic!() };
            // Until the new status comes there may be news of custody.
            if status.head_slot != 77 {
                break status;
            }
        };
        assert_eq!(status.head_slot, 99);
        assert_eq!(status.fork_digest, ForkDigest::from(FORK));
    });
}

#[test]
fn a_port_that_is_taken_is_named() {
    smol::block_on(async {
        let first = node().await;
        let taken = tcp::to_socket_addr(&first.handle.listen_addrs()[0]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = P2pConfig { listen: vec![taken], ..config(&dir) };
        let Err(error) = start(config).await else { panic!("two nodes on one port") };
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    });
}

#[test]
fn nodes_speak_ipv6() {
    smol::block_on(async {
        let any = || vec!["[::1]:0".parse().unwrap()];
        let (first, _second) = pair(|config| (config.listen, config.listen_quic) = (any(), any())).await;
        assert!(first.handle.listen_addrs()[0].to_string().starts_with("/ip6/::1/tcp/"));
        assert!(first.handle.local_enr().tcp6_socket().is_some());
    });
}
