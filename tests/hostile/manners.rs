//! Strangers at requests and answers: how each of them breaks the rules, on one connection.

use std::{
    io,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{AsyncReadExt as _, AsyncWriteExt as _, future::join_all};
use hornero::{
    p2p::{MetaData, Muxers, Status, wire},
    types::Hash256,
};
use smol::{Timer, future};
use ssz::Encode as _;

use super::{
    line::{Line, Pipe, Work},
    scene::{BLOCKS_BY_ROOT, GOSSIP, PING, STATUS, Scene, bomb},
};

/// Between two bytes of who drips.
const DRIP: Duration = Duration::from_millis(400);
/// Bytes of a QUIC stream that the node may send before we read: less than most answers.
const TINY_WINDOW: u32 = 64;
/// And where we read.
const WINDOW: u32 = 1 << 20;
/// Until who does not read asks for more.
const AGAIN: Duration = Duration::from_secs(3);
/// Blocks without parents that are gossiped at a time.
const ORPHANS: usize = 4;
/// Ids of messages in one packet.
const IDS: usize = 10_000;

/// What a stranger has done.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests, messages, or streams.
    pub sent: AtomicU64,
    /// Bytes both ways.
    pub bytes: AtomicU64,
    /// The code of the node's last goodbye.
    pub goodbye: AtomicU64,
}

impl Tally {
    fn count(&self, bytes: usize) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// How the node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Tcp,
    Mplex,
    Quic,
    /// Where the node may send nearly nothing before it is read.
    TinyQuic,
}

impl Way {
    pub async fn connect(self, executor: &Work, from: IpAddr, scene: &Scene) -> io::Result<Line> {
        match self {
            Way::Tcp => Line::tcp(executor, from, &scene.tcp, Muxers::Yamux).await,
            Way::Mplex => Line::tcp(executor, from, &scene.tcp, Muxers::Mplex).await,
            Way::Quic => Line::quic(executor, from, scene.quic, WINDOW).await,
            Way::TinyQuic => Line::quic(executor, from, scene.quic, TINY_WINDOW).await,
        }
    }
}

/// How the node's own requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// As they should be.
    Well,
    /// Never.
    Never,
    /// Byte by byte.
    Dripping,
    /// With bombs.
    Bombs,
}

/// What a stranger does from its connection on, until that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Begins requests of all kinds and does not end them.
    HalfRequests,
    /// Asks for all that there is and does not read the answers.
    Unread,
    /// Takes part in gossip, and does not read it.
    UnreadGossip,
    /// Asks for the largest counts, two requests of a kind at a time, and reads the answers.
    LargestCounts,
    /// The same, eight of a kind.
    TooMany,
    /// Bombs instead of requests.
    BombRequests,
    /// Makes the node ask for its metadata again and again.
    NewMetadata,
    /// Gossips ids of messages that it does not want.
    Unwanted,
    /// Says that its chain is far ahead.
    FarAhead,
    /// Gossips well signed blocks whose parents only it has, and answers with these: they are invalid.
    InvalidParents,
}

/// Lives on `line` until the node ends it.
pub async fn live(line: &Line, deed: Deed, answers: Answers, scene: &Scene, tally: &Tally) {
    let act = async {
        // An error is the connection's end, which the other future sees, too.
        let _ = act(line, deed, scene, tally).await;
        future::pending().await
    };
    future::or(answer(line, deed, answers, scene, tally), act).await;
}

