//! Carries what the chain asks to the execution client, or to the stand-in, and the answers back.

mod bodies;
pub mod check;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_channel::{Receiver, Sender};
use futures::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use smol::{Timer, future};

use crate::{
    chain::{ExecutionCommand, ExecutionQueue, PayloadVerdict},
    engine::{ClientError, Engine, ExecutionClient, ForkchoiceState, PayloadStatus, PooledBlob},
    types::{Config, ForkName, Hash256, SignedBeaconBlock, Slot, compute_epoch_at_slot},
};

/// Payloads that wait to be judged: block tasks are few.
const COMMANDS: usize = 16;
/// Payloads that are judged at once. A client runs one after the other anyway; more only fill its queue.
const PAYLOADS_AT_ONCE: usize = 3;
/// How often we look whether the client was restarted.
const LOOK: Duration = Duration::from_secs(2);
/// How often the API is told whether the client is there: nobody is asked for that.
const GLANCE: Duration = Duration::from_millis(500);

/// A queue that is answered by `engine`, and who answers it. Without an engine there is nobody to ask.
pub fn queue(engine: Engine, config: Arc<Config>) -> Option<(ExecutionQueue, BoxFuture<'static, ()>)> {
    let (sender, commands) = async_channel::bounded(COMMANDS);
    let is_up = Arc::new(AtomicBool::new(true));
    let (answers, bodies) = match engine {
        Engine::None => return None,
        Engine::StandIn(_) => (answer(engine, commands).boxed(), None),
        Engine::Client(client) => {
            let (bodies, give) = bodies::queue(client.clone());
            let work = ask(client, config, commands, is_up.clone());
            (future::or(work, give).boxed(), Some(bodies))
        }
    };
    Some((ExecutionQueue { commands: sender, is_up, bodies }, answers))
}

/// The stand-in of this process answers.
async fn answer(engine: Engine, commands: Receiver<ExecutionCommand>) {
    while let Ok(command) = commands.recv().await {
        // Whoever asked may have given up waiting.
        let _is_heard = match command {
            ExecutionCommand::NewPayload { block, reply } => {
                let body = &block.message.body;
                let verdict = match engine.judge_payload(&body.execution_payload, &body.blob_kzg_commitments) {
                    None => PayloadVerdict::Valid,
                    Some(reason) => PayloadVerdict::Invalid { reason, latest_valid_hash: None },
                };
                reply.try_send(verdict).is_ok()
            }
            ExecutionCommand::ForkchoiceUpdated { reply, .. } => reply.try_send(PayloadVerdict::Valid).is_ok(),
            // It has no pool.
            ExecutionCommand::Blobs { hashes, reply, .. } => reply.try_send(vec![None; hashes.len()]).is_ok(),
        };
    }
}

/// A payload to judge.
type Payload = (Arc<SignedBeaconBlock>, Sender<PayloadVerdict>);
/// Blobs to look for, with their block's slot.
type Wanted = (Slot, Vec<Hash256>, Sender<Vec<Option<PooledBlob>>>);
/// A fork choice to tell, with its head's slot.
type Choice = (Slot, ForkchoiceState, Sender<PayloadVerdict>);

/// The execution client is asked. Payloads go side by side, fork choices one after the other, of which the latest wins.
async fn ask(
    client: ExecutionClient,
    config: Arc<Config>,
    commands: Receiver<ExecutionCommand>,
    is_up: Arc<AtomicBool>,
) {
    let (payload_sender, payloads) = async_channel::bounded(COMMANDS);
    let (choice_sender, choices) = async_channel::bounded(1);
    // Who asks for blobs asks for those of one block after the other.
    let (blob_sender, wanted_blobs) = async_channel::bounded(1);
    let dispatch = async {
        while let Ok(command) = commands.recv().await {
            match command {
                ExecutionCommand::NewPayload { block, reply } => {
                    let _ = payload_sender.send((block, reply)).await;
                }
                ExecutionCommand::ForkchoiceUpdated { slot, head, safe, finalized, reply } => {
                    // What it displaces is not told, nor answered.
                    let _ = choice_sender.force_send((slot, ForkchoiceState { head, safe, finalized }, reply));
                }
                ExecutionCommand::Blobs { slot, hashes, reply } => {
                    let _ = blob_sender.force_send((slot, hashes, reply));
                }
            }
        }
    };
    let judges = join_all((0..PAYLOADS_AT_ONCE).map(|_| judge(&client, &config, &payloads)));
    let watch = future::zip(look(&client, &is_up), client.watch());
    let others = future::zip(tell(&client, &config, &choices), look_for_blobs(&client, &config, &wanted_blobs));
    let work = future::zip(judges, future::zip(others, watch));
    future::or(dispatch, work.map(|_| ())).await;
}

