//! `bls`: signatures, keys and their sums, on compressed bytes.

use hornero::{
    crypto,
    types::{BLSPubkey, BLSSignature, Hash256},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_yaml_ng::Value;

use super::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    input: Value,
    output: Value,
}

#[derive(Deserialize)]
struct Sign {
    privkey: Hash256,
    message: Hash256,
}

#[derive(Deserialize)]
struct Verify {
    pubkey: String,
    message: Hash256,
    signature: String,
}

#[derive(Deserialize)]
struct FastAggregateVerify {
    pubkeys: Vec<String>,
    message: Hash256,
    signature: String,
}

#[derive(Deserialize)]
struct AggregateVerify {
    pubkeys: Vec<String>,
    messages: Vec<Hash256>,
    signature: String,
}

pub fn run(case: &Case) -> Result<(), String> {
    let Data { input, output } = case.yaml("data")?;
    let ours = match case.handler.as_str() {
        "sign" => bytes_or_null(sign(parse(input)?)),
        "verify" => Value::Bool(verify(&parse(input)?)),
        "aggregate" => bytes_or_null(aggregate(&parse::<Vec<String>>(input)?)),
        "fast_aggregate_verify" => Value::Bool(fast_aggregate_verify(&parse(input)?, crypto::fast_aggregate_verify)),
        "eth_fast_aggregate_verify" => {
            Value::Bool(fast_aggregate_verify(&parse(input)?, crypto::eth_fast_aggregate_verify))
        }
        "aggregate_verify" => Value::Bool(aggregate_verify(&parse(input)?)),
        "eth_aggregate_pubkeys" => bytes_or_null(eth_aggregate_pubkeys(&parse::<Vec<String>>(input)?)),
        other => return Err(format!("unknown handler {other}")),
    };
    if ours == output { Ok(()) } else { Err(format!("{ours:?} instead of {output:?}")) }
}

fn parse<T: DeserializeOwned>(input: Value) -> Result<T, String> {
    serde_yaml_ng::from_value(input).map_err(|error| format!("input: {error}"))
}

fn bytes_or_null<T: AsRef<[u8]>>(result: Option<T>) -> Value {
    result.map_or(Value::Null, |bytes| Value::String(format!("0x{}", hex::encode(bytes))))
}

/// A key, unless the text has another length: then it is as invalid as any bytes that are no point.
fn pubkeys(texts: &[String]) -> Option<Vec<BLSPubkey>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

fn sign(input: Sign) -> Option<BLSSignature> {
    let secret_key = crypto::SecretKey::from_bytes(&input.privkey.0).ok()?;
    Some(crypto::sign(&secret_key, input.message))
}

fn verify(input: &Verify) -> bool {
    let (pubkey, signature) = (input.pubkey.parse(), input.signature.parse());
    matches!((pubkey, signature), (Ok(pubkey), Ok(signature)) if crypto::verify(&pubkey, input.message, &signature))
}

fn aggregate(signatures: &[String]) -> Option<BLSSignature> {
    let signatures: Option<Vec<_>> = signatures.iter().map(|text| text.parse().ok()).collect();
    crypto::aggregate(&signatures?).ok()
}

fn fast_aggregate_verify(
    input: &FastAggregateVerify,
    verify: fn(&[BLSPubkey], Hash256, &BLSSignature) -> bool,
) -> bool {
    let (pubkeys, signature) = (pubkeys(&input.pubkeys), input.signature.parse());
    matches!((pubkeys, signature), (Some(pubkeys), Ok(signature)) if verify(&pubkeys, input.message, &signature))
}

fn aggregate_verify(input: &AggregateVerify) -> bool {
    let (Some(pubkeys), Ok(signature)) = (pubkeys(&input.pubkeys), input.signature.parse()) else { return false };
    crypto::aggregate_verify(&pubkeys, &input.messages, &signature)
}

fn eth_aggregate_pubkeys(texts: &[String]) -> Option<BLSPubkey> {
    crypto::eth_aggregate_pubkeys(&pubkeys(texts)?).ok()
}
