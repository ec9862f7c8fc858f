//! The forks that this program knows.

use std::fmt;

/// A fork by name, in the order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForkName {
    /// Execution requests, 2,048 ETH validators (2025-05).
    Electra,
    /// Data columns, proposer lookahead (2025-12).
    #[default]
    Fulu,
}

impl ForkName {
    /// Every fork, oldest first.
    pub const ALL: [ForkName; 2] = [ForkName::Electra, ForkName::Fulu];

    /// As the Beacon API and the vectors write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ForkName::Electra => "electra",
            ForkName::Fulu => "fulu",
        }
    }

    /// The fork that `name` (lower case) names.
    pub fn from_name(name: &str) -> Option<ForkName> {
        ForkName::ALL.into_iter().find(|fork| fork.as_str() == name)
    }
}

impl fmt::Display for ForkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
