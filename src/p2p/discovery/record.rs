//! What a record says.

use std::net::IpAddr;

use alloy_primitives::bytes::Bytes;
use ssz::Decode;

use crate::{
    p2p::{
        config::{Forks, P2pError},
        identity::Enr,
        messages::{Attnets, ENRForkID, Syncnets},
    },
    types::{Epoch, ForkDigest},
};

/// A record as it is written.
pub fn parse(text: &str) -> Result<Enr, P2pError> {
    text.trim().parse().map_err(|reason: String| P2pError::BootNode { item: text.to_owned(), reason })
}

/// Whether a node with this record is on our fork, or nearly: at a change of forks clocks and records differ a little. A node
/// that will leave us at the next fork is none of ours.
pub fn is_of(record: &Enr, forks: &Forks) -> bool {
    let Some(theirs) = value::<ENRForkID>(record, "eth2") else { return false };
    let next = value::<ForkDigest>(record, "nfd").unwrap_or_default();
    let is_ahead = theirs.fork_digest == forks.next_digest && forks.next_epoch != Epoch::MAX;
    let is_behind = next == forks.current;
    if theirs.fork_digest != forks.current && !is_ahead && !is_behind {
        return false;
    }
    let parts_at_the_next = theirs.fork_digest == forks.current
        && theirs.next_fork_epoch == forks.next_epoch
        && forks.next_epoch != Epoch::MAX
        && next != ForkDigest::default()
        && next != forks.next_digest;
    !parts_at_the_next
}

/// The attestation subnets that it keeps to.
pub fn attnets(record: &Enr) -> Attnets {
    value(record, "attnets").unwrap_or_default()
}

/// The sync committee subnets that it is in.
pub fn syncnets(record: &Enr) -> Syncnets {
    value(record, "syncnets").unwrap_or_default()
}

/// How many custody groups it keeps; none if it does not say.
pub fn custody_group_count(record: &Enr) -> u64 {
    record.get_decodable("cgc").and_then(Result::ok).unwrap_or_default()
}

/// All addresses that it names.
pub fn addresses(record: &Enr) -> impl Iterator<Item = IpAddr> {
    record.ip4().map(IpAddr::from).into_iter().chain(record.ip6().map(IpAddr::from))
}

/// The value of an entry that holds SSZ.
fn value<T: Decode>(record: &Enr, key: &str) -> Option<T> {
    T::from_ssz_bytes(&record.get_decodable::<Bytes>(key)?.ok()?).ok()
}

#[cfg(test)]
pub(in crate::p2p) mod tests {
    use enr::k256::ecdsa::SigningKey;
    use ssz::Encode as _;

    use super::*;
    use crate::{p2p::messages::MetaData, types::Version};

    pub(in crate::p2p) const OURS: [u8; 4] = [1, 2, 3, 4];
    const NEXT: [u8; 4] = [5, 6, 7, 8];

    /// Forks of a network that changes at epoch 100.
    pub(in crate::p2p) fn forks() -> Forks {
        Forks { next_epoch: 100, next_digest: NEXT.into(), ..Forks::only(OURS.into(), Version::default()) }
    }

    /// A record at an address, of a node with a key made of `n`.
    pub(in crate::p2p) fn record(n: u8, ip: &str, forks: &Forks, metadata: &MetaData) -> Enr {
        let key = SigningKey::from_slice(&[n; 32]).unwrap();
        let mut builder = Enr::builder();
        builder.ip(ip.parse().unwrap()).tcp4(9000).tcp6(9000).udp4(9000);
        builder
            .add_value("eth2", &forks.enr_fork_id().as_ssz_bytes().as_slice())
            .add_value("nfd", &forks.next_digest.as_slice())
            .add_value("attnets", &metadata.attnets.as_ssz_bytes().as_slice())
            .add_value("syncnets", &metadata.syncnets.as_ssz_bytes().as_slice())
            .add_value("cgc", &metadata.custody_group_count);
        builder.build(&key).unwrap()
    }

    #[test]
    fn a_node_of_another_fork_is_none_of_ours() {
        let metadata = MetaData::default();
        let theirs = |forks: &Forks| record(1, "3.3.3.3", forks, &metadata);
        let fork = |current: [u8; 4], next: [u8; 4], epoch| Forks {
            next_epoch: epoch,
            next_digest: next.into(),
            ..Forks::only(current.into(), Version::default())
        };
        let ours = forks();
        assert!(is_of(&theirs(&ours), &ours));
        assert!(is_of(&theirs(&fork(NEXT, [0; 4], u64::MAX)), &ours), "its clock is ahead");
        assert!(is_of(&theirs(&fork([9; 4], OURS, 99)), &ours), "its record is old");
        assert!(is_of(&theirs(&fork(OURS, [0; 4], u64::MAX)), &ours), "it does not know of the next fork yet");
        assert!(!is_of(&theirs(&fork(OURS, [9; 4], 100)), &ours), "it will leave us");
        assert!(!is_of(&theirs(&fork([9; 4], [0; 4], u64::MAX)), &ours));
    }

    #[test]
    fn what_is_missing_is_nothing() {
        let bare = Enr::builder().build(&SigningKey::from_slice(&[1; 32]).unwrap()).unwrap();
        assert!(!is_of(&bare, &forks()));
        assert_eq!((attnets(&bare).num_set_bits(), custody_group_count(&bare)), (0, 0));
        assert!(addresses(&bare).next().is_none());
    }
}
