//! Whether a peer's gossip is of any use.
//!
//! What is ignored is nobody's fault: an honest peer passes on votes that another peer's aggregate has made superfluous. But one
//! whose messages are all ignored while those of the others are taken fills our memory of message ids for nothing.

/// Ignored messages after which a peer is compared with the others: some slots of a busy network.
const ENOUGH: u32 = 2048;
/// A peer is useless when the part of its messages that is accepted is less than this of everybody's.
const LEAST_PART: f64 = 0.05;

/// How many messages of somebody were accepted and ignored of late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Useful {
    accepted: u32,
    ignored: u32,
}

impl Useful {
    /// Counts a verdict. What is long ago counts less and less.
    pub fn count(&mut self, is_accepted: bool) {
        if is_accepted {
            self.accepted += 1;
        } else {
            self.ignored += 1;
        }
        if self.accepted + self.ignored >= 4 * ENOUGH {
            self.accepted /= 2;
            self.ignored /= 2;
        }
    }

    fn part(self) -> f64 {
        f64::from(self.accepted) / f64::from((self.accepted + self.ignored).max(1))
    }

    /// Whether a peer is, beside all peers together. Nobody is while all that comes is ignored: then it is we who are behind.
    pub fn is_useless(self, all: Useful) -> bool {
        self.ignored >= ENOUGH && self.part() < LEAST_PART * all.part()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_ignored_while_others_are_not_is_useless() {
        let (mut all, mut bad, mut good) = (Useful::default(), Useful::default(), Useful::default());
        for number in 0..u64::from(ENOUGH) * 3 {
            bad.count(false);
            all.count(false);
            assert!(!bad.is_useless(all), "while we hear nothing of use, nobody is to blame");
            let is_accepted = number % 10 == 0;
            good.count(is_accepted);
        }
        for number in 0..100 {
            all.count(number % 10 == 0);
        }
        assert!(bad.is_useless(all));
        assert!(!good.is_useless(all));
        // A little use makes up for it.
        (0..ENOUGH / 10).for_each(|_| bad.count(true));
        assert!(!bad.is_useless(all));
    }
}
