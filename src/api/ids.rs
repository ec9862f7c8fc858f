//! How blocks, states and validators are named in a path.

use std::str::FromStr;

use super::{request::number, response::ApiError};
use crate::types::{BLSPubkey, Hash256, Slot, ValidatorIndex};

/// Names a block or a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChainId {
    Head,
    Genesis,
    Justified,
    Finalized,
    Slot(Slot),
    /// The root of the block, or of the state.
    Root(Hash256),
}

impl FromStr for ChainId {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let named = match text {
            "head" => Some(ChainId::Head),
            "genesis" => Some(ChainId::Genesis),
            "justified" => Some(ChainId::Justified),
            "finalized" => Some(ChainId::Finalized),
            _ if text.starts_with("0x") => hex_of(text).map(|bytes| ChainId::Root(Hash256::new(bytes))),
            _ => number(text).map(ChainId::Slot),
        };
        named.ok_or_else(|| {
            ApiError::bad_request(format!(
                "{text:?} names nothing: use head, genesis, justified, finalized, a slot or a root"
            ))
        })
    }
}

/// Names a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidatorId {
    Index(ValidatorIndex),
    Pubkey(BLSPubkey),
}

impl FromStr for ValidatorId {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let named = match text.starts_with("0x") {
            true => hex_of(text).map(|bytes| ValidatorId::Pubkey(BLSPubkey::new(bytes))),
            false => number(text).map(ValidatorId::Index),
        };
        named.ok_or_else(|| ApiError::bad_request(format!("{text:?} is neither an index nor a public key")))
    }
}

/// Exactly `N` bytes in hexadecimal, with `0x`.
pub(super) fn hex_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let root = format!("0x{}", "ab".repeat(32));
        for (text, id) in [
            ("head", ChainId::Head),
            ("genesis", ChainId::Genesis),
            ("justified", ChainId::Justified),
            ("finalized", ChainId::Finalized),
            ("0", ChainId::Slot(0)),
            ("18446744073709551615", ChainId::Slot(u64::MAX)),
            (root.as_str(), ChainId::Root(Hash256::repeat_byte(0xab))),
        ] {
            assert_eq!(text.parse::<ChainId>().unwrap(), id);
        }
        let key = format!("0x{}", "01".repeat(48));
        assert_eq!(key.parse::<ValidatorId>().unwrap(), ValidatorId::Pubkey(BLSPubkey::repeat_byte(1)));
        assert_eq!("7".parse::<ValidatorId>().unwrap(), ValidatorId::Index(7));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "Head", "-1", "+1", "1.0", "0x", "0x12", "18446744073709551616", "ab", "0xzz", " 1"] {
            assert_eq!(text.parse::<ChainId>().unwrap_err().status, 400, "{text}");
            assert_eq!(text.parse::<ValidatorId>().unwrap_err().status, 400, "{text}");
        }
        let long = format!("0x{}", "ab".repeat(33));
        assert!(long.parse::<ChainId>().is_err());
    }
}
