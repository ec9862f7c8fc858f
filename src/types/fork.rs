//! The forks that this program knows.

use std::fmt;

/// A fork by name, in the order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForkName {
    /// The beginning (2020-12).
    Phase0,
    /// Sync committees, participation flags (2021-10).
    Altair,
    /// Execution payloads: the merge (2022-09).
    Bellatrix,
    /// Withdrawals (2023-04).
    Capella,
    /// Blobs (2024-03).
    Deneb,
    /// Execution requests, 2,048 ETH validators (2025-05).
    Electra,
    /// Data columns, proposer lookahead (2025-12).
    #[default]
    Fulu,
}

impl ForkName {
    /// Every fork, oldest first.
    pub const ALL: [ForkName; 7] = [
        ForkName::Phase0,
        ForkName::Altair,
        ForkName::Bellatrix,
        ForkName::Capella,
        ForkName::Deneb,
        ForkName::Electra,
        ForkName::Fulu,
    ];

    /// As the Beacon API and the vectors write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ForkName::Phase0 => "phase0",
            ForkName::Altair => "altair",
            ForkName::Bellatrix => "bellatrix",
            ForkName::Capella => "capella",
            ForkName::Deneb => "deneb",
            ForkName::Electra => "electra",
            ForkName::Fulu => "fulu",
        }
    }

    /// The fork that `name` (lower case) names.
    pub fn from_name(name: &str) -> Option<ForkName> {
        ForkName::ALL.into_iter().find(|fork| fork.as_str() == name)
    }

    /// The fork before; `None` for the first.
    pub fn previous(self) -> Option<ForkName> {
        ForkName::ALL.into_iter().rev().find(|fork| *fork < self)
    }
}

impl fmt::Display for ForkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
