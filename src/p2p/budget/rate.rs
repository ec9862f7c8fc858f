//! Amounts as a person writes them.

use std::str::FromStr;

/// Why an amount was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not a rate.
    #[error("`{0}` is not a rate: write 20mbit, 500kbit or 1gbit (bits per second), or 2.5MB (bytes per second)")]
    Rate(String),
    /// Not an amount.
    #[error("`{0}` is not an amount: write 500GB or 1TB")]
    Amount(String),
    /// Less than gossip of blocks alone takes.
    #[error("{0} is too little to follow a chain: give at least 1mbit")]
    TooLittle(String),
}

/// The least that is of any use, in bytes per second: blocks alone, without votes.
const LEAST: u64 = 125_000;

/// Bytes per second, written `20mbit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth(pub u64);

impl FromStr for Bandwidth {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Bandwidth, RateError> {
        let units = [("gbit", 125e6), ("mbit", 125e3), ("kbit", 125.0), ("gb", 1e9), ("mb", 1e6), ("kb", 1e3)];
        let bytes = parse(text, &units).ok_or_else(|| RateError::Rate(text.into()))?;
        if bytes < LEAST { Err(RateError::TooLittle(text.into())) } else { Ok(Bandwidth(bytes)) }
    }
}

/// Bytes, written `500GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteAmount(pub u64);

impl FromStr for ByteAmount {
    type Err = RateError;

    fn from_str(text: &str) -> Result<ByteAmount, RateError> {
        let units = [("tb", 1e12), ("gb", 1e9), ("mb", 1e6)];
        parse(text, &units).map(ByteAmount).ok_or_else(|| RateError::Amount(text.into()))
    }
}

/// A positive number with one of the units; of each unit the bytes.
fn parse(text: &str, units: &[(&str, f64)]) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix("/s").unwrap_or(&text);
    let (number, unit) = units.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))?;
    let bytes = number.trim().parse::<f64>().ok()? * unit;
    (bytes >= 1.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_in_bits_or_bytes() {
        let rate = |text: &str| text.parse::<Bandwidth>().map(|rate| rate.0);
        assert_eq!(rate("20mbit"), Ok(2_500_000));
        assert_eq!(rate("20 Mbit/s"), Ok(2_500_000));
        assert_eq!(rate("1gbit"), Ok(125_000_000));
        assert_eq!(rate("2.5MB"), Ok(2_500_000));
        assert!(matches!(rate("20"), Err(RateError::Rate(_))));
        assert!(matches!(rate("nanmbit"), Err(RateError::Rate(_))));
        assert!(matches!(rate("-20mbit"), Err(RateError::Rate(_))));
        assert!(matches!(rate("500kbit"), Err(RateError::TooLittle(_))));
        assert_eq!("1.5TB".parse(), Ok(ByteAmount(1_500_000_000_000)));
        assert!("many".parse::<ByteAmount>().is_err());
    }
}