async fn act(line: &Line, deed: Deed, scene: &Scene, tally: &Tally) -> io::Result<()> {
    if deed == Deed::FarAhead {
        let head_slot = scene.status.head_slot + 4096;
        let claim = Status { head_slot, head_root: [7; 32].into(), ..scene.status };
        tally.count(0);
        line.ask(STATUS, &wire::write_payload(&claim.as_ssz_bytes())).await?;
        return Ok(());
    }
    // Who does not read says that it is there, and looks at no answer either.
    let mut greeting = line.open(STATUS).await?;
    greeting.write_all(&scene.greeting()).await?;
    greeting.close().await?;
    if deed != Deed::Unread {
        greeting.read_to_end(&mut Vec::new()).await?;
    }
    match deed {
        Deed::HalfRequests => {
            let half = |body: &[u8]| body[..body.len().min(1)].to_vec();
            let begun = scene.requests().into_iter().map(async |(protocol, body)| {
                let mut pipe = line.open(protocol).await?;
                // Half of a length, or nothing where nothing is said; and no end.
                pipe.write_all(&half(&body).into_iter().map(|byte| byte | 0x80).collect::<Vec<u8>>()).await?;
                pipe.flush().await?;
                tally.count(1);
                io::Result::Ok(pipe)
            });
            let _open: Vec<_> = join_all(begun).await;
            future::pending().await
        }
        Deed::Unread => {
            let mut open = Vec::new();
            loop {
                // Each twice, and what has long answers as often as it is served at once.
                let all = scene.requests();
                let by = |what| all.iter().filter(move |(protocol, _)| protocol.contains(what));
                for (protocol, body) in all
                    .iter()
                    .chain(by("light_client"))
                    .chain(by("_by_"))
                    .chain(by("blocks_by_").chain(by("blocks_by_")))
                {
                    let mut pipe = line.open(protocol).await?;
                    // What is one too many is refused at once.
                    let _ = pipe.write_all(body).await;
                    let _ = pipe.close().await;
                    tally.count(body.len());
                    open.push(pipe);
                }
                Timer::after(AGAIN).await;
            }
        }
        Deed::UnreadGossip => {
            let mut pipe = line.open(GOSSIP).await?;
            pipe.write_all(&subscription(&scene.topics)).await?;
            pipe.flush().await?;
            tally.count(0);
            future::pending().await
        }
        Deed::LargestCounts => ask_for_all(line, scene, tally, 2).await,
        Deed::TooMany => ask_for_all(line, scene, tally, 8).await,
        Deed::BombRequests => loop {
            let bytes = bomb(32);
            tally.count(bytes.len());
            line.ask(BLOCKS_BY_ROOT, &bytes).await?;
        },
        Deed::NewMetadata => {
            for version in 1u64.. {
                tally.count(8);
                line.ask(PING, &wire::write_payload(&version.as_ssz_bytes())).await?;
                Timer::after(Duration::from_millis(20)).await;
            }
            Ok(())
        }
        Deed::Unwanted => {
            let mut pipe = line.open(GOSSIP).await?;
            for number in 0u64.. {
                let packet = unwanted(number);
                pipe.write_all(&packet).await?;
                pipe.flush().await?;
                tally.count(packet.len());
            }
            Ok(())
        }
        Deed::InvalidParents => {
            let mut pipe = line.open(GOSSIP).await?;
            loop {
                for orphan in (0..ORPHANS).filter_map(|_| scene.forger.orphan()) {
                    let packet = publication(&scene.topics[0], &orphan.as_ssz_bytes());
                    pipe.write_all(&packet).await?;
                    pipe.flush().await?;
                    tally.count(packet.len());
                }
                Timer::after(AGAIN).await;
            }
        }
        Deed::FarAhead => Ok(()),
    }
}

/// All requests, so many of each kind at a time, again and again.
async fn ask_for_all(line: &Line, scene: &Scene, tally: &Tally, at_once: usize) -> io::Result<()> {
    let requests = scene.requests();
    let worker = async |(protocol, body): &(&'static str, Vec<u8>)| {
        loop {
            // A refusal is no error here.
            let answer = line.ask(protocol, body).await?;
            tally.count(body.len() + answer.len());
        }
        #[allow(unreachable_code)]
        io::Result::Ok(())
    };
    let large = requests.iter().filter(|(protocol, _)| protocol.contains("_by_"));
    let all: Vec<_> = large.flat_map(|request| std::iter::repeat_n(request, at_once)).map(worker).collect();
    join_all(all).await.into_iter().collect()
}

/// Answers what the node asks until the connection ends.
async fn answer(line: &Line, deed: Deed, how: Answers, scene: &Scene, tally: &Tally) {
    let mut held = Vec::new();
    while let Ok((protocol, mut pipe)) = line.asked().await {
        if protocol.contains("/goodbye/") {
            let mut said = Vec::new();
            let _ = pipe.read_to_end(&mut said).await;
            if let Some(code) = wire::read_payload(&said).and_then(|code| code.try_into().ok()) {
                tally.goodbye.store(u64::from_le_bytes(code), Ordering::Relaxed);
            }
            let _ = pipe.close().await;
            continue;
        }
        if deed == Deed::UnreadGossip && protocol.contains("/meshsub/") {
            held.push(line.executor.spawn(hold(pipe)));
            continue;
        }
        if deed == Deed::InvalidParents && protocol.contains("/beacon_blocks_by_") {
            give_invalid(pipe, scene, tally).await;
            continue;
        }
        let Some(good) = good_answer(&protocol, scene) else {
            // Gossip, or a question for the chain.
            held.push(line.executor.spawn(other(pipe, how, protocol, chunk_of(scene))));
            continue;
        };
        if how != Answers::Never {
            let _ = pipe.read_to_end(&mut Vec::new()).await;
        }
        match how {
            Answers::Never => held.push(line.executor.spawn(hold(pipe))),
            Answers::Dripping => held.push(line.executor.spawn(drip(pipe, good))),
            Answers::Well => {
                let _ = pipe.write_all(&good).await;
                let _ = pipe.close().await;
            }
            Answers::Bombs => {
                let bytes = [&[0][..], &bomb(25)].concat();
                tally.count(bytes.len());
                let _ = pipe.write_all(&bytes).await;
                let _ = pipe.close().await;
            }
        }
    }
}

