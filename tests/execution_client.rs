//! Hornero beside a real execution client: ethrex executes, Hornero's nodes agree, and either client may die.
//!
//! Two nodes, each with an ethrex of its own, on a devnet of the minimal preset. All validators are with the first; users send
//! transfers and blobs to its client. The second node starts from the first one's checkpoint, beside a client that knows nothing
//! yet. Then each client in turn is killed with -9 and comes back having forgotten everything; neither node is restarted. In
//! the end the chain has finalized, and both clients have the same blocks, state roots and balances.
//!
//! Needs the peer scripts (`HORNERO_PEERS`, by default `../shared/peers`) and ethrex, where it is not installed yet:
//! `PEERS_CACHE=target/peers ../shared/peers/install.sh lodestar ethrex`.
#![cfg(feature = "minimal")]

#[path = "execution_client/bodies.rs"]
mod bodies;
#[path = "execution_client/chain.rs"]
mod chain;
#[path = "execution_client/ethrex.rs"]
mod ethrex;
#[path = "execution_client/log.rs"]
mod log;
#[path = "execution_client/node.rs"]
mod node;
#[path = "execution_client/stages.rs"]
mod stages;
#[path = "execution_client/transfers.rs"]
mod transfers;

use std::{
    cell::Cell,
    path::Path,
    time::{Duration, Instant},
};

use chain::{Chain, beside, peer_of};
use ethrex::{CHAIN_ID, Ethrex};
use hornero::{
    engine::{BlobsBundle, ClientError, ExecutionClient, Secret},
    node::blobs::made_up_blobs,
};
use node::Node;
use serde_json::{Value, json};
use smol::block_on;
use transfers::{AMOUNT, Wallet};

/// Who gets the fees of the validators' blocks.
const FEE_RECIPIENT: &str = "0xfefefefefefefefefefefefefefefefefefefefe";
const SLOTS_PER_EPOCH: u64 = 8;
/// Timestamps of real payloads are whole seconds, each later than the one before.
const SLOT_MS: u64 = 2000;
/// Epochs that the chain has in the end, at least.
const EPOCHS: u64 = 6;
/// Transactions that users have in it then, at least.
const TRANSACTIONS: u128 = 350;
/// A chain that is longer than this and not done has failed.
const MOST_SLOTS: u64 = 30 * SLOTS_PER_EPOCH;
/// Transfers that users send in a slot, and the slots between two transactions with blobs.
const TRANSFERS: u64 = 10;
const SLOTS_BETWEEN_BLOBS: u64 = 3;
/// Slots for which a client is gone.
const SLOTS_AWAY: usize = 3;

#[test]
fn a_chain_of_real_payloads_outlives_its_execution_clients() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut first = Ethrex::start(&folder.join("ethrex1"));
    a_wrong_secret_is_named(&first, folder);
    let mut chain = Chain::new(folder, SLOT_MS, CHAIN_ID, first.genesis);
    let maker = chain.start("maker", &[chain.genesis_files(), beside(&first.url(), &first.secret)]);
    chain.validate(&maker);
    let mut users = Users { wallet: Wallet::new(), blobs: made_up_blobs(2).unwrap() };
    users.act(&maker, &[&first], |maker| maker.finalized() >= 1);
    println!("first finality at slot {}", maker.syncing().head_slot);

    let mut second = Ethrex::start(&folder.join("ethrex2"));
    let checkpoint = ["--checkpoint-sync-url".into(), maker.rest.clone()].into();
    let follower = chain.start("follower", &[checkpoint, peer_of(&maker), beside(&second.url(), &second.secret)]);
    joins(&maker, &follower, &second);
    let oldest = |node: &Node| node.metric("hornero_backfill_slot", &[]);
    follower.until("it has all blocks", |node| oldest(node) <= 1.0);

    loses_its_client(&follower, &mut second, &maker, || {
        let end = maker.syncing().head_slot + SLOTS_AWAY as u64;
        users.act(&maker, &[&first], |maker| maker.syncing().head_slot >= end);
    });
    loses_its_client(&maker, &mut first, &follower, || {
        (0..SLOTS_AWAY).for_each(|_| _ = maker.next_slot());
    });

    let epochs = |node: &Node| node.syncing().head_slot / SLOTS_PER_EPOCH;
    // The follower's client has users' blobs in its pool, too, and is asked for them.
    let lookups = |result| follower.metric("hornero_pool_lookups_total", &[result]);
    users.act(&maker, &[&first, &second], |maker| {
        let is_long = maker.finalized() >= EPOCHS - 2 && epochs(maker) >= EPOCHS;
        is_long && transfers::executed(&first) >= TRANSACTIONS && lookups("hit") + lookups("late") > 0.0
    });
    let results = ["hit", "late", "miss", "failed", "wrong"].map(|result| (result, lookups(result)));
    println!("the follower asked its client for the blobs of blocks: {results:?}");
    let finalized = maker.finalized();
    follower.until("it has finalized as much", |node| node.finalized() >= finalized && node.syncing().is_well());
    println!("{} epochs, of which {finalized} are final", epochs(&maker));
    compare(&first, &second, &maker, users.wallet.sent);
    bodies::are_kept(&first, &maker);
    for node in [maker, follower] {
        stages::print(&node);
        let wrong = [" ERROR ", "was refused", "panicked"].map(|text| node.log.find(0, text)).concat();
        assert!(wrong.is_empty(), "{}: {wrong:?}", node.name);
        node.stop();
    }
}

/// Who sends transactions.
struct Users {
    wallet: Wallet,
    blobs: BlobsBundle,
}

