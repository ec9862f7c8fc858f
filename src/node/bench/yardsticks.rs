//! The two things that all others are multiples of.

use std::hint::black_box;

use ethereum_hashing::hash_fixed;
use serde::Serialize;

use super::stopwatch::{Time, time};
use crate::{crypto::SecretKey, types::Hash256};

/// Hashes of the first yardstick.
const HASHES: usize = 1000;
/// Each is measured this often, since all depends on them.
const RUNS: usize = 40;

/// What this machine can do.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Yardsticks {
    /// 1,000 two-to-one SHA-256 hashes, one after the other.
    pub sha256_1000: Time,
    /// Verifying one BLS signature with its key at hand.
    pub bls_verification: Time,
}

/// Measures the yardsticks. They do not pass through Hornero's own hashing of trees, so that this can improve by them.
pub fn measure() -> Yardsticks {
    let mut secret = [0; 32];
    secret[31] = 1;
    let secret = SecretKey::from_bytes(&secret).expect("one is a secret key");
    let (key, message) = (secret.public_key(), Hash256::repeat_byte(1));
    let signature = secret.sign(message);
    let verify = || assert!(black_box(&signature).verify(&key, message), "our own signature is true");
    Yardsticks { sha256_1000: best(hash), bls_verification: best(verify) }
}

fn hash() {
    let mut pair = black_box([1; 64]);
    for _ in 0..HASHES {
        let hash = hash_fixed(&pair);
        pair[..32].copy_from_slice(&hash);
    }
    black_box(pair);
}

fn best(work: impl Fn()) -> Time {
    let first = time(&work).1;
    (1..RUNS).fold(first, |best, _| best.best(time(&work).1))
}