fn fork_at(config: &Config, slot: Slot) -> ForkName {
    config.fork_name(compute_epoch_at_slot(slot)).unwrap_or_default()
}

async fn judge(client: &ExecutionClient, config: &Config, payloads: &Receiver<Payload>) {
    while let Ok((block, reply)) = payloads.recv().await {
        // The block task may have given up waiting.
        if !reply.is_closed() {
            let fork = fork_at(config, block.message.slot);
            let status = client.new_payload(fork, block).await;
            let _ = reply.try_send(verdict(status).unwrap_or(PayloadVerdict::Syncing));
        }
    }
}

async fn look_for_blobs(client: &ExecutionClient, config: &Config, wanted: &Receiver<Wanted>) {
    while let Ok((slot, hashes, reply)) = wanted.recv().await {
        match client.get_blobs(fork_at(config, slot), &hashes).await {
            Ok(blobs) => drop(reply.try_send(blobs)),
            // Columns come from others, too: nothing is to be done.
            Err(error) => tracing::debug!("no blobs from the execution client: {error}"),
        }
    }
}

/// Tells the newest fork choice, and the last one again to a client that was restarted.
async fn tell(client: &ExecutionClient, config: &Config, choices: &Receiver<Choice>) {
    let mut last: Option<(Slot, ForkchoiceState)> = None;
    let mut sessions = client.sessions();
    loop {
        let look = async {
            Timer::after(LOOK).await;
            Ok(None)
        };
        let Ok(choice) = future::or(async { choices.recv().await.map(Some) }, look).await else { return };
        let reply = choice.map(|(slot, state, reply)| {
            last = Some((slot, state));
            reply
        });
        let Some((slot, state)) = last.filter(|_| reply.is_some() || client.sessions() != sessions) else { continue };
        let status = client.forkchoice_updated(fork_at(config, slot), state, None).await;
        sessions = client.sessions();
        let verdict = verdict(status.map(|(status, _)| status));
        if let (Some(reply), Some(verdict)) = (reply, verdict) {
            let _ = reply.try_send(verdict);
        }
    }
}

/// What the chain makes of an answer; nothing if there was none, which says nothing of the payload.
fn verdict(status: Result<PayloadStatus, ClientError>) -> Option<PayloadVerdict> {
    match status {
        Ok(PayloadStatus::Valid) => Some(PayloadVerdict::Valid),
        Ok(PayloadStatus::Invalid { latest_valid_hash, reason }) => {
            Some(PayloadVerdict::Invalid { reason, latest_valid_hash })
        }
        Ok(PayloadStatus::Syncing | PayloadStatus::Accepted) => Some(PayloadVerdict::Syncing),
        // What is wrong was said once already.
        Err(_) => None,
    }
}

