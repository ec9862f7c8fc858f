//! Signed transactions of the account that the execution chain's genesis endows, with and without blobs.

use alloy_primitives::keccak256;
use enr::k256::ecdsa::SigningKey;
use hornero::{
    engine::{BlobsBundle, kzg_commitment_to_versioned_hash},
    types::Blob,
};
use serde_json::json;

use super::ethrex::{CHAIN_ID, Ethrex};

/// The first key of the well-known test mnemonic.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Its address.
const SENDER: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
/// In wei, for each unit of gas: the base fee is 1 gwei at first and falls.
const MAX_FEE: u128 = 10_000_000_000;
const TIP: u128 = 1_000_000_000;
/// Gas of a transfer.
const GAS: u128 = 21_000;
/// Wei that a transfer carries.
pub const AMOUNT: u128 = 1_000_000_000_000_000;

pub struct Wallet {
    key: SigningKey,
    /// Transfers that were sent, each to an address of its own.
    pub sent: u64,
}

impl Wallet {
    pub fn new() -> Wallet {
        let key = SigningKey::from_slice(&hex::decode(KEY).expect("hexadecimal")).expect("a key");
        Wallet { key, sent: 0 }
    }

    /// Who gets a transfer.
    pub fn recipient(number: u64) -> String {
        format!("0x{}", hex::encode(address(number)))
    }

    /// Sends so many transfers to the first client, and to the others as these would hear of them.
    pub fn send(&mut self, clients: &[&Ethrex], count: u64) {
        let nonce = self.nonce(clients);
        for n in 0..count {
            let fields = self.fields(nonce + u128::from(n), &address(self.sent), AMOUNT);
            deliver(clients, &typed(2, &self.sign(2, fields)));
            self.sent += 1;
        }
    }

    /// Sends these blobs in the same way.
    pub fn send_blobs(&mut self, clients: &[&Ethrex], bundle: &BlobsBundle) {
        let hashes = bundle.commitments.iter().map(kzg_commitment_to_versioned_hash);
        let mut fields = self.fields(self.nonce(clients), &address(u64::MAX), 0);
        fields.push(number(MAX_FEE));
        fields.push(list(&hashes.map(|hash| string(hash.as_slice())).collect::<Vec<_>>()));
        let strings = |items: &mut dyn Iterator<Item = Vec<u8>>| list(&items.collect::<Vec<_>>());
        let wrapped = list(&[
            self.sign(3, fields),
            // Proofs of cells: https://eips.ethereum.org/EIPS/eip-7594#networking
            number(1),
            strings(&mut bundle.blobs.iter().map(|blob: &Blob| string(blob))),
            strings(&mut bundle.commitments.iter().map(|commitment| string(commitment.as_slice()))),
            strings(&mut bundle.proofs.iter().map(|proof| string(proof.as_slice()))),
        ]);
        deliver(clients, &typed(3, &wrapped));
    }

    fn nonce(&self, clients: &[&Ethrex]) -> u128 {
        clients[0].number("eth_getTransactionCount", json!([SENDER, "pending"]))
    }

    /// What both kinds of transactions begin with, up to the empty list of what they touch.
    fn fields(&self, nonce: u128, to: &[u8; 20], wei: u128) -> Vec<Vec<u8>> {
        let numbers = [CHAIN_ID.into(), nonce, TIP, MAX_FEE, GAS].map(number);
        numbers.into_iter().chain([string(to), number(wei), string(&[]), list(&[])]).collect()
    }

    /// The fields with their signature.
    fn sign(&self, kind: u8, mut fields: Vec<Vec<u8>>) -> Vec<u8> {
        let hash = keccak256(typed(kind, &list(&fields)));
        let (signature, recovery) = self.key.sign_prehash_recoverable(hash.as_slice());
        let (r, s) = signature.split_bytes();
        fields.extend([number(u8::from(recovery.is_y_odd()).into()), trimmed(&r), trimmed(&s)]);
        list(&fields)
    }
}

/// Transactions of the account that are in blocks.
pub fn executed(client: &Ethrex) -> u128 {
    client.number("eth_getTransactionCount", json!([SENDER, "latest"]))
}

fn deliver(clients: &[&Ethrex], transaction: &[u8]) {
    let params = json!([format!("0x{}", hex::encode(transaction))]);
    clients[0].call("eth_sendRawTransaction", params.clone());
    for other in &clients[1..] {
        // One that was restarted lacks transactions before it, and one that is a block ahead has it already.
        let _ = other.try_call("eth_sendRawTransaction", params.clone());
    }
}

/// Addresses that nobody else has.
fn address(number: u64) -> [u8; 20] {
    let mut address = [0x7e; 20];
    address[12..].copy_from_slice(&number.to_be_bytes());
    address
}

/// A transaction of a kind: <https://eips.ethereum.org/EIPS/eip-2718>
fn typed(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], body].concat()
}

// RLP: https://ethereum.org/en/developers/docs/data-structures-and-encoding/rlp/

fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => [head(0x80, bytes.len()), bytes.to_vec()].concat(),
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let body = items.concat();
    [head(0xc0, body.len()), body].concat()
}

fn number(value: u128) -> Vec<u8> {
    trimmed(&value.to_be_bytes())
}

/// A number without the zeros that it begins with.
fn trimmed(bytes: &[u8]) -> Vec<u8> {
    string(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..])
}

fn head(kind: u8, len: usize) -> Vec<u8> {
    if len < 56 {
        return vec![kind + len as u8];
    }
    let len = &(len as u64).to_be_bytes()[(len as u64).leading_zeros() as usize / 8..];
    [&[kind + 55 + len.len() as u8], len].concat()
}
