//! Payloads of our own blocks that are begun before their slot, and nodes that have nobody to make them.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use tree_hash::TreeHash as _;

use super::{aggregates::signed, finality::go_to, recording::*, rig::*};
use crate::{
    chain::{
        gossip::proposer_at,
        produce::{ProduceError, ProducedBlock, Producer},
        *,
    },
    crypto::DOMAIN_RANDAO,
    engine::{
        Engine, ExecutionClient, Fault, ForkchoiceState, LatestBlock, PayloadStatus, Secret, StandIn, StandInOptions,
        StandInServer, schedule,
    },
    types::{Address, ForkName, Hash256, SignedBeaconBlock, Slot, ValidatorIndex, compute_epoch_at_slot},
};

/// A chain whose blocks get their payloads over HTTP. The tests tell the client of heads, as the node does.
struct Bench {
    rig: Rig,
    server: StandInServer,
    client: ExecutionClient,
    producer: Producer,
    _ahead: smol::Task<()>,
}

const OURS: Address = Address::repeat_byte(0xab);

impl Bench {
    /// In the slot after the anchor, which has no block yet.
    fn new(dir: &Path) -> Bench {
        let rig = Rig::new(&dir.join("chain"), checkpoint(), clock_at(ANCHOR));
        go_to(&rig, ANCHOR + 1);
        let (secret, _) = Secret::load_or_make(&dir.join("jwt.hex")).unwrap();
        let (config, state) = (config(), anchor_state());
        let header = &state.latest_execution_payload_header;
        let genesis = LatestBlock { number: header.block_number, hash: header.block_hash, timestamp: header.timestamp };
        let options = StandInOptions {
            secret: secret.clone(),
            genesis,
            chain_id: config.deposit_chain_id,
            schedule: schedule(&config, state.genesis_time),
            maker: Engine::StandIn(StandIn::default()),
            pool: Default::default(),
            has_short_slots: true,
        };
        let server = StandInServer::start((Ipv4Addr::LOCALHOST, 0).into(), options).unwrap();
        let client = ExecutionClient::new(&server.url(), secret);
        let producer = Producer::new(rig.handle.clone(), rig.pools.clone(), Engine::Client(client.clone()));
        let ahead = producer.clone();
        let _ahead = smol::spawn(async move { match ahead.prepare_payloads().await {} });
        let bench = Bench { rig, server, client, producer, _ahead };
        bench.tell(genesis.hash);
        bench
    }

    fn tell(&self, head: Hash256) {
        let state = ForkchoiceState { head, ..Default::default() };
        let told = self.client.forkchoice_updated(ForkName::Fulu, state, None);
        assert_eq!(soon("an answer", told).unwrap().0, PayloadStatus::Valid);
    }

    fn proposer(&self, slot: Slot) -> ValidatorIndex {
        proposer_at(&self.rig.handle.snapshot().head_state, slot).unwrap()
    }

    /// To the moment at which the payload of a slot is begun.
    fn go_ahead_of(&self, slot: Slot) {
        let clock = self.rig.handle.clock();
        clock.set_ms(clock.start_of(slot) - clock.slot_ms() / 3);
    }

    /// Waits until a payload of a slot is begun on the payload `head`.
    fn wait_for_payload(&self, head: Hash256, slot: Slot) {
        let time = self.rig.handle.clock().start_of(slot) / 1000;
        soon("a payload that is begun", async {
            loop {
                match self.client.preparing() {
                    Some((on, attributes)) if (on, attributes.timestamp) == (head, time) => {
                        assert_eq!(attributes.suggested_fee_recipient, OURS);
                        return;
                    }
                    _ => smol::future::yield_now().await,
                }
            }
        });
    }

    fn produce(&self, slot: Slot) -> Result<ProducedBlock, ProduceError> {
        let epoch = compute_epoch_at_slot(slot);
        let reveal = signed(&epoch.tree_hash_root(), DOMAIN_RANDAO, self.proposer(slot), epoch);
        soon("a block", self.producer.produce_block(slot, reveal, Hash256::ZERO))
    }
}

fn anchor_payload() -> Hash256 {
    anchor_state().latest_execution_payload_header.block_hash
}

