//! What became of an attack.

use std::time::Duration;

use libp2p::PeerId;

/// What became of the strangers of one attack.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Names that were sent away, or whose connection the node ended.
    pub names: u64,
    /// Connections that were refused from the start.
    pub refused: u64,
    /// Messages, or requests.
    pub sent: u64,
    /// And their bytes, both ways.
    pub bytes: u64,
    /// How long each who was sent away had lasted, from its first message on.
    pub lasted: Vec<Duration>,
    /// Who were sent away and could stay when they came again under the same name.
    pub was_let_in_again: u64,
    /// Who was told that it is banned.
    pub told_of_ban: u64,
    /// Who was told that its address is.
    pub told_of_banned_address: u64,
    /// Who is there now.
    pub present: Option<PeerId>,
}