/// Keeps an eye on whether the client is there.
async fn look(client: &ExecutionClient, is_up: &AtomicBool) {
    loop {
        is_up.store(client.trouble().is_none(), Ordering::Relaxed);
        Timer::after(GLANCE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{
        chain::BodiesRequest,
        engine::{
            BlobsBundle, Fault, LatestBlock, MAX_BODIES, PayloadAttributes, PayloadBody, Secret, StandInOptions,
            StandInServer, kzg_commitment_to_versioned_hash, schedule,
        },
        types::{BeaconBlock, BeaconBlockBody, Blob, KZGCommitment, KZGProof, preset::CELLS_PER_EXT_BLOB},
    };

    const GENESIS: u64 = 1_700_000_000;

    /// A chain's side of the queue, and the server at its other end.
    struct Rig {
        server: StandInServer,
        client: ExecutionClient,
        queue: ExecutionQueue,
        _answers: smol::Task<()>,
        _folder: tempfile::TempDir,
    }

    fn genesis() -> LatestBlock {
        LatestBlock { number: 0, hash: Hash256::repeat_byte(0xee), timestamp: GENESIS }
    }

    /// Two blobs; what they say does not matter here.
    fn pool() -> BlobsBundle {
        BlobsBundle {
            commitments: vec![KZGCommitment::repeat_byte(1), KZGCommitment::repeat_byte(2)],
            proofs: vec![KZGProof::repeat_byte(3); 2 * CELLS_PER_EXT_BLOB],
            blobs: vec![Blob::default(); 2],
        }
    }

    fn rig() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let (secret, _) = Secret::load_or_make(&folder.path().join("jwt.hex")).unwrap();
        let config = Config::default().in_fork_from_genesis(ForkName::Fulu);
        let options = StandInOptions {
            secret: secret.clone(),
            genesis: genesis(),
            chain_id: config.deposit_chain_id,
            schedule: schedule(&config, GENESIS),
            maker: Engine::StandIn(Default::default()),
            has_short_slots: false,
            pool: pool(),
        };
        let server = StandInServer::start((Ipv4Addr::LOCALHOST, 0).into(), options).unwrap();
        let client = ExecutionClient::new(&server.url(), secret);
        let (queue, answers) = queue(Engine::Client(client.clone()), config.into()).unwrap();
        Rig { server, client, queue, _answers: smol::spawn(answers), _folder: folder }
    }

    impl Rig {
        /// A block with the payload that the client makes on a head.
        fn block(&self, head: LatestBlock) -> Arc<SignedBeaconBlock> {
            let attributes = PayloadAttributes { timestamp: head.timestamp + 1, ..Default::default() };
            let built = smol::block_on(self.client.build(ForkName::Fulu, head.hash, attributes)).unwrap();
            let mut body = BeaconBlockBody::empty(ForkName::Fulu);
            body.execution_payload = built.payload;
            let message = BeaconBlock { body, ..Default::default() };
            Arc::new(SignedBeaconBlock { message, ..Default::default() })
        }

        fn judge(&self, block: &Arc<SignedBeaconBlock>) -> PayloadVerdict {
            let (reply, answer) = async_channel::bounded(1);
            smol::block_on(async {
                self.queue.commands.send(ExecutionCommand::NewPayload { block: block.clone(), reply }).await.unwrap();
                answer.recv().await.unwrap()
            })
        }

        /// None if nothing was said.
        fn blobs(&self, hashes: &[Hash256]) -> Option<Vec<Option<PooledBlob>>> {
            let (reply, answer) = async_channel::bounded(1);
            let command = ExecutionCommand::Blobs { slot: 1, hashes: hashes.to_vec(), reply };
            smol::block_on(async {
                self.queue.commands.send(command).await.unwrap();
                answer.recv().await.ok()
            })
        }

        /// None if nothing was said.
        fn choose(&self, head: Hash256) -> Option<PayloadVerdict> {
            let (reply, answer) = async_channel::bounded(1);
            let (safe, finalized) = (Hash256::ZERO, Hash256::ZERO);
            let command = ExecutionCommand::ForkchoiceUpdated { slot: 1, head, safe, finalized, reply };
            smol::block_on(async {
                self.queue.commands.send(command).await.unwrap();
                answer.recv().await.ok()
            })
        }
    }

    fn latest(block: &SignedBeaconBlock) -> LatestBlock {
        let payload = &block.message.body.execution_payload;
        LatestBlock { number: payload.block_number, hash: payload.block_hash, timestamp: payload.timestamp }
    }

    /// Fails if it takes longer than anything here may take.
    fn until(what: &str, is_so: impl Future<Output = ()>) {
        let late = async {
            Timer::after(Duration::from_secs(30)).await;
            panic!("{what}: not in time");
        };
        smol::block_on(future::or(is_so, late));
    }

    #[test]
    fn payloads_and_heads_are_judged_over_the_wire() {
        let rig = rig();
        let first = rig.block(genesis());
        assert_eq!(rig.judge(&first), PayloadVerdict::Valid);
        let hash = latest(&first).hash;
        assert_eq!(rig.choose(hash), Some(PayloadVerdict::Valid));
        assert_eq!(rig.choose(Hash256::repeat_byte(0x77)), Some(PayloadVerdict::Syncing));
        rig.server.faults().set(Fault::InvalidFrom(2));
        let second = rig.block(latest(&first));
        let verdict = rig.judge(&second);
        assert!(
            matches!(verdict, PayloadVerdict::Invalid { latest_valid_hash, .. } if latest_valid_hash == Some(hash))
        );
    }

    #[test]
    fn blobs_are_all_there_or_none_and_a_client_that_fails_says_nothing() {
        let rig = rig();
        let hashes: Vec<_> = pool().commitments.iter().map(kzg_commitment_to_versioned_hash).collect();
        let blobs: Vec<_> = rig.blobs(&hashes).unwrap().into_iter().map(Option::unwrap).collect();
        assert_eq!(blobs.iter().map(|blob| &blob.blob).collect::<Vec<_>>(), pool().blobs.iter().collect::<Vec<_>>());
        assert_eq!(blobs.iter().map(|blob| blob.proofs.len()).sum::<usize>(), pool().proofs.len());
        assert_eq!(rig.blobs(&[hashes[0], Hash256::ZERO]), Some(vec![None, None]));
        rig.server.faults().set(Fault::Syncing);
        assert_eq!(rig.blobs(&hashes), Some(vec![None, None]));
        rig.server.faults().set(Fault::Failing("no space left".into()));
        assert_eq!(rig.blobs(&hashes), None);
    }

    #[test]
    fn bodies_are_asked_for_in_pieces_that_the_client_takes() {
        let rig = rig();
        let first = rig.block(genesis());
        assert_eq!(rig.judge(&first), PayloadVerdict::Valid);
        let ask = |hashes: Vec<Hash256>| {
            let (reply, answer) = async_channel::bounded(1);
            let bodies = rig.queue.bodies.as_ref().unwrap();
            bodies.send_blocking(BodiesRequest { hashes, reply }).unwrap();
            answer.recv_blocking().ok()
        };
        let hash = latest(&first).hash;
        let mut hashes = vec![Hash256::repeat_byte(0x77); MAX_BODIES + 8];
        hashes[MAX_BODIES] = hash;
        let bodies = ask(hashes).unwrap();
        assert_eq!(bodies.iter().map(Option::is_some).filter(|is_there| *is_there).count(), 1);
        let payload = &first.message.body.execution_payload;
        let (transactions, withdrawals) = (payload.transactions.clone(), Some(payload.withdrawals.clone()));
        assert_eq!(
            (bodies.len(), &bodies[MAX_BODIES]),
            (MAX_BODIES + 8, &Some(PayloadBody { transactions, withdrawals }))
        );
        rig.server.faults().set(Fault::Nonsense);
        assert_eq!(ask(vec![hash]), None);
        rig.server.faults().set(Fault::None);
        assert_eq!(ask(vec![hash]).map(|bodies| bodies.len()), Some(1));
    }

    #[test]
    fn a_client_that_is_gone_says_nothing_and_hears_the_last_head_when_it_is_back() {
        let rig = rig();
        let first = rig.block(genesis());
        assert_eq!(rig.judge(&first), PayloadVerdict::Valid);
        rig.server.faults().set(Fault::Failing("no space left".into()));
        assert_eq!(rig.judge(&first), PayloadVerdict::Syncing);
        rig.server.faults().set(Fault::DropConnections);
        assert_eq!(rig.judge(&first), PayloadVerdict::Syncing);
        assert_eq!(rig.choose(latest(&first).hash), None);
        until("the chain knows that it is gone", async {
            while rig.queue.is_up.load(Ordering::Relaxed) {
                future::yield_now().await;
            }
        });
        rig.server.faults().set(Fault::None);
        // Nobody tells it again but the task itself.
        until("the head is told again", async {
            while rig.client.setup().await.map(|setup| setup.latest) != Ok(latest(&first)) {
                future::yield_now().await;
            }
        });
        until("the chain knows that it is back", async {
            while !rig.queue.is_up.load(Ordering::Relaxed) {
                future::yield_now().await;
            }
        });
    }
}
