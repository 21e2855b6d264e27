//! Pauses before another try: growing, and jittered, so that hosts which failed together do not come back together.

use std::time::Duration;

/// Each pause is twice the one before, up to a bound, less a jitter of up to a half.
#[derive(Clone, Debug)]
pub(crate) struct Pauses {
    shortest: Duration,
    longest: Duration,
    next: Duration,
    random: u64,
}

impl Pauses {
    /// From `shortest` to `longest`. The jitter follows from `seed`: nothing below the command line rolls dice.
    pub fn between(shortest: Duration, longest: Duration, seed: u64) -> Self {
        Self { shortest, longest, next: shortest, random: seed }
    }

    /// Begin with the shortest again.
    pub fn reset(&mut self) {
        self.next = self.shortest;
    }

    /// How long to wait now.
    pub fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause - self.part_of(pause / 2)
    }

    /// A random part of a time.
    pub fn part_of(&mut self, whole: Duration) -> Duration {
        // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        whole.mul_f64(mixed as f64 / u64::MAX as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ_by_seed() {
        let (shortest, longest) = (Duration::from_millis(20), Duration::from_millis(500));
        let mut one = Pauses::between(shortest, longest, 1);
        let mut other = Pauses::between(shortest, longest, 2);
        let mut whole = shortest;
        for _ in 0..20 {
            let pause = one.next();
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
            assert_ne!(pause, other.next());
            whole = (whole * 2).min(longest);
        }
        one.reset();
        assert!(one.next() <= shortest);
    }
}
