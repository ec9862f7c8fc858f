//! Whether others can reach us from outside.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{Voted, is_dialable};
use crate::metrics::{self, PORT_REACHABLE};

/// After this time without a sign from outside, the port is most likely closed.
const PATIENCE: Duration = Duration::from_secs(900);
/// discv5 takes an address back that nobody used for 5 minutes; one that stands longer is one by which we were reached.
const PROVEN_AFTER: Duration = Duration::from_secs(360);

/// What showed so far whether we can be reached.
pub struct Reach {
    private_addresses: bool,
    since: Instant,
    is_reached: bool,
    is_told: bool,
    /// Since when our peers agree on our address.
    agreed: Option<Instant>,
}

impl Reach {
    /// Nothing is known yet.
    pub fn new(private_addresses: bool, now: Instant) -> Reach {
        metrics::set(&PORT_REACHABLE, &[], 0.0);
        Reach { private_addresses, since: now, is_reached: false, is_told: false, agreed: None }
    }

    /// Somebody connected to us from there.
    pub fn connected_from(&mut self, ip: IpAddr) {
        if is_dialable(ip, self.private_addresses) {
            self.reached("a peer has connected to us");
        }
    }

    /// Our peers say that this is our address.
    pub fn voted(&mut self, voted: Voted, now: Instant) {
        let addresses = [voted.ip4.map(|(ip, _)| ip.to_string()), voted.ip6.map(|(ip, _)| ip.to_string())];
        let addresses: Vec<String> = addresses.into_iter().flatten().collect();
        if addresses.is_empty() {
            info!("our peers do not agree on an address by which they reach us");
        } else {
            info!("our peers see us at {}", addresses.join(" and "));
        }
        self.agreed = (!addresses.is_empty()).then_some(now);
    }

    /// Time passes; `is_alone` says that we have no peers, which has other causes than a closed port.
    pub fn tick(&mut self, is_alone: bool, now: Instant) {
        if self.agreed.is_some_and(|since| since + PROVEN_AFTER <= now) {
            self.reached("our address has been used from outside");
        }
        if !self.is_reached && !self.is_told && !is_alone && self.since + PATIENCE <= now {
            self.is_told = true;
            warn!(
                "nobody has reached this node from outside in {} minutes: its port is probably closed. The node works, with \
                 fewer peers to choose from. To be reached, forward the port (TCP and UDP) in the router, or switch on UPnP \
                 there",
                PATIENCE.as_secs() / 60
            );
        }
    }

    fn reached(&mut self, how: &str) {
        if !self.is_reached {
            self.is_reached = true;
            info!("this node can be reached from outside: {how}");
            metrics::set(&PORT_REACHABLE, &[], 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_no_sign_from_outside() {
        let now = Instant::now();
        let mut reach = Reach::new(false, now);
        reach.connected_from("192.168.0.9".parse().unwrap());
        assert!(!reach.is_reached);
        reach.connected_from("3.3.3.3".parse().unwrap());
        assert!(reach.is_reached);
    }

    #[test]
    fn an_address_that_stands_is_one_by_which_we_were_reached() {
        let now = Instant::now();
        let mut reach = Reach::new(false, now);
        let voted = Voted { ip4: Some(("3.3.3.3".parse().unwrap(), 9000)), ip6: None };
        reach.voted(voted, now);
        reach.tick(false, now + PROVEN_AFTER / 2);
        reach.voted(Voted::default(), now + PROVEN_AFTER / 2);
        reach.tick(false, now + 2 * PROVEN_AFTER);
        assert!(!reach.is_reached, "it was taken back");
        reach.voted(voted, now);
        reach.tick(false, now + PROVEN_AFTER);
        assert!(reach.is_reached);
    }

    #[test]
    fn a_closed_port_is_told_once_and_not_to_the_lonely() {
        let now = Instant::now();
        let mut reach = Reach::new(false, now);
        reach.tick(true, now + PATIENCE);
        assert!(!reach.is_told);
        reach.tick(false, now + PATIENCE);
        assert!(reach.is_told && !reach.is_reached);
    }
}