fn good_answer(protocol: &str, scene: &Scene) -> Option<Vec<u8>> {
    let ssz = if protocol.contains("/metadata/3") {
        MetaData { custody_group_count: 4, ..MetaData::default() }.as_ssz_bytes()
    } else if protocol.contains("/ping/") {
        vec![0; 8]
    } else if protocol.contains("/status/2") {
        scene.status.as_ssz_bytes()
    } else {
        return None;
    };
    Some([&[0][..], &wire::write_payload(&ssz)].concat())
}

/// Answers with the blocks that we made the node ask for.
async fn give_invalid(mut pipe: Pipe, scene: &Scene, tally: &Tally) {
    let mut asked = Vec::new();
    let _ = pipe.read_to_end(&mut asked).await;
    // By roots, or by one and a count.
    let roots = wire::read_payload(&asked).unwrap_or_default();
    for block in roots.chunks_exact(32).filter_map(|root| scene.forger.held(&Hash256::from_slice(root))) {
        let bytes = [&[0][..], scene.status.fork_digest.as_slice(), &wire::write_payload(&block)].concat();
        tally.count(bytes.len());
        let _ = pipe.write_all(&bytes).await;
    }
    let _ = pipe.close().await;
}

/// What may be the beginning of a block.
fn chunk_of(scene: &Scene) -> Vec<u8> {
    [&[0][..], scene.status.fork_digest.as_slice(), &wire::write_payload(&[0; 1000])].concat()
}

/// Keeps a stream and does nothing with it.
async fn hold(pipe: Pipe) {
    let _pipe = pipe;
    future::pending::<()>().await;
}

async fn drip(mut pipe: Pipe, bytes: Vec<u8>) {
    for byte in bytes {
        if pipe.write_all(&[byte]).await.is_err() || pipe.flush().await.is_err() {
            return;
        }
        Timer::after(DRIP).await;
    }
    hold(pipe).await;
}

async fn other(mut pipe: Pipe, how: Answers, protocol: String, chunk: Vec<u8>) {
    match how {
        Answers::Well if protocol.contains("/meshsub/") => {
            let mut buffer = vec![0; 1 << 16];
            while pipe.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        }
        Answers::Dripping => drip(pipe, chunk).await,
        _ => hold(pipe).await,
    }
}

/// A packet of gossip with these fields in it.
fn packet(body: &[u8]) -> Vec<u8> {
    [varint(body.len()), body.to_vec()].concat()
}

/// A field of protobuf with bytes in it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len()), bytes.to_vec()].concat()
}

fn varint(n: usize) -> Vec<u8> {
    unsigned_varint::encode::usize(n, &mut unsigned_varint::encode::usize_buffer()).to_vec()
}

fn subscription(topics: &[String]) -> Vec<u8> {
    let one = |topic: &String| field(1, &[vec![1 << 3, 1], field(2, topic.as_bytes())].concat());
    packet(&topics.iter().flat_map(one).collect::<Vec<u8>>())
}

/// A message of a topic.
fn publication(topic: &str, ssz: &[u8]) -> Vec<u8> {
    let packed = snap::raw::Encoder::new().compress_vec(ssz).expect("it fits");
    packet(&field(2, &[field(2, &packed), field(4, topic.as_bytes())].concat()))
}

fn unwanted(number: u64) -> Vec<u8> {
    let mut ids = Vec::with_capacity(IDS * 24);
    for index in 0..IDS as u64 {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&(number * IDS as u64 + index).to_le_bytes());
        ids.extend(field(1, &id));
    }
    // control { idontwant { message_ids } }
    packet(&field(3, &field(5, &ids)))
}