#[test]
fn the_payload_of_our_slot_is_begun_a_third_of_a_slot_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let slot = ANCHOR + 2;
    soon("a place", bench.rig.pools.set_fee_recipient(bench.proposer(slot), OURS));
    bench.go_ahead_of(slot);
    bench.wait_for_payload(anchor_payload(), slot);
    // From now on the client begins no payload, but gives what it has.
    bench.server.faults().set(Fault::Syncing);
    go_to(&bench.rig, slot);
    let payload = bench.produce(slot).unwrap().block.body.execution_payload;
    assert_eq!((payload.parent_hash, payload.fee_recipient), (anchor_payload(), OURS));
    // Nobody said that the next proposer is ours.
    go_to(&bench.rig, slot + 1);
    assert_ne!(bench.proposer(slot + 1), bench.proposer(slot));
    assert!(matches!(bench.produce(slot + 1), Err(ProduceError::Engine(_))));
    bench.server.faults().set(Fault::None);
    let payload = bench.produce(slot + 1).unwrap().block.body.execution_payload;
    assert_eq!(payload.fee_recipient, Address::ZERO);
}

#[test]
fn a_late_block_has_the_payload_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let slot = ANCHOR + 2;
    let late = bench.produce(slot - 1).unwrap().block;
    let late = sign(SignedBeaconBlock { message: late, signature: Default::default() });
    let hash = late.message.body.execution_payload.block_hash;
    soon("a place", bench.rig.pools.set_fee_recipient(bench.proposer(slot), OURS));
    bench.go_ahead_of(slot);
    bench.wait_for_payload(anchor_payload(), slot);
    let judged = soon("an answer", bench.client.new_payload(ForkName::Fulu, late.clone()));
    assert_eq!(judged, Ok(PayloadStatus::Valid));
    bench.tell(hash);
    bench.rig.import(&late).unwrap();
    bench.wait_for_payload(hash, slot);
    bench.server.faults().set(Fault::Syncing);
    go_to(&bench.rig, slot);
    let block = bench.produce(slot).unwrap().block;
    assert_eq!((block.parent_root, block.body.execution_payload.parent_hash), (late.root(), hash));
}

/// All is followed, nothing is known to be valid, and nothing is made.
#[test]
fn without_an_execution_client_the_chain_is_followed_and_nothing_is_done_for_validators() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::unchecked(dir.path());
    for slot in ANCHOR + 1..=LAST {
        rig.import(&block(slot)).unwrap();
        let snapshot = rig.handle.snapshot();
        assert_eq!((snapshot.head_slot, snapshot.is_optimistic, snapshot.el_offline), (slot, true, true));
    }
    let producer = Producer::new(rig.handle.clone(), rig.pools.clone(), Engine::None);
    let block = soon("an answer", producer.produce_block(LAST + 1, recording_signature(), Hash256::ZERO));
    assert_eq!(block.unwrap_err(), ProduceError::NoClient);
    assert_eq!(soon("an answer", producer.attestation_data(LAST)), Err(ProduceError::NoClient));
    drop(producer);
    // Who gets a client later has it check what was only followed.
    soon("the shutdown", rig.handle.shutdown()).unwrap();
    rig.crash();
    let rig = Rig::new(dir.path(), Start::Resume, clock_at(LAST));
    assert_eq!(rig.handle.snapshot().head_slot, LAST);
    rig.wait_until_verified();
    assert!(!rig.handle.snapshot().el_offline);
}

/// After a crash it is not known any more which blocks were verified.
#[test]
fn after_a_crash_the_execution_client_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::recorded(dir.path());
    for slot in ANCHOR + 1..=LAST {
        rig.import(&block(slot)).unwrap();
    }
    assert!(!rig.handle.snapshot().is_optimistic);
    rig.crash();
    let (setup, commands) = setup(dir.path(), Start::Resume, clock_at(LAST), Capacities::default());
    let (commands_in, asked) = async_channel::bounded(16);
    let execution = ExecutionQueue { commands: commands_in, is_up: Arc::new(true.into()), bodies: None };
    let rig = Rig::with_setup(ChainConfig { execution: Some(execution), ..setup }, commands);
    assert!(rig.handle.snapshot().is_optimistic);
    let command = soon("a question", asked.recv()).unwrap();
    let ExecutionCommand::ForkchoiceUpdated { slot, reply, .. } = command else { panic!("{command:?}") };
    assert_eq!(slot, rig.handle.snapshot().head_slot);
    assert!(slot > ANCHOR && rig.handle.snapshot().is_optimistic);
    reply.try_send(PayloadVerdict::Valid).unwrap();
    rig.wait_until_verified();
}
