//! How the Engine API writes what `types` holds: hexadecimal quantities without leading zeros, data with all of its bytes.
//! <https://github.com/ethereum/execution-apis/blob/033ca6e69/src/engine/common.md#encoding>

mod attributes;
mod blobs;
mod body;
mod payload;
mod requests;
mod rpc;
mod status;

pub(super) use attributes::AttributesOf;
pub use attributes::ForkchoiceState;
pub(super) use blobs::{BlobJson, BlobsBundleJson};
pub(super) use body::BodyJson;
pub(super) use payload::{PayloadEnvelope, PayloadEnvelopeV2, PayloadOf, PayloadV3, payload_from_value};
pub(super) use requests::RequestsList;
pub(super) use rpc::{Failure, Reply, Request};
pub(super) use status::{ForkchoiceReply, StatusJson};

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, written as hexadecimal straight into the output.
pub(super) struct Data<'a>(pub &'a [u8]);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        let mut digits = [0; 128];
        for piece in self.0.chunks(digits.len() / 2) {
            let digits = &mut digits[..2 * piece.len()];
            hex::encode_to_slice(piece, digits).map_err(|_| fmt::Error)?;
            f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Data(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(serde_utils::hex::PrefixedHexVisitor).map(Bytes)
    }
}

/// A number of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Quantity(#[serde(with = "serde_utils::u64_hex_be")] pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_quantities_are_written_as_the_api_wants() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = serde_json::to_string(&Data(&bytes)).unwrap();
        assert_eq!(text, format!("\"0x{}\"", hex::encode(&bytes)));
        assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap().0, bytes);
        assert_eq!(serde_json::to_string(&Data(&[])).unwrap(), "\"0x\"");
        let quantities = [Quantity(0), Quantity(1024), Quantity(u64::MAX)];
        assert_eq!(serde_json::to_string(&quantities).unwrap(), r#"["0x0","0x400","0xffffffffffffffff"]"#);
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [r#""0x""#, r#""12""#, r#""0x0400""#, r#""0x10000000000000000""#, "12", r#""0xg""#] {
            assert!(serde_json::from_str::<Quantity>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Bytes>(r#""0x123""#).is_err());
    }
}
