//! Where a program goes next, and when.

use maize_abi::Isa;
use std::time::Duration;

/// A tour round ISAs.
#[derive(Clone, Debug)]
pub struct HopPlan {
    /// The ISAs to visit, in order; the program starts on the first.
    pub isas: Vec<Isa>,
    /// Time between moves.
    pub every: Duration,
    /// With a seed, times are drawn evenly from 0 to twice `every`, and the next ISA at random from the others.
    pub seed: Option<u64>,
    /// At most so many moves of each process.
    pub limit: u64,
}

/// The moves of a plan, one after the other.
pub(crate) struct Tour {
    plan: HopPlan,
    position: usize,
    random: Option<fastrand::Rng>,
    begun: u64,
}

impl Tour {
    /// The moves of a process that is the `ordinal`th (from 0) to begin, and begins on `isa`.
    pub(crate) fn new(plan: HopPlan, ordinal: u64, isa: Isa) -> Tour {
        let random = plan.seed.map(|seed| fastrand::Rng::with_seed(seed.wrapping_add(ordinal)));
        let position = plan.isas.iter().position(|&stop| stop == isa).unwrap_or(0);
        Tour { plan, position, random, begun: 0 }
    }

    /// Time until the next move.
    pub(crate) fn interval(&mut self) -> Duration {
        match &mut self.random {
            Some(random) => self.plan.every.mul_f64(2.0 * random.f64()),
            None => self.plan.every,
        }
    }

    /// The ISA to move to; with one ISA in the plan, a fresh process of that ISA. None after the last move.
    pub(crate) fn next(&mut self) -> Option<Isa> {
        if self.begun == self.plan.limit {
            return None;
        }
        self.begun += 1;
        let count = self.plan.isas.len();
        let step = match &mut self.random {
            Some(random) if count > 1 => random.usize(1..count),
            _ => 1,
        };
        self.position = (self.position + step) % count;
        Some(self.plan.isas[self.position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_tour_and_never_stays() {
        let plan =
            HopPlan { isas: Isa::ALL.to_vec(), every: Duration::from_millis(20), seed: Some(7), limit: u64::MAX };
        let (mut one, mut two) = (Tour::new(plan.clone(), 3, Isa::X86_64), Tour::new(plan, 3, Isa::X86_64));
        let mut at = Isa::X86_64;
        for _ in 0..1000 {
            let next = one.next().unwrap();
            assert_eq!(Some(next), two.next());
            assert_ne!(next, at);
            assert_eq!(one.interval(), two.interval());
            at = next;
        }
    }

    #[test]
    fn without_a_seed_the_tour_goes_round_at_fixed_times_to_its_limit() {
        let plan = HopPlan { isas: Isa::ALL.to_vec(), every: Duration::from_millis(20), seed: None, limit: 4 };
        let mut tour = Tour::new(plan, 0, Isa::X86_64);
        let visited: Vec<Isa> = std::iter::from_fn(|| tour.next()).collect();
        assert_eq!(visited, [Isa::Aarch64, Isa::Riscv64, Isa::X86_64, Isa::Aarch64]);
        assert_eq!(tour.interval(), Duration::from_millis(20));
    }
}
