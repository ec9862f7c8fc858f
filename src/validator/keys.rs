//! The interop keys: secret keys that everybody knows, for test networks only.
//! <https://github.com/ethereum/eth2.0-pm/blob/6e41fcf383ebeb5125938850d8e9b4e9888389b4/interop/mocked_start/README.md>

use alloy_primitives::U256;
use ethereum_hashing::hash_fixed;

use crate::{
    crypto::SecretKey,
    types::{BLSPubkey, ValidatorIndex},
};

/// Order of the curve's group: secret keys are numbers below it.
const CURVE_ORDER: U256 =
    alloy_primitives::uint!(52435875175126190479447740508185965837690552500527637822603658699938581184513_U256);

/// Secret key of interop validator `index`: the hash of the index, as a little-endian number, modulo the curve's order.
pub fn interop_secret_key(index: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    let number = U256::from_le_bytes(hash_fixed(&bytes)) % CURVE_ORDER;
    SecretKey::from_bytes(&number.to_be_bytes()).expect("a hash below the order and not zero")
}

/// A range of interop keys with their public halves.
#[derive(Debug)]
pub struct InteropKeys {
    first: u64,
    keys: Vec<(BLSPubkey, SecretKey)>,
}

impl InteropKeys {
    /// The keys with these indices.
    pub fn new(range: std::ops::Range<u64>) -> Self {
        let keys = range.clone().map(|index| {
            let secret = interop_secret_key(index);
            (secret.public_key().to_compressed(), secret)
        });
        InteropKeys { first: range.start, keys: keys.collect() }
    }

    /// The validators' indices: in a devnet's genesis, key and registry have the same order.
    pub fn indices(&self) -> impl Iterator<Item = ValidatorIndex> + '_ {
        (0..self.keys.len() as u64).map(|n| self.first + n)
    }

    /// The secret key of a validator, if it is one of ours.
    pub fn secret(&self, index: ValidatorIndex) -> Option<&SecretKey> {
        self.keys.get(index.checked_sub(self.first)? as usize).map(|(_, secret)| secret)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_keys_are_the_published_ones() {
        // From the interop page's own list.
        for (index, pubkey) in [
            (0, "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c"),
            (1, "0xb89bebc699769726a318c8e9971bd3171297c61aea4a6578a7a4f94b547dcba5bac16a89108b6b6a1fe3695d1a874a0b"),
        ] {
            assert_eq!(interop_secret_key(index).public_key().to_compressed().to_string(), pubkey);
        }
    }
}
