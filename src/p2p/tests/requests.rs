use super::*;

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