impl Users {
    /// In each slot, until the maker's chain is as wanted.
    fn act(&mut self, maker: &Node, clients: &[&Ethrex], is_enough: impl Fn(&Node) -> bool) {
        while !is_enough(maker) {
            let slot = maker.next_slot();
            assert!(slot < MOST_SLOTS, "nothing came of it: {:?}\n{}", maker.syncing(), maker.log.tail());
            self.wallet.send(clients, TRANSFERS);
            if slot.is_multiple_of(SLOTS_BETWEEN_BLOBS) {
                self.wallet.send_blobs(clients, &self.blobs);
            }
        }
    }
}

/// ethrex answers a token that it does not take with HTTP's 200: what we say of it must be right all the same.
fn a_wrong_secret_is_named(client: &Ethrex, folder: &Path) {
    let (other, _) = Secret::load_or_make(&folder.join("other.hex")).unwrap();
    let error = block_on(ExecutionClient::new(&client.url(), other).upcheck()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::Auth(_)) && text.contains("other.hex"), "{text}");
    println!("with another secret: {text}");
}

/// The node starts beside a client that has none of the chain's payloads: it follows without doing duties until the client
/// has them.
fn joins(maker: &Node, follower: &Node, client: &Ethrex) {
    follower.until("it is at the head, whose payload its client can't judge", |node| {
        let now = node.syncing();
        now.is_optimistic && !now.el_offline && now.sync_distance <= 1
    });
    assert_eq!((follower.health(), follower.duties()), (206, [503, 503]));
    let (blocks, filled, well) = fill(follower, client, maker);
    println!("the follower's client got {blocks} blocks in {filled:.1?}; the head was verified {well:.1?} later");
    assert_eq!(follower.health(), 200);
}

/// Gives a node's client what it lacks of another node's chain; how many blocks, how long that took, and how long it took the node to
/// be well after that. A block that comes meanwhile may reach the client before its parent does. It can't ask others for it: so it is
/// given that, too.
fn fill(node: &Node, client: &Ethrex, other: &Node) -> (usize, Duration, Duration) {
    let (next, begun) = (Cell::new(1), Instant::now());
    let blocks = client.fill(other, &next);
    let filled = begun.elapsed();
    let well = node.until("its client has caught up", |node| {
        client.fill(other, &next);
        node.syncing().is_well()
    });
    (blocks, filled, well)
}

/// A node's client is killed, comes back empty after `meanwhile`, and gets its blocks from those of `other`. The node goes on.
fn loses_its_client(node: &Node, client: &mut Ethrex, other: &Node, meanwhile: impl FnOnce()) {
    let from = node.log.len();
    client.kill();
    let noticed = node.until("it notices", |node| node.syncing().el_offline);
    assert_eq!(node.metric("hornero_execution_client_up", &[]), 0.0);
    assert_eq!(node.health(), 206);
    meanwhile();
    let away = node.syncing();
    let said = node.log.find(from, "WARN the execution client at");
    assert_eq!(said.len(), 1, "it is said once: {said:?}");
    client.restart();
    let met = node.until("it meets its client again", |node| !node.syncing().el_offline);
    let (blocks, filled, well) = fill(node, client, other);
    println!(
        "the {}'s client was killed: noticed after {noticed:.1?}, then {away:?}; met {met:.1?} after its return, filled with \
         {blocks} blocks in {filled:.1?}, at the verified head {well:.1?} later",
        node.name
    );
    assert_eq!(node.metric("hornero_execution_client_up", &[]), 1.0);
}

/// Both clients have the same chain, and in it what users sent.
fn compare(first: &Ethrex, second: &Ethrex, maker: &Node, sent: u64) {
    let clients = [first, second];
    let height =
        clients.map(|client| client.number("eth_blockNumber", json!([]))).into_iter().min().unwrap_or_default();
    let (mut transactions, mut with_blobs) = (0, 0);
    for number in 0..=height {
        let of = |client: &Ethrex| client.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]));
        let [one, other] = clients.map(of);
        for key in ["hash", "stateRoot", "receiptsRoot"] {
            assert!(one[key].is_string() && one[key] == other[key], "{key} of block {number}: {one} and {other}");
        }
        transactions += one["transactions"].as_array().map_or(0, Vec::len) as u64;
        with_blobs += usize::from(one["blobGasUsed"].as_str().is_some_and(|gas| gas != "0x0"));
    }
    // The chain goes on meanwhile.
    let balance = |client: &Ethrex, who: &str| client.number("eth_getBalance", json!([who, format!("{height:#x}")]));
    let balances = |who: &str| clients.map(|client| balance(client, who));
    let mut arrived = 0;
    for number in 0..sent {
        let [one, other] = balances(&Wallet::recipient(number));
        assert!(one == other && (one == 0 || one == AMOUNT), "transfer {number}: {one} and {other}");
        arrived += u64::from(one == AMOUNT);
    }
    let fees = balances(FEE_RECIPIENT);
    println!(
        "both clients agree on {height} blocks with {transactions} transactions, of which {with_blobs} have blobs, on the \
         balances of {arrived} who got one of {sent} transfers, and on {} wei of fees",
        fees[0]
    );
    assert!(arrived >= 300 && with_blobs >= 5 && fees[0] > 0 && fees[0] == fees[1], "{fees:?}");
    let head = (0..=maker.syncing().head_slot).rev().find_map(|slot| maker.block(slot)).expect("a block");
    let payload = &head.message.body.execution_payload;
    let theirs = first.call("eth_getBlockByNumber", json!([format!("{:#x}", payload.block_number), false]));
    assert_eq!(theirs["stateRoot"], Value::from(format!("{:?}", payload.state_root)), "the beacon block says the same");
}
