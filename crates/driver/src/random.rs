//! A small seeded generator for jitter and simulated signals. Not for secrets.

/// SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, any seed is fine, equal seeds give equal sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal sequences.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator whose seed is made of `name`, so that every device gets its own sequence.
    pub fn named(seed: u64, name: &str) -> Self {
        // FNV-1a spreads names well enough for a seed and is stable over versions.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(seed ^ hash)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 (included) to 1 (excluded).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_sequences_and_numbers_stay_in_the_unit_interval() {
        let (mut a, mut b) = (Random::named(7, "press"), Random::named(7, "press"));
        let numbers: Vec<f64> = (0..1000).map(|_| a.unit()).collect();
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        assert_eq!(numbers, (0..1000).map(|_| b.unit()).collect::<Vec<_>>());
        assert_ne!(Random::named(7, "pump").next_u64(), Random::named(7, "press").next_u64());
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
